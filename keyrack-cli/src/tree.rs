//! The secret of a process tree, in the kernel's key rings: find it, make it, hand it to
//! the calling shell.
//!
//! The key's payload also names, for each owner, the rack and the socket, so that `get`
//! opens no file, even under `env -i`.

use std::ffi::CStr;
use std::path::PathBuf;

use keyrack_names::Owner;
use keyrack_protocol::RackId;
use keyrack_protocol::keys::{Key, TreeSecret};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use self::ring::{Keep, POSSESSOR_ONLY, TREE, USER};
use crate::system::sys::{self, Serial};

pub mod parent;
pub mod ring;

/// As [`POSSESSOR_ONLY`], and the user may see that it is there. Any process of the user
/// possesses it by way of [`ring::of_user`], but none in a sandbox, which knows its number.
const USER_VISIBLE: u32 = 0x3f01_0000;
/// The kernel updates a key by at most a page, the secret's own line included. A user's
/// whole quota is 20,000 bytes.
const MAX_PAYLOAD: usize = 4096 - 128;
const MAGIC: &str = "keyrack/1";

/// Where one owner's rack is found, as the tree remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The owner.
    pub owner: Owner,
    /// Its rack.
    pub rack: RackId,
    /// Which home it is of ([`Settings::home_tag`](crate::settings::Settings::home_tag)).
    pub home: String,
    /// Where its daemon listens.
    pub socket: PathBuf,
}

/// A tree's secret with what it remembers.
#[derive(Debug, Clone)]
pub struct Tree {
    /// R.
    pub secret: TreeSecret,
    /// The racks it was given a capability for, oldest first.
    pub entries: Vec<Entry>,
}

/// Where a secret was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A session ring of this tree's own.
    Session,
    /// The user's ring.
    User,
}

impl Place {
    /// The key that holds the secret there.
    fn find(self) -> nix::Result<Serial> {
        match self {
            Self::Session => ring::linked(ring::of_session()?, TREE),
            Self::User => ring::linked(ring::of_user(), USER),
        }
    }
}

/// Why the kernel keeps no secret for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Containers forbid it by default.
    #[error("the kernel's key rings are forbidden here ({0})")]
    Forbidden(Errno),
    /// 200 keys or 20,000 bytes a user.
    #[error(
        "this user's kernel key quota is used up: relock what is not needed, or raise kernel.keys.maxkeys (/proc/key-users shows it)"
    )]
    Quota,
    /// The parent has several threads or another uid.
    #[error("the kernel does not let the calling program take it ({0})")]
    Parent(Errno),
    /// The session ring is shared by every process without a session.
    #[error("this login has no session key ring of its own")]
    SharedSession,
    /// Anything else.
    #[error("the kernel's key rings answer {0}")]
    Other(Errno),
}

impl From<Errno> for TreeError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EDQUOT => Self::Quota,
            Errno::ENOSYS | Errno::EPERM => Self::Forbidden(errno),
            other => Self::Other(other),
        }
    }
}

impl Tree {
    /// A secret that came without a word on where the racks are.
    pub fn without_entries(secret: TreeSecret) -> Self {
        Self { secret, entries: Vec::new() }
    }

    /// Whether there may be racks that the tree does not remember.
    pub fn is_full(&self) -> bool {
        self.entries.is_empty() || self.payload().len() > MAX_PAYLOAD - 256
    }

    /// The entry for `owner`: that of this home, else the only one.
    pub fn entry(&self, owner: &Owner, home: Option<&str>) -> Option<&Entry> {
        let mut of_owner = self.entries.iter().filter(|entry| entry.owner == *owner);
        match home {
            Some(home) => of_owner.rfind(|entry| entry.home == home),
            None => of_owner.next().filter(|_| of_owner.next().is_none()),
        }
    }

