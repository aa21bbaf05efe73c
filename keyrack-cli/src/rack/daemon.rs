//! Starting an owner's daemon, and talking to it as whoever opened the manifest.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keyrack_names::Owner;
use keyrack_protocol::client::{self, ClientError, Session, Target};
use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::keys::RackSecret;
use keyrack_protocol::message::{Refusal, Start, Started, decode, encode};
use keyrack_protocol::{RackId, frame, handover, peer, sealed_copy};

use crate::error::{Code, Context, Failure, Outcome};
use crate::person::ui::Ui;
use crate::rack::anchor::Anchor;
use crate::rack::{audit_log, whereabouts};
use crate::settings::Settings;

/// How long a daemon may take to listen. It takes a millisecond or two.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// What a manifest says about its owner's daemon.
#[derive(Debug, Clone)]
pub struct Rack {
    /// Whose it is.
    pub owner: Owner,
    /// Which one.
    pub id: RackId,
    /// Whoever holds this may do everything with it.
    pub secret: RackSecret,
    /// Whether a caller that met no person may read.
    pub self_proof: bool,
}

impl Rack {
    /// The daemon's address for whoever opened the manifest.
    pub fn attach_target(&self) -> Target {
        self.target(KeyKind::Attach)
    }

    /// The daemon's address for a caller that met no person.
    pub fn self_proof_target(&self) -> Target {
        self.target(KeyKind::SelfProof)
    }

    fn target(&self, kind: KeyKind) -> Target {
        let key = match kind {
            KeyKind::SelfProof => self.secret.self_proof_key(),
            _ => self.secret.attach_key(),
        };
        Target { owner: self.owner.clone(), rack: self.id, kind, key }
    }

    /// Every path its daemon may listen on.
    pub fn sockets(&self, settings: &Settings) -> Vec<PathBuf> {
        settings.sockets.sockets(&self.owner, &self.id)
    }

    /// Talks to the daemon that runs.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when none does.
    pub fn attach(&self, settings: &Settings) -> Result<Session, ClientError> {
        let target = self.attach_target();
        client::first(&self.sockets(settings), |path| Session::open(path, &target))
    }

    /// Talks to the daemon that runs, or to a new one, which ends with `anchor`.
    ///
    /// # Errors
    /// When it cannot be started or does not answer.
    pub fn attach_or_start(
        &self,
        anchor: Option<&Anchor>,
        settings: &Settings,
        ui: &Ui,
    ) -> Outcome<Session> {
        match self.attach(settings) {
            Ok(session) => return Ok(session),
            // Somebody else's process, or another rack's daemon, is no obstacle: ours takes
            // the next path.
            Err(
                ClientError::NotRunning | ClientError::Foreign { .. } | ClientError::Refused { .. },
            ) => {}
            Err(error) => return Err(failure(&error, &self.owner)),
        }
        let sockets = self.start(anchor, settings, ui)?;
        let target = self.attach_target();
        client::first(&sockets, |path| Session::open(path, &target))
            .map_err(|e| failure(&e, &self.owner))
    }

