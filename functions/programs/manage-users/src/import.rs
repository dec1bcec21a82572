//! The import of accounts from another system, line by line. A line is imported as a whole or not at all, and a file may
//! be imported again: existing accounts stay as they are.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use portcullis_identity::{
    Account, AccountRequest, AccountStatus, Email, Error, Field, FirstPassword, ImportedHash, ManagedKey,
    PersonName, PhoneNumber, Username,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::arguments::Format;
use crate::dry_run::{Person, Planned};
use crate::failure::{Failure, explain};
use crate::output::{Output, counted, line};
use crate::tool::Tool;

/// The maximum length of a line in bytes; a file without line ends is no list of accounts.
const LONGEST_LINE: u64 = 64 * 1024;
const FIRST_ROLE: &str = "user";

/// An account as a line has it. Columns of CSV have the same names; `roles` are separated by spaces there.
#[derive(Debug, Deserialize)]
struct Row {
    email: Option<String>,
    username: Option<String>,
    name: Option<String>,
    phone: Option<String>,
    password_hash: String,
    roles: Option<Roles>,
    status: Option<String>,
    /// Whether the address counts as confirmed; it does when absent.
    email_verified: Option<bool>,
    /// An API key that the person has already; it becomes the managed one.
    api_key: Option<SecretString>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Roles {
    Listed(Vec<String>),
    Written(String),
}

/// The result of an import, counted by lines.
#[derive(Debug, Default)]
struct Report {
    /// What the lines so far would have made, where nothing is written.
    dry_run: Option<Planned>,
    made: u64,
    present: u64,
    refused: Vec<(u64, String)>,
}

pub(crate) async fn run(
    tool: &Tool,
    output: Output,
    file: &Path,
    format: Option<Format>,
    dry_run: bool,
) -> Result<(), Failure> {
    let is_csv = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let format = format.unwrap_or(if is_csv { Format::Csv } else { Format::Jsonl });
    let bar = progress();
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(stdin())
    } else {
        let unreadable = |error| Failure::Unusable(format!("{}: {error}", file.display()));
        let opened = File::open(file).map_err(unreadable)?;
        bar.set_length(opened.metadata()?.len());
        Box::new(opened)
    };
    let input = BufReader::new(bar.wrap_read(input));
    let mut report = Report { dry_run: dry_run.then(Planned::default), ..Report::default() };
    match format {
        Format::Jsonl => json_lines(tool, input, &mut report).await?,
        Format::Csv => csv_rows(tool, input, &mut report).await?,
    }
    bar.finish_and_clear();
    print_report(output, &report)
}

/// Returns a progress bar over the bytes of the file; it draws nothing where the output is no terminal.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    match ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

async fn json_lines(tool: &Tool, mut input: impl BufRead, report: &mut Report) -> Result<(), Failure> {
    for number in 1.. {
        let mut text = Vec::new();
        let length = input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text)?;
        if length == 0 {
            break;
        }
        if length as u64 == LONGEST_LINE && text.last() != Some(&b'\n') {
            return Err(Failure::Refused(format!("line {number} is longer than {LONGEST_LINE} bytes")));
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        // The parser's own words quote what it read, which may be a hash.
        let row = serde_json::from_slice::<Row>(&text).map_err(|error| {
            format!("is no JSON object with a password_hash and texts (column {})", error.column())
        });
        take_over(tool, number, row, report).await?;
    }
    Ok(())
}

async fn csv_rows(tool: &Tool, input: impl Read, report: &mut Report) -> Result<(), Failure> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let headers = reader.headers().map_err(|error| Failure::Refused(format!("the first line: {error}")))?;
    let headers = headers.clone();
    let mut record = csv::StringRecord::new();
    loop {
        let read = reader.read_record(&mut record);
        let number = record.position().map_or_else(|| reader.position().line(), csv::Position::line);
        let row = match read {
            Ok(false) => return Ok(()),
            Ok(true) => record
                .deserialize::<Row>(Some(&headers))
                .map_err(|_| "has no password_hash, or is not like the first line".to_owned()),
            Err(error) if error.is_io_error() => return Err(Failure::Refused(error.to_string())),
            Err(_) => Err("is no CSV, or has more or fewer columns than the first line".to_owned()),
        };
        take_over(tool, number, row, report).await?;
    }
}

async fn take_over(
    tool: &Tool,
    number: u64,
    row: Result<Row, String>,
    report: &mut Report,
) -> Result<(), Failure> {
    match row {
        Ok(row) => match one(tool, number, row, report.dry_run.as_mut()).await {
            Ok(true) => report.made += 1,
            Ok(false) => report.present += 1,
            Err(Failure::Refused(reason)) => report.refused.push((number, reason)),
            Err(failure) => return Err(failure),
        },
        Err(reason) => report.refused.push((number, reason)),
    }
    Ok(())
}

