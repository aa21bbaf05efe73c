//! One connection: frames in, frames out, each within its deadline. What is said is
//! decided in `meet` and `session`.

use std::io;
use std::time::Duration;

use keyrack_protocol::channel::{Bytes, Channel, Drawn, Handshake, MAX_MESSAGE, Partial};
use keyrack_protocol::frame::{self, HEADER};
use keyrack_protocol::message::{BareRequest, BareStatus, ClearRefusal, Refusal, encode, lead};
use keyrack_protocol::peer::{Followed, Peer, Seen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::clock;
use crate::daemon::{Act, Daemon};
use crate::harden;
use crate::meet::{Caller, First, Refused, meet};
use crate::scrub::scrub;
use crate::seats::Seat;
use crate::session::{Session, code_name};

/// How long one frame may take, in either direction.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);
/// What a request and its reply may take before their memory goes back to the system.
const LONG: usize = 64 * 1024;
/// How much memory for frames a connection keeps between them.
const KEPT: usize = 4096;
/// How long a proven caller may say nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a connection ends early. The log is told of one that ends in its first frame.
#[derive(Debug, thiserror::Error)]
enum Hangup {
    #[error("io: {0}")]
    Io(#[from] io::Error),
    #[error("too slow")]
    Slow(#[from] tokio::time::error::Elapsed),
    #[error("the bytes are not what the protocol says")]
    Malformed,
}

/// Serves one caller until it, its capability or the daemon ends.
pub(crate) async fn serve(daemon: &Daemon, stream: UnixStream, peer: Peer, seat: Seat) {
    let wire = Wire::new(stream, peer);
    // Whatever ended it, the caller is gone: there is nobody left to tell.
    let _ = converse(daemon, wire, &seat).await;
    drop(seat);
    daemon.changed.notify_one();
}

async fn converse(daemon: &Daemon, mut wire: Wire, seat: &Seat) -> Result<(), Hangup> {
    // While the caller still makes up its first message; not for a crowd that may say none.
    let mut drawn = if seat.is_in_a_crowd() { None } else { Some(draw()?) };
    let first = match timeout(DEADLINE, wire.first(seat)).await.unwrap_or_else(|e| Err(e.into())) {
        Ok(Some(length)) => {
            let drawn = drawn.take().map_or_else(draw, Ok)?;
            let first = meet(daemon, wire.frame(length), drawn);
            wire.done_with(length);
            first
        }
        Ok(None) => return Ok(()),
        // A caller that never said anything: nothing to refuse.
        Err(_) if wire.received.is_empty() => return Ok(()),
        Err(hangup) => Err(Refused::first_frame(&hangup.to_string())),
    };
    scrub();
    match first {
        Ok(First::Bare(BareRequest::Status)) => {
            wire.say_bare(&daemon.bare_status(clock::now())).await
        }
        Ok(First::Bare(BareRequest::Lock)) => lock(daemon, wire, seat).await,
        Ok(First::Channel(caller)) => {
            seat.proven(caller.kind);
            talk(daemon, wire, seat, caller).await
        }
        Err(Refused { refusal, channel }) => {
            let outcome = format!("refused {}", code_name(refusal.code));
            daemon.note(Act::new("connect", outcome), wire.seen(), channel);
            wire.refuse(&refusal).await
        }
    }
}

fn draw() -> Result<Drawn, Hangup> {
    Drawn::now().map_err(|_| Hangup::Malformed)
}

/// Locking wins: everything is gone before the answer is even written.
async fn lock(daemon: &Daemon, mut wire: Wire, seat: &Seat) -> Result<(), Hangup> {
    let before = daemon.bare_status(clock::now());
    daemon.wipe(Some(seat.id));
    daemon.note(Act::new("lock", "ok".to_owned()), wire.seen(), "clear".to_owned());
    let said = wire.say_bare(&before).await;
    daemon.ended.notify_one();
    said
}

/// The second message, then request after request. What holds keys stays behind boxes
/// and inside functions: a connection's own memory keeps what was ever moved through it.
async fn talk(
    daemon: &Daemon,
    mut wire: Wire,
    seat: &Seat,
    mut caller: Box<Caller>,
) -> Result<(), Hangup> {
    let session = Session { daemon, asker: caller.kind, seat: seat.id };
    let request = std::mem::take(&mut caller.request);
    let early = (!request.is_empty()).then(|| session.early(&request, wire.seen()));
    drop(request);
    let (riding, late) = caller.riding(early);
    // The caller's part of the exchange takes as long as ours: it begins before ours ends.
    let begun = caller.begin().map_err(|_| Hangup::Malformed)?;
    let length = 1 + Handshake::length(riding.len());
    wire.send_bytes(&frame::begun(length, &[&[lead::CHANNEL], &begun[..]].concat())).await?;
    let second = caller.second(&riding).map_err(|_| Hangup::Malformed)?;
    drop(riding);
    wire.send_bytes(&second[begun.len()..]).await?;
    let mut channel = caller.finish().map_err(|_| Hangup::Malformed)?;
    scrub();
    if let Some(late) = late {
        wire.send(&mut channel, &late).await?;
    }
    while let Some(request) = wire.receive(&mut channel).await? {
        let (reply, goes_on) = session.turn(&request, wire.seen());
        let is_long = request.len() + reply.len() > LONG;
        drop(request);
        scrub();
        wire.send(&mut channel, &reply).await?;
        drop(reply);
        if is_long {
            harden::trim_heap();
        }
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// Refuses a caller for whom there is no seat.
pub(crate) async fn turn_away(stream: UnixStream, peer: Peer) {
    let mut wire = Wire::new(stream, peer);
    let message = "too many connections".to_owned();
    // It may have left already; then it need not know.
    let _ = wire.refuse(&ClearRefusal { code: Refusal::Busy, message }).await;
}

/// A stream of frames.
struct Wire {
    stream: UnixStream,
    /// Who connected.
    peer: Followed,
    /// Bytes received that are not done with. Ciphertext, or in the clear on purpose.
    received: Vec<u8>,
}

impl Wire {
    fn new(stream: UnixStream, peer: Peer) -> Self {
        Self { stream, peer: Followed::new(peer), received: Vec::new() }
    }

    /// Who connected, as that process is now.
    fn seen(&self) -> Seen {
        self.peer.now(&self.stream)
    }

    /// The length of the first frame, as [`Wire::next`].
    async fn first(&mut self, seat: &Seat) -> Result<Option<usize>, Hangup> {
        if self.more().await? == 0 {
            return Ok(None);
        }
        seat.speaks();
        self.next().await
    }

    /// The length of the next frame, once it is there; `None` when the caller left between
    /// frames.
    async fn next(&mut self) -> Result<Option<usize>, Hangup> {
        loop {
            if let Some(header) = self.received.first_chunk::<HEADER>() {
                let length = frame::announced(*header).map_err(|_| Hangup::Malformed)?;
                if self.received.len() >= HEADER + length {
                    return Ok(Some(length));
                }
            }
            if self.more().await? == 0 {
                return if self.received.is_empty() { Ok(None) } else { Err(Hangup::Malformed) };
            }
        }
    }

    /// Receives what has come, when something has; 0 bytes when the caller left.
    async fn more(&mut self) -> Result<usize, Hangup> {
        // No room is kept for who says nothing.
        self.stream.readable().await?;
        // No more is made room for than came, so that announcing costs a caller.
        self.received.reserve(self.received.len().max(512));
        Ok(self.stream.read_buf(&mut self.received).await?)
    }

    /// The frame of `length` bytes that is there.
    fn frame(&self, length: usize) -> &[u8] {
        &self.received[HEADER..HEADER + length]
    }

    /// Makes room for the next frame.
    fn done_with(&mut self, length: usize) {
        self.received.drain(..HEADER + length);
        // What a long one took is not kept for short ones.
        if self.received.is_empty() && self.received.capacity() > KEPT {
            self.received = Vec::new();
        }
    }

    /// The next message of the channel; `None` when the caller left between messages.
    async fn receive(&mut self, channel: &mut Channel) -> Result<Option<Bytes>, Hangup> {
        let mut partial = Partial::default();
        let mut limit = SILENCE;
        while let Some(length) = timeout(limit, self.next()).await?? {
            let opened = channel.open(self.frame(length), &mut partial, MAX_MESSAGE);
            self.done_with(length);
            if let Some(message) = opened.map_err(|_| Hangup::Malformed)? {
                return Ok(Some(message));
            }
            limit = DEADLINE;
        }
        if limit == SILENCE { Ok(None) } else { Err(Hangup::Malformed) }
    }

    async fn send(&mut self, channel: &mut Channel, message: &[u8]) -> Result<(), Hangup> {
        for frame in channel.seal(message).map_err(|_| Hangup::Malformed)? {
            self.send_bytes(&frame).await?;
        }
        Ok(())
    }

    async fn say_bare(&mut self, status: &BareStatus) -> Result<(), Hangup> {
        self.say(lead::BARE, &encode(status)).await
    }

    async fn refuse(&mut self, refusal: &ClearRefusal) -> Result<(), Hangup> {
        self.say(lead::REFUSED, &encode(refusal)).await
    }

    async fn say(&mut self, lead: u8, payload: &[u8]) -> Result<(), Hangup> {
        self.send_bytes(&frame::encode(&[&[lead], payload].concat())).await
    }

    async fn send_bytes(&mut self, mut bytes: &[u8]) -> Result<(), Hangup> {
        // There is room, mostly: then nothing waits, and no clock need be watched.
        match self.stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.into()),
        }
        if bytes.is_empty() {
            return Ok(());
        }
        Ok(timeout(DEADLINE, self.stream.write_all(bytes)).await??)
    }
}
