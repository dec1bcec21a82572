//! A token between arriving and being believed.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::header::Header;
use crate::{Algorithm, Claims, Expectations, Rejection, base64url};

/// The longest token that is looked at; API Gateway cuts headers off at about this size.
pub const MAX_TOKEN_BYTES: usize = 8192;

const NOT_THREE_PARTS: Rejection = Rejection::Malformed("a token has three non-empty parts");

/// A well-formed token that is not verified yet. It shows what is needed to check its signature, and no claim.
pub struct UnverifiedToken<'a> {
    algorithm: Algorithm,
    kid: String,
    signing_input: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// The token itself is a credential and is not printed.
impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedToken")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl<'a> UnverifiedToken<'a> {
    /// Reads the compact form (RFC 7515 section 7.1) as far as its signature can be checked: the claims stay unread.
    pub fn parse(token: &'a str) -> Result<Self, Rejection> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejection::TooLarge);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(NOT_THREE_PARTS)?;
        let (header, payload) = signing_input.split_once('.').ok_or(NOT_THREE_PARTS)?;
        if payload.contains('.') || [header, payload, signature].contains(&"") {
            return Err(NOT_THREE_PARTS);
        }
        let payload = base64url::decode(payload)?;
        let signature = base64url::decode(signature)?;
        let Header { algorithm, kid } = Header::parse(header)?;
        if !algorithm.signature_bytes().contains(&signature.len()) {
            return Err(Rejection::Malformed("no signature of this algorithm has this length"));
        }
        Ok(Self { algorithm, kid, signing_input, payload, signature })
    }

    /// The key the token says it was signed with: 43 characters of base64url, chosen by the maker of the token.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm the token says it was signed with. The key must be one for exactly this algorithm (RFC 8725
    /// section 3.1).
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The bytes under the signature.
    pub fn signing_input(&self) -> &'a [u8] {
        self.signing_input.as_bytes()
    }

    /// The signature to check.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Returns the claims once the signature is known; fails as [`AwaitedToken::accept`] does.
    pub fn accept(
        self,
        signature_is_valid: bool,
        expectations: &Expectations,
        now: u64,
    ) -> Result<Claims, Rejection> {
        self.await_signature().accept(signature_is_valid, expectations, now)
    }

    /// Returns what has to be kept while the signature is verified.
    pub fn await_signature(self) -> AwaitedToken {
        AwaitedToken { algorithm: self.algorithm, kid: self.kid, payload: self.payload }
    }
}

/// A token whose signature is being checked elsewhere. It borrows nothing, so that other work goes on meanwhile.
pub struct AwaitedToken {
    algorithm: Algorithm,
    kid: String,
    payload: Vec<u8>,
}

/// The claims are not printed before they are verified.
impl fmt::Debug for AwaitedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitedToken")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl AwaitedToken {
    /// The key the signature is checked with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The claims, if the caller found the signature to be valid and they meet the expectations at `now`, in Unix
    /// seconds. Nothing the claims say is read before that.
    pub fn accept(
        &self,
        signature_is_valid: bool,
        expectations: &Expectations,
        now: u64,
    ) -> Result<Claims, Rejection> {
        if !signature_is_valid {
            return Err(Rejection::Signature);
        }
        if !expectations.algorithms.contains(&self.algorithm) {
            return Err(Rejection::AlgorithmNotAllowed);
        }
        Claims::read(&self.payload, expectations, now)
    }
}