/// Creates the account of a line, or plans it. Returns whether it is new, `false` for one that exists already; fails when
/// the line is refused, or the operation fails.
async fn one(tool: &Tool, number: u64, row: Row, mut planned: Option<&mut Planned>) -> Result<bool, Failure> {
    let key = row.api_key.clone().filter(|key| !key.expose_secret().trim().is_empty());
    let request = parsed(row)?;
    let (person, email, username) =
        (Person::of(number, &request), request.email.clone(), request.username.clone());
    let made = match &mut planned {
        Some(planned) => planned.plan(tool, &person, &request, key.as_ref()).await,
        None => create(tool, request, key).await,
    };
    match made {
        Ok(()) => Ok(true),
        Err(error @ (Error::EmailTaken | Error::UsernameTaken)) => {
            if let Some(earlier) = planned.as_deref().and_then(|planned| planned.earlier(&person)) {
                let is_same = person.is(earlier.name.as_str(), earlier.username.as_deref());
                let why = || Failure::Refused(format!("line {} has the address or username", earlier.line));
                return if is_same { Ok(false) } else { Err(why()) };
            }
            let present = tool.identity.account_with(email.as_ref(), username.as_ref()).await?;
            let is_same = |present: &Account| person.is(&present.name, present.username.as_deref());
            if present.as_ref().is_some_and(is_same) { Ok(false) } else { Err(refused(&error)) }
        }
        Err(error @ Error::Invalid(_)) => Err(refused(&error)),
        Err(error) => Err(error.into()),
    }
}

/// Creates an account, with the API key that its owner has already.
async fn create(tool: &Tool, request: AccountRequest, key: Option<SecretString>) -> Result<(), Error> {
    if key.is_some() {
        // Of a file that is imported again: the key is refused as somebody's, and the account is there.
        tool.identity.check_new_account(&request).await?;
    }
    let key = key.map(|text| ManagedKey { text: Some(text), ..ManagedKey::default() });
    tool.identity.create_account_with_key(&tool.operator, request, key, &tool.origin).await.map(drop)
}

fn refused(error: &Error) -> Failure {
    Failure::Refused(explain(error))
}

fn parsed(row: Row) -> Result<AccountRequest, Failure> {
    // An empty column counts as absent.
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let (email, username) = (given(row.email), given(row.username));
    let local_part = email.as_ref().and_then(|email| email.split('@').next()).map(str::to_owned);
    let Some(name) = given(row.name).or_else(|| username.clone()).or(local_part) else {
        return Err(Failure::Refused("has neither email nor username".to_owned()));
    };
    let hash = ImportedHash::parse(row.password_hash.trim());
    let hash = hash.map_err(|error| Failure::Refused(format!("password_hash: {error}")))?;
    let roles = match row.roles {
        None => Vec::new(),
        Some(Roles::Listed(roles)) => roles,
        Some(Roles::Written(roles)) => roles.split_whitespace().map(str::to_owned).collect(),
    };
    let roles = if roles.is_empty() { vec![FIRST_ROLE.to_owned()] } else { roles };
    let status = match given(row.status) {
        None => AccountStatus::Active,
        Some(status) => status
            .parse()
            .map_err(|_| Failure::Refused("status: is neither active nor disabled".to_owned()))?,
    };
    let read = || -> Result<AccountRequest, Error> {
        Ok(AccountRequest {
            email: email
                .as_deref()
                .map(Email::parse)
                .transpose()
                .map_err(|invalid| invalid.of(Field::Email))?,
            name: PersonName::parse(&name).map_err(|invalid| invalid.of(Field::Name))?,
            username: username
                .as_deref()
                .map(Username::parse)
                .transpose()
                .map_err(|invalid| invalid.of(Field::Username))?,
            phone: given(row.phone)
                .as_deref()
                .map(PhoneNumber::parse)
                .transpose()
                .map_err(|invalid| invalid.of(Field::Phone))?,
            password: FirstPassword::Imported(hash),
            roles,
            status,
            email_verified: row.email_verified.unwrap_or(true),
        })
    };
    read().map_err(|error| refused(&error))
}

fn print_report(output: Output, report: &Report) -> Result<(), Failure> {
    let Report { dry_run, made, present, refused } = report;
    let is_dry = dry_run.is_some();
    let lines: Vec<_> =
        refused.iter().map(|(number, reason)| json!({"line": number, "reason": reason})).collect();
    if output.json {
        let report = json!({"imported": made, "present": present, "refused": lines, "dry_run": is_dry});
        line(&report.to_string())?;
    } else {
        for (number, reason) in refused {
            line(&format!("line {number}: {reason}"))?;
        }
        line(&format!("{made} imported, {present} there already, {} refused", refused.len()))?;
        if is_dry {
            line("nothing was written: this was a dry run")?;
        }
    }
    if refused.is_empty() {
        Ok(())
    } else {
        let others = if is_dry { "would be imported" } else { "are done" };
        let number = counted(refused.len(), "line");
        Err(Failure::Refused(format!("refused {number}; all others {others}")))
    }
}