    /// Puts this process, and what it starts, into a new session whose only secret of ours
    /// this is, with what is kept of the old one.
    ///
    /// # Errors
    /// When the kernel refuses. Then the session may be new and hold no secret.
    pub fn enter(&self, keep: Keep) -> Result<(), TreeError> {
        ring::begin(keep)?;
        let key = sys::add(Serial::SESSION, TREE, &self.payload())?;
        match sys::set_permissions(key, POSSESSOR_ONLY) {
            // In a sandbox: the user may see that it is there, as with every new key.
            Err(Errno::EPERM) => Ok(()),
            set => Ok(set?),
        }
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?;
        let mut lines = text.lines();
        let secret = lines.next()?.strip_prefix(MAGIC)?.strip_prefix(' ')?;
        let mut bytes = Zeroizing::new([0; 32]);
        if hex::lower::decode(secret, bytes.as_mut()).ok()?.len() != 32 {
            return None;
        }
        let entries = lines.map(Entry::parse).collect::<Option<_>>()?;
        Some(Self { secret: TreeSecret::new(Key::new(*bytes)), entries })
    }

    fn payload(&self) -> Zeroizing<Vec<u8>> {
        let secret = Zeroizing::new(hex::lower::encode_string(self.secret.expose()));
        let mut lines: Vec<String> = self.entries.iter().rev().map(Entry::line).collect();
        let mut room = MAX_PAYLOAD;
        // The oldest entries give way; a capability still works without, only slower.
        lines.retain(|line| {
            room = room.saturating_sub(line.len());
            room > 0
        });
        let mut payload = Zeroizing::new(Vec::with_capacity(128 + MAX_PAYLOAD));
        payload.extend_from_slice(format!("{MAGIC} ").as_bytes());
        payload.extend_from_slice(secret.as_bytes());
        payload.push(b'\n');
        for line in lines.iter().rev() {
            payload.extend_from_slice(line.as_bytes());
        }
        payload
    }

    fn remember(&mut self, entry: Entry) {
        self.entries.retain(|old| old.owner != entry.owner || old.home != entry.home);
        self.entries.push(entry);
    }
}

impl Entry {
    fn line(&self) -> String {
        format!("{} {} {} {}\n", self.owner, self.rack, self.home, self.socket.display())
    }

    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.splitn(4, ' ');
        Some(Self {
            owner: parts.next()?.parse().ok()?,
            rack: parts.next()?.parse().ok()?,
            home: parts.next()?.to_owned(),
            socket: parts.next()?.into(),
        })
    }
}

/// The secret that is in that place, if there is one.
pub fn find(place: Place) -> Option<Tree> {
    Tree::parse(&sys::read(place.find().ok()?).ok()?)
}

/// Drops what the tree remembers of `owner` in `home`.
pub fn forget(owner: &Owner, home: &str) {
    for place in [Place::Session, Place::User] {
        let Ok(key) = place.find() else { continue };
        let Some(mut tree) = sys::read(key).ok().and_then(|payload| Tree::parse(&payload)) else {
            continue;
        };
        let before = tree.entries.len();
        tree.entries.retain(|entry| entry.owner != *owner || entry.home != home);
        if tree.entries.len() < before {
            let _ = sys::update(key, &tree.payload());
        }
    }
}

