//! What is kept of a new credential: the parts of its attestation object (WebAuthn Level 3, section 6.5) that `webauthn-rs`
//! has verified and does not hand out.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Refused;

/// The authenticator data is no longer than this: the RP ID's digest, a credential id of 1,023 bytes, and a key of RSA.
const MOST_BYTES: usize = 4_096;

/// The flag of an authenticator whose keys may be copied (section 6.1).
pub(super) const BACKUP_ELIGIBLE: u8 = 0b0000_1000;
const BACKED_UP: u8 = 0b0001_0000;
const HAS_CREDENTIAL: u8 = 0b0100_0000;
const HAS_EXTENSIONS: u8 = 0b1000_0000;

/// A credential as its authenticator described it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attested {
    pub(super) sign_count: u32,
    pub(super) backup_eligible: bool,
    pub(super) backed_up: bool,
    pub(super) aaguid: [u8; 16],
    pub(super) credential_id: Vec<u8>,
    /// A `COSE_Key` in CBOR.
    pub(super) public_key: Vec<u8>,
}

/// The members of an attestation object that are read here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttestationObject<'a> {
    fmt: &'a str,
    att_stmt: serde_cbor_2::Value,
    auth_data: &'a [u8],
}

impl Attested {
    /// Reads an attestation object that was verified. Fails where it says more or less than one credential: `webauthn-rs` does
    /// not look behind what it understands.
    pub(super) fn read(attestation_object: &[u8]) -> Result<Self, Refused> {
        let object: AttestationObject<'_> =
            serde_cbor_2::from_slice(attestation_object).map_err(|_| malformed())?;
        let is_none = object.att_stmt == serde_cbor_2::Value::Map(BTreeMap::new());
        if object.fmt == "none" && !is_none {
            return Err(Refused::Credential("its attestation is none and has a statement"));
        }
        Self::of_authenticator_data(object.auth_data).ok_or_else(malformed)
    }

    fn of_authenticator_data(data: &[u8]) -> Option<Self> {
        let data = (data.len() <= MOST_BYTES).then_some(data)?;
        let (_rp_id_hash, rest) = data.split_first_chunk::<32>()?;
        let (&[flags], rest) = rest.split_first_chunk::<1>()?;
        let (sign_count, rest) = rest.split_first_chunk::<4>()?;
        let (aaguid, rest) = rest.split_first_chunk::<16>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (credential_id, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let (public_key, rest) = rest.split_at_checked(length_of_item(rest)?)?;
        let extensions = if flags & HAS_EXTENSIONS == 0 { 0 } else { length_of_item(rest)? };
        (flags & HAS_CREDENTIAL != 0 && extensions == rest.len()).then(|| Self {
            sign_count: u32::from_be_bytes(*sign_count),
            backup_eligible: flags & BACKUP_ELIGIBLE != 0,
            backed_up: flags & BACKED_UP != 0,
            aaguid: *aaguid,
            credential_id: credential_id.to_vec(),
            public_key: public_key.to_vec(),
        })
    }
}

/// Returns how many bytes the first item of CBOR has.
fn length_of_item(bytes: &[u8]) -> Option<usize> {
    let mut reader = serde_cbor_2::Deserializer::from_slice(bytes);
    serde_cbor_2::Value::deserialize(&mut reader).ok()?;
    Some(reader.byte_offset())
}

fn malformed() -> Refused {
    Refused::Credential("its attestation object cannot be read")
}
