//! How values leave in text: shell exports, dotenv, docker and GitHub Actions. Pure.
//!
//! Some names are never delivered into an environment, whoever asks: a value there would
//! run code in the next program.

use std::fmt::Write as _;

use keyrack_names::{KeyName, Secret};
use zeroize::Zeroizing;

use crate::args::Format;

mod dotenv;

/// What docker's reader takes of a line, its end included.
const DOCKER_LINE: usize = 64 * 1024;

/// Why a value cannot be written in a format. Never shows the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    /// A program would run what the value says.
    #[error("{0} is never delivered into an environment: the next program would run what it says")]
    Dangerous(KeyName),
    /// Environment variables end at the first NUL.
    #[error("{0} holds a NUL byte, which no environment variable can hold")]
    Nul(KeyName),
    /// The format is text.
    #[error("{0} is not UTF-8, which {1} cannot hold")]
    NotText(KeyName, &'static str),
    /// One line a variable, no quoting.
    #[error("{0} has several lines, which docker's --env-file cannot hold")]
    Lines(KeyName),
    /// docker reads a file line by line, into so much.
    #[error("{0} is longer than the 64 KiB that docker reads of a line of --env-file")]
    Long(KeyName),
    /// Readers of dotenv files would make different values of it.
    #[error("{0} is no value that dotenv files can hold: readers disagree about its quotes and $")]
    Disputed(KeyName),
}

/// Whether `name` would make the next program run what its value says.
pub fn is_dangerous(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "PATH",
        "HOME",
        "IFS",
        "ENV",
        "BASH_ENV",
        "ZDOTDIR",
        "PROMPT_COMMAND",
        "SHELLOPTS",
        "BASHOPTS",
        "PS4",
        "PAGER",
        "MANPAGER",
        "LESSOPEN",
        "LESSCLOSE",
        "EDITOR",
        "VISUAL",
        "BROWSER",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONHOME",
        "PYTHONBREAKPOINT",
        "NODE_OPTIONS",
        "NODE_PATH",
        "RUBYOPT",
        "RUBYLIB",
        "PERLLIB",
        "JAVA_TOOL_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "_JAVA_OPTIONS",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "GCONV_PATH",
        "GLIBC_TUNABLES",
        "SSH_ASKPASS",
        "GIT_ASKPASS",
        "GIT_EDITOR",
        "GIT_SEQUENCE_EDITOR",
        "GIT_PAGER",
        "GIT_EXTERNAL_DIFF",
        "GIT_EXEC_PATH",
        "GIT_PROXY_COMMAND",
        "GIT_TEMPLATE_DIR",
    ];
    const PREFIXES: &[&str] =
        &["LD_", "DYLD_", "PERL5", "GIT_CONFIG", "GIT_SSH", "KEYRACK_", "BASH_FUNC_"];
    let upper = name.to_ascii_uppercase();
    NAMES.contains(&upper.as_str()) || PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
}

/// Refuses what no environment can hold or should.
///
/// # Errors
/// See [`DeliverError`].
pub fn check(key: &KeyName, value: &[u8]) -> Result<(), DeliverError> {
    if is_dangerous(key.as_str()) {
        return Err(DeliverError::Dangerous(key.clone()));
    }
    if value.contains(&0) {
        return Err(DeliverError::Nul(key.clone()));
    }
    Ok(())
}

/// One value in `format`, ending in a newline. `delimiter` ends a block for GitHub and
/// must be random: a value that holds it could add variables of its own.
///
/// # Errors
/// See [`DeliverError`].
pub fn write(
    format: Format,
    key: &KeyName,
    value: &[u8],
    delimiter: &str,
) -> Result<Zeroizing<Vec<u8>>, DeliverError> {
    check(key, value)?;
    let text =
        |name| std::str::from_utf8(value).map_err(|_| DeliverError::NotText(key.clone(), name));
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 2 + key.as_str().len() + 64));
    match format {
        Format::Export => {
            out.extend_from_slice(format!("export {key}='").as_bytes());
            for &byte in value {
                match byte {
                    b'\'' => out.extend_from_slice(b"'\\''"),
                    other => out.push(other),
                }
            }
            out.extend_from_slice(b"'\n");
        }
        Format::Dotenv => {
            let quoted = dotenv::quoted(text("dotenv")?);
            let quoted = quoted.ok_or_else(|| DeliverError::Disputed(key.clone()))?;
            out.extend_from_slice(format!("{key}=").as_bytes());
            out.extend_from_slice(quoted.as_bytes());
            out.push(b'\n');
        }
        Format::Docker => {
            let text = text("docker's --env-file")?;
            if text.contains(['\n', '\r']) {
                return Err(DeliverError::Lines(key.clone()));
            }
            let line = format!("{key}=");
            if line.len() + text.len() >= DOCKER_LINE {
                return Err(DeliverError::Long(key.clone()));
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(text.as_bytes());
            out.push(b'\n');
        }
        Format::Gha => {
            let text = text("GitHub Actions")?;
            out.extend_from_slice(format!("{key}<<{delimiter}\n").as_bytes());
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(format!("\n{delimiter}\n").as_bytes());
        }
    }
    Ok(out)
}

