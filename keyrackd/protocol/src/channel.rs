//! The channel: `Noise_NNpsk0_25519_ChaChaPoly_SHA256` (noiseprotocol.org, revision 34).
//!
//! One round trip. The pre-shared key authenticates both sides, the prologue binds the
//! [`Hello`](crate::hello::Hello), and the reply is encrypted to the asker's ephemeral
//! key, so a relay or a replay learns nothing.
//!
//! A message that fits rides in the handshake. Longer ones follow as *chunks*: the
//! first begins with the whole length as a `u32`, each is one Noise message.

use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState, TransportState};
use zeroize::Zeroizing;

use crate::ephemeral::{self, Ephemeral};
use crate::frame::HEADER;
use crate::keys::Key;
use crate::random;

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_SHA256";
/// Noise ends a message here, tag included.
const MAX_NOISE: usize = 65_535;
const TAG: usize = 16;
/// Every handshake message begins with its side's ephemeral public key.
pub const EPHEMERAL: usize = ephemeral::PUBLIC;
/// What one chunk can carry.
const CHUNK: usize = MAX_NOISE - TAG;
/// What fits into a handshake message. Longer replies follow as chunks.
pub const MAX_INLINE: usize = 60 * 1024;
/// What one message may hold: a value of 1 MiB in base64, or a batch of smaller ones.
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// What one reply may hold: every value an owner has, for `source` and `exec`.
pub const MAX_REPLY: usize = 64 * 1024 * 1024;

/// Why a channel did not come about or broke. Says nothing about the content.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other side does not hold the same key, or the bytes were changed.
    #[error("the other side could not prove that it holds the same key")]
    Unproven(#[from] snow::Error),
    /// A message is longer than the protocol allows, or ends early.
    #[error("a message of {0} bytes; the limit is {1}")]
    TooLong(usize, usize),
    /// A message is not of the form the protocol gives it.
    #[error("a malformed message")]
    Malformed,
}

/// Bytes that are wiped when dropped.
pub type Bytes = Zeroizing<Vec<u8>>;

/// A key pair for one handshake, drawn before it is known with whom.
pub struct Drawn(Ephemeral);

impl Drawn {
    /// Draws it.
    ///
    /// # Errors
    /// When no random numbers can be had.
    pub fn now() -> Result<Self, ChannelError> {
        let ephemeral = Ephemeral::default();
        ephemeral.public().map_err(|_| snow::Error::Rng)?;
        Ok(Self(ephemeral))
    }
}

/// One side of a handshake under way.
pub struct Handshake {
    state: HandshakeState,
    ephemeral: Ephemeral,
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handshake(…)")
    }
}

impl Handshake {
    /// The caller's side.
    ///
    /// # Errors
    /// When no random numbers can be had.
    pub fn initiator(key: &Key, prologue: &[u8]) -> Result<Self, ChannelError> {
        let ephemeral = Ephemeral::default();
        Ok(Self { state: builder(key, prologue, &ephemeral)?.build_initiator()?, ephemeral })
    }

    /// The daemon's side, with the key pair it drew meanwhile.
    ///
    /// # Errors
    /// When the key is none that Noise takes.
    pub fn responder(
        key: &Key,
        prologue: &[u8],
        Drawn(ephemeral): Drawn,
    ) -> Result<Self, ChannelError> {
        Ok(Self { state: builder(key, prologue, &ephemeral)?.build_responder()?, ephemeral })
    }

    /// The first bytes of the next message, for the other side to begin with: see
    /// [`Handshake::meet`].
    ///
    /// # Errors
    /// When no random numbers can be had.
    pub fn ephemeral(&self) -> Result<[u8; EPHEMERAL], ChannelError> {
        self.ephemeral.public().map_err(|_| snow::Error::Rng.into())
    }

    /// Does this side's part of the exchange, as soon as the first bytes of the other's
    /// message are there. [`Handshake::read`] does it where this did not.
    pub fn meet(&self, first: [u8; EPHEMERAL]) {
        self.ephemeral.meet(first);
    }

    /// How long a message is that carries `payload` bytes.
    pub fn length(payload: usize) -> usize {
        EPHEMERAL + payload + TAG
    }

