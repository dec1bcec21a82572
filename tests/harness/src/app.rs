//! A service in a process of its own, with its folder, and everything that is done to it.

use std::io;
use std::ops::Deref;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use crate::endpoint::Endpoint;
use crate::outbox::{self, Message};
use crate::person::Person;
use crate::process::{Running, Target};

/// Somebody's address.
pub const ALICE: &str = "alice@example.com";
/// The address of somebody who means no good.
pub const MALLORY: &str = "mallory@example.com";

#[expect(clippy::expect_used, reason = "there is no test without it")]
fn folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().expect("a folder"))
}

/// The running service, or the functions: what this run of the tests is about unless a suite says otherwise.
#[derive(Debug)]
pub struct App {
    target: Target,
    running: Running,
    at: Endpoint,
    folder: Arc<TempDir>,
    scratch: TempDir,
}

impl App {
    /// Starts what this run is about with defaults.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts what this run is about with these variables.
    pub fn with(variables: &[(&str, &str)]) -> Self {
        Self::on(Target::chosen(), variables)
    }

    /// Starts the service in one process, whatever the run is about.
    pub fn local() -> Self {
        Self::on(Target::Local, &[])
    }

    /// Starts this target with these variables, whatever the run is about.
    ///
    /// # Panics
    /// When it does not start.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub fn on(target: Target, variables: &[(&str, &str)]) -> Self {
        Self::starting(target, folder(), |data, _| Running::start_target(target, data, variables))
            .expect("a service")
    }

    /// Starts this target with its log in the file `log` of the scratch folder.
    ///
    /// # Panics
    /// When it does not start.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub fn logging(target: Target, variables: &[(&str, &str)]) -> Self {
        Self::starting(target, folder(), |data, scratch| {
            Running::start_logging(target, data, variables, &scratch.join("log"))
        })
        .expect("a service")
    }

    /// Starts another service on the same folder, beside this one.
    ///
    /// # Panics
    /// When it does not start.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    #[must_use]
    pub fn beside(&self, variables: &[(&str, &str)]) -> Self {
        let target = self.target;
        Self::starting(target, Arc::clone(&self.folder), |data, _| {
            Running::start_target(target, data, variables)
        })
        .expect("a service")
    }

    fn starting(
        target: Target,
        folder: Arc<TempDir>,
        start: impl FnOnce(&Path, &Path) -> io::Result<Running>,
    ) -> io::Result<Self> {
        let scratch = tempfile::tempdir()?;
        let running = start(folder.path(), scratch.path())?;
        Ok(Self { target, at: Endpoint::at(&running.url), running, folder, scratch })
    }

    /// Starts the service, and registers and signs in two people.
    pub async fn with_two_accounts() -> (Self, Person, Person) {
        let app = Self::start();
        let (alice, mallory) = (app.person(ALICE).await, app.person(MALLORY).await);
        (app, alice, mallory)
    }

    /// Returns the data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns a folder that the service knows nothing of.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Returns the process id.
    pub fn process_id(&self) -> u32 {
        self.running.id()
    }

    /// Returns another client of the same service.
    pub fn endpoint(&self) -> Endpoint {
        self.at.clone()
    }

    /// Stops the service with SIGTERM and returns how it ended.
    ///
    /// # Panics
    /// When no signal can be sent.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub fn terminate(&mut self) -> ExitStatus {
        self.running.terminate().expect("it ends")
    }

    /// Stops the service with SIGKILL.
    ///
    /// # Panics
    /// When no signal can be sent.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub fn kill(&mut self) {
        self.running.kill().expect("it ends");
    }

    /// Starts the service again on its folder, with these variables. People keep what they hold.
    ///
    /// # Panics
    /// When it does not start.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub fn start_again(&mut self, variables: &[(&str, &str)]) {
        let _ = self.running.kill();
        self.running = Running::start_target(self.target, self.folder.path(), variables).expect("a service");
        self.at.move_to(&self.running.url);
    }

    /// Returns the tokens of services that were made at the first start, by their names.
    ///
    /// # Panics
    /// When there are none.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub fn generated_service_tokens(&self) -> Value {
        let file = std::fs::read(self.folder().join("keys/service-tokens.json")).expect("a file of tokens");
        serde_json::from_slice(&file).expect("JSON")
    }

    /// Returns the messages in the outbox, oldest first.
    pub fn outbox(&self) -> Vec<Message> {
        outbox::messages(self.folder())
    }
}

impl Deref for App {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.at
    }
}
