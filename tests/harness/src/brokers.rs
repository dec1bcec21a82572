//! Kite and Alpaca on loopback: `tests/brokers/fake.py`, which the official clients of both take for their brokers.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::endpoint::{Endpoint, client};

/// What is put into an API key and its secret, so that they can be looked for.
pub const KITE: (&str, &str, &str) = ("kitekeyofasha9f3c", "kitesecretofasha-hunter2", "AB1234");
/// The same for Alpaca.
pub const ALPACA: (&str, &str, &str) = ("PKALPACAKEYOFASHA9F3", "alpacasecretofasha-hunter2", "PA3ASHA0001");

/// The running brokers; they end with it.
#[derive(Debug)]
pub struct FakeBrokers {
    child: Child,
    /// Where both answer.
    pub url: String,
}

impl FakeBrokers {
    /// Starts them.
    pub fn start() -> io::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../brokers/fake.py");
        let mut child = Command::new("python3").arg(script).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url)?;
        Ok(Self { child, url: url.trim().to_owned() })
    }

    /// What the service has to be told to take them for the brokers.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("KITE_API_URL", self.url.clone()),
            ("KITE_LOGIN_URL", format!("{}/connect/login", self.url)),
            ("ALPACA_API_URL", self.url.clone()),
            ("ALPACA_PAPER_API_URL", self.url.clone()),
        ]
    }

    /// Decides how the brokers behave from now on.
    pub async fn are(&self, state: Value) {
        Endpoint::at(&self.url).post("/_control", state).await;
    }

    /// Returns the requests that the brokers have seen.
    pub async fn log(&self) -> Value {
        Endpoint::at(&self.url).get("/_log").await.body
    }

    /// Logs in at Kite, as the owner's browser does, and returns the request token that comes back.
    ///
    /// # Panics
    /// When it is refused.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub async fn log_in(&self, login_url: &str) -> String {
        let redirect = client().get(login_url).send().await.expect("a response");
        let location =
            redirect.headers().get("location").and_then(|to| to.to_str().ok()).expect("a way back");
        let after = location.rsplit_once("request_token=").expect("a request token").1;
        after.split('&').next().unwrap_or(after).to_owned()
    }
}

impl Drop for FakeBrokers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
