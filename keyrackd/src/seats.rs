//! Who is connected. Seats are few: when they run out, the oldest caller that has said
//! nothing gives way, and where all have, the oldest that has not proved itself. So a
//! flood of half-open connections delays nobody and sends nobody away.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use keyrack_protocol::CapabilityId;
use keyrack_protocol::hello::KeyKind;
use tokio::task::AbortHandle;

/// How many connections there may be that have proved nothing: more than a flood of a
/// thousand, so that this sits still until its deadline.
pub(crate) const MAX_UNPROVEN: usize = 2048;
/// How many there may be that have proved themselves.
pub(crate) const MAX_PROVEN: usize = 512;
/// How many unproven callers are a crowd, for whom nothing is done before they speak.
const CROWD: usize = 16;

struct Taken {
    proven: Option<KeyKind>,
    hang_up: Option<AbortHandle>,
}

/// Every seat taken.
#[derive(Clone)]
pub(crate) struct Seats(Rc<RefCell<Table>>);

struct Table {
    max_unproven: usize,
    next: u64,
    /// By number: the oldest first.
    taken: BTreeMap<u64, Taken>,
    /// Of these, the ones that have said nothing yet, and those that said something that
    /// proves nothing yet.
    silent: BTreeSet<u64>,
    speaking: BTreeSet<u64>,
}

impl Table {
    fn unproven(&self) -> usize {
        self.silent.len() + self.speaking.len()
    }

    fn leave(&mut self, id: u64) -> Option<Taken> {
        self.silent.remove(&id);
        self.speaking.remove(&id);
        self.taken.remove(&id)
    }
}

/// One connection's seat. Dropped with the connection, which frees it.
pub(crate) struct Seat {
    pub(crate) id: u64,
    seats: Seats,
}

impl Seats {
    /// Seats for [`MAX_PROVEN`] callers, and for `max_unproven` more.
    pub(crate) fn new(max_unproven: usize) -> Self {
        let (taken, silent, speaking) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let table = Table { max_unproven, next: 0, taken, silent, speaking };
        Self(Rc::new(RefCell::new(table)))
    }

    /// A seat, for which another caller may have had to leave. `None` when there are as many
    /// as there may be that proved themselves.
    pub(crate) fn take(&self) -> Option<Seat> {
        let mut table = self.0.borrow_mut();
        if table.taken.len() - table.unproven() >= MAX_PROVEN {
            return None;
        }
        if table.unproven() >= table.max_unproven {
            let oldest = table.silent.first().or(table.speaking.first()).copied()?;
            let left = table.leave(oldest);
            if let Some(task) = left.and_then(|left| left.hang_up) {
                task.abort();
            }
        }
        let id = table.next;
        table.next += 1;
        table.taken.insert(id, Taken { proven: None, hang_up: None });
        table.silent.insert(id);
        Some(Seat { id, seats: self.clone() })
    }

    /// Remembers how to hang up on the caller in seat `id`.
    pub(crate) fn serve(&self, id: u64, hang_up: AbortHandle) {
        match self.0.borrow_mut().taken.get_mut(&id) {
            Some(taken) => taken.hang_up = Some(hang_up),
            None => hang_up.abort(),
        }
    }

    /// Hangs up on everybody but `seat`.
    pub(crate) fn close_all_but(&self, seat: Option<u64>) {
        self.close(|id, _| Some(id) != seat);
    }

    /// Hangs up on everybody with one of these capabilities but `seat`.
    pub(crate) fn close_ended(&self, ended: &[CapabilityId], seat: u64) {
        self.close(|id, proven| {
            id != seat && matches!(proven, Some(KeyKind::Capability(c)) if ended.contains(&c))
        });
    }

    fn close(&self, whom: impl Fn(u64, Option<KeyKind>) -> bool) {
        let mut table = self.0.borrow_mut();
        let all = table.taken.iter();
        let leave: Vec<u64> =
            all.filter(|(id, taken)| whom(**id, taken.proven)).map(|(id, _)| *id).collect();
        for id in leave {
            if let Some(task) = table.leave(id).and_then(|left| left.hang_up) {
                task.abort();
            }
        }
    }

