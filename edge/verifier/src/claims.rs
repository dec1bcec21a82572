//! The claims of an access token, once they may be believed.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::payload::Payload;
use crate::{Assurance, Expectations, Rejection};

const ACCESS: &str = "access";

/// What the issuer vouches for (RFC 9068 section 2.2). To believe a token, take them from
/// [`UnverifiedToken::accept`](crate::UnverifiedToken::accept): deserialising them checks nothing but their types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued the token.
    pub iss: String,
    /// The audience that was expected, even if the token names more.
    pub aud: String,
    /// The id of the account that signed in, `usr_…`.
    pub sub: String,
    /// When it was issued, in Unix seconds.
    pub iat: u64,
    /// When it ends, in Unix seconds.
    pub exp: u64,
    /// When it begins, in Unix seconds, if it does not begin at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// The token's own id.
    pub jti: String,
    /// The account's address; `None` for an account that has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The account's roles, for [`crate::policy::Policy`].
    pub roles: Vec<String>,
    /// The session it belongs to.
    pub session_id: String,
    /// How often everything of the account had been revoked when the session was last let on; 0 where a token does not
    /// say. A claim of our own, so that [`Revocations`](crate::revocation::Revocations) needs no clock to tell what
    /// came before a revocation from what came after it.
    #[serde(default)]
    pub epoch: u64,
    /// Always `access`.
    pub token_type: String,
    /// When the person last proved who they are, in Unix seconds.
    pub auth_time: u64,
    /// How they proved it (RFC 8176).
    pub amr: Vec<String>,
    /// What that amounts to; the weakest where a token does not say.
    #[serde(default)]
    pub acr: Assurance,
}

impl Claims {
    /// Reads the claims of a token whose signature is valid and holds them to the expectations.
    pub(crate) fn read(json: &[u8], expectations: &Expectations, now: u64) -> Result<Self, Rejection> {
        let payload = Payload::parse(json, &expectations.audience)?;
        let claims = Self {
            iss: present(payload.iss, "iss")?,
            aud: present(payload.is_for_audience, "aud")?
                .then(|| expectations.audience.clone())
                .ok_or(Rejection::Audience)?,
            sub: non_empty(payload.sub, "sub")?,
            iat: present(payload.iat, "iat")?,
            exp: present(payload.exp, "exp")?,
            nbf: payload.nbf,
            jti: non_empty(payload.jti, "jti")?,
            email: payload.email.map(|email| non_empty(Some(email), "email")).transpose()?,
            roles: present(payload.roles, "roles")?,
            session_id: non_empty(payload.session_id, "session_id")?,
            epoch: payload.epoch.unwrap_or_default(),
            token_type: present(payload.token_type.filter(|kind| kind == ACCESS), "token_type")?,
            auth_time: present(payload.auth_time, "auth_time")?,
            amr: present(payload.amr, "amr")?,
            acr: payload.acr.unwrap_or_default(),
        };
        if claims.iss != expectations.issuer {
            return Err(Rejection::Issuer);
        }
        claims.check_times(expectations.capped_leeway(), now)?;
        Ok(claims)
    }

    /// RFC 7519 sections 4.1.4 to 4.1.6. Sums saturate, so that no time wraps around into another era.
    fn check_times(&self, leeway: u64, now: u64) -> Result<(), Rejection> {
        let latest_start = now.saturating_add(leeway);
        if self.exp <= self.iat {
            return Err(Rejection::Claim("exp"));
        }
        if self.exp.saturating_add(leeway) <= now {
            return Err(Rejection::Expired);
        }
        if self.iat > latest_start || self.nbf.is_some_and(|nbf| nbf > latest_start) {
            return Err(Rejection::NotYetValid);
        }
        Ok(())
    }
}

fn present<T>(value: Option<T>, name: &'static str) -> Result<T, Rejection> {
    value.ok_or(Rejection::Claim(name))
}

fn non_empty(value: Option<String>, name: &'static str) -> Result<String, Rejection> {
    present(value.filter(|text| !text.is_empty()), name)
}
