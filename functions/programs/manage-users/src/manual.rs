//! The manual page, in roff, made from the same definitions as the help.

use std::io;

use clap::Command;
use clap_mangen::Man;

use crate::arguments::SECTIONS;

/// Returns one page for the program and all its commands; fails when it cannot be written.
pub(crate) fn page(mut command: Command) -> io::Result<Vec<u8>> {
    command.build();
    let name = command.get_name().to_owned();
    let mut page = Vec::new();
    let whole = Man::new(command.clone());
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    whole.render_options_section(&mut page)?;
    page.extend_from_slice(b".SH COMMANDS\n");
    for one in command.get_subcommands() {
        page.extend_from_slice(of_command(one, &name)?.as_bytes());
    }
    for (title, text) in SECTIONS {
        page.extend_from_slice(section(title, text).as_bytes());
    }
    whole.render_version_section(&mut page)?;
    Ok(page)
}

/// Returns what the page says of a command, and of those below it.
fn of_command(command: &Command, above: &str) -> io::Result<String> {
    let path = format!("{above} {}", command.get_name());
    if path.ends_with(" help") {
        return Ok(String::new());
    }
    if command.has_subcommands() {
        return command.get_subcommands().map(|one| of_command(one, &path)).collect();
    }
    let (man, mut part) = (Man::new(command.clone()), Vec::new());
    man.render_synopsis_section(&mut part)?;
    man.render_description_section(&mut part)?;
    man.render_options_section(&mut part)?;
    let part = String::from_utf8_lossy(&part);
    // Sections of the page are those of the whole program; a command is a part of one.
    let heading = format!(".SS \"{}\"", escaped(&path));
    let part = part.replace(".SH SYNOPSIS", &heading).replace(".SH DESCRIPTION", ".PP");
    Ok(part.replace(".SH OPTIONS", ".PP\n\\fIOptions\\fR"))
}

fn section(title: &str, text: &str) -> String {
    let lines: Vec<String> = text.lines().map(escaped).collect();
    format!(".SH {}\n{}\n", title.to_uppercase(), lines.join("\n.br\n"))
}

/// Returns a line as roff shows it: hyphens can be copied, and nothing in it is a command.
fn escaped(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}