    /// Whether nobody is connected.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().taken.is_empty()
    }
}

impl Seat {
    /// The caller said something: whoever did not gives way first.
    pub(crate) fn speaks(&self) {
        let mut table = self.seats.0.borrow_mut();
        if table.silent.remove(&self.id) {
            table.speaking.insert(self.id);
        }
    }

    /// The caller proved itself: it does not give way any more.
    pub(crate) fn proven(&self, kind: KeyKind) {
        let mut table = self.seats.0.borrow_mut();
        if let Some(taken) = table.taken.get_mut(&self.id) {
            taken.proven = Some(kind);
            table.silent.remove(&self.id);
            table.speaking.remove(&self.id);
        }
    }

    /// Whether many are there that have not proved themselves.
    pub(crate) fn is_in_a_crowd(&self) -> bool {
        self.seats.0.borrow().unproven() > CROWD
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.0.borrow_mut().leave(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: usize = 8;

    fn is_taken(seats: &Seats, seat: &Seat) -> bool {
        seats.0.borrow().taken.contains_key(&seat.id)
    }

    fn proven(seats: &Seats, kind: KeyKind) -> Seat {
        let seat = seats.take().unwrap();
        seat.proven(kind);
        seat
    }

    #[test]
    fn the_oldest_that_said_nothing_gives_way() {
        let seats = Seats::new(FEW);
        let known = proven(&seats, KeyKind::Attach);
        let speaking = seats.take().unwrap();
        speaking.speaks();
        let silent: Vec<Seat> = (1..FEW).map(|_| seats.take().unwrap()).collect();
        assert!(silent.iter().all(|seat| is_taken(&seats, seat)));
        // However many come after it.
        let flood: Vec<Seat> = (0..10 * FEW).map(|_| seats.take().unwrap()).collect();
        assert!(is_taken(&seats, &speaking) && is_taken(&seats, &known));
        assert!(!silent.iter().any(|seat| is_taken(&seats, seat)));
        assert!(flood[..9 * FEW].iter().all(|seat| !is_taken(&seats, seat)));
        assert_eq!(seats.0.borrow().taken.len(), FEW + 1);
        // Leaving twice is leaving once.
        drop((silent, flood));
        assert_eq!(seats.0.borrow().taken.len(), 2);
        drop((speaking, known));
        assert!(seats.is_empty());
    }

    #[test]
    fn where_all_speak_the_oldest_unproven_gives_way() {
        let seats = Seats::new(FEW);
        let known = proven(&seats, KeyKind::Attach);
        let all: Vec<Seat> = (0..FEW)
            .map(|_| {
                let seat = seats.take().unwrap();
                seat.speaks();
                seat
            })
            .collect();
        let newest = seats.take().unwrap();
        assert!(!is_taken(&seats, &all[0]) && all[1..].iter().all(|seat| is_taken(&seats, seat)));
        assert!(is_taken(&seats, &newest) && is_taken(&seats, &known));
    }

    #[test]
    fn proven_callers_are_never_sent_away() {
        let seats = Seats::new(FEW);
        let all: Vec<Seat> = (0..MAX_PROVEN).map(|_| proven(&seats, KeyKind::Attach)).collect();
        assert!(seats.take().is_none());
        drop(all);
        assert!(seats.take().is_some());
    }

    #[test]
    fn a_capability_that_ended_loses_its_connections() {
        let seats = Seats::new(FEW);
        let [a, b] = [1, 2].map(|n| CapabilityId::from_bytes([n; 16]));
        let [one, two, asker] = [a, b, a].map(|id| proven(&seats, KeyKind::Capability(id)));
        seats.close_ended(&[a], asker.id);
        let left: Vec<u64> = seats.0.borrow().taken.keys().copied().collect();
        assert_eq!(left, [two.id, asker.id]);
        seats.close_all_but(None);
        assert!(seats.is_empty());
        drop(one);
    }
}
