//! Starting an owner's daemon, and talking to it as whoever opened the manifest.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use keyrack_names::Owner;
use keyrack_protocol::client::{self, ClientError, Session, Target};
use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::keys::RackSecret;
use keyrack_protocol::message::{Refusal, Start, Started, decode, encode};
use keyrack_protocol::{RackId, frame, handover};

use crate::error::{Code, Context, Failure, Outcome};
use crate::person::ui::Ui;
use crate::rack::anchor::Anchor;
use crate::rack::{audit_log, whereabouts};
use crate::settings::Settings;
use crate::system::programs;

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
        let program = programs::find("keyrackd")?;
        let streams = |command: &mut Command| {
            let log = audit.as_ref().map(File::try_clone).transpose()?;
            command
                .stdin(OwnedFd::from(theirs.try_clone()?))
                .stdout(log.map_or_else(Stdio::null, Stdio::from))
                .stderr(Stdio::null());
            Ok(())
        };
        programs::start_closed(&program, streams).context(|| program.display().to_string())?;
        // The daemon's lock on its log ends with the last copy of the descriptor.
        drop((theirs, audit));
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
        ClientError::Silent { .. } | ClientError::Broken { .. } => Code::Unreachable,
    };
    let failure = Failure::new(code, format!("{owner}: {error}"));
    match code {
        _ if matches!(error, ClientError::Silent { .. }) => {
            failure.hint(format!("keyrack relock --for {owner}"))
        }
        Code::Locked => failure.hint(format!("keyrack unlock --for {owner}")),
        Code::Denied => failure.hint(format!("keyrack attach --for {owner}")),
        Code::Blocked => failure.hint("allow connecting to Unix sockets in the sandbox, and share /tmp with it (systemd: PrivateTmp=no)"),
        Code::Unreachable => failure.hint(format!("keyrack doctor --for {owner}")),
        _ => failure,
    }
}
