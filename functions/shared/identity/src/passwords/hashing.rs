//! Password hashing on threads of its own: one for each core, with memory that is reused and a queue that is bounded and
//! fair by client network.
//!
//! A hash needs 19 MiB and some 9 to 20 ms of one core. On the async threads it would hold up everybody; without a
//! bound a burst of sign-ins would pile up until no request gets a response. Allocating the memory anew for each hash
//! was measured to nearly double its time.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Params, Version};
use portcullis_platform::{Entropy, Environment, Misconfigured, Variable};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::ClientContext;
use crate::error::Error;
use crate::passwords::argon2_backend::{Argon2Backend, Selected, Workspace};
use crate::passwords::fair_queue::{FairQueue, Full};
use crate::passwords::foreign_hash;
use crate::passwords::password::Password;

pub(crate) const MEMORY: Variable = Variable {
    name: "ARGON2_MEMORY_KIB",
    default: "19456",
    about: "memory of a password hash in KiB",
    aliases: &[],
};
pub(crate) const ITERATIONS: Variable =
    Variable { name: "ARGON2_ITERATIONS", default: "2", about: "passes over that memory", aliases: &[] };
pub(crate) const LANES: Variable =
    Variable { name: "ARGON2_PARALLELISM", default: "1", about: "lanes of that memory", aliases: &[] };

/// Limits of the cost a stored hash may ask for: a planted PHC string must not be able to stop the service.
pub(crate) const MOST_MEMORY_KIB: u32 = 256 * 1024;
pub(crate) const MOST_ITERATIONS: u32 = 16;
pub(crate) const MOST_LANES: u32 = 16;
/// Hashes that may wait for each thread; at 15 ms each the last one waits for half a second.
const WAITING_PER_THREAD: usize = 32;
const SALT_LENGTH: usize = 16;
const OUTPUT_LENGTH: usize = 32;

/// Cost of a hash of Argon2id (RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Settings {
    /// Memory in KiB, RFC's m.
    pub memory_kib: u32,
    /// Passes, RFC's t.
    pub iterations: u32,
    /// Lanes, RFC's p.
    pub lanes: u32,
}

impl Argon2Settings {
    pub(crate) fn read(environment: &Environment) -> Result<Self, Misconfigured> {
        let read = |variable: &Variable, least: u32, most: u32| {
            environment
                .number(variable, u64::from(least)..=u64::from(most))
                .map(|number| u32::try_from(number).unwrap_or(most))
        };
        let settings = Self {
            lanes: read(&LANES, 1, MOST_LANES)?,
            iterations: read(&ITERATIONS, 1, MOST_ITERATIONS)?,
            memory_kib: read(&MEMORY, 8, MOST_MEMORY_KIB)?,
        };
        if settings.memory_kib < 8 * settings.lanes {
            return Err(Misconfigured::new(
                MEMORY.name,
                "must be at least 8 for each lane of ARGON2_PARALLELISM",
            ));
        }
        Ok(settings)
    }

    fn params(self) -> Option<Params> {
        Params::new(self.memory_kib, self.iterations, self.lanes, Some(OUTPUT_LENGTH)).ok()
    }
}

/// The result of verifying a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The password is wrong.
    Wrong,
    /// The password is right.
    Right,
    /// The password is right, but hashed at another cost than is configured now, or by an older system.
    RightButOutdated,
}

enum Task {
    Hash { salt: [u8; SALT_LENGTH], answer: oneshot::Sender<Option<String>> },
    Verify { stored: String, answer: oneshot::Sender<Option<Verdict>> },
}

/// State shared by the hashing threads.
struct Shared {
    waiting: FairQueue<Network, Job>,
    backend: Selected,
    /// Memory between two hashes. The one last used is taken first, whichever thread used it: it is the one still in
    /// the processor's caches, and as many are made as hashes ever ran at once.
    workspaces: Mutex<Vec<Workspace>>,
}

struct Job {
    password: Zeroizing<Vec<u8>>,
    task: Task,
}

/// Whose turn it is in the queue: an IPv4 address, the /48 of an IPv6 address, or all clients without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network(Option<IpAddr>);

