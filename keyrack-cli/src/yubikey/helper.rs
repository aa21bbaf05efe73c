//! The helper process: started when a YubiKey is first asked for, kept until the command
//! ends. What it asks back goes to the person, and so does that it waits for a finger.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use keyrack_manifest::{Agreed, OnYubikey, Places, PromptError, Prompter as _, Yubikeys};
use keyrack_names::{Owner, Secret};
use keyrack_piv::{Answer, Asked, Event, Offer, PivError, Point, Request, Tag};
use nix::poll::{PollFd, PollFlags, poll};
use zeroize::Zeroizing;

use crate::person::asker::Asker;
use crate::person::pending::{self, Waiting};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::system::programs;

/// The program.
const PROGRAM: &str = "keyrack-yubikey";
/// How long YubiKeys take at most to be looked through, in milliseconds, while nobody else
/// uses them.
const PATIENCE: u16 = 3000;
/// The same while one is known to be used: most of them are looked through by then.
const SHORT: u16 = 500;
/// How often a person at a terminal may be wrong in one command. A card allows three.
const TRIES: usize = 3;
/// The longest line that is read: a list of many keys.
const LONGEST: u64 = 1 << 20;

/// The YubiKeys of this machine.
pub struct Helper {
    asker: Arc<Asker>,
    places: Places,
    /// For whom others are told that somebody waits.
    owner: Option<Owner>,
    /// The YubiKey that should have the key.
    serial: Option<u32>,
    environment: Vec<(&'static str, std::ffi::OsString)>,
    process: Mutex<Option<Process>>,
    /// The keys that agreed on something, and where they are.
    used: Mutex<Vec<(Point, OnYubikey)>>,
}

struct Process {
    child: Child,
    /// Closed first when the command is done with it.
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Helper {
    /// Not started before it is needed.
    pub fn new(settings: &Settings, ui: &Ui, owner: Option<&Owner>, serial: Option<u32>) -> Self {
        Self {
            asker: ui.asker.clone(),
            places: settings.places.clone(),
            owner: owner.cloned(),
            serial,
            environment: settings.smart_cards.clone(),
            process: Mutex::new(None),
            used: Mutex::new(Vec::new()),
        }
    }

    /// Which YubiKey holds one of the keys with these tags.
    ///
    /// # Errors
    /// [`PivError`]: that none does, and why.
    pub fn find(&self, tags: Vec<Tag>) -> Result<u32, PivError> {
        match self.call(&Request::Find { tags, serial: self.serial })? {
            Event::Found { serial, .. } => Ok(serial),
            _ => Err(unexpected()),
        }
    }

    /// Has the helper do something. A person at a terminal who enters a wrong code is asked
    /// again; nothing was begun by then.
    ///
    /// # Errors
    /// What it fails with.
    pub fn call(&self, request: &Request) -> Result<Event, PivError> {
        for _ in 1..TRIES {
            match self.call_once(request) {
                Err(error) if error.may_be_mistyped() && self.asker.has_typist() => {
                    self.asker.notice(&error.to_string());
                }
                ended => return ended,
            }
        }
        self.call_once(request)
    }

    fn call_once(&self, request: &Request) -> Result<Event, PivError> {
        let mut process = self.process.lock().map_err(|_| unexpected())?;
        let running = match &mut *process {
            Some(running) => running,
            None => process.insert(self.start()?),
        };
        let ended = self.converse(running, request);
        // What may be under way in it is nobody's any more.
        if ended.is_err() && !matches!(ended, Err(Stop::Refused(_))) {
            *process = None;
        }
        ended.map_err(|stop| match stop {
            Stop::Refused(error) | Stop::GivenUp(error) => error,
            Stop::Gone => PivError::Other { what: format!("{PROGRAM} ended unexpectedly") },
        })
    }

    fn start(&self) -> Result<Process, PivError> {
        let failed = |why: String| PivError::NoService { why };
        let program = programs::find(PROGRAM).map_err(|failure| failed(failure.message))?;
        let streams = |command: &mut Command| {
            command
                .envs(self.environment.iter().map(|(name, value)| (*name, value)))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            Ok(())
        };
        let mut child = programs::start_closed(&program, streams)
            .map_err(|e| failed(format!("{}: {e}", program.display())))?;
        match (child.stdin.take(), child.stdout.take()) {
            (to @ Some(_), Some(from)) => Ok(Process { child, to, from: BufReader::new(from) }),
            _ => Err(unexpected()),
        }
    }

    fn converse(&self, process: &mut Process, request: &Request) -> Result<Event, Stop> {
        process.say(request)?;
        if !self.asker.no_input {
            self.say_who_is_first(process);
        }
        let mut waits = None;
        loop {
            match process.hear()? {
                Event::Ask { what, serial, left, factory } => {
                    drop(waits.take());
                    let _waiting = self.waiting(&format!("{}-{serial}", word(what)));
                    let answer = self.answer(what, serial, left, factory);
                    process.say(&answer)?;
                }
                Event::Touch { serial } => {
                    if self.asker.no_input {
                        let what = "touch".to_owned();
                        return Err(Stop::GivenUp(PivError::Nobody { serial, what }));
                    }
                    waits = self.waiting(&format!("touch-{serial}"));
                    self.asker.notice(&format!("touch YubiKey {serial} now"));
                }
                Event::Failed { error } => return Err(Stop::Refused(error)),
                event => return Ok(event),
            }
        }
    }

    /// Says what keeps a YubiKey, where it is kept.
    fn say_who_is_first(&self, process: &Process) {
        if process.says_something_within(SHORT) {
            return;
        }
        let touches = pending::touches(&self.places);
        touches.iter().for_each(|who| self.asker.notice(who));
        if touches.is_empty() && !process.says_something_within(PATIENCE - SHORT) {
            self.asker.notice("a YubiKey is in use by another program: waiting for it");
        }
    }

    fn waiting(&self, what: &str) -> Option<Waiting> {
        let owner = self.owner.as_ref()?;
        Some(Waiting::begin_at(&self.places, owner, what))
    }

    fn answer(&self, what: Asked, serial: u32, left: Option<u8>, factory: bool) -> Answer {
        if left == Some(1) && self.asker.has_typist() && !self.risks(what, serial) {
            return Answer::Declined;
        }
        let said = match what {
            Asked::Pin => self.asker.passphrase(&question(what, serial, left, factory)),
            Asked::NewPin | Asked::NewPuk => self.new_code(what, serial),
            Asked::Puk | Asked::ManagementKey => {
                let asked = self.asker.secret(&question(what, serial, left, factory));
                asked.map_err(|_| PromptError::NobodyThere)
            }
        };
        match said {
            Ok(Some(secret)) => Answer::Said(secret),
            Ok(None) => Answer::Declined,
            Err(_) => Answer::Nobody,
        }
    }

    /// Whether the person wants the last try to be used.
    fn risks(&self, what: Asked, serial: u32) -> bool {
        let (name, then) = match what {
            Asked::Puk => ("PUK", "nothing but a reset helps, which destroys its keys"),
            _ => ("PIN", "only its PUK helps"),
        };
        let question = format!(
            "one try is left for the {name} of YubiKey {serial}: if it is wrong, {then}. Try it?"
        );
        self.asker.agrees(&question).unwrap_or(false)
    }

    /// A new code is typed twice: nobody sees what is typed.
    fn new_code(&self, what: Asked, serial: u32) -> Result<Option<Secret>, PromptError> {
        let ask =
            |question: String| self.asker.secret(&question).map_err(|_| PromptError::NobodyThere);
        let Some(first) = ask(question(what, serial, None, false))? else { return Ok(None) };
        let second = ask("the same again".to_owned())?;
        if second.as_ref() != Some(&first) {
            self.asker.notice("the two are not the same: nothing was changed");
            return Ok(None);
        }
        Ok(second)
    }
}

impl Yubikeys for Helper {
    fn agree(&self, offers: &[Offer]) -> Result<Agreed, PivError> {
        let request = Request::Agree { offers: offers.to_vec(), serial: self.serial };
        match self.call(&request)? {
            Event::Agreed { serial, key, secret } => {
                let (pin_policy, touch_policy) = (key.pin_policy, key.touch_policy);
                let on = OnYubikey { serial, pin_policy, touch_policy };
                self.used.lock().map_err(|_| unexpected())?.push((key.point, on));
                Ok(Agreed { key: key.point, secret })
            }
            _ => Err(unexpected()),
        }
    }

