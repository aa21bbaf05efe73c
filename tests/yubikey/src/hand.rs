//! The hand that holds a YubiKey: it touches, waits or never comes, it pulls the key out,
//! and it has seen everything that was asked of it.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::act::Act;
use crate::apdu::Status;

/// As long as a YubiKey blinks.
const PATIENCE: Duration = Duration::from_secs(15);
/// Far more than any test should wait.
const LIMIT: Duration = Duration::from_secs(20);

/// What a key that wants a touch waits for.
pub trait Finger {
    /// The moment of the touch, or nothing if there was none in time.
    fn touch(&self) -> Option<Instant>;
}

/// How the hand touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// So long after it blinks.
    After(Duration),
    /// Not at all.
    Never,
    /// When it is told to.
    WhenTold,
}

/// A command that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What it was about.
    pub act: Act,
    /// How it ended.
    pub status: Status,
}

/// The hand. What it does is told from one thread, while another runs the card.
#[derive(Debug)]
pub(crate) struct Hand {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    habit: Habit,
    patience: Duration,
    told: bool,
    blinking: bool,
    pulled: bool,
    pulls_at: Option<Act>,
    seen: Vec<Seen>,
}

impl Hand {
    pub(crate) fn new() -> Self {
        let state = State {
            habit: Habit::After(Duration::ZERO),
            patience: PATIENCE,
            told: false,
            blinking: false,
            pulled: false,
            pulls_at: None,
            seen: Vec::new(),
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds this")
    }

    /// Changes something, and wakes whoever waits for it.
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until something is so; whether it came to be in time.
    fn wait(&self, limit: Duration, so: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), limit, |state| !so(state));
        so(&waited.expect("no thread panics while it holds this").0)
    }

    pub(crate) fn habit(&self, habit: Habit) {
        self.change(|state| state.habit = habit);
    }

    pub(crate) fn patience(&self, patience: Duration) {
        self.change(|state| state.patience = patience);
    }

    pub(crate) fn tell_to_touch(&self) {
        self.change(|state| state.told = true);
    }

    pub(crate) fn pull_at(&self, act: Act) {
        self.change(|state| state.pulls_at = Some(act));
    }

    /// Whether this command is the one at which the key is pulled out.
    pub(crate) fn pulls_now(&self, act: Act) -> bool {
        let mut state = self.state();
        let now = state.pulls_at == Some(act);
        if now {
            state.pulls_at = None;
        }
        now
    }

    pub(crate) fn plugged(&self, in_a_reader: bool) {
        self.change(|state| state.pulled = !in_a_reader);
    }

    /// Whether the card was pulled out.
    pub(crate) fn is_out(&self) -> bool {
        self.state().pulled
    }

    pub(crate) fn saw(&self, seen: Seen) {
        self.change(|state| state.seen.push(seen));
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    pub(crate) fn wait_until_blinking(&self) -> bool {
        self.wait(LIMIT, |state| state.blinking)
    }

    pub(crate) fn wait_until_seen(&self, act: Act) -> bool {
        self.wait(LIMIT, |state| state.seen.iter().any(|seen| seen.act == act))
    }

    pub(crate) fn is_blinking(&self) -> bool {
        self.state().blinking
    }
}

impl Finger for Hand {
    fn touch(&self) -> Option<Instant> {
        let (habit, patience) = {
            let state = self.state();
            (state.habit, state.patience)
        };
        self.change(|state| state.blinking = true);
        let touched = match habit {
            Habit::After(delay) if delay < patience => !self.wait(delay, |state| state.pulled),
            Habit::After(_) | Habit::Never => {
                self.wait(patience, |state| state.pulled);
                false
            }
            Habit::WhenTold => {
                self.wait(patience, |state| state.told || state.pulled) && !self.state().pulled
            }
        };
        self.change(|state| (state.blinking, state.told) = (false, false));
        touched.then(Instant::now)
    }
}
