//! A key set as it is written, and which of its keys are of use.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Jwk, Material};
use crate::strict_object::StrictObject;
use crate::{Algorithm, base64url, has_roca_pattern, header};

/// 65537, the one public exponent in use; a smaller one invites attacks on sloppy padding checks.
const EXPONENT: &str = "AQAB";

#[derive(Deserialize)]
pub(super) struct WrittenSet {
    pub(super) keys: Vec<StrictObject<WrittenKey>>,
}

/// Serde refuses a member that appears twice. The members after `x` mark a private or symmetric key, whatever they hold
/// (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1, RFC 8037 section 2).
#[derive(Deserialize)]
pub(super) struct WrittenKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

impl WrittenKey {
    pub(super) fn is_private(&self) -> bool {
        let private = [&self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi, &self.oth, &self.k];
        self.kty == "oct" || private.iter().any(|part| part.is_some())
    }

    /// The key, if it verifies signatures of an algorithm we know and a token can name it.
    pub(super) fn usable(&self) -> Option<Jwk> {
        let kid = self.kid.as_deref().filter(|kid| header::is_thumbprint(kid))?;
        let for_signatures = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        let verifies = self.key_ops.as_ref().is_none_or(|all| all.iter().any(|one| one == "verify"));
        let material = self
            .material(Algorithm::from_name(self.alg.as_deref()?)?)
            .filter(|_| for_signatures && verifies)?;
        Some(Jwk { kid: kid.into(), material })
    }

    fn material(&self, algorithm: Algorithm) -> Option<Material> {
        let coordinate = |text: &Option<String>| text.clone().filter(|text| length(text) == Some(32));
        match (algorithm, self.kty.as_str(), self.crv.as_deref()) {
            (Algorithm::Rs256, "RSA", _) => {
                let n = self.n.clone().filter(|n| is_modulus(n))?;
                (self.e.as_deref()? == EXPONENT).then_some(Material::Rsa { n })
            }
            (Algorithm::Es256, "EC", Some("P-256")) => {
                Some(Material::P256 { x: coordinate(&self.x)?, y: coordinate(&self.y)? })
            }
            (Algorithm::EdDSA, "OKP", Some("Ed25519")) => Some(Material::Ed25519 { x: coordinate(&self.x)? }),
            _ => None,
        }
    }
}

/// 2048 to 8192 bits, no zero in front (RFC 7518 section 6.3.1.1), odd like every product of two large primes, and of no
/// generator whose private keys can be computed.
fn is_modulus(text: &str) -> bool {
    base64url::decode(text).is_ok_and(|n| {
        (256..=1024).contains(&n.len())
            && n.first().is_some_and(|first| *first >= 0x80 || n.len() > 256 && *first > 0)
            && n.last().is_some_and(|last| last % 2 == 1)
            && !has_roca_pattern(&n)
    })
}

fn length(text: &str) -> Option<usize> {
    base64url::decode(text).ok().map(|bytes| bytes.len())
}
