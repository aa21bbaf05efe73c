//! A declared program that makes new values: it is started with what it is given in its
//! environment, asks a person through us, and hands in what it made. Lines of JSON:
//!
//! ```json
//! {"ask":"otp","prompt":"code for octocat"}              on its stdout
//! {"answer":"123456"}   or   {"cancelled":true}          on its stdin
//! {"set":"COOKIES","value":"…","expires":"9h"}           on its stdout
//! ```
//!
//! What it hands in counts when it has ended well, and not before.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use keyrack_manifest::Word;
use keyrack_names::{KeyName, Secret};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::args::when::When;
use crate::error::{Code, Context, Failure, Outcome};
use crate::exec::environment::Environment;
use crate::sandbox;

/// The longest line: a value of a mebibyte, every byte of it escaped.
const LONGEST: usize = 8 * 1024 * 1024;
/// So many values are handed in at most.
const MOST: usize = 64;
/// How long it may say nothing: a person may log in meanwhile, in a browser.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How often it is looked whether it has ended: what it started may hold its stdout.
const LOOK_AGAIN_MS: u16 = 100;
/// What a person is shown of a question.
const PROMPT: usize = 200;

/// A program to be run.
#[derive(Debug)]
pub struct Hook<'a> {
    /// What people call it: `login of github`.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Where it is run.
    pub folder: PathBuf,
    /// What it finds in its environment.
    pub environment: Environment,
    /// What it may ask for.
    pub asks: &'a BTreeSet<Word>,
}

/// A value that it made.
#[derive(Debug)]
pub struct Made {
    /// What the declaration calls it.
    pub name: KeyName,
    /// The value.
    pub value: Secret,
    /// When it stops being valid.
    pub expires: Option<When>,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// What is asked for, such as `otp`.
    pub ask: Word,
    /// What a person is told.
    pub prompt: String,
}

/// One line that it says.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Said {
    Ask { ask: Word, prompt: String },
    Set { set: KeyName, value: String, expires: Option<String> },
}

/// What it is told.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Told<'a> {
    Answer(&'a str),
    Cancelled(bool),
}

