//! The clear first bytes of a connection: who is meant and which key follows. They are
//! the Noise prologue, so whoever changes them breaks the channel.
//!
//! ```text
//! "keyrack" · count(1) versions(2 each) · length(1) owner · rack(16) · kind(1) · capability(16)
//! ```

use keyrack_names::Owner;

use crate::{CapabilityId, RackId};

const MAGIC: &[u8] = b"keyrack";
const MAX_VERSIONS: usize = 16;

/// Which pre-shared key the caller proves that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Derived from the manifest's rack secret: may do everything.
    Attach,
    /// Derived from the same, by a caller that met no person: may read what the daemon
    /// marks as readable so.
    SelfProof,
    /// A capability's own key.
    Capability(CapabilityId),
}

/// Who is meant and how the caller proves itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Protocol versions the caller speaks, best first.
    pub versions: Vec<u16>,
    /// The owner whose daemon is meant.
    pub owner: Owner,
    /// The rack that is meant.
    pub rack: RackId,
    /// The key the channel is made with.
    pub key: KeyKind,
}

/// The clear bytes are not a hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a keyrack hello")]
pub struct HelloError;

impl Hello {
    /// A hello that offers every version this build speaks.
    pub fn new(owner: Owner, rack: RackId, key: KeyKind) -> Self {
        Self { versions: crate::VERSIONS.to_vec(), owner, rack, key }
    }

    /// The best version both sides speak.
    pub fn best_version(&self) -> Option<u16> {
        crate::VERSIONS.iter().copied().find(|v| self.versions.contains(v))
    }

    /// The bytes on the wire, which are also the Noise prologue.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, capability) = match self.key {
            KeyKind::Attach => (1, [0; 16]),
            KeyKind::SelfProof => (2, [0; 16]),
            KeyKind::Capability(id) => (3, *id.as_bytes()),
        };
        let owner = self.owner.as_str().as_bytes();
        let mut bytes = MAGIC.to_vec();
        bytes.push(self.versions.len() as u8);
        for version in &self.versions {
            bytes.extend_from_slice(&version.to_be_bytes());
        }
        bytes.push(owner.len() as u8);
        bytes.extend_from_slice(owner);
        bytes.extend_from_slice(self.rack.as_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(&capability);
        bytes
    }

    /// Reads a hello from the front of `bytes` and returns it with what follows.
    ///
    /// # Errors
    /// When the bytes are anything else, be it by one byte.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), HelloError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(HelloError)?;
        let count = usize::from(take::<1>(&mut rest)?[0]);
        if !(1..=MAX_VERSIONS).contains(&count) {
            return Err(HelloError);
        }
        let mut versions = Vec::with_capacity(count);
        for _ in 0..count {
            versions.push(u16::from_be_bytes(take(&mut rest)?));
        }
        let length = usize::from(take::<1>(&mut rest)?[0]);
        let (owner, after) = rest.split_at_checked(length).ok_or(HelloError)?;
        rest = after;
        let owner =
            std::str::from_utf8(owner).ok().and_then(|o| o.parse().ok()).ok_or(HelloError)?;
        let rack = RackId::from_bytes(take(&mut rest)?);
        let kind = take::<1>(&mut rest)?[0];
        let capability: [u8; 16] = take(&mut rest)?;
        let key = match kind {
            1 if capability == [0; 16] => KeyKind::Attach,
            2 if capability == [0; 16] => KeyKind::SelfProof,
            3 => KeyKind::Capability(CapabilityId::from_bytes(capability)),
            _ => return Err(HelloError),
        };
        Ok((Self { versions, owner, rack, key }, rest))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], HelloError> {
    let (head, after) = rest.split_first_chunk::<N>().ok_or(HelloError)?;
    *rest = after;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(key: KeyKind) -> Hello {
        Hello::new("agent-1".parse().unwrap(), RackId::from_bytes([5; 16]), key)
    }

    #[test]
    fn every_kind_comes_back_with_what_follows() {
        for key in [
            KeyKind::Attach,
            KeyKind::SelfProof,
            KeyKind::Capability(CapabilityId::from_bytes([6; 16])),
        ] {
            let mut bytes = hello(key).encode();
            bytes.extend_from_slice(b"noise");
            assert_eq!(Hello::decode(&bytes).unwrap(), (hello(key), &b"noise"[..]));
        }
    }

    #[test]
    fn the_documented_bytes() {
        let text = include_str!("../../../docs/PROTOCOL.md");
        let line = text.lines().find(|line| line.starts_with("6b65797261636b")).unwrap();
        let bytes = hello(KeyKind::Attach).encode();
        assert_eq!(hex::lower::encode_string(&bytes), line.replace(' ', ""));
    }

    #[test]
    fn cut_or_changed_hellos_are_refused() {
        let bytes = hello(KeyKind::Attach).encode();
        for end in 0..bytes.len() {
            assert_eq!(Hello::decode(&bytes[..end]), Err(HelloError), "cut at {end}");
        }
        for (at, value) in [(0, b'K'), (7, 0), (7, 200), (12, 0), (13, b'/'), (bytes.len() - 17, 4)]
        {
            let mut changed = bytes.clone();
            changed[at] = value;
            assert_eq!(Hello::decode(&changed), Err(HelloError), "byte {at} = {value}");
        }
    }
}
