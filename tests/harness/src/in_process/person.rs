//! A person with a session, who calls the operations themselves.

use std::ops::Deref;

use portcullis_identity::{
    Caller, ClientContext, Email, Error, NewPerson, PersonName, PresentedCode, SignedIn, Username,
};
use secrecy::{ExposeSecret, SecretString};

use crate::authenticator::Authenticator;
use crate::in_process::enrolled::{Enrolled, STEP, code};
use crate::in_process::world::{PASSWORD, World, password};

/// Somebody who is signed in. What they were handed at the sign-in is reached through it.
#[derive(Debug)]
pub struct Person {
    pub(crate) world: World,
    /// The address.
    pub email: String,
    /// What the sign-in returned.
    pub session: SignedIn,
    /// Who they are to the operations.
    pub caller: Caller,
}

impl Deref for Person {
    type Target = SignedIn;

    fn deref(&self) -> &SignedIn {
        &self.session
    }
}

/// Returns a registration with [`PASSWORD`].
///
/// # Panics
/// When it is no address or no username.
#[expect(clippy::expect_used, reason = "there is no test without it")]
pub fn newcomer(email: &str, username: Option<&str>) -> NewPerson {
    NewPerson {
        email: Email::parse(email).expect("an address"),
        password: password(PASSWORD),
        name: PersonName::parse("Somebody").expect("a name"),
        phone: None,
        username: username.map(|name| Username::parse(name).expect("a username")),
        idempotency_key: None,
    }
}

impl World {
    /// Registers a person and signs them in.
    ///
    /// # Panics
    /// When either is refused.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub async fn person(&self, email: &str) -> Person {
        self.identity.register(newcomer(email, None), &ClientContext::default()).await.expect("registered");
        self.person_again(email).await
    }

    /// Signs a person in who has an account.
    ///
    /// # Panics
    /// When it is refused.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub async fn person_again(&self, email: &str) -> Person {
        let session = self.sign_in(email).await.expect("signed in");
        let caller = self.caller(&session).await;
        Person { world: self.clone(), email: email.to_owned(), session, caller }
    }

    /// Registers a person and sets a second factor up for them.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn enrolled(&self, email: &str) -> Enrolled {
        self.person(email).await.enrol().await
    }
}

impl Person {
    /// Signs somebody in again who is registered.
    ///
    /// # Panics
    /// When it is refused.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub async fn again(world: &World, email: &str) -> Self {
        let session = world.sign_in(email).await.expect("signed in");
        let caller = world.caller(&session).await;
        Self { world: world.clone(), email: email.to_owned(), session, caller }
    }

    /// Asks for the secret of a second factor and scans it.
    pub async fn set_up_factor(&self, proof: Option<&PresentedCode>) -> Result<Authenticator, Error> {
        let identity = &self.world.identity;
        let enrolment = identity.set_up_mfa(&self.caller, proof, &ClientContext::default()).await?;
        Ok(Authenticator::scan(enrolment.uri.expose_secret()))
    }

    /// Proves the second factor with this code, and returns the backup codes.
    pub async fn enable_factor(&self, text: &str) -> Result<Vec<SecretString>, Error> {
        self.world.identity.enable_mfa(&self.caller, &code(text), &ClientContext::default()).await
    }

    /// Sets a second factor up, and lets a time step pass: the code that proved it is spent.
    ///
    /// # Panics
    /// When it is refused.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub async fn enrol(self) -> Enrolled {
        let app = self.set_up_factor(None).await.expect("a secret");
        let shown = app.code_at(self.world.unix_now());
        let backup_codes = self.enable_factor(&shown).await.expect("backup codes");
        self.world.clock.advance(STEP);
        Enrolled { person: self, app, backup_codes }
    }
}