    fn has_used(&self, key: Point) -> Option<OnYubikey> {
        let used = self.used.lock().ok()?;
        used.iter().find(|(point, _)| *point == key).map(|(_, on)| *on)
    }
}

/// Why a conversation ended early.
enum Stop {
    /// The helper says no.
    Refused(PivError),
    /// It is not waited for any longer.
    GivenUp(PivError),
    /// It is gone.
    Gone,
}

impl Process {
    fn say(&mut self, message: &impl serde::Serialize) -> Result<(), Stop> {
        let mut line = serde_json::to_vec(message).map(Zeroizing::new).map_err(|_| Stop::Gone)?;
        line.push(b'\n');
        let to = self.to.as_mut().ok_or(Stop::Gone)?;
        to.write_all(&line).and_then(|()| to.flush()).map_err(|_| Stop::Gone)
    }

    /// Whether it answers, or ends, in so much time.
    fn says_something_within(&self, milliseconds: u16) -> bool {
        let pipe = PollFd::new(self.from.get_ref().as_fd(), PollFlags::POLLIN);
        !self.from.buffer().is_empty() || !matches!(poll(&mut [pipe], milliseconds), Ok(0))
    }

    fn hear(&mut self) -> Result<Event, Stop> {
        let mut line = Zeroizing::new(String::with_capacity(1024));
        let read = (&mut self.from).take(LONGEST).read_line(&mut line);
        match read {
            Ok(1..) => serde_json::from_str(&line).map_err(|_| Stop::Gone),
            _ => Err(Stop::Gone),
        }
    }
}

impl Drop for Process {
    /// The end of its stdin ends it: at once if it is in the middle of something, else when
    /// it has left the card as others are to find it.
    fn drop(&mut self) {
        drop(self.to.take());
        let _ = self.child.wait();
    }
}

fn question(what: Asked, serial: u32, left: Option<u8>, factory: bool) -> String {
    let tries = match left {
        Some(1) => " (1 try left)".to_owned(),
        Some(left) => format!(" ({left} tries left)"),
        None => String::new(),
    };
    let (name, sold_with) = match what {
        Asked::Pin => ("PIN of", "123456"),
        Asked::Puk => ("PUK of", "12345678"),
        Asked::NewPin => return format!("new PIN for YubiKey {serial}, 6 to 8 characters"),
        Asked::NewPuk => return format!("new PUK for YubiKey {serial}, 6 to 8 characters"),
        Asked::ManagementKey => return format!("management key of YubiKey {serial}, in hex"),
    };
    let hint =
        if factory { format!("; it was never changed from {sold_with}") } else { String::new() };
    format!("{name} YubiKey {serial}{tries}{hint}")
}

/// What somebody waits for, as others are told.
fn word(what: Asked) -> &'static str {
    match what {
        Asked::Pin | Asked::NewPin => "PIN",
        Asked::Puk | Asked::NewPuk => "PUK",
        Asked::ManagementKey => "key",
    }
}

fn unexpected() -> PivError {
    PivError::Other { what: format!("{PROGRAM} answered something else") }
}
