//! Which drops were merged: none is merged twice, and what is remembered of them stays
//! small.

use jiff::Timestamp;

use crate::{DropId, Manifest};

/// How many are remembered one by one.
const REMEMBERED: usize = 1000;

/// Whether a drop was merged before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// It was not.
    No,
    /// It was.
    Yes,
    /// It is as old as drops that are not remembered any more.
    Perhaps,
}

impl Manifest {
    /// Whether the drop of that id, made at that time by its maker's clock, was merged.
    pub fn has_merged(&self, id: &DropId, created: Timestamp) -> Merged {
        match self.forgotten_drops {
            _ if self.dropped.contains(id) => Merged::Yes,
            Some(until) if created <= until => Merged::Perhaps,
            _ => Merged::No,
        }
    }

    /// Remembers that it is.
    pub fn remember_drop(&mut self, id: DropId, created: Timestamp) {
        self.dropped.insert(id);
        self.last_drop = self.last_drop.max(Some(created));
    }

    /// Before more are merged: where too many are remembered, only up to when they were made
    /// is. What is no newer may be one of them, and is not believed without asking.
    pub fn forget_drops(&mut self, now: Timestamp) {
        if self.dropped.len() > REMEMBERED {
            // A manifest of before there was a last one has drops of any time until now.
            self.forgotten_drops = self.forgotten_drops.max(self.last_drop.or(Some(now)));
            self.dropped.clear();
        }
    }
}
