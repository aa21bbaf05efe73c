//! A bounded queue from the one who must not wait to the one who may: a push into a full
//! queue is refused at once.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Items on their way to one worker.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

struct State<T> {
    items: VecDeque<T>,
    worker: Worker,
    is_closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worker {
    Absent,
    Working,
    Gone,
}

impl<T> Queue<T> {
    /// An empty queue for at most `capacity` items.
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::new(), worker: Worker::Absent, is_closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), capacity }
    }

    /// Takes `item`, or says `false` where there is no room.
    pub(crate) fn push(&self, item: T) -> bool {
        let mut state = self.lock();
        let has_room = state.items.len() < self.capacity;
        if has_room {
            state.items.push_back(item);
            self.changed.notify_all();
        }
        has_room
    }

    /// The worker: hands each item to `work`, until the queue is closed and empty.
    pub(crate) fn work(&self, mut work: impl FnMut(T)) {
        let mut state = self.lock();
        state.worker = Worker::Working;
        self.changed.notify_all();
        loop {
            state = if let Some(item) = state.items.pop_front() {
                drop(state);
                work(item);
                self.lock()
            } else if state.is_closed {
                break;
            } else {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
        state.worker = Worker::Gone;
        self.changed.notify_all();
    }

    /// Waits until the worker is at work.
    pub(crate) fn await_worker(&self) {
        let is_absent = |state: &mut State<T>| state.worker == Worker::Absent;
        drop(self.changed.wait_while(self.lock(), is_absent));
    }

    /// Closes the queue and waits until the worker took everything, but not longer than
    /// `limit`.
    pub(crate) fn close(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        state.is_closed = true;
        self.changed.notify_all();
        while state.worker < Worker::Gone {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A panic of the other side aborts the process; nothing is ever half done here.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn items_arrive_in_order_and_the_last_before_the_end() {
        let queue = Queue::new(1000);
        let mut seen = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| queue.work(|item: u32| seen.push(item)));
            queue.await_worker();
            assert!((0..100).all(|item| queue.push(item)));
            queue.close(LONG);
        });
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_queue_and_a_stuck_worker_hold_nobody_up() {
        let queue = Queue::new(2);
        assert!(queue.push(1) && queue.push(2) && !queue.push(3));
        let begun = Instant::now();
        queue.close(Duration::from_millis(20));
        assert!(begun.elapsed() < LONG);
    }
}
