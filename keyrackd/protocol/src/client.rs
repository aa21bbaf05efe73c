//! A blocking client: connect, check who listens, one exchange. No async runtime, no
//! thread, no file but the socket.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyrack_names::Owner;
use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, SockFlag, SockType, UnixAddr, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use crate::channel::{
    Bytes, Channel, ChannelError, EPHEMERAL, Handshake, MAX_INLINE, MAX_REPLY, Partial,
};
use crate::hello::{Hello, KeyKind};
use crate::keys::Key;
use crate::message::{
    BareRequest, BareStatus, ClearRefusal, MessageError, Refusal, Reply, Request, decode, encode,
    lead,
};
use crate::{RackId, frame, peer};

/// How long a daemon may take to answer. It answers in microseconds.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// Which daemon is meant, and the key that proves it to both sides.
#[derive(Debug, Clone)]
pub struct Target {
    /// The owner whose daemon is meant.
    pub owner: Owner,
    /// The rack that is meant.
    pub rack: RackId,
    /// What kind of key `key` is.
    pub kind: KeyKind,
    /// The pre-shared key.
    pub key: Key,
}

/// Why a daemon gave no answer, in the order in which one hides another.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon is running")]
    NotRunning,
    /// Somebody else's process listens there.
    #[error("{} belongs to uid {uid}, not to you", path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// The daemon, or something in its place, refused before there was a channel.
    #[error("{}: {}", path.display(), refusal.message)]
    Refused {
        /// The socket.
        path: PathBuf,
        /// What it said.
        refusal: ClearRefusal,
    },
    /// The socket may not be opened: a sandbox, or permissions.
    #[error("connecting to {} is not allowed here ({errno})", path.display())]
    Blocked {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
    /// What listens there says nothing: it was stopped, or is no daemon.
    #[error("{} does not answer: nothing came within {} s", path.display(), DEADLINE.as_secs())]
    Silent {
        /// The socket.
        path: PathBuf,
    },
    /// What listens there does not answer as a daemon that holds the same key would.
    #[error("{} does not answer as your daemon would: {why}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        why: String,
    },
}

impl ClientError {
    fn rank(&self) -> u8 {
        match self {
            Self::NotRunning => 0,
            Self::Foreign { .. } => 1,
            Self::Refused { refusal, .. } if refusal.code == Refusal::Rack => 2,
            Self::Blocked { .. } => 3,
            Self::Refused { .. } => 4,
            Self::Silent { .. } => 5,
            Self::Broken { .. } => 6,
        }
    }
}

/// Tries each path until one answers; otherwise gives the most telling error.
///
/// # Errors
/// When none answers.
pub fn first<T>(
    paths: &[PathBuf],
    mut attempt: impl FnMut(&Path) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let mut worst = ClientError::NotRunning;
    for path in paths {
        match attempt(path) {
            Ok(answer) => return Ok(answer),
            Err(error) if error.rank() > worst.rank() => worst = error,
            Err(_) => {}
        }
    }
    Err(worst)
}

/// Tries every path, whatever answered before.
///
/// # Errors
/// As [`first`], when none answers.
pub fn every(
    paths: &[PathBuf],
    mut attempt: impl FnMut(&Path) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    let mut answered = false;
    let none = first(paths, |path| {
        answered |= attempt(path).map(|()| true)?;
        Err::<(), _>(ClientError::NotRunning)
    });
    if answered { Ok(()) } else { none }
}

/// Asks one reading question in one exchange.
///
/// # Errors
/// When no daemon that holds the same key answers at `path`.
pub fn ask(path: &Path, target: &Target, request: &Request) -> Result<Reply, ClientError> {
    debug_assert!(request.only_reads());
    let message = encode(request);
    if message.len() > MAX_INLINE {
        return Session::open(path, target)?.call(request);
    }
    let mut wire = Wire::connect(path)?;
    let Agreed { mut channel, reply, .. } = wire.handshake(target, &message)?;
    let reply = match reply {
        Some(reply) => reply,
        None => wire.receive(&mut channel)?,
    };
    wire.decoded(decode(&reply))
}

