//! A card that can be plugged in and pulled out, and the hand that does so.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::act::Act;
use crate::card::Card;
use crate::hand::{Habit, Hand, Seen};
use crate::{pcscd, vpcd};

/// How long a reader that is starting may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A YubiKey, in or out of a reader's slot.
#[derive(Debug)]
pub struct Device {
    serial: u32,
    card: Arc<Mutex<Card>>,
    hand: Arc<Hand>,
    slot: u16,
    /// How often pcscd has seen it come or go, once it has seen it.
    events: Option<u32>,
    plugged: Option<(TcpStream, JoinHandle<()>)>,
}

impl Device {
    /// A card for one of the reader's slots, not plugged in.
    pub(crate) fn new(card: Card, slot: u16) -> Self {
        let serial = card.serial();
        let (card, hand) = (Arc::new(Mutex::new(card)), Arc::new(Hand::new()));
        Self { serial, card, hand, slot, events: None, plugged: None }
    }

    /// The number on its back.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Plugs it in, and waits until pcscd has seen it.
    #[track_caller]
    pub fn plug_in(&mut self) {
        self.pull_out();
        self.hand.plugged(true);
        let stream = connect(vpcd::PORT + self.slot);
        let (line, card, hand) = (stream.try_clone(), self.card.clone(), self.hand.clone());
        let mut line = line.expect("a descriptor");
        let serving = thread::spawn(move || {
            // It ends with the reader, or when it is pulled out.
            let _ = vpcd::serve(&mut line, &card, &hand);
            let _ = line.shutdown(Shutdown::Both);
        });
        self.plugged = Some((stream, serving));
        self.events = Some(pcscd::wait_for_card(self.slot, true, self.events));
    }

    /// Pulls it out, whatever it is doing, and waits until pcscd has seen that.
    #[track_caller]
    pub fn pull_out(&mut self) {
        if self.let_go() {
            self.events = Some(pcscd::wait_for_card(self.slot, false, self.events));
        }
    }

    /// Whether there was anything to let go of.
    fn let_go(&mut self) -> bool {
        let Some((stream, serving)) = self.plugged.take() else { return false };
        self.hand.plugged(false);
        let _ = stream.shutdown(Shutdown::Both);
        serving.join().expect("the card did not panic");
        self.alter(Card::reset);
        true
    }

    /// Pulls it out as soon as it is asked for `act`.
    pub fn pull_out_at(&self, act: Act) {
        self.hand.pull_at(act);
    }

    /// How it is touched from now on: at once, unless something else was said.
    pub fn touched(&self, habit: Habit) {
        self.hand.habit(habit);
    }

    /// How long it waits for a touch: 15 seconds, unless something else was said.
    pub fn blinks_for(&self, patience: Duration) {
        self.hand.patience(patience);
    }

    /// Touches it, where that is done when told.
    pub fn touch(&self) {
        self.hand.tell_to_touch();
    }

    /// Whether it waits for a touch.
    pub fn is_blinking(&self) -> bool {
        self.hand.is_blinking()
    }

    /// Waits until it waits for a touch.
    #[track_caller]
    pub fn wait_until_blinking(&self) {
        assert!(self.hand.wait_until_blinking(), "no touch was asked for: {:?}", self.seen());
    }

    /// Waits until it was asked for `act`.
    #[track_caller]
    pub fn wait_until_asked(&self, act: Act) {
        assert!(self.hand.wait_until_seen(act), "not asked: {:?}", self.seen());
    }

    /// Every command it answered, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.hand.seen()
    }

    /// How often it was asked for `act`.
    pub fn count(&self, act: Act) -> usize {
        self.seen().iter().filter(|seen| seen.act == act).count()
    }

    /// The card as it is now. While it waits for a touch, so does this.
    pub fn card(&self) -> Card {
        self.locked().clone()
    }

    /// Does something to the card that no command would.
    pub fn alter(&self, change: impl FnOnce(&mut Card)) {
        change(&mut self.locked());
    }

    fn locked(&self) -> MutexGuard<'_, Card> {
        self.card.lock().expect("no command makes the card panic")
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn connect(port: u16) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(e) => assert!(Instant::now() < deadline, "no reader at port {port}: {e}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}
