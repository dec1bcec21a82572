//! What a browser says of a ceremony (WebAuthn Level 3, section 5.8.1), as far as `webauthn-rs` leaves it to its caller: it
//! compares origins as URLs, of which several spellings mean one page, and does not look whether an assertion was made in the
//! frame of another page.

use serde::Deserialize;

use super::Refused;

/// The members that are looked at. Others may come: the specification promises them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData<'a> {
    #[serde(borrow, rename = "type")]
    kind: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    origin: std::borrow::Cow<'a, str>,
    #[serde(default)]
    cross_origin: Option<bool>,
    #[serde(default)]
    top_origin: Option<serde_json::Value>,
}

/// Fails unless the client data is of this type and of a page of one of these origins, and not of a frame in a page of another
/// one. Origins are compared as browsers write them, letter by letter.
pub(super) fn check(json: &[u8], kind: &str, origins: &[String]) -> Result<(), Refused> {
    let data: ClientData<'_> =
        serde_json::from_slice(json).map_err(|_| Refused::ClientData("it cannot be read"))?;
    if data.kind != kind {
        return Err(Refused::ClientData("it is of another kind of ceremony"));
    }
    if !origins.iter().any(|origin| *origin == data.origin) {
        return Err(Refused::ClientData("it is of a page of another origin"));
    }
    if data.cross_origin == Some(true) || data.top_origin.is_some() {
        return Err(Refused::ClientData("it is of a frame in a page of another origin"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> Result<(), Refused> {
        check(json.as_bytes(), "webauthn.get", &["https://a.example".to_owned()])
    }

    #[test]
    fn one_page_has_one_spelling_and_stands_in_no_frame() {
        let with = |origin: &str, more: &str| {
            told(&format!(r#"{{"type":"webauthn.get","challenge":"AA","origin":"{origin}"{more}}}"#))
        };
        with("https://a.example", "").unwrap();
        with("https://a.example", r#","crossOrigin":false,"other_keys_can_be_added_here":1"#).unwrap();
        with("https://a.example", r#","crossOrigin":null,"topOrigin":null"#).unwrap();
        for origin in [
            "https://a.example/",
            "https://a.example:443",
            "HTTPS://a.example",
            "https://user@a.example",
            "https://a.example/login",
            "https://www.a.example",
            "https://a.example.evil.example",
            "http://a.example",
            "null",
            "",
        ] {
            assert!(with(origin, "").is_err(), "{origin}");
        }
        for more in [
            r#","crossOrigin":true"#,
            r#","crossOrigin":"false""#,
            r#","crossOrigin":false,"topOrigin":"https://evil.example""#,
        ] {
            assert!(with("https://a.example", more).is_err(), "{more}");
        }
    }

    #[test]
    fn what_is_no_client_data_or_of_another_ceremony_is_refused() {
        for json in [
            "",
            "{}",
            "[]",
            r#"{"type":"webauthn.create","origin":"https://a.example"}"#,
            r#"{"type":"payment.get","origin":"https://a.example"}"#,
            r#"{"type":"webauthn.get","type":"webauthn.get","origin":"https://a.example"}"#,
        ] {
            assert!(told(json).is_err(), "{json}");
        }
        assert!(check(b"\xff", "webauthn.get", &[]).is_err());
    }
}