impl Hook<'_> {
    /// Runs it to its end; `answer` asks the person.
    ///
    /// # Errors
    /// [`Code::Denied`] when it asks for what it did not declare; [`Code::Unexpected`] when it
    /// fails or says what is none of these lines; what `answer` fails with.
    pub fn run(
        self,
        answer: &mut dyn FnMut(&Question) -> Outcome<Option<Secret>>,
    ) -> Outcome<Vec<Made>> {
        let mut command = Command::new(self.command.first().cloned().unwrap_or_default());
        command.args(self.command.get(1..).unwrap_or_default());
        command.env_clear().envs(&self.environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir(&self.folder);
        sandbox::begin_without_keys(&mut command);
        let mut running = Running(command.spawn().context(|| self.name.clone())?);
        let made = self.converse(&mut running.0, answer)?;
        let limit = Instant::now() + PATIENCE;
        let status = loop {
            match running.0.try_wait().context(|| self.name.clone())? {
                Some(status) => break status,
                None if Instant::now() > limit => return Err(self.timed_out()),
                None => thread::sleep(Duration::from_millis(LOOK_AGAIN_MS.into())),
            }
        };
        match status.success() {
            true => Ok(made),
            false => Err(self.failed(&format!("ended with {status}"))),
        }
    }

    fn converse(
        &self,
        child: &mut Child,
        answer: &mut dyn FnMut(&Question) -> Outcome<Option<Secret>>,
    ) -> Outcome<Vec<Made>> {
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(mut stdin), Some(from)) = (stdin, stdout) else {
            return Err(self.failed("has no streams"));
        };
        let mut lines = Lines { from, read: Zeroizing::new(Vec::new()) };
        let mut made: Vec<Made> = Vec::new();
        while let Some(line) = self.line(&mut lines, child)? {
            // The line is not shown: it may hold a value.
            let said = serde_json::from_slice(&line);
            match said.map_err(|_| self.failed("said what is neither a question nor a value"))? {
                Said::Ask { ask, prompt } => {
                    let told = answer(&self.question(ask, &prompt)?)?;
                    let text = match &told {
                        Some(secret) => std::str::from_utf8(secret.expose())
                            .map(Told::Answer)
                            .map_err(|_| self.failed("cannot be told what is not UTF-8"))?,
                        None => Told::Cancelled(true),
                    };
                    let mut line = Zeroizing::new(serde_json::to_vec(&text).unwrap_or_default());
                    line.push(b'\n');
                    // One that does not listen fails by itself, and that is said.
                    let _ = stdin.write_all(&line);
                }
                Said::Set { set, value, expires } => {
                    if made.len() >= MOST {
                        return Err(self.failed("handed in too much"));
                    }
                    if made.iter().any(|made| made.name == set) {
                        return Err(self.failed(&format!("handed in {set} twice")));
                    }
                    made.push(self.made(set, Secret::new(value.into_bytes()), expires)?);
                }
            }
        }
        Ok(made)
    }

    /// What takes a value's place is one, and is not over when it comes.
    fn made(&self, name: KeyName, value: Secret, expires: Option<String>) -> Outcome<Made> {
        let expires: Option<When> = expires.map(|when| when.parse()).transpose().map_err(|_| {
            self.failed(&format!("handed in {name}, and says no time after expires"))
        })?;
        let now = Timestamp::now();
        match expires.is_some_and(|when| when.at(now) <= now) {
            _ if value.is_empty() => Err(self.failed(&format!("handed in {name} without a value"))),
            true => Err(self.failed(&format!("handed in {name}, which is over already"))),
            false => Ok(Made { name, value, expires }),
        }
    }

    /// The next line that says something; `None` when it says no more, also where something
    /// that it started still holds its stdout.
    fn line(&self, from: &mut Lines, child: &mut Child) -> Outcome<Option<Zeroizing<Vec<u8>>>> {
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = from.line() {
                return Ok(Some(line));
            }
            if from.read.len() >= LONGEST {
                return Err(self.failed("says a line that is too long"));
            }
            // Looked at before its stdout, so that what it said last is read.
            let has_ended = child.try_wait().context(|| self.name.clone())?.is_some();
            match from.more().context(|| self.name.clone())? {
                More::Some => {}
                More::End => return Ok(from.rest()),
                More::None if has_ended => return Ok(from.rest()),
                More::None if Instant::now() > limit => return Err(self.timed_out()),
                More::None => {}
            }
        }
    }

    fn question(&self, ask: Word, prompt: &str) -> Outcome<Question> {
        if !self.asks.contains(&ask) {
            let message = format!("{} asks for {ask}, which it did not declare", self.name);
            return Err(Failure::new(Code::Denied, message));
        }
        let prompt = prompt.chars().filter(|c| !c.is_control()).take(PROMPT).collect();
        Ok(Question { ask, prompt })
    }

    fn timed_out(&self) -> Failure {
        let message = format!("{} said nothing for {} minutes", self.name, PATIENCE.as_secs() / 60);
        Failure::new(Code::TimedOut, message)
    }

    fn failed(&self, why: &str) -> Failure {
        Failure::new(Code::Unexpected, format!("{} {why}", self.name))
    }
}

/// What it says, line by line.
struct Lines {
    from: ChildStdout,
    read: Zeroizing<Vec<u8>>,
}

/// What came of waiting for more.
enum More {
    Some,
    None,
    End,
}

