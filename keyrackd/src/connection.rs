//! One connection: frames in, frames out, each within its deadline. What is said is
//! decided in `meet` and `session`.

use std::io;
use std::time::Duration;

use keyrack_protocol::channel::{Bytes, Channel, Drawn, Handshake, MAX_MESSAGE, Partial};
use keyrack_protocol::frame::{self, HEADER};
use keyrack_protocol::message::{BareRequest, BareStatus, ClearRefusal, Refusal, encode, lead};
use keyrack_protocol::peer::{Peer, Seen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::clock;
use crate::daemon::{Act, Daemon};
use crate::meet::{Caller, First, Refused, meet};
use crate::scrub::scrub;
use crate::seats::Seat;
use crate::session::{Session, code_name};

/// How long one frame may take, in either direction.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);
/// How long a proven caller may say nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a connection ends early. Nobody is told but the log.
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
    let wire = Wire { stream, peer, received: Vec::new() };
    // Whatever ended it, the caller is gone: there is nobody left to tell.
    let _ = converse(daemon, wire, &seat).await;
    drop(seat);
    daemon.changed.notify_one();
}

async fn converse(daemon: &Daemon, mut wire: Wire, seat: &Seat) -> Result<(), Hangup> {
    // While the caller still makes up its first message.
    let drawn = Drawn::now().map_err(|_| Hangup::Malformed)?;
    let first = match wire.next(DEADLINE).await {
        Ok(Some(first)) => meet(daemon, &first, drawn),
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
        drop(request);
        scrub();
        wire.send(&mut channel, &reply).await?;
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// Refuses a caller for whom there is no seat.
pub(crate) async fn turn_away(stream: UnixStream, peer: Peer) {
    let mut wire = Wire { stream, peer, received: Vec::new() };
    let message = "too many connections".to_owned();
    // It may have left already; then it need not know.
    let _ = wire.refuse(&ClearRefusal { code: Refusal::Busy, message }).await;
}

/// A stream of frames.
struct Wire {
    stream: UnixStream,
    /// Who connected.
    peer: Peer,
    /// Bytes read that are not yet a frame. Ciphertext, or in the clear on purpose.
    received: Vec<u8>,
}

impl Wire {
    /// Who connected, as that process is now.
    fn seen(&self) -> Seen {
        Seen::now(&self.stream, self.peer)
    }

    /// The next frame, within `limit`; `None` when the caller left between frames.
    async fn next(&mut self, limit: Duration) -> Result<Option<Vec<u8>>, Hangup> {
        timeout(limit, self.frame()).await?
    }

    async fn frame(&mut self) -> Result<Option<Vec<u8>>, Hangup> {
        loop {
            let length = match self.received.first_chunk::<HEADER>() {
                Some(header) => Some(frame::announced(*header).map_err(|_| Hangup::Malformed)?),
                None => None,
            };
            if let Some(length) = length.filter(|length| self.received.len() >= HEADER + length) {
                let rest = self.received.split_off(HEADER + length);
                let mut frame = std::mem::replace(&mut self.received, rest);
                frame.drain(..HEADER);
                return Ok(Some(frame));
            }
            // No more is made room for than came, so that announcing costs a caller.
            self.received.reserve(self.received.len().max(512));
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return if self.received.is_empty() { Ok(None) } else { Err(Hangup::Malformed) };
            }
        }
    }

    /// The next message of the channel; `None` when the caller left between messages.
    async fn receive(&mut self, channel: &mut Channel) -> Result<Option<Bytes>, Hangup> {
        let mut partial = Partial::default();
        let mut limit = SILENCE;
        while let Some(chunk) = self.next(limit).await? {
            let opened = channel.open(&chunk, &mut partial, MAX_MESSAGE);
            if let Some(message) = opened.map_err(|_| Hangup::Malformed)? {
                return Ok(Some(message));
            }
            limit = DEADLINE;
        }
        if limit == SILENCE { Ok(None) } else { Err(Hangup::Malformed) }
    }

    async fn send(&mut self, channel: &mut Channel, message: &[u8]) -> Result<(), Hangup> {
        for chunk in channel.seal(message).map_err(|_| Hangup::Malformed)? {
            self.write(&chunk).await?;
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
        self.write(&[&[lead], payload].concat()).await
    }

    async fn write(&mut self, payload: &[u8]) -> Result<(), Hangup> {
        self.send_bytes(&frame::encode(payload)).await
    }

    async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Hangup> {
        Ok(timeout(DEADLINE, self.stream.write_all(bytes)).await??)
    }
}
