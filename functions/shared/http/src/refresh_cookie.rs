//! The cookie that carries the refresh token of a browser.
//!
//! Over https it is `__Host-refresh` (RFC 6265bis section 4.1.3.2): browsers accept that prefix only with `Secure`, with
//! `Path=/` and without `Domain`, so that no sibling subdomain and no plain-http page can plant one. Over
//! `http://localhost`, where browsers would drop such a cookie, prefix and `Secure` are left out.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::{Code, Problem, PublicUrl};

/// How the refresh token is put into a browser and found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshCookie {
    secure: bool,
}

impl RefreshCookie {
    /// The cookie of a service that is reached there.
    pub fn of(public_url: &PublicUrl) -> Self {
        Self { secure: public_url.is_https() }
    }

    /// Returns the name of the cookie.
    pub fn name(self) -> &'static str {
        if self.secure { "__Host-refresh" } else { "refresh" }
    }

    /// Returns the value of a `Set-Cookie` that hands the token to the browser: for `lifetime`, or until the browser is closed.
    pub fn set(self, token: &SecretString, lifetime: Option<Duration>) -> Result<HeaderValue, Problem> {
        set(self.name(), self.secure, token, lifetime)
    }

    /// Returns the value of a `Set-Cookie` that makes the browser forget the token. For logout alone: a failed or losing
    /// refresh must leave the winner's cookie where it is.
    pub fn clear(self) -> Result<HeaderValue, Problem> {
        header(self.name(), self.secure, "", Some(0))
    }

    /// Returns the token a browser sent, if it sent exactly one. Two cookies of the name mean that another site set one
    /// of them, and nothing in the request tells which.
    pub fn read(self, headers: &HeaderMap) -> Option<SecretString> {
        read(self.name(), headers)
    }
}

/// The value of a `Set-Cookie` that hands a token to a browser.
pub(crate) fn set(
    name: &str,
    secure: bool,
    token: &SecretString,
    lifetime: Option<Duration>,
) -> Result<HeaderValue, Problem> {
    let token = token.expose_secret();
    // A token is ours and plain; if ever it were not, `;` would let it add attributes of its own.
    if token.is_empty() || !token.bytes().all(is_cookie_octet) {
        return Err(Code::InternalError.into());
    }
    header(name, secure, token, lifetime.map(|lifetime| lifetime.as_secs()))
}

/// The value of the cookie of this name, if there is exactly one.
pub(crate) fn read(name: &str, headers: &HeaderMap) -> Option<SecretString> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(token), None) if !token.is_empty() => Some(SecretString::from(token)),
        _ => None,
    }
}

fn header(name: &str, secure: bool, value: &str, max_age: Option<u64>) -> Result<HeaderValue, Problem> {
    let secure = if secure { "; Secure" } else { "" };
    let age = max_age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let text = format!("{name}={value}; HttpOnly{secure}; SameSite=Strict; Path=/{age}");
    let mut header = HeaderValue::from_str(&text).map_err(|_| Problem::new(Code::InternalError))?;
    header.set_sensitive(true);
    Ok(header)
}

/// RFC 6265 section 4.1.1.
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(url: &str) -> RefreshCookie {
        RefreshCookie::of(&PublicUrl::parse(url).unwrap())
    }

    fn public() -> RefreshCookie {
        cookie("https://auth.example.com")
    }

    fn local() -> RefreshCookie {
        cookie("http://localhost:8001")
    }

    fn token() -> SecretString {
        SecretString::from("rt_ses_1.4.AbC-_.mac")
    }

    fn read(cookie: RefreshCookie, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
        }
        cookie.read(&headers).map(|token| token.expose_secret().to_owned())
    }

    #[test]
    fn over_https_the_cookie_is_bound_to_the_host() {
        let week = Some(Duration::from_hours(168));
        insta::assert_snapshot!(
            public().set(&token(), week).unwrap().to_str().unwrap(),
            @"__Host-refresh=rt_ses_1.4.AbC-_.mac; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=604800"
        );
        insta::assert_snapshot!(
            public().clear().unwrap().to_str().unwrap(),
            @"__Host-refresh=; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=0"
        );
    }

    #[test]
    fn without_a_lifetime_it_ends_with_the_browser_and_on_localhost_it_has_no_prefix() {
        insta::assert_snapshot!(
            local().set(&token(), None).unwrap().to_str().unwrap(),
            @"refresh=rt_ses_1.4.AbC-_.mac; HttpOnly; SameSite=Strict; Path=/"
        );
    }

    #[test]
    fn the_token_is_not_printed() {
        assert!(!format!("{:?}", public().set(&token(), None)).contains("rt_ses_1"));
    }

    #[test]
    fn a_token_cannot_add_attributes() {
        for bad in ["", "a; Domain=evil.example", "a b", "a\r\nX: y", "a,b", "a\"b", "é"] {
            let result = public().set(&SecretString::from(bad), None);
            assert_eq!(result.unwrap_err().code(), Code::InternalError, "{bad}");
        }
    }

    #[test]
    fn what_was_set_is_read_again_among_other_cookies() {
        let token = Some("rt_ses_1.4.AbC-_.mac".to_owned());
        assert_eq!(read(public(), &["a=b; __Host-refresh=rt_ses_1.4.AbC-_.mac; c=d"]), token);
        assert_eq!(read(public(), &["a=b", "__Host-refresh=rt_ses_1.4.AbC-_.mac"]), token);
        assert_eq!(read(local(), &["refresh=rt_ses_1.4.AbC-_.mac"]), token);
    }

    #[test]
    fn another_name_an_empty_value_or_two_of_them_are_no_token() {
        for lines in [
            &["refresh=x"][..],
            &["__host-refresh=x"],
            &["x__Host-refresh=x"],
            &["a=__Host-refresh=x"],
            &["__Host-refresh="],
            &["__Host-refresh"],
            &["__Host-refresh=x; __Host-refresh=y"],
            &["__Host-refresh=x", "__Host-refresh=x"],
            &[],
        ] {
            assert_eq!(read(public(), lines), None, "{lines:?}");
        }
    }
}