/// Asks in the clear what any process of the user may know, or has everything forgotten.
/// The answer is not proven.
///
/// # Errors
/// When nothing answers at `path`.
pub fn bare(path: &Path, request: BareRequest) -> Result<BareStatus, ClientError> {
    let mut wire = Wire::connect(path)?;
    let mut payload = vec![lead::BARE];
    payload.extend_from_slice(&encode(&request));
    wire.send(&payload)?;
    let answer = wire.read_lead(lead::BARE)?;
    wire.decoded(decode(&answer[1..]))
}

/// An open channel for several requests.
#[derive(Debug)]
pub struct Session {
    wire: Wire,
    channel: Channel,
    version: u16,
}

impl Session {
    /// Opens a channel.
    ///
    /// # Errors
    /// When no daemon that holds the same key answers at `path`.
    pub fn open(path: &Path, target: &Target) -> Result<Self, ClientError> {
        let mut wire = Wire::connect(path)?;
        let Agreed { channel, version, .. } = wire.handshake(target, &[])?;
        Ok(Self { wire, channel, version })
    }

    /// The protocol version that both sides speak here. Bound into the channel: nobody in
    /// between chose it.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// One request, one reply.
    ///
    /// # Errors
    /// When the daemon went away or the request is longer than the protocol allows.
    pub fn call(&mut self, request: &Request) -> Result<Reply, ClientError> {
        let frames = self.channel.seal(&encode(request)).map_err(|e| self.wire.broken(e))?;
        for frame in frames {
            self.wire.send_frame(&frame)?;
        }
        let reply = self.wire.receive(&mut self.channel)?;
        self.wire.decoded(decode(&reply))
    }

    /// Where the daemon listens.
    pub fn path(&self) -> &Path {
        &self.wire.path
    }
}

/// What a handshake comes to.
struct Agreed {
    channel: Channel,
    version: u16,
    /// The answer to what rode in the first message, where it fitted into the second.
    reply: Option<Bytes>,
}

#[derive(Debug)]
struct Wire {
    path: PathBuf,
    stream: UnixStream,
}