impl Network {
    fn of(client: &ClientContext) -> Self {
        let address = client.ip.as_deref().and_then(|ip| ip.parse().ok());
        Self(address.map(|address| match address {
            IpAddr::V6(six) => IpAddr::V6((six.to_bits() >> 80 << 80).into()),
            four @ IpAddr::V4(_) => four,
        }))
    }
}

/// Ends the hashing threads when it is dropped.
struct Threads(Arc<Shared>);

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.waiting.close();
    }
}

/// The queue in front of the hashing threads, shared by clones. They end when the last is dropped.
#[derive(Clone)]
pub struct PasswordHasher {
    threads: Arc<Threads>,
    /// The hash of no account, verified for unknown names so that they take as long as known ones.
    placeholder: String,
}

impl std::fmt::Debug for PasswordHasher {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("PasswordHasher").finish_non_exhaustive()
    }
}

/// The hasher as one client uses it.
#[derive(Debug)]
pub(crate) struct ClientHasher<'a> {
    hasher: &'a PasswordHasher,
    network: Network,
}

impl PasswordHasher {
    /// Returns a hasher with one thread for each core, after a self-test of the backend; fails when no thread can be
    /// started or there is no randomness.
    pub fn start(
        settings: Argon2Settings,
        backend: Argon2Backend,
        entropy: &dyn Entropy,
    ) -> Result<Self, Error> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let hasher = Self::without_threads(settings, backend, entropy, threads * WAITING_PER_THREAD)?;
        for number in 0..threads {
            let shared = Arc::clone(&hasher.threads.0);
            std::thread::Builder::new()
                .name(format!("password-hash-{number}"))
                .spawn(move || while shared.work(settings).is_some() {})
                .map_err(|_| Error::Internal("a thread for password hashing could not be started"))?;
        }
        Ok(hasher)
    }

    fn without_threads(
        settings: Argon2Settings,
        backend: Argon2Backend,
        entropy: &dyn Entropy,
        capacity: usize,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            waiting: FairQueue::new(capacity),
            backend: backend.select(),
            workspaces: Mutex::default(),
        });
        Ok(Self { threads: Arc::new(Threads(shared)), placeholder: placeholder_hash(settings, entropy)? })
    }

    /// Returns the hasher for this client: clients that wait take turns.
    pub(crate) fn of(&self, client: &ClientContext) -> ClientHasher<'_> {
        ClientHasher { hasher: self, network: Network::of(client) }
    }
}

impl ClientHasher<'_> {
    /// Returns the PHC string of the password at the configured cost; fails with [`Error::Overloaded`] when the queue
    /// is full, or had to make room for clients with fewer passwords in it.
    pub(crate) async fn hash(&self, password: &Password, entropy: &dyn Entropy) -> Result<String, Error> {
        let mut salt = [0; SALT_LENGTH];
        entropy.fill(&mut salt)?;
        let (answer, hashed) = oneshot::channel();
        self.submit(password, Task::Hash { salt, answer })?;
        // Dropped without an answer: the job made room for another client's.
        let hashed = hashed.await.map_err(|_| Error::Overloaded)?;
        hashed.ok_or(Error::Internal("a password could not be hashed"))
    }

    /// Returns the verdict on a password for a stored PHC string; without one, [`Verdict::Wrong`] after the same work.
    /// Fails with [`Error::Overloaded`] when the queue is full, or had to make room for clients with fewer passwords in it.
    pub(crate) async fn verify(&self, password: &Password, stored: Option<&str>) -> Result<Verdict, Error> {
        let (answer, verified) = oneshot::channel();
        let task = Task::Verify { stored: stored.unwrap_or(&self.hasher.placeholder).to_owned(), answer };
        self.submit(password, task)?;
        let verdict = verified.await.map_err(|_| Error::Overloaded)?;
        let verdict = verdict.ok_or(Error::Internal("a stored password hash is unusable"))?;
        Ok(if stored.is_some() { verdict } else { Verdict::Wrong })
    }

    fn submit(&self, password: &Password, task: Task) -> Result<(), Error> {
        let job = Job { password: password.bytes(), task };
        self.hasher.threads.0.waiting.push(self.network, job).map_err(|Full| Error::Overloaded)
    }
}

