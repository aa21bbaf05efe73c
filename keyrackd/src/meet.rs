//! The first frame of a connection: what it asks for, and whether the caller proved
//! itself. No IO. The order of checks is that of `docs/PROTOCOL.md`: the peer's uid and
//! the frame's size were checked before; here version, owner, rack, key, replay.

use keyrack_protocol::channel::{
    Bytes, Channel, ChannelError, Drawn, EPHEMERAL, Handshake, MAX_INLINE,
};
use keyrack_protocol::hello::{Hello, KeyKind};
use keyrack_protocol::message::{BareRequest, ClearRefusal, Refusal, decode, lead};

use crate::daemon::{Daemon, channel_name};

/// What a first frame comes to.
pub(crate) enum First {
    /// A question in the clear.
    Bare(BareRequest),
    /// A caller that proved itself.
    Channel(Box<Caller>),
}

/// A caller that proved itself and waits for the second message.
pub(crate) struct Caller {
    pub(crate) kind: KeyKind,
    handshake: Handshake,
    /// The version both sides speak.
    version: u16,
    /// What rode in the first message; empty for nothing.
    pub(crate) request: Bytes,
}

impl Caller {
    /// What the second message carries: `reply` where that fits; else the reply is given
    /// back, to follow on the channel.
    pub(crate) fn riding(&self, reply: Option<Bytes>) -> (Bytes, Option<Bytes>) {
        let version = self.version.to_be_bytes();
        let fits = |reply: &Bytes| version.len() + reply.len() <= MAX_INLINE;
        let (inline, late) = match reply {
            Some(reply) if fits(&reply) => (reply, None),
            late => (Bytes::default(), late),
        };
        let mut payload = Bytes::new(Vec::with_capacity(version.len() + inline.len()));
        payload.extend_from_slice(&version);
        payload.extend_from_slice(&inline);
        (payload, late)
    }

    /// How the second message begins, before it is written.
    ///
    /// # Errors
    /// When there are no random numbers.
    pub(crate) fn begin(&self) -> Result<[u8; EPHEMERAL], ChannelError> {
        self.handshake.ephemeral()
    }

    /// The second message.
    ///
    /// # Errors
    /// As [`Caller::begin`].
    #[inline(never)]
    pub(crate) fn second(&mut self, payload: &[u8]) -> Result<Vec<u8>, ChannelError> {
        self.handshake.write(payload)
    }

    /// The channel, after the second message.
    ///
    /// # Errors
    /// When there was none.
    #[inline(never)]
    pub(crate) fn finish(self: Box<Self>) -> Result<Channel, ChannelError> {
        self.handshake.finish()
    }
}

/// A first frame that is refused, and how the caller wanted to prove itself.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) refusal: ClearRefusal,
    pub(crate) channel: String,
}

impl Refused {
    /// The first frame did not come whole, in time and of a size that is allowed.
    pub(crate) fn first_frame(why: &str) -> Self {
        Self::new(Refusal::Malformed, why, "none")
    }

    fn new(code: Refusal, message: &str, channel: &str) -> Self {
        let refusal = ClearRefusal { code, message: message.to_owned() };
        Self { refusal, channel: channel.to_owned() }
    }
}

/// Reads a first frame.
///
/// # Errors
/// What to answer in the clear to a caller that did not prove itself.
#[inline(never)]
pub(crate) fn meet(daemon: &Daemon, frame: &[u8], drawn: Drawn) -> Result<First, Refused> {
    let malformed = || Refused::new(Refusal::Malformed, "not a keyrack connection", "none");
    match frame.split_first() {
        Some((&lead::BARE, rest)) => decode(rest).map(First::Bare).map_err(|_| malformed()),
        Some((&lead::CHANNEL, rest)) => {
            let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(malformed)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (prologue, message) = rest.split_at_checked(length).ok_or_else(malformed)?;
            let (hello, behind) = Hello::decode(prologue).map_err(|_| malformed())?;
            if !behind.is_empty() {
                return Err(malformed());
            }
            prove(daemon, &hello, prologue, message, drawn).map(Box::new).map(First::Channel)
        }
        _ => Err(malformed()),
    }
}

fn prove(
    daemon: &Daemon,
    hello: &Hello,
    prologue: &[u8],
    message: &[u8],
    drawn: Drawn,
) -> Result<Caller, Refused> {
    let channel = channel_name(hello.key);
    let refused = |code, message: &str| Refused::new(code, message, &channel);
    let version = hello.best_version().ok_or_else(|| {
        refused(Refusal::Version, "this daemon speaks no protocol version that was offered")
    })?;
    if hello.owner != daemon.owner {
        return Err(refused(Refusal::Owner, &format!("this is the daemon of {}", daemon.owner)));
    }
    if hello.rack != daemon.rack_id {
        let own = daemon.rack_id.short();
        return Err(refused(Refusal::Rack, &format!("this is another rack of that owner: {own}")));
    }
    // An unknown capability and a wrong key are told alike.
    let unproven = || match hello.key {
        KeyKind::SelfProof => refused(Refusal::Key, "self-proof is off, or the key is another"),
        KeyKind::Attach => refused(Refusal::Key, "the key is another"),
        KeyKind::Capability(_) => refused(Refusal::Key, "no such capability: it was revoked"),
    };
    let key = daemon.channel_key(hello.key).ok_or_else(unproven)?;
    let mut handshake = Handshake::responder(&key, prologue, drawn)
        .map_err(|_| refused(Refusal::Failed, "no channel could be made"))?;
    let request = handshake.read(message).map_err(|_| unproven())?;
    if daemon.replays.borrow_mut().seen(message) {
        return Err(refused(Refusal::Key, "this first message was seen before"));
    }
    Ok(Caller { kind: hello.key, handshake, version, request })
}
