//! What must hold for any bytes at all. The fuzz targets of `../../fuzz` and the test of the kept corpus run these.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_verifier::api_key::{self, UnverifiedApiKey};
use portcullis_verifier::jwks::{JwkSet, MAX_KEYS};
use portcullis_verifier::revocation::Page;
use portcullis_verifier::route::RouteTable;
use portcullis_verifier::{Expectations, MAX_TOKEN_BYTES, UnverifiedToken};

/// The moment at which tokens are looked at.
const NOW: u64 = 1_760_000_000;

const ROUTES: &str = r#"[
    {"prefix": "/v1/portfolio", "service": "portfolio", "upstreams": ["https://p.example"]},
    {"prefix": "/v1/portfolio/admin", "service": "monitoring", "upstreams": ["https://p.example"]},
    {"prefix": "/v1/auth", "service": "identity", "upstreams": ["https://i.example"], "public": true},
    {"prefix": "/", "service": "web", "upstreams": ["https://w.example"], "public": true}
]"#;

/// A believed token has one spelling and lives now. Bytes without dots are taken for the claims of a token, so that the
/// search gets past base64.
pub(crate) fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    judge(text);
    if !text.contains('.') {
        let header = format!(
            r#"{{"alg":"RS256","typ":"at+jwt","kid":"{}"}}"#,
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        judge(&format!("{}.{}.{}", part(header.as_bytes()), part(bytes), part(&[7; 256])));
        judge(&format!("{}.{}.{}", part(bytes), part(b"{}"), part(&[7; 256])));
    }
}

fn judge(text: &str) {
    let Ok(token) = UnverifiedToken::parse(text) else { return };
    assert!(text.len() <= MAX_TOKEN_BYTES);
    let parts: Vec<_> = text.split('.').collect();
    assert_eq!(parts.len(), 3);
    assert_eq!(URL_SAFE_NO_PAD.encode(token.signature()), parts[2]);
    assert_eq!(token.signing_input(), format!("{}.{}", parts[0], parts[1]).as_bytes());
    assert_eq!(token.kid().len(), 43);
    let refused = UnverifiedToken::parse(text).map(|token| token.accept(false, &expectations(), NOW));
    assert!(refused.is_ok_and(|answer| answer.is_err()), "no claims without a signature");
    if let Ok(claims) = token.accept(true, &expectations(), NOW) {
        assert_eq!((claims.iss.as_str(), claims.aud.as_str()), ("user_service", "trading_platform"));
        assert!(claims.exp + 5 > NOW && claims.iat <= NOW + 5 && claims.iat < claims.exp);
        assert_eq!(claims.token_type, "access");
        assert!(!claims.sub.is_empty() && !claims.session_id.is_empty());
    }
}

fn expectations() -> Expectations {
    Expectations::new("user_service", "trading_platform")
}

/// A set that is taken is small, has no name twice, and every key is found under its name.
pub(crate) fn jwks(bytes: &[u8]) {
    let Ok(set) = JwkSet::parse(bytes) else { return };
    let keys: Vec<_> = set.iter().collect();
    assert!((1..=MAX_KEYS).contains(&keys.len()));
    for (place, key) in keys.iter().enumerate() {
        assert_eq!(set.position(key.kid(), key.algorithm()), Some(place));
        assert_eq!(keys.iter().filter(|other| other.kid() == key.kid()).count(), 1);
    }
}

/// A server that decodes, ignores case, resolves dots and merges slashes finds the same service.
pub(crate) fn route(bytes: &[u8]) {
    let Ok(path) = std::str::from_utf8(bytes) else { return };
    let Ok(table) = RouteTable::parse(ROUTES) else { unreachable!("the table is sound") };
    if let Ok(found) = table.find(path) {
        let lenient = lenient(path);
        let there = table.find(&lenient).map(|route| route.service().to_owned());
        assert_eq!(there.as_deref(), Ok(found.service()), "{path:?} read as {lenient:?}");
    }
    let _ = RouteTable::parse(path);
}

fn lenient(path: &str) -> String {
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..4 {
        bytes = percent_decoded(&bytes);
    }
    let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase().replace('\\', "/");
    let mut segments = Vec::new();
    for segment in text.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name.replace('%', "%25")),
        }
    }
    format!("/{}", segments.join("/"))
}

fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let value = pair.filter(|_| byte == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok());
        decoded.push(value.unwrap_or(byte));
        rest = if value.is_some() { &tail[2..] } else { tail };
    }
    decoded
}

/// A key that is read is what its parts compose.
pub(crate) fn api_key(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some(key) = UnverifiedApiKey::parse(text)
    {
        assert_eq!(api_key::compose(key.id(), key.secret()), text);
    }
}

/// A page that is read answers every question, and an empty one covers nobody.
pub(crate) fn revocations(bytes: &[u8]) {
    if let Ok(page) = Page::parse(bytes.to_vec()) {
        let covered = page.covers(1, 1, 0) || page.concerns(1, 0);
        assert!(!covered || page.size() > 40);
    }
}
