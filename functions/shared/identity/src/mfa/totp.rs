//! Codes that change with time (RFC 6238: SHA-1, 6 digits, 30 seconds, as every authenticator app makes them).

use portcullis_platform::Entropy;
use secrecy::{ExposeSecret, ExposeSecretMut, SecretSlice, SecretString};
use totp_rs::{Algorithm, Builder, Totp};

use crate::error::Error;

/// Digits of a code.
pub(crate) const DIGITS: u8 = 6;
const STEP_SECONDS: u64 = 30;
/// RFC 4226 section 4 (R6) recommends 160 bits.
const SECRET_LENGTH: usize = 20;

/// The secret an authenticator app and the service share.
#[derive(Debug, Clone)]
pub(crate) struct TotpSecret(SecretSlice<u8>);

/// A secret in the forms in which a user can take it to their authenticator app, returned once.
#[derive(Debug)]
pub struct TotpEnrolment {
    /// Base32, to be typed.
    pub secret: SecretString,
    /// The `otpauth` URI, to be opened.
    pub uri: SecretString,
    /// The URI as a QR code: a `data:` URI of a PNG, to be photographed.
    pub qr_code: SecretString,
}

impl TotpSecret {
    pub(crate) fn generate(entropy: &dyn Entropy) -> Result<Self, Error> {
        let mut bytes = SecretSlice::from(vec![0; SECRET_LENGTH]);
        entropy.fill(bytes.expose_secret_mut())?;
        Ok(Self(bytes))
    }

    pub(crate) fn from_bytes(bytes: SecretSlice<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &SecretSlice<u8> {
        &self.0
    }

    /// Returns the time step this code belongs to, if any: the one of `now`, Unix seconds, or the one before, for
    /// people who type slowly. Nothing of the future is accepted.
    pub(crate) fn step_of(&self, code: &SecretString, now: u64) -> Result<Option<u64>, Error> {
        let totp = self.generator(Builder::new())?;
        let before = now.checked_sub(STEP_SECONDS);
        let steps = std::iter::once(now).chain(before).map(|time| totp.check(code.expose_secret(), time));
        // Both are always computed, so that the response time does not tell which one it was.
        Ok(steps.fold(None, Option::or))
    }

    /// Returns what an authenticator app needs; fails if it cannot be encoded.
    pub(crate) fn enrolment(&self, issuer: &str, account: &str) -> Result<TotpEnrolment, Error> {
        let labels = Builder::new().with_issuer(Some(issuer)).with_account_name(account);
        let totp = self.generator(labels)?;
        let failed = |_| Error::Internal("a second factor could not be shown");
        let picture = SecretString::from(totp.to_qr_base64().map_err(failed)?);
        Ok(TotpEnrolment {
            secret: totp.secret().to_base32().into(),
            uri: totp.to_url().map_err(failed)?.into(),
            qr_code: format!("data:image/png;base64,{}", picture.expose_secret()).into(),
        })
    }

    fn generator(&self, labels: Builder) -> Result<Totp, Error> {
        labels
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_step_duration(STEP_SECONDS)
            // The window of the library also reaches ahead; `step_of` has its own.
            .with_skew(0)
            .with_secret(self.0.expose_secret())
            .build()
            .map_err(|_| Error::Internal("a stored secret of a second factor is unusable"))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use portcullis_platform::SystemEntropy;

    use super::*;

    fn rfc_secret() -> TotpSecret {
        TotpSecret(b"12345678901234567890".to_vec().into())
    }

    fn step(code: &str, now: u64) -> Option<u64> {
        rfc_secret().step_of(&SecretString::from(code), now).unwrap()
    }

    #[test]
    fn the_vectors_of_rfc_6238_appendix_b() {
        // The table has eight digits; six are its last six, by the definition of the truncation (RFC 4226, 5.3).
        for (time, eight) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(step(&eight[2..], time), Some(time / 30), "{time}");
        }
    }

    #[test]
    fn a_code_lives_in_its_own_step_and_the_next() {
        let code = "050471";
        let start = 1_111_111_111 / 30 * 30;
        assert_eq!(step(code, start - 1), None, "the future is refused");
        for now in [start, start + 29, start + 30, start + 59] {
            assert_eq!(step(code, now), Some(start / 30));
        }
        assert_eq!(step(code, start + 60), None);
    }

    #[test]
    fn what_is_no_code_has_no_step() {
        for code in ["", "05047", "0504711", "05047a", "５０４７１０", "-50471", "+50471", "0504 1"] {
            assert_eq!(step(code, 1_111_111_111), None, "{code:?}");
        }
        assert_eq!(step("287082", 0), None, "the first steps have nothing before them");
    }

    #[test]
    fn an_enrolment_says_the_same_three_times() {
        let secret = TotpSecret::generate(&SystemEntropy).unwrap();
        let shown = secret.enrolment("Portcullis & Söhne", "asha+kite@example.com").unwrap();
        let parsed = Totp::from_url(shown.uri.expose_secret()).unwrap();
        assert_eq!(parsed.secret().as_bytes(), secret.bytes().expose_secret());
        assert_eq!(
            (parsed.issuer(), parsed.account_name()),
            (Some("Portcullis & Söhne"), "asha+kite@example.com")
        );
        assert_eq!((parsed.digits(), parsed.step(), parsed.algorithm()), (6, 30, Algorithm::SHA1));
        assert_eq!(parsed.secret().to_base32(), shown.secret.expose_secret());
        assert_eq!(shown.secret.expose_secret().len(), 32);
        let png = shown.qr_code.expose_secret().strip_prefix("data:image/png;base64,").unwrap();
        let png = base64::engine::general_purpose::STANDARD.decode(png).unwrap();
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        assert!(!format!("{secret:?}{shown:?}").contains(shown.secret.expose_secret()));
    }
}
