//! A daemon to test: a rack, a directory for its socket, and the command's side.

use std::fs::{File, Permissions};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyrack_protocol::client::{self, ClientError, Session, Target};
use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::keys::{Key, RackSecret, TreeSecret};
use keyrack_protocol::message::{
    Answer, AuditHead, BareRequest, BareStatus, Grant, Push, Registration, Reply, Request, Rights,
    Scope, Start, Started, Status,
};
use keyrack_protocol::names::{Ask, Owner, Secret, Slug};
use keyrack_protocol::{CapabilityId, RackId, frame, handover, message};
use tempfile::TempDir;

/// Names the daemon to test, where these tests run as another user.
pub const BINARY: &str = "KEYRACKD_TEST_BINARY";
pub const HOUR: u64 = 60 * 60 * 1000;

pub struct Rig {
    pub dir: TempDir,
    pub owner: Owner,
    pub rack: RackId,
    pub secret: RackSecret,
    pub dirs: Vec<PathBuf>,
    pub self_proof: bool,
    pub binary: PathBuf,
}

/// A daemon that is ended, whatever becomes of its test.
pub struct Daemon {
    pub child: Child,
    pub sockets: Vec<PathBuf>,
    pub notes: Vec<String>,
}

/// Each daemon is a rack of its own.
fn random_rack() -> RackId {
    let mut bytes = [0; 16];
    keyrack_protocol::random::fill(&mut bytes).unwrap();
    RackId::from_bytes(bytes)
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.pid()))
    }

    /// Waits until it ended by itself, and says whether that was a success.
    pub fn ended(&mut self) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the daemon still runs");
    }
}

/// A process that waits for its start message.
pub struct Starting {
    child: Child,
    pair: UnixStream,
}

impl Starting {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the start comes to.
    pub fn hand_over(self, start: &Start) -> (Child, Started) {
        self.hand_over_with(start, None)
    }

    /// The same, where a descriptor comes with the message.
    pub fn hand_over_with(
        mut self,
        start: &Start,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> (Child, Started) {
        handover::send(&self.pair, &message::encode(start), descriptor).unwrap();
        let started = message::decode(&frame::read(&mut self.pair).unwrap()).unwrap();
        (self.child, started)
    }
}

impl Rig {
    pub fn new() -> Self {
        // Short, for a socket's path ends at 107 bytes.
        let dir = tempfile::Builder::new().prefix("kr").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
        Self {
            dirs: vec![dir.path().to_owned()],
            dir,
            owner: "seaturtle".parse().unwrap(),
            rack: random_rack(),
            secret: RackSecret::new(Key::random().unwrap()),
            self_proof: true,
            binary: binary(),
        }
    }

    /// Another rack in the same directory.
    pub fn beside(other: &Self) -> Self {
        Self { dirs: other.dirs.clone(), ..Self::new() }
    }

    pub fn socket(&self) -> PathBuf {
        self.dirs[0].join(format!("keyrack-daemon.{}.sock", self.owner))
    }

    pub fn log(&self) -> PathBuf {
        self.dir.path().join("audit.log")
    }

    pub fn start_message(&self) -> Start {
        Start {
            owner: self.owner.clone(),
            rack: self.rack,
            attach_key: self.secret.attach_key(),
            self_proof_key: self.self_proof.then(|| self.secret.self_proof_key()),
            drop_key: self.secret.drop_key(),
            audit_key: self.secret.audit_key(),
            audit_head: AuditHead::default(),
            socket_dirs: self.dirs.clone(),
            ends_with: None,
        }
    }

    /// What a start comes to, and the process.
    pub fn try_start(&self) -> (Child, Started) {
        self.spawn().hand_over(&self.start_message())
    }

    pub fn try_start_logging_to(&self, log: File) -> (Child, Started) {
        self.spawn_logging_to(log).hand_over(&self.start_message())
    }

    /// A process that has not been told yet whose daemon it is.
    pub fn spawn(&self) -> Starting {
        let log = File::options().create(true).read(true).append(true).open(self.log()).unwrap();
        self.spawn_logging_to(log)
    }

