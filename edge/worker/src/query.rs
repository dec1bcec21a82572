//! `?token=` on a WebSocket upgrade, where a browser cannot send a header (RFC 6750 section 2.3).

use percent_encoding::percent_decode_str;

const NAME: &str = "token";

/// The token in a query and the query without it; nothing if it has none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TokenInQuery {
    pub(crate) token: String,
    pub(crate) rest: String,
}

/// More than one token: services could not agree on which counts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SeveralTokens;

/// Takes the token out. The other parameters keep their bytes; the name is compared as a service would read it.
pub(crate) fn take_token(query: &str) -> Result<Option<TokenInQuery>, SeveralTokens> {
    let name = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decode_str(name).decode_utf8().is_ok_and(|name| name.eq_ignore_ascii_case(NAME))
    };
    let (tokens, rest): (Vec<_>, Vec<_>) = query.split('&').partition(name);
    match tokens.as_slice() {
        [] => Ok(None),
        [pair] => {
            let value = pair.split_once('=').map_or("", |(_, value)| value);
            let token = percent_decode_str(value).decode_utf8_lossy().into_owned();
            Ok(Some(TokenInQuery { token, rest: rest.join("&") }))
        }
        _ => Err(SeveralTokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_taken_and_the_rest_stays_as_it_was() {
        for (query, token, rest) in [
            ("token=a.b-c_d", "a.b-c_d", ""),
            ("x=1&token=t&y=%20", "t", "x=1&y=%20"),
            ("%74oken=t&a", "t", "a"),
            ("Token=t", "t", ""),
            ("token", "", ""),
            ("token=a%2Eb", "a.b", ""),
        ] {
            let expected = TokenInQuery { token: token.into(), rest: rest.into() };
            assert_eq!(take_token(query), Ok(Some(expected)), "{query}");
        }
        assert_eq!(take_token("a=token&tokens=x"), Ok(None));
        assert_eq!(take_token("token=a&x&token=b"), Err(SeveralTokens));
        assert_eq!(take_token("token=a&%54oken=b"), Err(SeveralTokens));
    }
}
