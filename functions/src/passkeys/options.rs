//! What browsers are asked for, as WebAuthn Level 3 writes it in JSON (section 5.1, `PublicKeyCredentialCreationOptionsJSON`
//! and `PublicKeyCredentialRequestOptionsJSON`).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_identity::{ALGORITHMS, Passkey, PasskeyCreation, PasskeyRequest, RelyingParty};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

/// What a browser needs to ask for a passkey.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PasskeyRequestResponse {
    /// The token to send with what the browser returns.
    ceremony_token: String,
    /// The options for `navigator.credentials.get`, as `PublicKeyCredential.parseRequestOptionsFromJSON` reads them.
    #[serde(rename = "publicKey")]
    public_key: RequestOptions,
    /// How long the token is valid, in seconds.
    expires_in: u64,
}

/// What a browser needs to have a passkey made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PasskeyCreationResponse {
    /// The token to send with what the browser returns.
    ceremony_token: String,
    /// The options for `navigator.credentials.create`, as `PublicKeyCredential.parseCreationOptionsFromJSON` reads them.
    #[serde(rename = "publicKey")]
    public_key: CreationOptions,
    /// How long the token is valid, in seconds.
    expires_in: u64,
}

/// The options of a passkey that is shown. They list no credentials: those of a sign-in are the same for everybody.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestOptions {
    /// What is to be signed, in base64url.
    challenge: String,
    /// The domain that passkeys are bound to.
    rp_id: String,
    /// How long the browser waits, in milliseconds.
    timeout: u64,
    /// Always `required`: the authenticator verifies its user.
    user_verification: Requirement,
}

/// The options of a new passkey.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreationOptions {
    /// What is to be signed, in base64url.
    challenge: String,
    /// Whose passkey it is going to be for.
    rp: RelyingPartyEntity,
    /// Whose passkey it is going to be.
    user: UserEntity,
    /// The algorithms that are taken, the best first.
    pub_key_cred_params: Vec<KeyParameters>,
    /// How long the browser waits, in milliseconds.
    timeout: u64,
    /// The passkeys that the account has: their authenticators make no second one.
    exclude_credentials: Vec<CredentialDescriptor>,
    /// What the authenticator has to be able to do.
    authenticator_selection: AuthenticatorSelection,
    /// Always `none`: who made the authenticator is not asked.
    attestation: AttestationConveyance,
    /// What is asked of the browser beside.
    extensions: CreationExtensions,
}

/// The deployment, as authenticators show it.
#[derive(Debug, Serialize, ToSchema)]
struct RelyingPartyEntity {
    /// The domain that passkeys are bound to.
    id: String,
    /// What authenticators call it.
    name: String,
}

/// The account, as authenticators show it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UserEntity {
    /// What authenticators know it by: random bytes, in base64url.
    id: String,
    /// What they call it.
    name: String,
    /// What they call the person.
    display_name: String,
}

/// A kind of key.
#[derive(Debug, Serialize, ToSchema)]
struct KeyParameters {
    /// The type of credential: `public-key`.
    #[serde(rename = "type")]
    kind: CredentialType,
    /// The algorithm, as COSE numbers them.
    alg: i64,
}

/// A credential that there is.
#[derive(Debug, Serialize, ToSchema)]
struct CredentialDescriptor {
    /// The type of credential: `public-key`.
    #[serde(rename = "type")]
    kind: CredentialType,
    /// Its id, in base64url.
    id: String,
    /// How its authenticator can be reached.
    transports: Vec<String>,
}

/// What an authenticator has to be able to do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuthenticatorSelection {
    /// Always `required`: it finds the passkey without being told which.
    resident_key: Requirement,
    /// Always `true`: the same, for older browsers.
    require_resident_key: bool,
    /// Always `required`: it verifies its user.
    user_verification: Requirement,
}

/// What is asked of a browser beside a passkey.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreationExtensions {
    /// Always `true`: it says whether the passkey can be found without being told which.
    cred_props: bool,
}

/// How much something is wanted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Requirement {
    /// There is no passkey without it.
    Required,
}

/// A type of credentials.
#[derive(Debug, Serialize, ToSchema)]
enum CredentialType {
    /// A key pair.
    #[serde(rename = "public-key")]
    PublicKey,
}

/// How much is asked about who made an authenticator.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AttestationConveyance {
    /// Nothing is asked.
    None,
}

impl PasskeyRequestResponse {
    /// Returns the options of a sign-in.
    pub(super) fn of(relying_party: &RelyingParty, request: &PasskeyRequest) -> Self {
        Self {
            ceremony_token: request.token.secret().expose_secret().to_owned(),
            public_key: RequestOptions::of(relying_party, &request.challenge, request.expires_in),
            expires_in: request.expires_in.as_secs(),
        }
    }
}

impl RequestOptions {
    /// Returns the options of a passkey that is to sign this.
    pub(crate) fn of(relying_party: &RelyingParty, challenge: &[u8], expires_in: Duration) -> Self {
        Self {
            challenge: BASE64URL.encode(challenge),
            rp_id: relying_party.id().to_owned(),
            timeout: milliseconds(expires_in),
            user_verification: Requirement::Required,
        }
    }
}

impl PasskeyCreationResponse {
    /// Returns the options of a new passkey.
    pub(super) fn of(relying_party: &RelyingParty, creation: PasskeyCreation) -> Self {
        let kinds = ALGORITHMS.map(|alg| KeyParameters { kind: CredentialType::PublicKey, alg });
        let selection = AuthenticatorSelection {
            resident_key: Requirement::Required,
            require_resident_key: true,
            user_verification: Requirement::Required,
        };
        let options = CreationOptions {
            challenge: BASE64URL.encode(creation.challenge),
            rp: RelyingPartyEntity {
                id: relying_party.id().to_owned(),
                name: relying_party.name().to_owned(),
            },
            user: UserEntity {
                id: BASE64URL.encode(&creation.user_handle),
                name: creation.user_name,
                display_name: creation.display_name,
            },
            pub_key_cred_params: kinds.into(),
            timeout: milliseconds(creation.expires_in),
            exclude_credentials: creation.existing.into_iter().map(CredentialDescriptor::of).collect(),
            authenticator_selection: selection,
            attestation: AttestationConveyance::None,
            extensions: CreationExtensions { cred_props: true },
        };
        Self {
            ceremony_token: creation.token.secret().expose_secret().to_owned(),
            public_key: options,
            expires_in: creation.expires_in.as_secs(),
        }
    }
}

impl CredentialDescriptor {
    fn of(passkey: Passkey) -> Self {
        Self {
            kind: CredentialType::PublicKey,
            id: BASE64URL.encode(passkey.credential_id),
            transports: passkey.transports,
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