impl Shared {
    /// Lends memory for one hash; it is back before the result is sent.
    fn with_workspace<T>(&self, hash: impl FnOnce(&mut Workspace) -> T) -> T {
        let workspaces = || self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        // The lock is held no longer than this statement.
        let idle = workspaces().pop();
        let mut workspace = idle.unwrap_or_else(|| Workspace::new(self.backend));
        let hashed = hash(&mut workspace);
        workspaces().push(workspace);
        hashed
    }

    /// Waits for a job and does it. Returns `None` once there will be no more.
    fn work(&self, settings: Argon2Settings) -> Option<()> {
        let Job { password, task } = self.waiting.pop()?;
        // The request may have been cancelled while the job waited in the queue; a send without a receiver is no error.
        match task {
            Task::Hash { answer, .. } if answer.is_closed() => {}
            Task::Verify { answer, .. } if answer.is_closed() => {}
            Task::Hash { salt, answer } => {
                let hashed = self.with_workspace(|workspace| hash(settings, &password, &salt, workspace));
                let _ = answer.send(hashed);
            }
            Task::Verify { stored, answer } => {
                let verdict =
                    self.with_workspace(|workspace| verify(settings, &password, &stored, workspace));
                let _ = answer.send(verdict);
            }
        }
        Some(())
    }
}

fn argon2id(
    params: &Params,
    password: &[u8],
    salt: &[u8],
    workspace: &mut Workspace,
) -> Option<[u8; OUTPUT_LENGTH]> {
    let mut output = [0; OUTPUT_LENGTH];
    workspace.hash((Algorithm::Argon2id, Version::V0x13), params, password, salt, &mut output)?;
    Some(output)
}

fn hash(settings: Argon2Settings, password: &[u8], salt: &[u8], workspace: &mut Workspace) -> Option<String> {
    let output = argon2id(&settings.params()?, password, salt, workspace)?;
    phc_string(settings, salt, &output)
}

fn phc_string(settings: Argon2Settings, salt: &[u8], output: &[u8]) -> Option<String> {
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&settings.params()?).ok()?,
        salt: Some(Salt::new(salt).ok()?),
        hash: Some(Output::new(output).ok()?),
    };
    Some(hash.to_string())
}

/// Returns a well-formed hash whose output is random, so that no password matches it.
fn placeholder_hash(settings: Argon2Settings, entropy: &dyn Entropy) -> Result<String, Error> {
    let (mut salt, mut output) = ([0; SALT_LENGTH], [0; OUTPUT_LENGTH]);
    entropy.fill(&mut salt)?;
    entropy.fill(&mut output)?;
    phc_string(settings, &salt, &output).ok_or(Error::Internal("the Argon2 settings are unusable"))
}

/// `None` for a stored string that is no hash of ours or of an older system, or asks for more than may be spent.
fn verify(
    settings: Argon2Settings,
    password: &[u8],
    stored: &str,
    workspace: &mut Workspace,
) -> Option<Verdict> {
    verify_ours(settings, password, stored, workspace).or_else(|| {
        let is_right = foreign_hash::is_right(password, stored, workspace)?;
        Some(if is_right { Verdict::RightButOutdated } else { Verdict::Wrong })
    })
}