    fn start(
        &self,
        anchor: Option<&Anchor>,
        settings: &Settings,
        ui: &Ui,
    ) -> Outcome<Vec<PathBuf>> {
        let (audit, audit_head) = audit_log::open(settings, &self.owner, ui);
        let start = Start {
            owner: self.owner.clone(),
            rack: self.id,
            attach_key: self.secret.attach_key(),
            self_proof_key: self.self_proof.then(|| self.secret.self_proof_key()),
            drop_key: self.secret.drop_key(),
            audit_key: self.secret.audit_key(),
            audit_head,
            socket_dirs: settings.sockets.iter().map(PathBuf::from).collect(),
            ends_with: anchor.map(|anchor| anchor.process.clone()),
        };
        let doing = || format!("starting {}'s daemon", self.owner);
        let (mut ours, theirs) = UnixStream::pair().context(doing)?;
        ours.set_read_timeout(Some(START_DEADLINE)).context(doing)?;
        let program = helper("keyrackd")?;
        let streams = |command: &mut Command| {
            let log = audit.as_ref().map(File::try_clone).transpose()?;
            command
                .stdin(OwnedFd::from(theirs.try_clone()?))
                .stdout(log.map_or_else(Stdio::null, Stdio::from))
                .stderr(Stdio::null());
            Ok(())
        };
        spawn_closed(&program, streams).context(|| program.display().to_string())?;
        drop(theirs);
        let exchange = handover::send(&ours, &encode(&start), anchor.map(Anchor::descriptor))
            .and_then(|()| frame::read(&mut ours));
        let started = exchange.map_err(|e| {
            Failure::new(
                Code::Unreachable,
                format!("{}'s daemon ended while it started: {e}", self.owner),
            )
            .hint("keyrack doctor --for ".to_owned() + self.owner.as_str())
        })?;
        match decode(&started).context(doing)? {
            Started::Ready { sockets, notes } => {
                notes.iter().for_each(|note| ui.warn(note));
                whereabouts::remember(settings, &self.owner, &sockets);
                Ok(sockets)
            }
            Started::AlreadyRunning { socket } => Ok(vec![socket]),
            Started::Failed { message } => Err(Failure::new(Code::Unreachable, message)),
        }
    }
}

/// A program of ours: beside the command or in `../libexec/keyrack`, never on PATH.
///
/// # Errors
/// [`Code::Unexpected`] when it is in neither place.
pub fn helper(name: &str) -> Outcome<PathBuf> {
    let command =
        std::env::current_exe().context(|| "finding the keyrack command itself".to_owned())?;
    let dir = command.parent().unwrap_or(std::path::Path::new("/"));
    let places = [dir.join(name), dir.join("../libexec/keyrack").join(name)];
    places.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        Failure::new(
            Code::Unexpected,
            format!("{name} is not installed beside {}", command.display()),
        )
        .hint(format!("install {name} into {}", dir.display()))
    })
}

/// Starts a program of ours, which is about to be told secrets, without an environment. It starts
/// closed: one that its user can read would be open for a moment, in which another process
/// of the user could take a descriptor of it, and so hear all that it is told later.
///
/// # Errors
/// When it cannot be run.
pub fn spawn_closed(
    program: &Path,
    streams: impl Fn(&mut Command) -> io::Result<()>,
) -> io::Result<Child> {
    let start = |path: &Path| {
        let mut command = Command::new(path);
        command.arg0(program.file_name().unwrap_or_default()).env_clear().current_dir("/");
        streams(&mut command)?;
        command.spawn()
    };
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    // Nothing is closed to root. What cannot be read needs no copy; where there can be none,
    // the program goes on as it is, and `status` and `doctor` say so.
    if peer::own_uid() != 0
        && let Ok(copy) = sealed_copy::of(program, &name)
        && let Ok(child) = start(Path::new(&format!("/proc/self/fd/{}", copy.as_raw_fd())))
    {
        return Ok(child);
    }
    start(program)
}

/// What it means for a person that a daemon gave no answer.
pub fn failure(error: &ClientError, owner: &Owner) -> Failure {
    let code = match error {
        ClientError::NotRunning | ClientError::Foreign { .. } => Code::Locked,
        ClientError::Refused { refusal, .. } => match refusal.code {
            Refusal::Rack | Refusal::Owner => Code::Locked,
            Refusal::Key | Refusal::Right => Code::Denied,
            _ => Code::Unreachable,
        },
        ClientError::Blocked { .. } => Code::Blocked,
        ClientError::Broken { .. } => Code::Unreachable,
    };
    let failure = Failure::new(code, format!("{owner}: {error}"));
    match code {
        Code::Locked => failure.hint(format!("keyrack unlock --for {owner}")),
        Code::Denied => failure.hint(format!("keyrack attach --for {owner}")),
        Code::Blocked => failure.hint("allow connecting to Unix sockets in the sandbox, and share /tmp with it (systemd: PrivateTmp=no)"),
        Code::Unreachable => failure.hint(format!("keyrack doctor --for {owner}")),
        _ => failure,
    }
}
