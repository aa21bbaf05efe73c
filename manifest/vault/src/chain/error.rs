//! Everything that can be wrong with a chain, each with its own name.

use keyrack_manifest::MemberId;
use keyrack_manifest::signed::SignedError;

use super::link::LinkKind;

/// Why a link is not part of the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is damaged, or not signed by its author's key in the state before.
    #[error("{0}")]
    Signed(#[from] SignedError),
    /// It belongs to another vault.
    #[error("it belongs to another vault")]
    OtherVault,
    /// Its number is not the one of its place.
    #[error("its number is another")]
    Number,
    /// It follows another link than the one before it.
    #[error("it follows another link than the one before it")]
    Prev,
    /// Its author is no member that may write.
    #[error("its author {0} is no member")]
    NoMember(MemberId),
    /// Its author may not make it.
    #[error("{kind} is not its author's to make")]
    NotEntitled {
        /// What was tried.
        kind: LinkKind,
    },
    /// The state differs from the one before by more, less or something else than the kind
    /// of link permits.
    #[error("its state changes {what}, which {kind} does not permit")]
    Smuggled {
        /// The kind.
        kind: LinkKind,
        /// What changed.
        what: &'static str,
    },
    /// No owner would be left.
    #[error("it leaves the vault without an owner")]
    LastOwner,
    /// The keys had to be replaced, and were not.
    #[error("it keeps the keys, which {kind} must replace")]
    KeysKept {
        /// The kind.
        kind: LinkKind,
    },
    /// An epoch does not follow the one before, or commits to a key of it.
    #[error("its keys are not new ones")]
    OldKeys,
    /// Keys are wrapped for somebody who is no member, or not for one who is.
    #[error("its wraps are not those of its members")]
    Wraps,
    /// The name or key was used before.
    #[error("its newcomer has a name or key that was used before")]
    Taken,
    /// The keys are to be replaced first.
    #[error("the keys are to be replaced before this")]
    RotationDue,
    /// The same member made a checkpoint a few links before.
    #[error("its author made a checkpoint a few links before")]
    Flood,
}

/// Why a chain is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// There is no first link.
    #[error("there is no vault here: it has no first link")]
    Empty,
    /// The first link is that of another vault.
    #[error("this is another vault: its first link is not the one that was expected")]
    LookAlike,
    /// A link is missing between others.
    #[error("link {seq} is missing")]
    Gap {
        /// Its number.
        seq: u64,
    },
    /// A link is refused.
    #[error("link {seq} is refused: {why}")]
    Refused {
        /// Its number.
        seq: u64,
        /// Why.
        why: Refusal,
    },
    /// The chain ends before what this device has seen.
    #[error("the chain was cut: this device has seen link {seen}, and it ends at {found}")]
    RolledBack {
        /// The last link that was seen.
        seen: u64,
        /// The last there is.
        found: u64,
    },
    /// A link is another one than this device has seen.
    #[error("the chain was forked: link {seq} is not the one this device has seen")]
    Forked {
        /// Its number.
        seq: u64,
    },
}
