//! A `get` as scripts write it, read without building the parser, which takes as long as
//! the question itself. Words that are anything else, or wrong, are left to the parser: it
//! alone defines the flags, and a test holds this to what it says.

use std::ffi::OsString;
use std::str::FromStr;

use super::{Cli, Command, Get, Global, KeyArg, With, Within};

/// `keyrack get` with nothing behind it but `--for`, `--key`, `--env` and `--org`, each with
/// its value as the next word. Nothing for every other command line.
pub fn get(mut words: impl Iterator<Item = OsString>) -> Option<Cli> {
    if words.nth(1)? != "get" {
        return None;
    }
    let (mut owner, mut key) = (Vec::new(), Vec::<KeyArg>::new());
    let mut within = Within { env: None, org: None };
    while let Some(flag) = words.next() {
        let value = words.next()?;
        let value = value.to_str()?;
        match flag.to_str()? {
            "--for" => owner.push(value.parse().ok()?),
            "--key" => key.push(value.parse().ok()?),
            "--env" => once(&mut within.env, value)?,
            "--org" => once(&mut within.org, value)?,
            _ => return None,
        }
    }
    if key.is_empty() {
        return None;
    }
    let own = Get { key, within, format: None, unlock: false };
    let global = Global { owner, ..Global::default() };
    Some(Cli { global: Global::default(), command: Command::Get(With { own, global }) })
}

fn once<T: FromStr>(place: &mut Option<T>, value: &str) -> Option<()> {
    if place.is_some() {
        return None;
    }
    *place = Some(value.parse().ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use proptest::prelude::*;

    use super::*;

    const FLAGS: &[&str] = &["--for", "--key", "--env", "--org", "--json", "--key=A", "--ke"];
    const VALUES: &[&str] = &[
        "mechanic",
        "human",
        "TOKEN",
        "acme.dev.TOKEN",
        "@all",
        "all",
        "sudo",
        "",
        "-",
        "--",
        "-q",
        "--help",
        "--key",
        "../evil",
    ];

    fn read(words: &[&str]) -> Option<Cli> {
        get(words.iter().map(OsString::from))
    }

    #[test]
    fn a_plain_get_is_read() {
        let words = ["keyrack", "get", "--for", "mechanic", "--key", "TOKEN", "--env", "sudo"];
        assert!(read(&words).is_some());
        assert!(read(&["keyrack", "get", "--key", "a.b.TOKEN", "--org", "acme"]).is_some());
    }

    #[test]
    fn what_is_wrong_is_left_to_the_parser() {
        for words in [
            &["keyrack"][..],
            &["keyrack", "get"],
            &["keyrack", "get", "--for", "mechanic"],
            &["keyrack", "get", "--key"],
            &["keyrack", "get", "--key", "--json"],
            &["keyrack", "get", "--key", "A", "--env", "a", "--env", "b"],
            &["keyrack", "--for", "mechanic", "get", "--key", "A"],
        ] {
            assert!(read(words).is_none(), "{words:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_the_parser_says(
            words in prop::collection::vec(
                (prop::sample::select(FLAGS), prop::sample::select(VALUES)), 1..4,
            ),
        ) {
            let words = words.iter().flat_map(|(flag, value)| [*flag, *value]);
            let words: Vec<&str> = ["keyrack", "get"].into_iter().chain(words).collect();
            if let Some(read) = read(&words) {
                let parsed = Cli::try_parse_from(&words).map_err(|e| e.to_string());
                prop_assert_eq!(parsed.map(|cli| format!("{cli:?}")), Ok(format!("{read:?}")));
            }
        }
    }
}
