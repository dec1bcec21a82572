//! A person with a second factor: an authenticator app and backup codes.

use std::ops::Deref;
use std::time::Duration;

use portcullis_identity::{ClientContext, Error, Login, MfaConfirmation, MfaSignIn, PresentedCode, SignedIn};
use secrecy::SecretString;

use crate::authenticator::Authenticator;
use crate::in_process::person::Person;
use crate::in_process::world::{PASSWORD, password};

/// How long a code is shown.
pub(crate) const STEP: Duration = Duration::from_secs(30);

/// Somebody whose sign-in takes a code.
#[derive(Debug)]
pub struct Enrolled {
    pub(crate) person: Person,
    /// The app.
    pub app: Authenticator,
    /// The backup codes they were shown.
    pub backup_codes: Vec<SecretString>,
}

impl Deref for Enrolled {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.person
    }
}

/// A code as somebody types it.
pub fn code(text: &str) -> PresentedCode {
    PresentedCode::new(&SecretString::from(text))
}

impl Enrolled {
    /// Returns the same person as they are to the operations by now.
    pub async fn seen_again(mut self) -> Self {
        self.person.caller = self.person.world.caller(&self.person.session).await;
        self
    }

    /// Returns the code that the app shows.
    pub fn code(&self) -> String {
        self.app.code_at(self.world.unix_now())
    }

    /// Returns a code that the app does not show today.
    pub fn wrong_code(&self) -> String {
        self.app.wrong_code_at(self.world.unix_now())
    }

    /// Returns a confirmation with the right password and this code.
    pub fn proof(text: &str) -> MfaConfirmation {
        MfaConfirmation { password: password(PASSWORD), code: code(text) }
    }

    /// Begins a sign-in, and returns the token to finish it with.
    ///
    /// # Panics
    /// When no code is asked for.
    #[expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]
    pub async fn challenge(&self) -> SecretString {
        match self.world.login(&self.email).await.expect("the password is right") {
            Login::MfaRequired(challenge) => challenge.token.secret().clone(),
            Login::SignedIn(_) | Login::EnrolmentRequired(_) => panic!("no code was asked for"),
        }
    }

    /// Finishes the sign-in of this token with this code.
    pub async fn finish(&self, session_token: &SecretString, text: &str) -> Result<SignedIn, Error> {
        let sign_in = MfaSignIn { session_token: session_token.clone(), code: code(text) };
        self.world.identity.sign_in_with_code(&sign_in, &ClientContext::default()).await
    }

    /// Signs in with this code.
    pub async fn sign_in(&self, text: &str) -> Result<SignedIn, Error> {
        self.finish(&self.challenge().await, text).await
    }

    /// Begins as many sign-ins as there are codes, and finishes all of them at once.
    ///
    /// # Panics
    /// When no code is asked for.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub async fn race(&self, texts: &[String]) -> Vec<Result<SignedIn, Error>> {
        let mut racing = Vec::new();
        for text in texts {
            let sign_in = MfaSignIn { session_token: self.challenge().await, code: code(text) };
            let world = self.world.clone();
            racing.push(async move {
                world.identity.sign_in_with_code(&sign_in, &ClientContext::default()).await
            });
        }
        let racing: Vec<_> = racing.into_iter().map(tokio::spawn).collect();
        let mut outcomes = Vec::new();
        for racer in racing {
            outcomes.push(racer.await.expect("no panic"));
        }
        outcomes
    }
}