/// `None` for what is not a hash as [`hash`] makes it.
fn verify_ours(
    settings: Argon2Settings,
    password: &[u8],
    stored: &str,
    workspace: &mut Workspace,
) -> Option<Verdict> {
    let stored = PasswordHash::new(stored).ok()?;
    let params = Params::try_from(&stored).ok()?;
    let affordable = params.m_cost() <= MOST_MEMORY_KIB
        && params.t_cost() <= MOST_ITERATIONS
        && params.p_cost() <= MOST_LANES;
    let expected = stored.hash?;
    // Of another version it is a foreign hash: the version is part of what is hashed.
    let is_ours = stored.algorithm == ARGON2ID_IDENT && stored.version == Some(Version::V0x13.into());
    if !is_ours || !affordable || expected.len() != OUTPUT_LENGTH {
        return None;
    }
    let cost =
        Argon2Settings { memory_kib: params.m_cost(), iterations: params.t_cost(), lanes: params.p_cost() };
    let output = argon2id(&cost.params()?, password, stored.salt?.as_ref(), workspace)?;
    Some(match aws_lc_rs::constant_time::verify_slices_are_equal(&output, expected.as_bytes()) {
        Err(_) => Verdict::Wrong,
        Ok(()) if cost == settings => Verdict::Right,
        Ok(()) => Verdict::RightButOutdated,
    })
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;
    use secrecy::SecretString;

    use super::*;

    const CHEAP: Argon2Settings = Argon2Settings { memory_kib: 64, iterations: 1, lanes: 1 };

    fn nobody() -> ClientContext {
        ClientContext::default()
    }

    fn password(text: &str) -> Password {
        Password::new(&SecretString::from(text))
    }

    #[tokio::test]
    async fn a_password_meets_its_own_hash_only() {
        let hasher = PasswordHasher::start(CHEAP, Argon2Backend::Auto, &SystemEntropy).unwrap();
        let stored = hasher.of(&nobody()).hash(&password("right"), &SystemEntropy).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        assert_eq!(
            hasher.of(&nobody()).verify(&password("right"), Some(&stored)).await.unwrap(),
            Verdict::Right
        );
        assert_eq!(
            hasher.of(&nobody()).verify(&password("wrong"), Some(&stored)).await.unwrap(),
            Verdict::Wrong
        );
        assert_eq!(hasher.of(&nobody()).verify(&password(""), Some(&stored)).await.unwrap(), Verdict::Wrong);
        assert_eq!(hasher.of(&nobody()).verify(&password("right"), None).await.unwrap(), Verdict::Wrong);
        assert_ne!(hasher.of(&nobody()).hash(&password("right"), &SystemEntropy).await.unwrap(), stored);
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_right_but_outdated() {
        let before = PasswordHasher::start(
            Argon2Settings { iterations: 2, ..CHEAP },
            Argon2Backend::Portable,
            &SystemEntropy,
        )
        .unwrap();
        let stored = before.of(&nobody()).hash(&password("right"), &SystemEntropy).await.unwrap();
        let now = PasswordHasher::start(CHEAP, Argon2Backend::Auto, &SystemEntropy).unwrap();
        assert_eq!(
            now.of(&nobody()).verify(&password("right"), Some(&stored)).await.unwrap(),
            Verdict::RightButOutdated
        );
        assert_eq!(
            now.of(&nobody()).verify(&password("wrong"), Some(&stored)).await.unwrap(),
            Verdict::Wrong
        );
    }

    #[test]
    fn the_reference_implementation_agrees() {
        // `echo -n password | argon2 somesalt -id -t 2 -k 256 -p 1 -l 32` of the reference command line tool.
        let stored = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let verdict = verify(CHEAP, b"password", stored, &mut Workspace::new(Selected::Accelerated));
        assert_eq!(verdict, Some(Verdict::RightButOutdated));
    }

    #[test]
    fn a_hash_of_the_older_version_meets_its_password() {
        // Of argon2-cffi, with the same salt under both versions; PHC strings of the older one may leave the version out.
        let salted = "m=64,t=1,p=2$yckHz3RKHBN6qVsg+rSggg";
        let (older, newer) =
            ("YDSH6LwSts/70N2i4RGLwTa4xt+SPeN1gOPTCG0tEaA", "4RI4hkE6tq2SRdFIQclh+U8Y9Kv0qz2PdfhLq4iDPsA");
        for (version, output, verdict) in [
            ("v=16$", older, Verdict::RightButOutdated),
            ("", older, Verdict::RightButOutdated),
            ("v=19$", newer, Verdict::RightButOutdated),
            ("v=16$", newer, Verdict::Wrong),
            ("v=19$", older, Verdict::Wrong),
        ] {
            let stored = format!("$argon2id${version}{salted}${output}");
            for backend in [Selected::Accelerated, Selected::Portable] {
                let met = verify(CHEAP, b"copper lantern", &stored, &mut Workspace::new(backend));
                assert_eq!(met, Some(verdict), "{stored}");
            }
        }
    }

    #[test]
    fn a_stored_string_cannot_ask_for_more_than_may_be_spent() {
        let output = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        for parameters in ["m=4194304,t=2,p=1", "m=256,t=4000000,p=1", "m=1024,t=1,p=100"] {
            let stored = format!("$argon2id$v=19${parameters}$c29tZXNhbHQ${output}");
            assert_eq!(
                verify(CHEAP, b"password", &stored, &mut Workspace::new(Selected::Accelerated)),
                None,
                "{parameters}"
            );
        }
        for stored in ["", "password"] {
            assert_eq!(verify(CHEAP, b"password", stored, &mut Workspace::new(Selected::Accelerated)), None);
        }
    }

    #[test]
    fn the_default_cost_is_what_owasp_recommends() {
        let settings = Argon2Settings::read(&Environment::default()).unwrap();
        assert_eq!(settings, Argon2Settings { memory_kib: 19_456, iterations: 2, lanes: 1 });
    }

    fn from(ip: &str) -> ClientContext {
        ClientContext { ip: Some(ip.to_owned()), ..ClientContext::default() }
    }

    /// Puts a password into the queue; the answer is yet to come.
    fn waiting(hasher: &PasswordHasher, client: &ClientContext) -> oneshot::Receiver<Option<Verdict>> {
        let (answer, verified) = oneshot::channel();
        let task = Task::Verify { stored: hasher.placeholder.clone(), answer };
        hasher.of(client).submit(&password("any"), task).unwrap();
        verified
    }

    /// A hasher whose threads are this test, which takes its time.
    fn slow(capacity: usize) -> PasswordHasher {
        PasswordHasher::without_threads(CHEAP, Argon2Backend::Auto, &SystemEntropy, capacity).unwrap()
    }

    #[tokio::test]
    async fn a_full_queue_refuses_instead_of_piling_up() {
        let hasher = slow(1);
        let _kept = waiting(&hasher, &from("192.0.2.66"));
        for client in ["192.0.2.66", "192.0.2.7"] {
            let second = hasher.of(&from(client)).verify(&password("second"), None).await;
            assert!(matches!(second, Err(Error::Overloaded)), "{client}");
        }
    }

    #[tokio::test]
    async fn one_client_fills_the_queue_for_itself_alone() {
        let hasher = slow(32);
        let mut flood: Vec<_> = (0..32).map(|_| waiting(&hasher, &from("192.0.2.66"))).collect();
        let hash = hasher.of(&from("192.0.2.66")).hash(&password("one more"), &SystemEntropy).await;
        assert!(matches!(hash, Err(Error::Overloaded)));
        // Whoever comes from elsewhere finds a place and has the second turn, or the first after that.
        let mut others: Vec<_> =
            ["192.0.2.7", "2001:db8:1::1", "2001:db8:2::1"].map(|ip| waiting(&hasher, &from(ip))).into();
        for _ in 0..4 {
            hasher.threads.0.work(CHEAP).unwrap();
        }
        for other in &mut others {
            assert_eq!(other.try_recv(), Ok(Some(Verdict::Wrong)));
        }
        assert_eq!(flood[0].try_recv(), Ok(Some(Verdict::Wrong)));
        assert_eq!(flood[31].try_recv(), Err(oneshot::error::TryRecvError::Closed), "it made room");
        assert_eq!(flood[28].try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }

    #[test]
    fn the_customers_of_one_network_share_a_turn() {
        let network = |ip| Network::of(&from(ip));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:ffff::9"));
        assert_ne!(network("2001:db8:1::1"), network("2001:db8:2::1"));
        assert_ne!(network("192.0.2.7"), network("192.0.2.8"));
        assert_eq!(network("192.0.2.7"), network("192.0.2.7"));
        assert_eq!(Network::of(&ClientContext::default()), Network(None));
    }
}