    /// The next handshake message, carrying `payload`.
    ///
    /// # Errors
    /// When `payload` is over [`MAX_INLINE`].
    pub fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, ChannelError> {
        if payload.len() > MAX_INLINE {
            return Err(ChannelError::TooLong(payload.len(), MAX_INLINE));
        }
        let mut message = vec![0; Self::length(payload.len())];
        let length = self.state.write_message(payload, &mut message)?;
        message.truncate(length);
        Ok(message)
    }

    /// The payload of the other side's handshake message.
    ///
    /// # Errors
    /// When the other side holds another key or the bytes were changed.
    pub fn read(&mut self, message: &[u8]) -> Result<Bytes, ChannelError> {
        let mut payload = Zeroizing::new(vec![0; message.len()]);
        let length = self.state.read_message(message, &mut payload)?;
        payload.truncate(length);
        Ok(payload)
    }

    /// The channel, after both messages.
    ///
    /// # Errors
    /// When the handshake is not finished.
    pub fn finish(self) -> Result<Channel, ChannelError> {
        Ok(Channel(self.state.into_transport_mode()?))
    }
}

/// An open channel.
pub struct Channel(TransportState);

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Channel(…)")
    }
}

impl Channel {
    /// `message` as encrypted chunks, each in a frame.
    ///
    /// # Errors
    /// When the message is longer than [`MAX_REPLY`].
    pub fn seal(&mut self, message: &[u8]) -> Result<Vec<Vec<u8>>, ChannelError> {
        if message.len() > MAX_REPLY {
            return Err(ChannelError::TooLong(message.len(), MAX_REPLY));
        }
        let head = message.len().min(CHUNK - 4);
        let mut first = Zeroizing::new(Vec::with_capacity(4 + head));
        first.extend_from_slice(&(message.len() as u32).to_be_bytes());
        first.extend_from_slice(&message[..head]);
        let mut frames = vec![self.encrypt(&first)?];
        for part in message[head..].chunks(CHUNK) {
            frames.push(self.encrypt(part)?);
        }
        Ok(frames)
    }

    /// Takes the next chunk; gives the message when it is whole.
    ///
    /// # Errors
    /// When the chunk was changed, reordered or cut, or announces more than `limit`.
    pub fn open(
        &mut self,
        chunk: &[u8],
        partial: &mut Partial,
        limit: usize,
    ) -> Result<Option<Bytes>, ChannelError> {
        let mut plain = Zeroizing::new(vec![0; chunk.len()]);
        let length = self.0.read_message(chunk, &mut plain)?;
        plain.truncate(length);
        partial.take(plain, limit)
    }

    fn encrypt(&mut self, plain: &[u8]) -> Result<Vec<u8>, ChannelError> {
        let length = plain.len() + TAG;
        let mut frame = vec![0; HEADER + length];
        let (header, chunk) = frame.split_at_mut(HEADER);
        header.copy_from_slice(&(length as u32).to_be_bytes());
        self.0.write_message(plain, chunk)?;
        Ok(frame)
    }
}

/// A message of which some chunks have come.
#[derive(Default)]
pub struct Partial {
    expected: Option<usize>,
    bytes: Bytes,
}

impl Partial {
    fn take(&mut self, mut plain: Bytes, limit: usize) -> Result<Option<Bytes>, ChannelError> {
        let is_first = self.expected.is_none();
        let (expected, from) = match self.expected {
            Some(expected) => (expected, 0),
            None => {
                let head = plain.first_chunk::<4>().ok_or(ChannelError::Malformed)?;
                (u32::from_be_bytes(*head) as usize, 4)
            }
        };
        let part = &plain[from..];
        if expected > limit {
            return Err(ChannelError::TooLong(expected, limit));
        }
        if part.is_empty() && !is_first || self.bytes.len() + part.len() > expected {
            return Err(ChannelError::Malformed);
        }
        if is_first && part.len() == expected {
            plain.drain(..from);
            return Ok(Some(plain));
        }
        if is_first {
            // For what fits into one request, grown once: no smaller copy of a secret is left.
            self.bytes.reserve_exact(expected.min(MAX_MESSAGE));
        }
        self.expected = Some(expected);
        self.bytes.extend_from_slice(part);
        if self.bytes.len() < expected {
            return Ok(None);
        }
        self.expected = None;
        Ok(Some(std::mem::take(&mut self.bytes)))
    }
}

