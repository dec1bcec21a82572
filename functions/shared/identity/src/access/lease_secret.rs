//! The secret under which what a service has read is sealed until its lease ends.

use secrecy::{ExposeSecret, SecretSlice};
use zeroize::Zeroizing;

use crate::tokens::key_derivation::{KEY_LENGTH, derive};

/// Made of a secret of the deployment and of the token that the service presents, of which the deployment keeps a digest and
/// the service the whole: without either nothing opens. Wiped when dropped, and never printed.
#[derive(Debug, Clone)]
pub struct LeaseSecret(SecretSlice<u8>);

impl LeaseSecret {
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self(secret.to_vec().into())
    }

    /// Returns the key of one lease, which serves nothing else; `None` only if the library refuses a length it documents as
    /// fine.
    pub fn key_of(&self, lease: &str) -> Option<Zeroizing<[u8; KEY_LENGTH]>> {
        derive(self.0.expose_secret(), lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lease_has_a_key_of_its_own_and_nothing_prints() {
        let (a, b) = (LeaseSecret::of(&[1; 32]), LeaseSecret::of(&[2; 32]));
        let keys = [a.key_of("lse_1"), a.key_of("lse_2"), b.key_of("lse_1")].map(Option::unwrap);
        assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2]);
        assert!(!format!("{a:?}").contains('1'), "{a:?}");
    }
}
