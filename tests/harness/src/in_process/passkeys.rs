//! People with passkeys, in software.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_identity::{
    Caller, ClientContext, EnrolledSignIn, Error, NewPasskey, Passkey, PasskeyCreation, PasskeyLogin,
    PresentedPasskey, SignedIn, StepUp,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::in_process::person::Person;
use crate::in_process::world::{PASSWORD, World, password};
use crate::passkey::SoftPasskey;

/// A ceremony that was begun: its token, and the options in the form that browsers get.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The token.
    pub token: SecretString,
    /// The options.
    pub options: Value,
}

impl World {
    /// An authenticator on the pages of this world.
    ///
    /// # Panics
    /// Where there can be no passkeys.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub fn authenticator(&self) -> SoftPasskey {
        let origins = self.identity.relying_party().expect("a relying party").origins();
        SoftPasskey::on(origins.last().expect("a page"))
    }

    /// Begins a sign-in with a passkey.
    ///
    /// # Panics
    /// Where there can be no passkeys.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub fn begin_passkey_sign_in(&self) -> Begun {
        let request = self.identity.begin_passkey_sign_in().expect("a ceremony");
        let rp_id = self.identity.relying_party().expect("a relying party").id();
        let options = json!({"challenge": BASE64URL.encode(request.challenge), "rpId": rp_id});
        Begun { token: request.token.secret().clone(), options }
    }

    /// Finishes a sign-in with this answer of an authenticator.
    ///
    /// # Panics
    /// Where it is no credential at all.
    pub async fn finish_passkey_sign_in(
        &self,
        token: &SecretString,
        credential: Value,
    ) -> Result<SignedIn, Error> {
        self.identity.sign_in_with_passkey(&login(token, credential), &ClientContext::default()).await
    }

    /// Signs in with this passkey.
    pub async fn sign_in_with(&self, passkey: &SoftPasskey) -> Result<SignedIn, Error> {
        let begun = self.begin_passkey_sign_in();
        self.finish_passkey_sign_in(&begun.token, passkey.get(&begun.options)).await
    }

    /// Shows this passkey over a challenge of its own, for one more proof inside a session.
    ///
    /// # Panics
    /// Where there can be no passkeys.
    pub fn shown(&self, passkey: &SoftPasskey) -> PresentedPasskey {
        let begun = self.begin_passkey_sign_in();
        login(&begun.token, passkey.get(&begun.options)).shown
    }

    /// Begins the making of a passkey with the token of a sign-in that waits for a first factor.
    pub async fn begin_first_passkey(&self, session_token: &SecretString) -> Result<Begun, Error> {
        let creation = self.identity.begin_first_passkey(session_token, &ClientContext::default()).await?;
        Ok(Begun { token: creation.token.secret().clone(), options: self.creation_options(&creation) })
    }

    /// Completes that sign-in with this answer of an authenticator.
    ///
    /// # Panics
    /// Where it is no credential at all.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub async fn finish_first_passkey(
        &self,
        session_token: &SecretString,
        token: &SecretString,
        credential: Value,
    ) -> Result<(Passkey, EnrolledSignIn), Error> {
        let credential = serde_json::from_value(credential).expect("a credential");
        let new = NewPasskey { ceremony_token: token.clone(), credential, name: None };
        self.identity.add_first_passkey(session_token, &new, &ClientContext::default()).await
    }

    /// Begins the making of a passkey, with [`PASSWORD`] as the proof.
    pub async fn begin_passkey(&self, caller: &Caller) -> Result<Begun, Error> {
        let proof = StepUp::Password(password(PASSWORD));
        let creation = self.identity.begin_passkey(caller, &proof, &ClientContext::default()).await?;
        Ok(Begun { token: creation.token.secret().clone(), options: self.creation_options(&creation) })
    }

    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    fn creation_options(&self, creation: &PasskeyCreation) -> Value {
        json!({
            "challenge": BASE64URL.encode(creation.challenge),
            "rp": {"id": self.identity.relying_party().expect("a relying party").id()},
            "user": {"id": BASE64URL.encode(&creation.user_handle)},
        })
    }

    /// Adds a passkey with this answer of an authenticator.
    ///
    /// # Panics
    /// Where it is no credential at all.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub async fn finish_passkey(
        &self,
        caller: &Caller,
        token: &SecretString,
        credential: Value,
    ) -> Result<Passkey, Error> {
        let credential = serde_json::from_value(credential).expect("a credential");
        let new = NewPasskey { ceremony_token: token.clone(), credential, name: None };
        self.identity.add_passkey(caller, &new, &ClientContext::default()).await
    }
}

/// A sign-in with this answer of an authenticator.
///
/// # Panics
/// Where it is no credential at all.
#[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
pub fn login(token: &SecretString, credential: Value) -> PasskeyLogin {
    let credential = serde_json::from_value(credential).expect("a credential");
    let shown = PresentedPasskey { ceremony_token: token.clone(), credential };
    PasskeyLogin { shown, persistent: false, device_name: None, token_in_body: false }
}

impl Person {
    /// Has this authenticator make a passkey and adds it.
    pub async fn add(&self, passkey: &mut SoftPasskey) -> Result<Passkey, Error> {
        let begun = self.world.begin_passkey(&self.caller).await?;
        self.world.finish_passkey(&self.caller, &begun.token, passkey.create(&begun.options)).await
    }

    /// Adds a passkey of a new authenticator.
    ///
    /// # Panics
    /// When it is refused.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub async fn with_passkey(&self) -> (SoftPasskey, Passkey) {
        let mut passkey = self.world.authenticator();
        let added = self.add(&mut passkey).await.expect("added");
        (passkey, added)
    }
}
