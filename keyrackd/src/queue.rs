//! A bounded queue from the one who must not wait to the one who may: a push into a full
//! queue is refused at once, and wakes nobody who will look by himself.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Items on their way to one worker.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
    /// How long the worker collects, after it has worked.
    linger: Duration,
}

struct State<T> {
    items: Vec<T>,
    worker: Worker,
    is_closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worker {
    Absent,
    /// It looks before it waits.
    Working,
    /// It looks when its time is over.
    Lingering,
    /// It has to be woken.
    Waiting,
    Gone,
}

impl<T> Queue<T> {
    /// An empty queue for at most `capacity` items, whose worker lets more come for
    /// `linger` after it has worked.
    pub(crate) fn new(capacity: usize, linger: Duration) -> Self {
        let state = State { items: Vec::new(), worker: Worker::Absent, is_closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), capacity, linger }
    }

    /// Takes `item`, or says `false` where there is no room.
    pub(crate) fn push(&self, item: T) -> bool {
        let mut state = self.lock();
        let has_room = state.items.len() < self.capacity;
        if has_room {
            state.items.push(item);
            // Whoever lingers is called where it would grow late.
            let calls = match state.worker {
                Worker::Waiting => true,
                Worker::Lingering => state.items.len() == self.capacity / 4,
                Worker::Absent | Worker::Working | Worker::Gone => false,
            };
            drop(state);
            if calls {
                self.changed.notify_all();
            }
        }
        has_room
    }

    /// The worker: hands to `work` what is there, all of it at once, until the queue is
    /// closed and empty. An item that comes after a silence is handed over at once, those
    /// right behind it together.
    pub(crate) fn work(&self, mut work: impl FnMut(Vec<T>)) {
        let mut state = self.lock();
        state.worker = Worker::Working;
        self.changed.notify_all();
        loop {
            if !state.items.is_empty() {
                let items = std::mem::take(&mut state.items);
                drop(state);
                work(items);
                state = self.lock();
                state.worker = Worker::Lingering;
                let more_may_come = |state: &mut State<T>| {
                    !state.is_closed && state.items.len() < self.capacity / 4
                };
                let waited = self.changed.wait_timeout_while(state, self.linger, more_may_come);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            } else if state.is_closed {
                break;
            } else {
                state.worker = Worker::Waiting;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.worker = Worker::Working;
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
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(100);

    #[test]
    fn items_arrive_in_order_and_the_last_before_the_end() {
        let queue = Queue::new(1000, Duration::from_micros(100));
        let mut seen = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| queue.work(|items: Vec<u32>| seen.extend(items)));
            queue.await_worker();
            assert!((0..100).all(|item| queue.push(item)));
            queue.close(LONG);
        });
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }

    /// Nothing here ends by time: every wait but the first is cut short or fails the test.
    #[test]
    fn the_first_comes_alone_and_those_behind_it_together() {
        let queue = Queue::new(40, LONG);
        let (tell, told) = mpsc::channel();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| queue.work(|items: Vec<u32>| tell.send(items).unwrap()));
            queue.await_worker();
            assert!(queue.push(0));
            assert_eq!(told.recv().unwrap(), [0], "after a silence nothing is held back");
            assert!((1..=9).all(|item| queue.push(item)));
            // A quarter of the room is taken: it does not linger on.
            assert!(queue.push(10));
            assert_eq!(told.recv().unwrap(), (1..=10).collect::<Vec<_>>());
            assert!(queue.push(11));
            queue.close(LONG);
            assert_eq!(told.recv().unwrap(), [11], "the end waits for no lingering");
        });
        assert!(begun.elapsed() < LONG);
    }

    #[test]
    fn a_full_queue_and_a_stuck_worker_hold_nobody_up() {
        let queue = Queue::new(2, LONG);
        assert!(queue.push(1) && queue.push(2) && !queue.push(3));
        let begun = Instant::now();
        queue.close(Duration::from_millis(20));
        assert!(begun.elapsed() < LONG);
    }
}
