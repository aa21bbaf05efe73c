//! An age plugin that holds a key. It may ask a person and tell things as often as a person
//! could want, and no more: one that goes on for ever, also where nobody is there to
//! answer, is given up. The library has no way out of its talk with a plugin, so that is
//! held in a thread, which is left waiting; the plugin hears nothing more, and ends with
//! the command.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use age::plugin::IdentityPluginV1;
use age_core::format::{FileKey, Stanza};

use crate::Prompter;
use crate::key::prompter::passphrase_text;
use crate::key::remember::copy_of;

/// How often it may ask or tell something before one file is open.
const MOST: usize = 64;

type Opened = Option<Result<FileKey, age::DecryptError>>;

/// A plugin, with the identities it is to use.
pub(crate) struct Plugin {
    inner: Arc<IdentityPluginV1<Asking>>,
    talk: Arc<Talk>,
}

/// What is said while one file is being opened.
#[derive(Default)]
struct Talk {
    asked: AtomicUsize,
    /// Where its end is told.
    end: Mutex<Option<mpsc::Sender<Opened>>>,
}

impl Talk {
    /// Counts a question. Does not return after too many.
    fn ask(&self) {
        if self.asked.fetch_add(1, Ordering::Relaxed) < MOST {
            return;
        }
        let why = format!("it asked more than {MOST} times");
        self.finish(Some(Err(age::DecryptError::Io(io::Error::other(why)))));
        loop {
            std::thread::park();
        }
    }

    fn begin(&self) -> mpsc::Receiver<Opened> {
        let (end, ended) = mpsc::channel();
        self.asked.store(0, Ordering::Relaxed);
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        ended
    }

    fn finish(&self, opened: Opened) {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Whoever waited for it is gone with the command.
        end.map(|end| end.send(opened).ok());
    }
}

impl Plugin {
    /// The plugin that `key` names; `None` if it is not installed.
    pub(crate) fn find(key: &age::plugin::Identity, prompter: Arc<dyn Prompter>) -> Option<Self> {
        let talk = Arc::<Talk>::default();
        let asking = Asking { prompter, talk: Arc::clone(&talk) };
        let keys = std::slice::from_ref(key);
        let inner = Arc::new(IdentityPluginV1::new(key.plugin(), keys, asking).ok()?);
        Some(Self { inner, talk })
    }
}

impl age::Identity for Plugin {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Opened {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Opened {
        let stanzas: Vec<Stanza> = stanzas.iter().map(copy_of).collect();
        let (inner, talk) = (Arc::clone(&self.inner), Arc::clone(&self.talk));
        let ended = self.talk.begin();
        let held =
            std::thread::Builder::new().spawn(move || talk.finish(inner.unwrap_stanzas(&stanzas)));
        let held = match held {
            Ok(held) => held,
            Err(error) => return Some(Err(age::DecryptError::Io(error))),
        };
        let opened = ended.recv().ok().flatten();
        if self.talk.asked.load(Ordering::Relaxed) <= MOST {
            // It is at its end, and what the command does next may want to be alone.
            held.join().ok();
        }
        opened
    }
}

/// A [`Prompter`] as the age library calls it for a plugin.
#[derive(Clone)]
struct Asking {
    prompter: Arc<dyn Prompter>,
    talk: Arc<Talk>,
}

impl age::Callbacks for Asking {
    fn display_message(&self, message: &str) {
        self.talk.ask();
        self.prompter.notice(message);
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.talk.ask();
        self.prompter.agrees(message, yes, no)
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.talk.ask();
        self.prompter.line(description)
    }

    fn request_passphrase(&self, description: &str) -> Option<age::secrecy::SecretString> {
        self.talk.ask();
        let secret = self.prompter.passphrase(description).ok()??;
        passphrase_text(&secret)
    }
}