/// snow's own ciphers with our random numbers and our half of the exchange.
struct Resolver(Ephemeral);

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(SystemRandom))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        match choice {
            DHChoice::Curve25519 => Some(Box::new(self.0.clone())),
            _ => None,
        }
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct SystemRandom;

impl Random for SystemRandom {
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), snow::Error> {
        random::fill(bytes).map_err(|_| snow::Error::Rng)
    }
}

fn builder<'a>(
    key: &'a Key,
    prologue: &'a [u8],
    ephemeral: &Ephemeral,
) -> Result<Builder<'a>, ChannelError> {
    let pattern = PATTERN.parse()?;
    Ok(Builder::with_resolver(pattern, Box::new(Resolver(ephemeral.clone())))
        .psk(0, key.expose())?
        .prologue(prologue)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: u8, other: u8, prologue: &[u8]) -> Result<(Channel, Channel), ChannelError> {
        let mut caller = Handshake::initiator(&Key::new([key; 32]), b"prologue")?;
        let mut daemon = Handshake::responder(&Key::new([other; 32]), prologue, Drawn::now()?)?;
        let one = caller.write(b"question")?;
        assert_eq!(*daemon.read(&one)?, b"question");
        let begun = daemon.ephemeral()?;
        caller.meet(begun);
        let two = daemon.write(b"answer")?;
        assert_eq!(two[..EPHEMERAL], begun);
        assert_eq!(two.len(), Handshake::length(6));
        assert_eq!(*caller.read(&two)?, b"answer");
        Ok((caller.finish()?, daemon.finish()?))
    }

    fn send(from: &mut Channel, to: &mut Channel, message: &[u8]) -> Result<Bytes, ChannelError> {
        let mut partial = Partial::default();
        for frame in from.seal(message)? {
            if let Some(whole) = to.open(&frame[HEADER..], &mut partial, MAX_MESSAGE)? {
                return Ok(whole);
            }
        }
        Err(ChannelError::Malformed)
    }

    #[test]
    fn a_question_rides_in_the_first_message() {
        pair(1, 1, b"prologue").unwrap();
    }

    #[test]
    fn another_key_or_prologue_learns_nothing() {
        assert!(matches!(pair(1, 2, b"prologue"), Err(ChannelError::Unproven(_))));
        assert!(matches!(pair(1, 1, b"downgraded"), Err(ChannelError::Unproven(_))));
    }

    #[test]
    fn messages_of_every_size_come_back() {
        let (mut a, mut b) = pair(1, 1, b"prologue").unwrap();
        for size in [0, 1, CHUNK - 5, CHUNK - 4, CHUNK - 3, CHUNK, 2 * CHUNK, MAX_MESSAGE] {
            let message: Vec<u8> = (0..size).map(|i| i as u8).collect();
            assert_eq!(*send(&mut a, &mut b, &message).unwrap(), message, "{size}");
        }
    }

    #[test]
    fn replayed_reordered_and_changed_chunks_are_refused() {
        let (mut a, mut b) = pair(1, 1, b"prologue").unwrap();
        let frames = a.seal(&vec![1; 2 * CHUNK]).unwrap();
        let chunks: Vec<&[u8]> = frames.iter().map(|frame| &frame[HEADER..]).collect();
        let mut partial = Partial::default();
        assert!(b.open(chunks[1], &mut partial, MAX_MESSAGE).is_err());
        assert!(b.open(chunks[0], &mut partial, MAX_MESSAGE).unwrap().is_none());
        assert!(b.open(chunks[0], &mut partial, MAX_MESSAGE).is_err());
        let mut changed = chunks[1].to_vec();
        changed[0] ^= 1;
        assert!(b.open(&changed, &mut partial, MAX_MESSAGE).is_err());
    }

    #[test]
    fn an_announced_length_is_capped() {
        let (mut a, mut b) = pair(1, 1, b"prologue").unwrap();
        let frames = a.seal(&vec![1; 2000]).unwrap();
        let opened = b.open(&frames[0][HEADER..], &mut Partial::default(), 1999);
        assert!(matches!(opened, Err(ChannelError::TooLong(2000, 1999))));
    }
}
