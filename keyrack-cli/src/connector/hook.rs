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
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use keyrack_manifest::Word;
use keyrack_names::{KeyName, Secret};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::args::when::When;
use crate::error::{Code, Context, Failure, Outcome};
use crate::exec::environment::Environment;
use crate::sandbox;

/// The longest line: a value of a mebibyte, every byte of it escaped.
const LONGEST: u64 = 8 * 1024 * 1024;
/// What a person is shown of a question.
const PROMPT: usize = 200;

/// A program to be run.
#[derive(Debug)]
pub struct Hook<'a> {
    /// What people call it: `login of github`.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<OsString>,
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
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        sandbox::begin_without_keys(&mut command);
        let mut running = Running(command.spawn().context(|| self.name.clone())?);
        let made = self.converse(&mut running.0, answer)?;
        let status = running.0.wait().context(|| self.name.clone())?;
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
        let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(self.failed("has no streams"));
        };
        let (mut stdout, mut made) = (BufReader::new(stdout), Vec::new());
        while let Some(line) = self.line(&mut stdout)? {
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
                    let expires = expires.map(|when| when.parse()).transpose();
                    let expires = expires.map_err(|_| self.failed("says no time after expires"))?;
                    let value = Secret::new(value.into_bytes());
                    made.push(Made { name: set, value, expires });
                }
            }
        }
        Ok(made)
    }

    /// The next line that says something.
    fn line(&self, from: &mut impl BufRead) -> Outcome<Option<Zeroizing<Vec<u8>>>> {
        loop {
            let mut line = Zeroizing::new(Vec::new());
            let mut limited = from.by_ref().take(LONGEST);
            let read = limited.read_until(b'\n', &mut line).context(|| self.name.clone())?;
            if read as u64 == LONGEST {
                return Err(self.failed("says a line that is too long"));
            }
            if read == 0 || !line.trim_ascii().is_empty() {
                return Ok((read > 0).then_some(line));
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

    fn failed(&self, why: &str) -> Failure {
        Failure::new(Code::Unexpected, format!("{} {why}", self.name))
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
        Hook { name: "login of github".to_owned(), command, environment, asks }
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
            say '{"set":"COOKIES","value":"a\nb","expires":"9h"}'; say '{"set":"PAT","value":""}'"#;
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
