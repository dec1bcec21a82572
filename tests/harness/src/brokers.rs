//! Kite and Alpaca on loopback: `tests/brokers/fake.py`, which the official clients of both take for their brokers.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

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
}

impl Drop for FakeBrokers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
