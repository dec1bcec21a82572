//! The brokers on loopback: `tests/brokers/fake.py`, which their official clients take for them.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::endpoint::{Endpoint, client};

/// What is put into an API key and its secret, so that they can be looked for.
pub const KITE: (&str, &str, &str) = ("kitekeyofasha9f3c", "kitesecretofasha-hunter2", "AB1234");
/// The same for Alpaca.
pub const ALPACA: (&str, &str, &str) = ("PKALPACAKEYOFASHA9F3", "alpacasecretofasha-hunter2", "PA3ASHA0001");

/// The same for Upstox.
pub const UPSTOX: (&str, &str, &str) = ("upstoxkeyofasha9f3c", "upstoxsecretofasha-hunter2", "UP1234");
/// The same for Fyers.
pub const FYERS: (&str, &str, &str) = ("FYERSOFASHA9F3C-100", "fyerssecretofasha-hunter2", "FA1234");
/// The same for Dhan.
pub const DHAN: (&str, &str, &str) = ("dhankeyofasha9f3c", "dhansecretofasha-hunter2", "1000000001");

/// The running brokers; they end with it.
#[derive(Debug)]
pub struct FakeBrokers {
    child: Child,
    /// Where all of them answer.
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
    pub fn variables(&self) -> [(&'static str, String); 8] {
        [
            ("DHAN_API_URL", format!("{}/dhan/v2", self.url)),
            ("DHAN_AUTH_URL", format!("{}/dhan-auth", self.url)),
            ("FYERS_API_URL", format!("{}/fyers", self.url)),
            ("UPSTOX_API_URL", format!("{}/upstox", self.url)),
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

    /// Returns the orders of each broker, and what became of each.
    pub async fn orders(&self) -> Value {
        Endpoint::at(&self.url).get("/_orders").await.body
    }

    /// Logs in at Kite, as the owner's browser does, and returns the request token that comes back.
    ///
    /// # Panics
    /// When it is refused.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub async fn log_in(&self, login_url: &str) -> String {
        let back = self.led_back(login_url).await;
        back.get("request_token").expect("a request token").clone()
    }

    /// Logs in at any broker, as the owner's browser does, and returns the query of the address that it leads back to.
    ///
    /// # Panics
    /// When it is refused.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub async fn led_back(&self, login_url: &str) -> BTreeMap<String, String> {
        let redirect = client().get(login_url).send().await.expect("a response");
        let location =
            redirect.headers().get("location").and_then(|to| to.to_str().ok()).expect("a way back");
        let location = reqwest::Url::parse(location).expect("an address");
        location.query_pairs().into_owned().collect()
    }
}

impl Drop for FakeBrokers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