    fn spawn_logging_to(&self, log: File) -> Starting {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut command = Command::new(&self.binary);
        command.env_clear().stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
        // The pair's other end ends with the command: it must be the child's alone.
        let child = command.stdout(log).stderr(Stdio::null()).spawn().unwrap();
        Starting { child, pair: ours }
    }

    pub fn start(&self) -> Daemon {
        self.expect_ready(self.try_start())
    }

    pub fn expect_ready(&self, (child, started): (Child, Started)) -> Daemon {
        match started {
            Started::Ready { sockets, notes } => Daemon { child, sockets, notes },
            other => panic!("{other:?}"),
        }
    }

    pub fn target(&self, kind: KeyKind, key: Key) -> Target {
        Target { owner: self.owner.clone(), rack: self.rack, kind, key }
    }

    pub fn attach(&self) -> Target {
        self.target(KeyKind::Attach, self.secret.attach_key())
    }

    pub fn session(&self) -> Session {
        Session::open(&self.socket(), &self.attach()).unwrap()
    }

    /// Grants each `slug=value` for `ttl_ms`, over the attach channel.
    pub fn grant(&self, grants: &[(&str, &[u8])], ttl_ms: u64) {
        let grants = grants.iter().map(|(slug, value)| grant(slug, value, ttl_ms)).collect();
        let push = Push { grants, ..Push::default() };
        let reply = self.session().call(&Request::Push(push)).unwrap();
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    }

    /// A capability of a new tree for these slugs.
    pub fn capability(&self, slugs: &[&str], rights: Rights) -> (CapabilityId, Target) {
        let tree = TreeSecret::new(Key::random().unwrap());
        let id = tree.capability_id(&self.owner, &self.rack);
        let key = tree.capability_key(&self.owner, &self.rack);
        let about = registration(id, Some(key.clone()), rights);
        let slugs = Some(slugs.iter().map(|slug| slug.parse().unwrap()).collect());
        let reply = self.session().call(&Request::Mint { capability: about, slugs }).unwrap();
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
        (id, self.target(KeyKind::Capability(id), key))
    }

    pub fn get(&self, target: &Target, slug: &str) -> Answer {
        get(&self.socket(), target, slug).unwrap()
    }

    /// The value, which must be granted.
    pub fn value(&self, slug: &str) -> Vec<u8> {
        match self.get(&self.attach(), slug) {
            Answer::Granted { value, .. } => value.expose().to_vec(),
            other => panic!("{other:?}"),
        }
    }

    pub fn status(&self) -> Status {
        match client::ask(&self.socket(), &self.attach(), &Request::Status).unwrap() {
            Reply::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    pub fn bare(&self) -> Result<BareStatus, ClientError> {
        client::bare(&self.socket(), BareRequest::Status)
    }

    pub fn lock(&self) -> Result<BareStatus, ClientError> {
        client::bare(&self.socket(), BareRequest::Lock)
    }
}

pub fn get(socket: &Path, target: &Target, slug: &str) -> Result<Answer, ClientError> {
    let asks = vec![Ask::exactly(slug.parse().unwrap())];
    let request = Request::Get { asks, caller: "test".to_owned() };
    match client::ask(socket, target, &request)? {
        Reply::Values { mut answers } => Ok(answers.remove(0)),
        other => panic!("{other:?}"),
    }
}

pub fn grant(slug: &str, value: &[u8], ttl_ms: u64) -> Grant {
    Grant {
        slug: slug.parse::<Slug>().unwrap(),
        value: Secret::from(value),
        ttl_ms,
        self_proof: false,
        vault: "personal".to_owned(),
        class: "config".to_owned(),
    }
}

pub fn registration(id: CapabilityId, key: Option<Key>, rights: Rights) -> Registration {
    Registration { id, key, rights, label: "test".to_owned(), scope: Scope::Tree }
}

/// The daemon under test: the one that was built with the tests, or a copy of it where an
/// ordinary user can execute it.
pub fn binary() -> PathBuf {
    std::env::var_os(BINARY).unwrap_or(env!("CARGO_BIN_EXE_keyrackd").into()).into()
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Says why a test has nothing to show on this machine.
pub fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
