//! The readings of a path that servers disagree about.

use alloc::string::String;
use alloc::vec::Vec;

use super::MAX_PATH_BYTES;

/// Servers that decode do so once, some of them twice; no honest client needs a third time.
const MAX_DECODINGS: usize = 3;

/// What the most lenient server could take the path for: fully decoded, in lower case, and without path parameters
/// (`/v1;a=b/x` is `/v1/x` to a servlet container). `None` if already its
/// structure is in doubt, `Some(None)` if there is no other reading.
#[expect(clippy::option_option, reason = "refused, unchanged and changed are three answers")]
pub(super) fn most_lenient_reading(path: &str) -> Option<Option<String>> {
    if path.len() > MAX_PATH_BYTES || !is_sound(path.as_bytes()) {
        return None;
    }
    if !path.bytes().any(|byte| matches!(byte, b'%' | b';') || byte.is_ascii_uppercase()) {
        return Some(None);
    }
    let mut reading = path.as_bytes().to_vec();
    for _ in 0..MAX_DECODINGS {
        let decoded = decode(&reading)?;
        if decoded == reading {
            reading.make_ascii_lowercase();
            let reading = without_parameters(&reading);
            // What is not UTF-8 has no prefix that a route could have by mistake.
            return Some(Some(String::from_utf8_lossy(&reading).into_owned()));
        }
        if adds_structure(&reading, &decoded) || !is_sound(&decoded) {
            return None;
        }
        reading = decoded;
    }
    None
}

/// No empty segment but the last, none that means here or above (also with a path parameter, `..;`), no backslash and no
/// control character: these are where readers part ways.
fn is_sound(path: &[u8]) -> bool {
    let Some(segments) = path.strip_prefix(b"/") else { return false };
    let mut segments = segments.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        let is_last = segments.peek().is_none();
        if matches!(name, b"." | b"..") || (name.is_empty() && !(is_last && segment.is_empty())) {
            return false;
        }
    }
    !path.iter().any(|byte| *byte == b'\\' || byte.is_ascii_control())
}

/// Every segment up to its first semicolon.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let name = |segment: &[u8]| segment.split(|byte| *byte == b';').next().unwrap_or_default().to_vec();
    path.split(|byte| *byte == b'/').map(name).collect::<Vec<_>>().join(&b'/')
}

/// Whether decoding made a delimiter out of what was data.
fn adds_structure(before: &[u8], after: &[u8]) -> bool {
    let delimiters = |path: &[u8]| path.iter().filter(|byte| b"/?#;".contains(byte)).count();
    delimiters(before) != delimiters(after)
}

/// Resolves each `%xx` once; a `%` that begins none is no path (RFC 3986 section 2.1).
fn decode(path: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.iter();
    while let Some(&byte) = rest.next() {
        decoded.push(match byte {
            b'%' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            other => other,
        });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