/// The lines that tell a GitHub runner what to hide: each line of each value on its own,
/// `%` and CR escaped as its command parser wants.
pub fn masks<'a>(values: impl IntoIterator<Item = &'a Secret>) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(String::new());
    for value in values {
        let text = Zeroizing::new(String::from_utf8_lossy(value.expose()).into_owned());
        // Without what stands around it: a program may print it without, too.
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let _ = writeln!(out, "::add-mask::{}", line.replace('%', "%25").replace('\r', "%0D"));
        }
    }
    Zeroizing::new(std::mem::take(&mut *out).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format, value: &str) -> String {
        let key = "K".parse().unwrap();
        String::from_utf8(write(format, &key, value.as_bytes(), "EOF_1").unwrap().to_vec()).unwrap()
    }

    #[test]
    fn each_format_quotes_its_own_way() {
        for (format, value, expected) in [
            (Format::Export, "it's $HOME\n", "export K='it'\\''s $HOME\n'\n"),
            (Format::Dotenv, "a $b \"c\" \\d", "K='a $b \"c\" \\d'\n"),
            (Format::Docker, "a 'b' # c", "K=a 'b' # c\n"),
            (Format::Gha, "one\ntwo", "K<<EOF_1\none\ntwo\nEOF_1\n"),
        ] {
            assert_eq!(written(format, value), expected);
        }
    }

    #[test]
    fn dangerous_names_are_never_delivered() {
        for name in [
            "PATH",
            "Path",
            "LD_PRELOAD",
            "DYLD_INSERT_LIBRARIES",
            "NODE_OPTIONS",
            "GIT_SSH_COMMAND",
            "KEYRACK_FOR",
            "PERL5OPT",
            "BASH_ENV",
            "HOME",
            "IFS",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "RUBYOPT",
            "GIT_CONFIG_COUNT",
        ] {
            let key: KeyName = name.parse().unwrap();
            assert_eq!(write(Format::Export, &key, b"x", ""), Err(DeliverError::Dangerous(key)));
        }
        assert!(
            !is_dangerous("GITHUB_TOKEN") && !is_dangerous("PATHS") && !is_dangerous("HOMEPAGE")
        );
    }

    #[test]
    fn what_a_format_cannot_hold_is_refused() {
        let key: KeyName = "K".parse().unwrap();
        assert_eq!(write(Format::Export, &key, b"a\0b", ""), Err(DeliverError::Nul(key.clone())));
        assert_eq!(write(Format::Docker, &key, b"a\nb", ""), Err(DeliverError::Lines(key.clone())));
        for text in [Format::Gha, Format::Dotenv, Format::Docker] {
            assert!(matches!(write(text, &key, b"\xff", ""), Err(DeliverError::NotText(..))));
        }
        let [fits, long] = [DOCKER_LINE - 3, DOCKER_LINE - 2].map(|length| vec![b'x'; length]);
        assert!(write(Format::Docker, &key, &fits, "").is_ok());
        assert_eq!(write(Format::Docker, &key, &long, ""), Err(DeliverError::Long(key.clone())));
        assert_eq!(write(Format::Dotenv, &key, b"'`", ""), Err(DeliverError::Disputed(key)));
    }

    #[test]
    fn every_line_is_masked() {
        let values = ["one\n\n  50%\r\n", "two"].map(|value| Secret::from(value.as_bytes()));
        let masks = masks(&values);
        assert_eq!(*masks, b"::add-mask::one\n::add-mask::50%25\n::add-mask::two\n");
    }
}
