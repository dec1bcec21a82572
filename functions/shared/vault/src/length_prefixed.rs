//! Several secrets in one plaintext, each preceded by its length as four bytes, big-endian. The plaintext is written once
//! into memory of the right size, so that no copy is left behind where a buffer grew.

use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// Returns the secrets in one plaintext, in this order.
pub(crate) fn join<const N: usize>(secrets: [&SecretString; N]) -> SecretSlice<u8> {
    let length = |secret: &SecretString| size_of::<u32>() + secret.expose_secret().len();
    let mut joined = Vec::with_capacity(secrets.into_iter().map(length).sum());
    for secret in secrets {
        let text = secret.expose_secret().as_bytes();
        joined.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        joined.extend_from_slice(text);
    }
    joined.into()
}

/// Returns the secrets that [`join`] joined; `None` where the plaintext does not hold exactly `N` of them.
pub(crate) fn split<const N: usize>(joined: &SecretSlice<u8>) -> Option<[SecretString; N]> {
    let mut rest = joined.expose_secret();
    let mut secrets = Vec::with_capacity(N);
    while let Some((length, after)) = rest.split_first_chunk() {
        let (text, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        secrets.push(SecretString::from(str::from_utf8(text).ok()?));
        rest = after;
    }
    if rest.is_empty() { secrets.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_back_as_they_were_and_nothing_else_does() {
        let (a, b) = (SecretString::from("kite"), SecretString::from(""));
        let joined = join([&a, &b]);
        let [first, second] = split(&joined).unwrap();
        assert_eq!((first.expose_secret(), second.expose_secret()), ("kite", ""));
        assert!(split::<1>(&joined).is_none() && split::<3>(&joined).is_none());
        let cut = joined.expose_secret();
        for length in 0..cut.len() {
            assert!(split::<2>(&cut[..length].to_vec().into()).is_none(), "{length}");
        }
    }
}
