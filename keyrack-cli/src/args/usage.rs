//! Reading the command line, and saying what is wrong with it without showing it back:
//! what stands in the wrong place may be a secret.

use std::error::Error;
use std::ffi::OsString;
use std::io::ErrorKind as Io;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};

use crate::args::{Cli, plain};
use crate::error::{Code, Failure};
use crate::person::ui::stderr;
use crate::system::sys;

/// Why there is nothing to run.
pub enum Stop {
    /// Help or the version was asked for, and shown.
    Shown,
    /// Nothing was asked for; help was shown on stderr.
    Helped,
    /// The command line does not make sense. Whether `--json` stood in it.
    Wrong(Failure, bool),
}

/// Reads the command line.
///
/// # Errors
/// [`Stop`] when there is nothing to run.
pub fn parse() -> Result<Cli, Stop> {
    if let Some(cli) = plain::get(std::env::args_os()) {
        return Ok(cli);
    }
    let mut command = Cli::command();
    let parsed = command.try_get_matches_from_mut(words()).and_then(|mut matches| {
        Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    });
    // Taking it apart would take a quarter as long as the parsing did.
    std::mem::forget(command);
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => shown(error.print()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Stop::Helped
        }
        _ => Stop::Wrong(failure(&error), std::env::args_os().any(|arg| arg == "--json")),
    })
}

/// The words of the command line. `keyrack help set` is `keyrack set --help`.
fn words() -> Vec<OsString> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        // What stands behind it would be run, not explained.
        words.truncate(words.iter().position(|word| word == "--").unwrap_or(words.len()));
        words.push("--help".into());
    }
    words
}

/// Help that could not be written was not given.
fn shown(printed: std::io::Result<()>) -> Stop {
    match printed {
        Ok(()) => Stop::Shown,
        Err(error) if error.kind() == Io::BrokenPipe => sys::end_by_sigpipe(),
        Err(error) => {
            Stop::Wrong(Failure::new(Code::Unexpected, format!("stdout: {error}")), false)
        }
    }
}

/// Says why the command ends before it knows how it was to talk.
pub fn report(failure: &Failure, json: bool) {
    if json {
        eprintln!("{}", failure.json());
        return;
    }
    stderr("error: ", &failure.message);
    failure.hints.iter().for_each(|hint| stderr("hint: ", hint));
}

fn failure(error: &clap::Error) -> Failure {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let argument = || text(ContextKind::InvalidArg).unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let why = error.source().map(ToString::to_string);
            let allowed = || text(ContextKind::ValidValue).filter(|values| !values.is_empty());
            let allowed = || allowed().map(|values| format!("use one of {values}"));
            format!(
                "{}: {}",
                argument(),
                why.or_else(allowed).unwrap_or_else(|| "a value is missing".into())
            )
        }
        ErrorKind::UnknownArgument => {
            unknown(&argument(), &suggestion(error, ContextKind::SuggestedArg))
        }
        ErrorKind::InvalidSubcommand => {
            let meant = suggestion(error, ContextKind::SuggestedSubcommand);
            format!("there is no such command{meant}")
        }
        ErrorKind::MissingRequiredArgument => format!("{} is required", argument()),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "a command is required".to_owned()
        }
        ErrorKind::ArgumentConflict => {
            let other = text(ContextKind::PriorArg).unwrap_or_default();
            format!("{} cannot be used with {other}", argument())
        }
        kind => kind.to_string(),
    };
    let command = asked(std::env::args_os().filter_map(|word| word.into_string().ok()));
    let failure = Failure::new(Code::Usage, message);
    let failure = match (error.kind(), command.as_str()) {
        (ErrorKind::UnknownArgument | ErrorKind::MissingRequiredArgument, "keyrack exec") => {
            failure.hint("keyrack exec --for OWNER --key KEY -- PROGRAM ARGUMENTS")
        }
        (ErrorKind::UnknownArgument, _) if !argument().starts_with('-') => {
            failure.hint("an owner is named by --for, a credential by --key")
        }
        _ => failure,
    };
    failure.hint(format!("{command} --help"))
}

/// A flag is shown up to its `=`; anything else is not shown.
fn unknown(argument: &str, meant: &str) -> String {
    let flag = argument.split('=').next().unwrap_or_default();
    let is_short = flag.len() == 2 && flag.starts_with('-');
    let is_long = flag.starts_with("--") && flag.len() < 32;
    if (is_short || is_long) && flag.bytes().all(|c| c.is_ascii_lowercase() || c == b'-') {
        format!("there is no flag {flag} here{meant}")
    } else {
        "there is a word too many (not shown: it may be a value)".to_owned()
    }
}

/// What was meant, as far as that can be told. The best guess is the last one.
fn suggestion(error: &clap::Error, kind: ContextKind) -> String {
    let guess = match error.get(kind) {
        Some(ContextValue::Strings(names)) => names.last(),
        Some(ContextValue::String(name)) => Some(name),
        _ => None,
    };
    guess.map(|name| format!(": did you mean {name}?")).unwrap_or_default()
}

/// The command that was meant: the words that are names of commands, each of the one before.
fn asked(words: impl Iterator<Item = String>) -> String {
    let (mut path, mut at) = ("keyrack".to_owned(), Cli::command());
    at.build();
    for word in words {
        if let Some(found) = at.find_subcommand(&word).cloned() {
            path = format!("{path} {word}");
            at = found;
        }
    }
    path
}
