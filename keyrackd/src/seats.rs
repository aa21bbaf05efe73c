//! Who is connected. Seats are few: when they run out, the oldest caller that has not
//! proved itself gives way, so that a flood of half-open connections delays nobody.

use std::cell::RefCell;
use std::rc::Rc;

use keyrack_protocol::CapabilityId;
use keyrack_protocol::hello::KeyKind;
use tokio::task::AbortHandle;

/// How many connections there may be that have proved nothing.
pub(crate) const MAX_UNPROVEN: usize = 128;
/// How many connections there may be.
pub(crate) const MAX: usize = 512;

struct Taken {
    id: u64,
    proven: Option<KeyKind>,
    hang_up: Option<AbortHandle>,
}

/// Every seat taken, the oldest first.
#[derive(Default, Clone)]
pub(crate) struct Seats(Rc<RefCell<Table>>);

#[derive(Default)]
struct Table {
    next: u64,
    /// The oldest first.
    taken: Vec<Taken>,
}

impl Table {
    fn find(&mut self, id: u64) -> Option<&mut Taken> {
        self.taken.iter_mut().find(|taken| taken.id == id)
    }
}

/// One connection's seat. Dropped with the connection, which frees it.
pub(crate) struct Seat {
    pub(crate) id: u64,
    seats: Seats,
}

impl Seats {
    /// A seat, for which another caller may have had to leave. `None` when every seat is
    /// taken by callers that proved themselves.
    pub(crate) fn take(&self) -> Option<Seat> {
        let mut table = self.0.borrow_mut();
        let is_unproven = |taken: &Taken| taken.proven.is_none();
        let unproven = table.taken.iter().filter(|taken| is_unproven(taken)).count();
        if table.taken.len() >= MAX || unproven >= MAX_UNPROVEN {
            let oldest = table.taken.iter().position(is_unproven)?;
            if let Some(task) = table.taken.remove(oldest).hang_up {
                task.abort();
            }
        }
        let id = table.next;
        table.next += 1;
        table.taken.push(Taken { id, proven: None, hang_up: None });
        Some(Seat { id, seats: self.clone() })
    }

    /// Remembers how to hang up on the caller in seat `id`.
    pub(crate) fn serve(&self, id: u64, hang_up: AbortHandle) {
        match self.0.borrow_mut().find(id) {
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
        self.0.borrow_mut().taken.retain(|taken| {
            let leaves = whom(taken.id, taken.proven);
            if let (true, Some(task)) = (leaves, &taken.hang_up) {
                task.abort();
            }
            !leaves
        });
    }

    /// Whether nobody is connected.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().taken.is_empty()
    }
}

impl Seat {
    /// The caller proved itself: it does not give way any more.
    pub(crate) fn proven(&self, kind: KeyKind) {
        if let Some(taken) = self.seats.0.borrow_mut().find(self.id) {
            taken.proven = Some(kind);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.0.borrow_mut().taken.retain(|taken| taken.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_unproven_gives_way() {
        let seats = Seats::default();
        let proven = seats.take().unwrap();
        proven.proven(KeyKind::Attach);
        let mut flood: Vec<Seat> = (0..MAX_UNPROVEN).map(|_| seats.take().unwrap()).collect();
        let taken = |id| seats.0.borrow_mut().find(id).is_some();
        assert!(flood.iter().all(|seat| taken(seat.id)));
        let newest = seats.take().unwrap();
        assert!(!taken(flood[0].id) && taken(flood[1].id) && taken(newest.id) && taken(proven.id));
        // Leaving twice is leaving once.
        flood.remove(0);
        assert_eq!(seats.0.borrow().taken.len(), MAX_UNPROVEN + 1);
        drop((flood, newest, proven));
        assert!(seats.is_empty());
    }

    #[test]
    fn proven_callers_are_never_sent_away() {
        let seats = Seats::default();
        let all: Vec<Seat> = (0..MAX)
            .map(|_| {
                let seat = seats.take().unwrap();
                seat.proven(KeyKind::Attach);
                seat
            })
            .collect();
        assert!(seats.take().is_none());
        drop(all);
        assert!(seats.take().is_some());
    }

    #[test]
    fn a_capability_that_ended_loses_its_connections() {
        let seats = Seats::default();
        let [a, b] = [1, 2].map(|n| CapabilityId::from_bytes([n; 16]));
        let [one, two, asker] = [a, b, a].map(|id| {
            let seat = seats.take().unwrap();
            seat.proven(KeyKind::Capability(id));
            seat
        });
        seats.close_ended(&[a], asker.id);
        let left: Vec<u64> = seats.0.borrow().taken.iter().map(|taken| taken.id).collect();
        assert_eq!(left, [two.id, asker.id]);
        seats.close_all_but(None);
        assert!(seats.is_empty());
        drop(one);
    }
}
