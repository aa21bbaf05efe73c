//! Where a record lies: with its epoch if it is shared, with its owner if it is private.

use keyrack_manifest::{CredId, EpochId, MemberId};

use crate::names;
use crate::record::{Record, Visibility};

/// The folder of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// With an epoch.
    Shared(EpochId),
    /// With an owner.
    Private(MemberId),
}

impl Place {
    pub(super) fn of(record: &Record) -> Self {
        match (record.visibility, record.epoch) {
            (Visibility::Shared, Some(epoch)) => Self::Shared(epoch),
            _ => Self::Private(record.owner),
        }
    }

    pub(super) fn folder(&self) -> String {
        match self {
            Self::Shared(epoch) => names::shared(epoch),
            Self::Private(owner) => names::private(owner),
        }
    }

    pub(super) fn name(&self, cred: &CredId, version: u64) -> String {
        format!("{}/{}", self.folder(), names::record(cred, version))
    }
}
