//! The lines on stdin and stdout, and the end: whoever asked may be gone at any time.

use std::io::{self, BufRead as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use keyrack_names::Secret;
use keyrack_piv::{Answer, Asked, Event, PivError, Request};
use zeroize::Zeroizing;

/// The longest line that is read.
const LONGEST: u64 = 64 << 10;

/// Where requests come from and events go.
pub struct Wire {
    lines: Receiver<Zeroizing<String>>,
    busy: Arc<AtomicBool>,
}

impl Wire {
    /// Begins to read. When stdin ends while a request is under way, so does the process:
    /// no prompt and no wait for a finger outlives whoever asked.
    pub fn begin() -> Self {
        let (to, lines) = mpsc::channel();
        let busy = Arc::new(AtomicBool::new(false));
        let marked = busy.clone();
        thread::spawn(move || {
            while let Some(line) = read_line() {
                marked.store(true, Ordering::SeqCst);
                if to.send(line).is_err() {
                    return;
                }
            }
            if marked.load(Ordering::SeqCst) {
                leave();
            }
        });
        Self { lines, busy }
    }

    /// The next request. `None` when there will be none.
    pub fn request(&self) -> Option<Request> {
        loop {
            let line = self.lines.recv().ok()?;
            match serde_json::from_str(&line) {
                Ok(request) => return Some(request),
                Err(_) => self.end(&Event::Failed {
                    error: PivError::Other { what: "not a request that is known".to_owned() },
                }),
            }
        }
    }

    /// Asks back, and waits for the answer.
    pub fn ask(
        &self,
        what: Asked,
        serial: u32,
        left: Option<u8>,
        factory: bool,
    ) -> Result<Secret, PivError> {
        say(&Event::Ask { what, serial, left, factory });
        let line = self.lines.recv().map_err(|_| nobody(serial, what))?;
        match serde_json::from_str(&line) {
            Ok(Answer::Said(secret)) => Ok(secret),
            Ok(Answer::Declined) => Err(PivError::Declined { serial, what: name(what).to_owned() }),
            Ok(Answer::Nobody) | Err(_) => Err(nobody(serial, what)),
        }
    }

    /// Says what ends a request.
    pub fn end(&self, event: &Event) {
        self.busy.store(false, Ordering::SeqCst);
        say(event);
    }
}

/// Says something.
pub fn say(event: &Event) {
    let Ok(line) = serde_json::to_string(event).map(Zeroizing::new) else { return };
    let mut out = io::stdout().lock();
    // A reader that is gone is noticed on stdin.
    let _ = writeln!(out, "{}", *line).and_then(|()| out.flush());
}

/// What a person calls it.
pub fn name(what: Asked) -> &'static str {
    match what {
        Asked::Pin => "PIN",
        Asked::NewPin => "new PIN",
        Asked::Puk => "PUK",
        Asked::NewPuk => "new PUK",
        Asked::ManagementKey => "management key",
    }
}

fn nobody(serial: u32, what: Asked) -> PivError {
    PivError::Nobody { serial, what: name(what).to_owned() }
}

fn read_line() -> Option<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(1024));
    let read = io::Read::take(io::stdin().lock(), LONGEST).read_line(&mut line);
    (read.ok()? > 0 && line.ends_with('\n')).then_some(line)
}

#[expect(clippy::exit, reason = "the request under way may be waiting for a card for long")]
fn leave() -> ! {
    std::process::exit(0)
}
