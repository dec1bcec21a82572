//! Compresses the scripts and styles of the web console, so that the program holds them in the form that browsers take.
//! They were built before (`console/web/README.md`); nothing but this repository is needed here.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

const BUILT: &str = "console/web/dist/assets";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={BUILT}");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is set by cargo")?);
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(BUILT)? {
        names.push(entry?.file_name().into_string().map_err(|name| format!("{}", name.display()))?);
    }
    names.sort();
    let mut table = String::from("&[\n");
    for name in names {
        let compressed = out.join(format!("{name}.gz"));
        compress(&Path::new(BUILT).join(&name), &compressed)?;
        let compressed = compressed.to_str().ok_or("the target folder has a name that is not UTF-8")?;
        let media_type = media_type(&name).ok_or_else(|| format!("the media type of {name} is not known"))?;
        writeln!(
            table,
            "Asset {{ name: {name:?}, media_type: {media_type:?}, gzip: include_bytes!({compressed:?}) }},"
        )?;
    }
    table.push_str("]\n");
    fs::write(out.join("assets.rs"), table)?;
    Ok(())
}

fn compress(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut encoder = GzEncoder::new(fs::File::create(to)?, Compression::best());
    encoder.write_all(&fs::read(from)?)?;
    encoder.finish()?;
    Ok(())
}

fn media_type(name: &str) -> Option<&'static str> {
    match Path::new(name).extension()?.to_str()? {
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml; charset=utf-8"),
        _ => None,
    }
}
