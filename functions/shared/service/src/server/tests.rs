//! What the configuration of a server is refused for.

use portcullis_platform::Environment;

use super::*;

#[test]
fn every_default_is_usable() {
    ServerSettings::read(Environment::default()).unwrap();
}

#[test]
fn another_port_is_the_one_clients_are_told_of() {
    let public_url = |given: &[(&'static str, &'static str)]| {
        let settings = ServerSettings::read(given.iter().copied().collect()).unwrap();
        settings.settings.http.public_url.as_str().to_owned()
    };
    assert_eq!(public_url(&[("LISTEN_ADDR", "127.0.0.1:9000")]), "http://localhost:9000");
    assert_eq!(public_url(&[("LISTEN_ADDR", "127.0.0.1:0")]), "http://localhost:8001");
    let set = [("LISTEN_ADDR", "127.0.0.1:9000"), ("PUBLIC_URL", "https://auth.example.com")];
    assert_eq!(public_url(&set), "https://auth.example.com");
}

#[test]
fn a_bad_value_names_its_variable() {
    for (name, value) in [
        ("LISTEN_ADDR", "localhost"),
        ("ACCESS_TOKEN_TTL", "soon"),
        ("ARGON2_MEMORY_KIB", "1"),
        ("PUBLIC_URL", "http://example.com"),
        ("ALLOWED_ORIGINS", "*"),
        ("EMAIL_VERIFICATION", "perhaps"),
        ("PASSWORD_ROTATION_DAYS", "-1"),
        ("RATE_LIMIT", "no"),
        ("PROOF_OF_WORK", "31"),
        ("TOTP_ISSUER", "a:b"),
        ("STEP_UP_MAX_AGE", "29"),
        ("API_KEY_MAX_AGE", "-1"),
        ("MFA_REMEMBER_DAYS", "91"),
        ("KITE_API_URL", "http://api.kite.trade"),
        ("PROVIDERS", "No Spaces"),
        ("SERVICES", "[]"),
        ("SERVICES", r#"{"edge":["everything"]}"#),
    ] {
        let error = ServerSettings::read([(name, value)].into_iter().collect()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}: ")) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn a_policy_that_names_an_unknown_role_is_refused_with_the_role() {
    let policy = r#"{"admin":{},"user":{"inherits":["wizard"]}}"#;
    let error = ServerSettings::read([("ROLE_DEFINITIONS", policy)].into_iter().collect()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ROLE_DEFINITIONS: role `user`: inherits from `wizard`, which is not defined"
    );
}

#[test]
fn a_policy_of_an_older_form_is_refused_with_the_present_one() {
    let policy = r#"{"admin":{"*":["*"]},"user":["profile:read"]}"#;
    let error = ServerSettings::read([("ROLE_DEFINITIONS", policy)].into_iter().collect()).unwrap_err();
    let present = r#"{"admin":{"permissions":["*:*"]},"user":{"permissions":["profile:read"]}}"#;
    assert_eq!(error.to_string(), format!("ROLE_DEFINITIONS: has an older form; write {present}"));
    assert!(ServerSettings::read([("ROLE_DEFINITIONS", present)].into_iter().collect()).is_ok());
}

#[test]
fn a_role_that_needs_a_sign_in_nobody_can_do_is_refused() {
    let of = |class: &str| {
        let policy = format!(r#"{{"admin":{{"requires":{{"acr":"{class}"}}}},"user":{{}}}}"#);
        ServerSettings::read([("ROLE_DEFINITIONS", policy.as_str())].into_iter().collect()).map(|_| ())
    };
    of("aal1").unwrap();
    of("aal2").unwrap();
    let error = of("phr").unwrap_err().to_string();
    assert!(error.starts_with("ROLE_DEFINITIONS: role `admin`: requires more than aal2"), "{error}");
    let error = of("aal9").unwrap_err().to_string();
    assert!(error.starts_with("ROLE_DEFINITIONS: role `admin`"), "{error}");
}
