//! The one locked page: a random key that never leaves this process, under which every
//! value and every channel key is sealed in ordinary memory. So what is held, and how
//! much, does not meet the limit on locked memory; and swap, a core or hibernation hold
//! ciphertext.

use std::sync::atomic::{AtomicU64, Ordering};

use keyrack_protocol::random::{self, NoRandom};
use nix::errno::Errno;
use zeroize::Zeroizing;

use crate::harden::{self, KeyPage, PageKind};

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArenaError {
    /// No memory.
    #[error("no memory for the locked page ({0})")]
    Memory(#[from] Errno),
    /// No random numbers.
    #[error(transparent)]
    Random(#[from] NoRandom),
}

/// The page. Copies are the same page.
#[derive(Clone, Copy)]
pub(crate) struct Arena {
    key: &'static KeyPage,
    sealed: &'static AtomicU64,
    kind: PageKind,
}

impl Arena {
    /// A page with a new random key.
    ///
    /// # Errors
    /// When there is no memory or there are no random numbers.
    pub(crate) fn new() -> Result<Self, ArenaError> {
        static SEALED: AtomicU64 = AtomicU64::new(0);
        let (key, kind) = harden::key_page()?;
        let mut bytes = Zeroizing::new([0; 32]);
        random::fill(&mut *bytes)?;
        for (word, bytes) in key.iter().zip(bytes.chunks_exact(8)) {
            word.store(u64::from_ne_bytes(bytes.try_into().unwrap_or_default()), Ordering::Relaxed);
        }
        Ok(Self { key, sealed: &SEALED, kind })
    }

    /// The key, for the length of one act.
    pub(crate) fn key(&self) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        for (word, bytes) in self.key.iter().zip(key.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        key
    }

    /// A number that no other call gives: what makes a nonce unique under this key.
    pub(crate) fn next_number(&self) -> u64 {
        self.sealed.fetch_add(1, Ordering::Relaxed)
    }

    /// How well the page is kept.
    pub(crate) fn kind(&self) -> PageKind {
        self.kind
    }

    /// Forgets the key: whatever was sealed is noise from here on.
    pub(crate) fn wipe(&self) {
        for word in self.key {
            word.store(0, Ordering::SeqCst);
        }
    }
}
