//! A helper's question, put to the person: on the terminal, or as a line of JSON to a program
//! that watches over us.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::RawFd;

use keyrack_names::Secret;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::hook::Question;
use crate::error::{Code, Context, Failure, Outcome};
use crate::person::ui::Ui;
use crate::system::sys;

/// The longest answer.
const LONGEST: usize = 1024 * 1024;

/// What the watching program answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    answer: Option<String>,
    #[serde(default)]
    cancelled: bool,
}

/// Puts the question that `who` has. `None` when the person cancels.
///
/// # Errors
/// [`Code::NeedsPerson`] when nobody is there.
pub fn put(question: &Question, who: &str, to: Option<RawFd>, ui: &Ui) -> Outcome<Option<Secret>> {
    match to {
        Some(fd) => by_descriptor(question, fd),
        None => {
            let words = format!("{who} asks for {}: {}", question.ask, question.prompt);
            ui.asker.secret(&words).map_err(|failure| Failure {
                message: format!("{who} asks for {}: {}", question.ask, failure.message),
                ..failure
            })
        }
    }
}

fn by_descriptor(question: &Question, fd: RawFd) -> Outcome<Option<Secret>> {
    let doing = || format!("--interaction-fd {fd}");
    let mut line = File::from(sys::duplicate(fd).context(doing)?);
    let mut text = serde_json::to_vec(question).context(doing)?;
    text.push(b'\n');
    line.write_all(&text).context(doing)?;
    let mut answer = Zeroizing::new(Vec::new());
    let mut byte = [0];
    // Byte by byte: what comes behind the line is not ours.
    while line.read(&mut byte).context(doing)? == 1 && byte[0] != b'\n' {
        answer.push(byte[0]);
        if answer.len() > LONGEST {
            return Err(Failure::new(Code::Usage, format!("{}: the answer is too long", doing())));
        }
    }
    if answer.is_empty() {
        return Err(Failure::new(Code::NeedsPerson, format!("{}: nobody answered", doing())));
    }
    let answered: Answered = serde_json::from_slice(&answer).map_err(|_| {
        Failure::new(Code::Usage, format!("{}: the answer is no {{\"answer\":…}}", doing()))
    })?;
    let answer = answered.answer.filter(|_| !answered.cancelled);
    Ok(answer.map(|answer| Secret::new(answer.into_bytes())))
}
