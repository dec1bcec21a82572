//! The service as a user runs it: a process with a data folder and a port.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

/// A running `portcullis`; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// `http://address` of its port.
    pub url: String,
    /// Lines it printed since it listens.
    pub said: mpsc::Receiver<String>,
}

/// The binary that `cargo` built beside the tests.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let profile = test.parent().and_then(Path::parent).unwrap_or(Path::new("target/debug"));
    profile.join("portcullis")
}

/// A command that runs the service with these variables and no others of its own.
pub fn command(data_dir: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary());
    command.env("DATA_DIR", data_dir).env("LISTEN_ADDR", "127.0.0.1:0").env("RUST_LOG", "error");
    command.envs(variables.iter().copied());
    command
}

impl Running {
    /// Starts it and waits until it listens.
    pub fn start(data_dir: &Path, variables: &[(&str, &str)]) -> io::Result<Self> {
        let mut child = command(data_dir, variables).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next().transpose()? {
            if let Some(url) = line.strip_prefix("Portcullis listens on ") {
                let url = url.to_owned();
                // Keeps reading, or the service would stop at a full pipe.
                let (sender, said) = mpsc::channel();
                std::thread::spawn(move || {
                    lines.map_while(Result::ok).for_each(|line| drop(sender.send(line)));
                });
                return Ok(Self { child, url, said });
            }
        }
        Err(io::Error::other(format!("the service did not start: {}", child.wait()?)))
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// SIGTERM, and no waiting.
    pub fn ask_to_stop(&self) -> io::Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status().map(drop)
    }

    /// SIGTERM, and the exit status.
    pub fn terminate(&mut self) -> io::Result<std::process::ExitStatus> {
        self.ask_to_stop()?;
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
