//! Exit codes and what a failure looks like. The words are chosen where the failure is
//! known; here is only their shape.

use std::process::{ExitCode, Termination};

use serde::{Deserialize, Serialize};

use crate::person::ui::Ui;

/// Why the command ends as it does. The one table of exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Code {
    /// Done.
    Ok = 0,
    /// Something unexpected, such as a full disk.
    Unexpected = 1,
    /// The command line does not make sense.
    Usage = 2,
    /// The credential exists but is locked or has expired.
    Locked = 3,
    /// There is no such owner or credential.
    Absent = 4,
    /// The caller has no right to it.
    Denied = 5,
    /// No key at hand opens the manifest.
    NoIdentity = 6,
    /// Something listens on the socket but does not answer rightly.
    Unreachable = 7,
    /// A person is needed and nobody is there.
    NeedsPerson = 8,
    /// It took too long.
    TimedOut = 9,
    /// Some of it was done.
    Partly = 10,
    /// It contradicts what is there.
    Conflict = 11,
    /// A file was changed, damaged or rolled back.
    Tampered = 12,
    /// A sandbox is in the way, or none can be made.
    Blocked = 13,
    /// The audit line cannot be written, so the secret is not released.
    Unlogged = 14,
    /// `exec` found the program and could not run it. As a shell says it.
    NotRunnable = 126,
    /// `exec` found no such program. As a shell says it.
    NotFound = 127,
}

impl Code {
    /// Every code with its meaning, for the man page and the docs.
    pub const TABLE: &[(Self, &str)] = &[
        (Self::Ok, "ok"),
        (Self::Unexpected, "unexpected"),
        (Self::Usage, "usage"),
        (Self::Locked, "locked or expired"),
        (Self::Absent, "absent"),
        (Self::Denied, "denied"),
        (Self::NoIdentity, "no usable identity"),
        (Self::Unreachable, "daemon unreachable"),
        (Self::NeedsPerson, "needs a person and nobody is there"),
        (Self::TimedOut, "timed out or no touch"),
        (Self::Partly, "partly done"),
        (Self::Conflict, "conflict"),
        (Self::Tampered, "tampered or rolled back"),
        (Self::Blocked, "blocked by a sandbox"),
        (Self::Unlogged, "no audit line, no secret"),
        (Self::NotRunnable, "the program cannot be run (exec)"),
        (Self::NotFound, "the program is not found (exec)"),
    ];

    /// The code of a batch: theirs if all agree, else [`Code::Partly`].
    pub fn of_batch(codes: impl IntoIterator<Item = Self>) -> Self {
        let mut codes = codes.into_iter();
        let Some(first) = codes.next() else { return Self::Ok };
        if codes.all(|code| code == first) { first } else { Self::Partly }
    }
}

/// What the process exits with: a [`Code`], or the status of the program that `exec` ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus(pub u8);

impl ExitStatus {
    /// All went well.
    pub const SUCCESS: Self = Self(Code::Ok as u8);
}

impl From<Code> for ExitStatus {
    fn from(code: Code) -> Self {
        Self(code as u8)
    }
}

impl Termination for ExitStatus {
    fn report(self) -> ExitCode {
        ExitCode::from(self.0)
    }
}

/// A failure: its exit code, what to say, and what to type next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// How the command ends.
    pub code: Code,
    /// Lower case, no full stop: what, which and why.
    pub message: String,
    /// The next command to type, one a line.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new() }
    }

    /// The same with one more hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same, with what it is about before what is wrong, where it does not begin so.
    pub fn about(mut self, what: impl std::fmt::Display) -> Self {
        let beginning = format!("{what}: ");
        if !self.message.starts_with(&beginning) {
            self.message.insert_str(0, &beginning);
        }
        self
    }

    /// How a batch of so many ends, in which these failed: all but the last are said here.
    ///
    /// # Errors
    /// With the last, and the code of all.
    pub fn of_batch(mut failures: Vec<Self>, of: usize, ui: &Ui) -> Outcome {
        let went_well = (failures.len() < of).then_some(Code::Ok);
        let code = Code::of_batch(went_well.into_iter().chain(failures.iter().map(|f| f.code)));
        let Some(last) = failures.pop() else { return Ok(()) };
        failures.iter().for_each(|failure| ui.fail(failure));
        Err(Self { code, ..last })
    }

    /// The failure as the object `--json` prints on stderr.
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        struct Error<'a> {
            code: u8,
            message: &'a str,
            #[serde(skip_serializing_if = "String::is_empty")]
            hint: String,
        }
        let error =
            Error { code: self.code as u8, message: &self.message, hint: self.hints.join("\n") };
        serde_json::json!({ "schemaVersion": 1, "error": error }).to_string()
    }
}

/// What every command returns.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Adds words to an unexpected error.
pub trait Context<T> {
    /// Turns the error into exit code 1, saying what was being done.
    ///
    /// # Errors
    /// When `self` is one.
    fn context(self, doing: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T, E: std::fmt::Display> Context<T> for Result<T, E> {
    fn context(self, doing: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|e| Failure::new(Code::Unexpected, format!("{}: {e}", doing())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_whole() {
        let codes: Vec<u8> = Code::TABLE.iter().map(|(code, _)| *code as u8).collect();
        assert_eq!(codes, (0..=14).chain([126, 127]).collect::<Vec<u8>>());
    }

    #[test]
    fn a_batch_that_agrees_keeps_its_code() {
        use Code::*;
        assert_eq!(Code::of_batch([]), Ok);
        assert_eq!(Code::of_batch([Ok, Ok]), Ok);
        assert_eq!(Code::of_batch([Absent, Absent]), Absent);
        assert_eq!(Code::of_batch([Ok, Absent]), Partly);
        assert_eq!(Code::of_batch([Locked, Absent]), Partly);
    }

    #[test]
    fn json_carries_code_message_and_hint() {
        let failure = Failure::new(Code::Locked, "x is locked").hint("keyrack unlock --for x");
        assert_eq!(
            failure.json(),
            r#"{"error":{"code":3,"hint":"keyrack unlock --for x","message":"x is locked"},"schemaVersion":1}"#
        );
    }
}
