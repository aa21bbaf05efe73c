//! How a person is asked: by descriptor, on the terminal, or, where there is none, by a
//! program that shows a dialog.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use keyrack_manifest::{PromptError, Prompter};
use keyrack_names::Secret;

use crate::error::{Code, Failure, Outcome};
use crate::person::ui::stderr;
use crate::person::{pinentry, prompt};
use crate::system::sys;

/// What may be done to reach a person.
#[derive(Debug, Default)]
pub struct Asker {
    /// Never wait for a person.
    pub no_input: bool,
    /// Agree to what would be asked.
    pub yes: bool,
    /// Whether YubiKeys and age plugins may be spoken to: either may wait for a person.
    pub reaches_hardware: bool,
    /// Where a passphrase or PIN can be read, one line.
    pub passphrase_fd: Option<RawFd>,
    /// The program to ask with where there is no terminal.
    pub dialog: Option<Dialog>,
    /// Whether somebody was to be asked and nobody was there.
    pub unanswered: AtomicBool,
    /// What `passphrase_fd` said: it can be read only once.
    pub told: Mutex<Option<Secret>>,
}

/// A program that asks.
#[derive(Debug)]
pub enum Dialog {
    /// One like ssh's: the question is its argument, the answer its output.
    Askpass(OsString),
    /// GnuPG's.
    Pinentry(PathBuf),
}

impl Dialog {
    fn ask(&self, question: &str) -> Outcome<Option<Secret>> {
        match self {
            Self::Askpass(program) => prompt::by_program(program, question),
            Self::Pinentry(program) => Ok(pinentry::ask(program, question)),
        }
    }
}

impl Asker {
    /// One that reaches nobody.
    pub fn for_nobody() -> Self {
        Self { no_input: true, ..Self::default() }
    }

    /// One that reaches nobody, but still has what a descriptor says.
    pub fn without_person(&self) -> Self {
        let told = self.told.lock().ok().and_then(|told| told.clone());
        Self {
            no_input: true,
            passphrase_fd: self.passphrase_fd,
            told: Mutex::new(told),
            ..Self::default()
        }
    }

    /// Whether a person is there.
    pub fn has_person(&self) -> bool {
        !self.no_input && (prompt::has_terminal() || self.dialog.is_some())
    }

    /// Whether a passphrase or PIN can be had, be it from a descriptor.
    pub fn has_answer(&self) -> bool {
        self.passphrase_fd.is_some() || self.has_person()
    }

    /// Asks for a value without echo. `None` when the person cancels.
    ///
    /// # Errors
    /// [`Code::NeedsPerson`] when nobody is there; [`Code::Usage`] when the answer is too long.
    pub fn secret(&self, question: &str) -> Outcome<Option<Secret>> {
        if self.no_input {
            return Err(Failure::new(
                Code::NeedsPerson,
                "a person is needed, and --no-input forbids to wait",
            ));
        }
        if prompt::has_terminal() {
            return prompt::on_terminal(&format!("{question}: "));
        }
        match &self.dialog {
            Some(dialog) => dialog.ask(question),
            None => {
                Err(Failure::new(Code::NeedsPerson, "a person is needed, and there is no terminal"))
            }
        }
    }

    /// Asks whether to go on. `--yes` agrees.
    ///
    /// # Errors
    /// [`Code::NeedsPerson`] when nobody is there to agree.
    pub fn agrees(&self, question: &str) -> Outcome<bool> {
        if self.yes {
            return Ok(true);
        }
        let answer =
            if self.no_input { None } else { prompt::agrees(&format!("keyrack: {question}")) };
        answer.ok_or_else(|| {
            Failure::new(Code::NeedsPerson, format!("{question} nobody is here to agree"))
                .hint("add --yes to agree beforehand")
        })
    }

    fn told(&self, fd: RawFd) -> Result<Secret, PromptError> {
        let failed = |e: &dyn std::fmt::Display| {
            PromptError::Failed(format!("KEYRACK_PASSPHRASE_FD={fd}: {e}"))
        };
        let mut told = self.told.lock().map_err(|e| failed(&e))?;
        if told.is_none() {
            let file = sys::duplicate(fd).map_err(|e| failed(&e.desc()))?;
            *told = Some(prompt::line_from(std::fs::File::from(file)).map_err(|e| failed(&e))?);
        }
        Ok(told.clone().unwrap_or_default())
    }
}

impl Prompter for Asker {
    fn passphrase(&self, what: &str) -> Result<Option<Secret>, PromptError> {
        match self.passphrase_fd {
            Some(fd) => self.told(fd).map(Some),
            None => self.secret(what).map_err(|failure| {
                if failure.code != Code::NeedsPerson {
                    return PromptError::Failed(failure.message);
                }
                self.unanswered.store(true, Ordering::Relaxed);
                PromptError::NobodyThere
            }),
        }
    }

    fn has_typist(&self) -> bool {
        self.passphrase_fd.is_none() && !self.no_input && prompt::has_terminal()
    }

    fn line(&self, what: &str) -> Option<String> {
        let line = (!self.no_input).then(|| prompt::line(&format!("keyrack: {what}: "))).flatten();
        self.unanswered.fetch_or(line.is_none(), Ordering::Relaxed);
        line
    }

    fn agrees(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let question = format!("keyrack: {question}");
        let answer = match no {
            _ if self.no_input => None,
            Some(no) => prompt::agrees(&format!("{question} ({yes}, or else: {no})")),
            // There is nothing else to say.
            None => prompt::line(&format!("{question} ({yes}: press enter) ")).map(|_| true),
        };
        self.unanswered.fetch_or(answer.is_none(), Ordering::Relaxed);
        answer
    }

    fn notice(&self, text: &str) {
        stderr("", text);
        prompt::tell(&format!("keyrack: {text}"));
    }
}
