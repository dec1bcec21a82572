//! What browsers return, as WebAuthn Level 3 writes it in JSON (section 5.1, `RegistrationResponseJSON` and
//! `AuthenticationResponseJSON`). The results of extensions are left out: none is relied on.

use portcullis_http::{Problem, object};
use portcullis_identity::{PresentedPasskey, PublicKeyCredential, RegisterPublicKeyCredential};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// What a browser returned that had a passkey made.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegistrationCredential {
    /// The id of the credential, in base64url.
    id: String,
    /// The id of the credential again, as WebAuthn writes it twice.
    raw_id: String,
    /// What the authenticator made.
    #[serde(deserialize_with = "object")]
    response: RegistrationResponse,
    /// The type of the credential: `public-key`.
    #[serde(rename = "type")]
    kind: String,
}

/// What an authenticator made.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RegistrationResponse {
    /// What the browser says of the ceremony: JSON, in base64url.
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    /// What the authenticator says of the credential: CBOR, in base64url.
    attestation_object: String,
    /// How the authenticator can be reached.
    #[serde(default)]
    transports: Vec<String>,
}

/// What a browser returned that had a passkey shown.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssertionCredential {
    /// The id of the credential, in base64url.
    id: String,
    /// The id of the credential again, as WebAuthn writes it twice.
    raw_id: String,
    /// What the authenticator signed.
    #[serde(deserialize_with = "object")]
    response: AssertionResponse,
    /// The type of the credential: `public-key`.
    #[serde(rename = "type")]
    kind: String,
}

/// What an authenticator signed.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AssertionResponse {
    /// What the browser says of the ceremony: JSON, in base64url.
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    /// What the authenticator says of itself, in base64url.
    authenticator_data: String,
    /// The signature over both, in base64url.
    signature: String,
    /// What the authenticator knows the account by, in base64url.
    user_handle: Option<String>,
}

impl RegistrationCredential {
    /// Returns the credential; fails where a member is not in base64url.
    pub(super) fn read(&self) -> Result<RegisterPublicKeyCredential, Problem> {
        read(self)
    }
}

impl AssertionCredential {
    /// Returns the one in the examples of the API's document.
    pub(super) fn example() -> Value {
        json!({
            "id": "Cm9Xc1dU4qN2vB8kJ7yLwQ",
            "rawId": "Cm9Xc1dU4qN2vB8kJ7yLwQ",
            "type": "public-key",
            "response": {
                "clientDataJSON": "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0",
                "authenticatorData": "SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAAAA",
                "signature": "MEUCIQDx9vSg0w2n",
                "userHandle": "b3BhcXVlIHVzZXIgaGFuZGxl"
            }
        })
    }

    /// Returns the passkey that was shown in this ceremony; fails where a member is not in base64url.
    pub(crate) fn presented(&self, ceremony_token: SecretString) -> Result<PresentedPasskey, Problem> {
        let credential: PublicKeyCredential = read(self)?;
        Ok(PresentedPasskey { ceremony_token, credential })
    }
}

fn read<T: DeserializeOwned>(credential: &impl Serialize) -> Result<T, Problem> {
    let read = serde_json::to_value(credential).and_then(serde_json::from_value);
    read.map_err(|_| Problem::invalid("/credential", "must have its members in base64url"))
}
