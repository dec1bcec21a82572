//! The service as a user runs it, a process with a data folder and a port; or, told and telling the same, the functions
//! behind the gateway of the tests.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};

use portcullis_platform::{Environment, Variable};

/// What plays the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `portcullis`: everything in one process on the embedded store.
    Local,
    /// `portcullis-gateway`: the function binaries on DynamoDB Local, as `tests/with-cloud` starts it.
    Functions,
    /// `portcullis-instances`: two of `portcullis` on one table there, of which one is killed every now and then.
    Instances,
}

const TARGET: Variable = Variable {
    name: "PORTCULLIS_TARGET",
    default: "local",
    about: "`local`, `functions` or `instances`",
    aliases: &[],
};

impl Target {
    /// What this run of the tests is about.
    ///
    /// # Panics
    /// When the variable names neither.
    #[expect(clippy::panic, reason = "nothing can be tested")]
    pub fn chosen() -> Self {
        match Environment::of_process().text(&TARGET).as_deref() {
            Ok("local") => Self::Local,
            Ok("functions") => Self::Functions,
            Ok("instances") => Self::Instances,
            _ => panic!("{} is none of `local`, `functions` and `instances`", TARGET.name),
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Local => "portcullis",
            Self::Functions => "portcullis-gateway",
            Self::Instances => "portcullis-instances",
        }
    }
}

/// A running service; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// `http://address` of its port.
    pub url: String,
    /// Lines it printed since it listens.
    said: Mutex<mpsc::Receiver<String>>,
}

/// The binary that `cargo` built beside the tests.
fn binary(target: Target) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let profile = test.parent().and_then(Path::parent).unwrap_or(Path::new("target/debug"));
    profile.join(target.program())
}

/// Timeouts that a machine which is busy with other things does not reach.
pub const PATIENT: [(&str, &str); 2] = [("CALL_TIMEOUT_MS", "20000"), ("REQUEST_TIMEOUT", "60")];

/// A command that runs the service with these variables and no others of its own but [`PATIENT`].
pub fn command(target: Target, data_dir: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary(target));
    command
        .env("DATA_DIR", data_dir)
        .env("LISTEN_ADDR", "127.0.0.1:0")
        .env("RUST_LOG", "error")
        .envs(PATIENT);
    command.envs(variables.iter().copied());
    command
}

/// Returns the path of the command line tool.
pub fn manage_users() -> PathBuf {
    binary(Target::Local).with_file_name("manage-users")
}

/// Runs `manage-users` with this typed into it: exit status, output and complaints.
///
/// # Panics
/// When it cannot be run.
pub fn tool(data_dir: &Path, arguments: &[&str], typed: &str) -> (i32, String, String) {
    tool_with(data_dir, arguments, typed, &[])
}

/// The same with these variables.
///
/// # Panics
/// When it cannot be run.
#[expect(clippy::expect_used, reason = "there is no test without it")]
pub fn tool_with(
    data_dir: &Path,
    arguments: &[&str],
    typed: &str,
    variables: &[(&str, &str)],
) -> (i32, String, String) {
    let mut command = Command::new(manage_users());
    command
        .args(arguments)
        .env("DATA_DIR", data_dir)
        .env("USER", "tester")
        .envs(PATIENT)
        .envs(variables.iter().copied());
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().expect("manage-users is built");
    // It may end without reading.
    let _ = child.stdin.take().map(|mut input| input.write_all(typed.as_bytes()));
    let done = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (done.status.code().unwrap_or(-1), text(done.stdout), text(done.stderr))
}

impl Running {
    /// Starts what this run is about and waits until it listens.
    pub fn start(data_dir: &Path, variables: &[(&str, &str)]) -> io::Result<Self> {
        Self::start_target(Target::chosen(), data_dir, variables)
    }

    /// Starts this one, whatever the run is about.
    pub fn start_target(target: Target, data_dir: &Path, variables: &[(&str, &str)]) -> io::Result<Self> {
        Self::listening(command(target, data_dir, variables).stdout(Stdio::piped()).spawn()?)
    }

    /// The same, with what it logs in a file.
    pub fn start_logging(
        target: Target,
        data_dir: &Path,
        variables: &[(&str, &str)],
        log: &Path,
    ) -> io::Result<Self> {
        let log = std::fs::File::create(log)?;
        Self::listening(command(target, data_dir, variables).stdout(Stdio::piped()).stderr(log).spawn()?)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn listening(mut child: Child) -> io::Result<Self> {
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
                return Ok(Self { child, url, said: Mutex::new(said) });
            }
        }
        Err(io::Error::other(format!("the service did not start: {}", child.wait()?)))
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Waits until it prints a line that begins like this. `false` when it ended without one.
    pub fn says(&self, beginning: &str) -> bool {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().any(|line| line.starts_with(beginning))
    }

    /// Waits until it prints a line that begins like this, and returns the rest of it; `None` when it ended without one.
    pub fn rest_of_line(&self, beginning: &str) -> Option<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().find_map(|line| line.strip_prefix(beginning).map(str::to_owned))
    }

    /// SIGTERM, and no waiting.
    pub fn ask_to_stop(&self) -> io::Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status().map(drop)
    }

    /// Sends it this signal, as `kill` names it.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        Command::new("kill").args(["-s", name]).arg(self.child.id().to_string()).status().map(drop)
    }

    /// Waits until it ends, and returns how.
    pub fn wait(&mut self) -> io::Result<std::process::ExitStatus> {
        self.child.wait()
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
