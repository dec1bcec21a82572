//! The cookie by which a browser is known as one its owner has signed in with. It opens nothing, so that it lives long;
//! it only has wrong passwords counted apart from those of strangers. It lives as long as the token in it; every sign-in
//! begins it anew.

use http::{HeaderMap, HeaderValue};
use portcullis_identity::DEVICE_TOKEN_TTL;
use secrecy::SecretString;

use crate::{Problem, PublicUrl, refresh_cookie};

const OVER_HTTPS: &str = "__Host-device";
const ON_LOCALHOST: &str = "device";

/// The value of a `Set-Cookie` with this token, for a service that is reached there.
pub(crate) fn set(public_url: &PublicUrl, token: &SecretString) -> Result<HeaderValue, Problem> {
    let secure = public_url.is_https();
    let name = if secure { OVER_HTTPS } else { ON_LOCALHOST };
    refresh_cookie::set(name, secure, token, Some(DEVICE_TOKEN_TTL))
}

/// Returns the token a browser sent, under either name: planting one gains an attacker nothing.
pub(crate) fn read(headers: &HeaderMap) -> Option<SecretString> {
    refresh_cookie::read(OVER_HTTPS, headers).or_else(|| refresh_cookie::read(ON_LOCALHOST, headers))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn what_was_set_is_read_again() {
        for (url, cookie) in [
            (
                "https://auth.example.com",
                "__Host-device=dv_1.mac; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=31536000",
            ),
            ("http://localhost:8001", "device=dv_1.mac; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000"),
        ] {
            let value = set(&PublicUrl::parse(url).unwrap(), &"dv_1.mac".into()).unwrap();
            assert_eq!(value.to_str().unwrap(), cookie);
            let (pair, _) = cookie.split_once(';').unwrap();
            let headers = [(http::header::COOKIE, HeaderValue::from_static(pair))].into_iter().collect();
            assert_eq!(read(&headers).unwrap().expose_secret(), "dv_1.mac");
        }
    }
}
