//! The environment of a program that is given credentials: the caller's, without what is
//! ours, without what else the owner holds, with what was declared. Pure.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use keyrack_names::{KeyName, Owner};

use crate::deliver;

/// Variables by name.
pub type Environment = BTreeMap<OsString, OsString>;

/// Linux takes no longer `NAME=value` with its NUL (`MAX_ARG_STRLEN`).
const LONGEST: usize = 128 * 1024;

/// Whether a value of that many bytes fits into the environment under that name.
pub fn fits(name: &KeyName, length: usize) -> bool {
    name.as_str().len() + length + 2 <= LONGEST
}

/// Takes out the values of the owner's other credentials: a caller that has them in its
/// environment must not pass them on. Names that every program needs stay.
pub fn without_others(environment: &mut Environment, others: &[KeyName]) {
    environment.retain(|name, _| {
        let is_other = others.iter().any(|other| name == OsStr::new(other.as_str()));
        !is_other || name.to_str().is_some_and(deliver::is_dangerous)
    });
}

/// Puts in whose program it is, and what it is given.
pub fn with(
    environment: &mut Environment,
    owner: &Owner,
    given: impl IntoIterator<Item = (KeyName, OsString)>,
) {
    environment.insert("KEYRACK_FOR".into(), owner.as_str().into());
    environment.extend(given.into_iter().map(|(name, value)| (name.as_str().into(), value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn other_values_of_the_owner_are_not_passed_on() {
        let mut found = environment(&[
            ("A", "of the caller"),
            ("B", "of the caller"),
            ("PATH", "/bin"),
            ("X", "1"),
        ]);
        let others = ["B", "PATH"].map(|name| name.parse().unwrap());
        without_others(&mut found, &others);
        with(&mut found, &"bot".parse().unwrap(), [("A".parse().unwrap(), "given".into())]);
        assert_eq!(
            found,
            environment(&[("A", "given"), ("KEYRACK_FOR", "bot"), ("PATH", "/bin"), ("X", "1")])
        );
    }

    #[test]
    fn the_longest_value_is_what_linux_takes() {
        let name: KeyName = "NAME".parse().unwrap();
        let longest = LONGEST - "NAME=".len() - 1;
        assert!(fits(&name, longest) && !fits(&name, longest + 1));
        let runs = |length: usize| {
            let mut program = std::process::Command::new("/bin/true");
            program.env_clear().env("NAME", "x".repeat(length)).status().is_ok()
        };
        assert!(runs(longest) && !runs(longest + 1));
    }
}