impl Lines {
    /// The next whole line that says something.
    fn line(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        while let Some(at) = self.read.iter().position(|byte| *byte == b'\n') {
            let line: Zeroizing<Vec<u8>> = Zeroizing::new(self.read.drain(..=at).collect());
            if !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
        None
    }

    /// What stands there without an end.
    fn rest(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let rest = std::mem::take(&mut self.read);
        (!rest.trim_ascii().is_empty()).then_some(rest)
    }

    /// Waits a moment for more.
    fn more(&mut self) -> std::io::Result<More> {
        let mut wanted = [PollFd::new(self.from.as_fd(), PollFlags::POLLIN)];
        if poll(&mut wanted, PollTimeout::from(LOOK_AGAIN_MS))? == 0 {
            return Ok(More::None);
        }
        let mut bytes = Zeroizing::new(vec![0; 64 * 1024]);
        match self.from.read(&mut bytes) {
            Ok(0) => Ok(More::End),
            Ok(read) => {
                self.read.extend_from_slice(&bytes[..read]);
                Ok(More::Some)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(More::None),
            Err(error) => Err(error),
        }
    }
}

/// It ends with us, whatever became of it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended is left alone by both.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook<'a>(script: &str, asks: &'a BTreeSet<Word>) -> Hook<'a> {
        let command = ["sh", "-c", script].map(OsString::from).to_vec();
        let environment = [("PATH".into(), "/usr/bin:/bin".into())].into();
        let folder = "/".into();
        Hook { name: "login of github".to_owned(), command, folder, environment, asks }
    }

    fn run(script: &str) -> (Outcome<Vec<Made>>, Vec<String>) {
        let asks = ["otp".parse().unwrap()].into();
        let mut asked = Vec::new();
        let made = hook(script, &asks).run(&mut |question| {
            asked.push(question.prompt.clone());
            Ok(Some(Secret::from(&b"12\"34"[..])))
        });
        (made, asked)
    }

    #[test]
    fn what_it_asks_and_hands_in() {
        let script = r#"say() { printf '%s\n' "$1"; }; say ''
            say '{"ask":"otp","prompt":"code \u001b[1mplease"}'; read -r line
            [ "$line" = '{"answer":"12\"34"}' ] || exit 3
            say '{"set":"COOKIES","value":"a\nb","expires":"9h"}'; say '{"set":"PAT","value":"b"}'"#;
        let (made, asked) = run(script);
        let made = made.unwrap();
        assert_eq!(asked, ["code [1mplease"]);
        let names: Vec<&str> = made.iter().map(|made| made.name.as_str()).collect();
        assert_eq!(names, ["COOKIES", "PAT"]);
        assert_eq!(made[0].value.expose(), b"a\nb");
        assert!(made[0].expires.is_some() && made[1].expires.is_none());
    }

    #[test]
    fn nothing_counts_of_one_that_fails() {
        for (script, code, why) in [
            (
                r#"echo '{"set":"PAT","value":"hunter2"}'; exit 3"#,
                Code::Unexpected,
                "ended with exit status: 3",
            ),
            (
                r#"echo '{"set":"PAT","value":"hunter2"}'; kill -9 $$"#,
                Code::Unexpected,
                "ended with signal: 9",
            ),
            ("echo hunter2", Code::Unexpected, "said what is neither a question nor a value"),
            (
                r#"echo '{"set":"PAT","value":"hunter2","x":1}'"#,
                Code::Unexpected,
                "said what is neither",
            ),
            (
                r#"echo '{"set":"PAT","value":"hunter2","expires":"soon"}'"#,
                Code::Unexpected,
                "no time after expires",
            ),
            (
                r#"echo '{"ask":"password","prompt":"hunter2"}'"#,
                Code::Denied,
                "asks for password, which it did not declare",
            ),
            ("head -c 9000000 /dev/zero", Code::Unexpected, "a line that is too long"),
        ] {
            let failure = run(script).0.unwrap_err();
            assert_eq!(failure.code, code, "{script}");
            assert!(
                failure.message.contains(why) && !failure.message.contains("hunter2"),
                "{}",
                failure.message
            );
        }
    }

    #[test]
    fn one_that_nobody_answers_is_ended() {
        let asks = ["otp".parse().unwrap()].into();
        let script = r#"echo '{"ask":"otp","prompt":"code"}'; exec sleep 1000"#;
        let nobody = || Failure::new(Code::NeedsPerson, "nobody is there");
        let failure = hook(script, &asks).run(&mut |_| Err(nobody())).unwrap_err();
        assert_eq!(failure.code, Code::NeedsPerson);
    }
}
