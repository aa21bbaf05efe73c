//! The command line, which says next to nothing: what a daemon needs comes over standard
//! input, for a command line can be read by anybody.

use std::ffi::OsString;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
keyrackd: remembers what `keyrack unlock` decrypted, for one owner, until it runs out.

It is started by `keyrack unlock`, which hands it everything over a socket pair on
standard input. There is nothing to configure and no reason to start it by hand.

  --version   print the version
  --help      print this
";

/// The name under which a daemon starts itself again from a sealed copy, before its nonce.
pub(crate) const SECOND_STAGE: &str = "--second-stage=";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Args {
    /// Be a daemon; the nonce of a second stage.
    Serve(Option<String>),
    /// Print the version.
    Version,
    /// Print the help.
    Help,
    /// Anything else.
    Unknown,
}

/// Reads the command line, the program's name already taken off.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Args {
    let mut args = args.into_iter();
    let (first, rest) = (args.next(), args.next());
    match (first.as_ref().map(|arg| arg.to_str()), rest) {
        (None, None) => Args::Serve(None),
        (Some(Some("--version" | "-V")), None) => Args::Version,
        (Some(Some("--help" | "-h")), None) => Args::Help,
        (Some(Some(arg)), None) => match arg.strip_prefix(SECOND_STAGE) {
            Some(nonce) => Args::Serve(Some(nonce.to_owned())),
            None => Args::Unknown,
        },
        _ => Args::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_words_are_known() {
        let parsed = |args: &[&str]| parse(args.iter().map(OsString::from));
        assert_eq!(parsed(&[]), Args::Serve(None));
        assert_eq!(parsed(&["--second-stage=ab"]), Args::Serve(Some("ab".to_owned())));
        assert_eq!(parsed(&["--version"]), Args::Version);
        assert_eq!(parsed(&["-h"]), Args::Help);
        for other in [&["--owner"][..], &["serve"], &["--version", "x"], &[""]] {
            assert_eq!(parsed(other), Args::Unknown, "{other:?}");
        }
    }
}