/// A secret that is about to be kept, so that the daemon can be told before anybody can
/// use it.
#[derive(Debug)]
pub struct Minted {
    tree: Tree,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    /// In a key that exists.
    Already(Serial),
    /// In a session ring that is to be made and handed to the parent.
    NewSession,
    /// In a ring that exists.
    InRing(Serial, &'static CStr, u32),
}

impl Minted {
    /// The secret of this process tree: the one it has, or a new one.
    ///
    /// # Errors
    /// When no random numbers can be had or key rings are forbidden.
    pub fn for_tree() -> Result<Self, TreeError> {
        match Place::Session.find() {
            Ok(key) => Self::existing(key, Kept::NewSession),
            Err(Errno::ENOKEY | Errno::EKEYREVOKED | Errno::EKEYEXPIRED) => {
                Self::new(Kept::NewSession)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// The secret of the login session: every process of it shares the ring.
    ///
    /// # Errors
    /// [`TreeError::SharedSession`] where there is no such ring.
    pub fn for_session() -> Result<Self, TreeError> {
        match ring::of_session() {
            Ok(_) => {}
            Err(Errno::ENOKEY) => return Err(TreeError::SharedSession),
            Err(errno) => return Err(errno.into()),
        }
        let kept = Kept::InRing(Serial::SESSION, TREE, POSSESSOR_ONLY);
        match Place::Session.find() {
            Ok(key) => Self::existing(key, kept),
            Err(_) => Self::new(kept),
        }
    }

    /// The secret that every process of the user can read.
    ///
    /// # Errors
    /// When key rings are forbidden.
    pub fn for_user() -> Result<Self, TreeError> {
        let kept = Kept::InRing(Serial::USER, USER, USER_VISIBLE);
        match Place::User.find() {
            Ok(key) => Self::existing(key, kept),
            Err(_) => Self::new(kept),
        }
    }

    fn existing(key: Serial, otherwise: Kept) -> Result<Self, TreeError> {
        match Tree::parse(&sys::read(key)?) {
            Some(tree) => Ok(Self { tree, kept: Kept::Already(key) }),
            None => Self::new(otherwise),
        }
    }

    fn new(kept: Kept) -> Result<Self, TreeError> {
        let secret = TreeSecret::new(Key::random().map_err(|_| TreeError::Other(Errno::EAGAIN))?);
        Ok(Self { tree: Tree { secret, entries: Vec::new() }, kept })
    }

    /// Whether its holder has it already.
    pub fn is_kept(&self) -> bool {
        matches!(self.kept, Kept::Already(_))
    }

    /// R, to derive the capability from.
    pub fn secret(&self) -> &TreeSecret {
        &self.tree.secret
    }

    /// Keeps the secret with one more entry, and hands it over where that is needed.
    ///
    /// # Errors
    /// When the kernel refuses. Then nobody has the secret.
    pub fn keep(mut self, entry: Entry) -> Result<(), TreeError> {
        self.tree.remember(entry);
        let payload = self.tree.payload();
        match self.kept {
            Kept::Already(key) => sys::update(key, &payload)?,
            Kept::InRing(ring, name, permissions) => {
                sys::set_permissions(sys::add(ring, name, &payload)?, permissions)?;
            }
            Kept::NewSession => {
                ring::begin(Keep::All)?;
                let key = sys::add(Serial::SESSION, TREE, &payload)?;
                sys::set_permissions(key, POSSESSOR_ONLY)?;
                sys::session_to_parent().map_err(TreeError::Parent)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(owner: &str, home: &str) -> Entry {
        Entry {
            owner: owner.parse().unwrap(),
            rack: RackId::from_bytes([1; 16]),
            home: home.to_owned(),
            socket: "/tmp/with space.sock".into(),
        }
    }

    fn tree(entries: Vec<Entry>) -> Tree {
        Tree { secret: TreeSecret::new(Key::new([5; 32])), entries }
    }

    #[test]
    fn a_payload_comes_back() {
        let before = tree(vec![entry("a", "1"), entry("b", "2")]);
        let after = Tree::parse(&before.payload()).unwrap();
        assert_eq!(after.entries, before.entries);
        assert_eq!(after.secret.expose(), before.secret.expose());
    }

    #[test]
    fn foreign_payloads_are_not_ours() {
        for other in
            [&b""[..], b"keyrack/1", b"keyrack/1 00", b"keyrack/2 ", b"\xff", b"keyrack/1 zz\n"]
        {
            assert!(Tree::parse(other).is_none());
        }
    }

    #[test]
    fn the_oldest_entries_give_way() {
        let many = (0..500).map(|n| entry(&format!("agent-{n}"), "1")).collect();
        let payload = tree(many).payload();
        assert!(payload.len() <= MAX_PAYLOAD + 128);
        let kept = Tree::parse(&payload).unwrap().entries;
        assert_eq!(kept.last().unwrap().owner.as_str(), "agent-499");
        assert!(kept.len() > 50);
    }

    #[test]
    fn homes_are_told_apart() {
        let tree = tree(vec![entry("a", "1"), entry("a", "2"), entry("b", "1")]);
        let find =
            |owner: &str, home| tree.entry(&owner.parse().unwrap(), home).map(|e| e.home.as_str());
        assert_eq!(find("a", Some("2")), Some("2"));
        assert_eq!(find("a", Some("3")), None);
        assert_eq!(find("a", None), None);
        assert_eq!(find("b", None), Some("1"));
    }
}