impl Wire {
    fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = connect(path).map_err(|errno| match errno {
            // Nor can anybody listen on a path that is too long.
            Errno::ENOENT
            | Errno::ECONNREFUSED
            | Errno::ENOTDIR
            | Errno::ENOTSOCK
            | Errno::ENAMETOOLONG => ClientError::NotRunning,
            Errno::EPERM | Errno::EACCES => blocked_or_foreign(path, errno),
            Errno::EAGAIN => ClientError::Silent { path: path.to_owned() },
            other => ClientError::Broken { path: path.to_owned(), why: other.desc().to_owned() },
        })?;
        let wire = Self { path: path.to_owned(), stream };
        // Before a byte is said: whose process bound this socket?
        let uid = peer::of(&wire.stream).map_err(|e| wire.broken(e))?.uid;
        if uid != peer::own_uid() {
            return Err(ClientError::Foreign { path: wire.path, uid });
        }
        Ok(wire)
    }

    fn handshake(&mut self, target: &Target, request: &[u8]) -> Result<Agreed, ClientError> {
        let hello = Hello::new(target.owner.clone(), target.rack, target.kind).encode();
        let mut handshake =
            Handshake::initiator(&target.key, &hello).map_err(|e| self.broken(e))?;
        let mut first = vec![lead::CHANNEL];
        first.extend_from_slice(&(hello.len() as u16).to_be_bytes());
        first.extend_from_slice(&hello);
        first.extend_from_slice(&handshake.write(request).map_err(|e| self.broken(e))?);
        self.send(&first)?;
        // The daemon sends the beginning before it has the rest: both do their part at once.
        let second = frame::read_begun::<{ 1 + EPHEMERAL }>(&mut self.stream, |begun| {
            if let [lead::CHANNEL, ephemeral @ ..] = begun {
                handshake.meet(ephemeral);
            }
        });
        let second = self.led(second, lead::CHANNEL)?;
        let payload = handshake.read(&second[1..]).map_err(|e| self.broken(e))?;
        let (version, reply) =
            payload.split_first_chunk::<2>().ok_or_else(|| self.broken(ChannelError::Malformed))?;
        let version = u16::from_be_bytes(*version);
        if !crate::VERSIONS.contains(&version) {
            return Err(self.broken("it chose a protocol version that was not offered"));
        }
        let reply = (!reply.is_empty()).then(|| zeroize::Zeroizing::new(reply.to_vec()));
        let channel = handshake.finish().map_err(|e| self.broken(e))?;
        Ok(Agreed { channel, version, reply })
    }

    fn read_lead(&mut self, expected: u8) -> Result<Bytes, ClientError> {
        let answer = frame::read(&mut self.stream);
        self.led(answer, expected)
    }

    /// The answer, where it is of the kind that is expected.
    fn led(&mut self, answer: io::Result<Bytes>, expected: u8) -> Result<Bytes, ClientError> {
        let answer = answer.map_err(|e| self.lost(&e))?;
        match answer[0] {
            lead if lead == expected => Ok(answer),
            lead::REFUSED => {
                let refusal = self.decoded(decode(&answer[1..]))?;
                Err(ClientError::Refused { path: self.path.clone(), refusal })
            }
            _ => Err(self.broken(ChannelError::Malformed)),
        }
    }

    fn receive(&mut self, channel: &mut Channel) -> Result<Bytes, ClientError> {
        let mut partial = Partial::default();
        loop {
            let chunk = frame::read(&mut self.stream).map_err(|e| self.lost(&e))?;
            let opened = channel.open(&chunk, &mut partial, MAX_REPLY);
            if let Some(message) = opened.map_err(|e| self.broken(e))? {
                return Ok(message);
            }
        }
    }

    fn send(&mut self, payload: &[u8]) -> Result<(), ClientError> {
        self.send_frame(&frame::encode(payload))
    }

    fn send_frame(&mut self, frame: &[u8]) -> Result<(), ClientError> {
        match self.stream.write_all(frame) {
            Ok(()) => Ok(()),
            // It closed early; what it said before that says why.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                Err(self.read_lead(u8::MAX).err().unwrap_or_else(|| self.lost(&e)))
            }
            Err(e) => Err(self.lost(&e)),
        }
    }

    fn decoded<T>(&self, decoded: Result<T, MessageError>) -> Result<T, ClientError> {
        decoded.map_err(|e| self.broken(e))
    }

    fn lost(&self, error: &io::Error) -> ClientError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ClientError::Silent { path: self.path.clone() }
            }
            io::ErrorKind::UnexpectedEof => self.broken("it closed the connection"),
            _ => self.broken(error),
        }
    }

    fn broken(&self, why: impl ToString) -> ClientError {
        ClientError::Broken { path: self.path.clone(), why: why.to_string() }
    }
}

/// Connects with the deadline on every step, a full backlog included.
///
/// # Errors
/// As connect(2); `EAGAIN` when the deadline passed.
pub fn connect(path: &Path) -> nix::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let limit = TimeVal::new(DEADLINE.as_secs() as i64, 0);
    setsockopt(&socket, sockopt::SendTimeout, &limit)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &limit)?;
    socket::connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &address)?;
    Ok(UnixStream::from(socket))
}

/// Another user's 0600 socket looks like a sandbox from here; its owner tells them apart.
fn blocked_or_foreign(path: &Path, errno: Errno) -> ClientError {
    use std::os::unix::fs::MetadataExt;
    match path.symlink_metadata() {
        Ok(found) if found.uid() != peer::own_uid() => {
            ClientError::Foreign { path: path.to_owned(), uid: found.uid() }
        }
        _ => ClientError::Blocked { path: path.to_owned(), errno },
    }
}
