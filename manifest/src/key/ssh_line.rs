//! One line of a `.pub` or `authorized_keys` file: options, type, key, comment. Text
//! only: what the key is worth is decided by whoever asked.

use crate::content::yaml::is_control;

/// Longest comment that is kept, in characters.
const LONGEST_COMMENT: usize = 128;

/// The parts of such a line that matter here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SshLine<'a> {
    pub(crate) kind: &'a str,
    pub(crate) key: &'a str,
    /// Control characters removed, shortened.
    pub(crate) comment: String,
}

/// Splits a line, passing over options before the key type. `None` when no key type that
/// OpenSSH knows is found where one may stand.
pub(crate) fn split(line: &str) -> Option<SshLine<'_>> {
    let mut rest = line;
    for _ in 0..2 {
        let (word, after) = next_word(rest);
        if is_key_type(word) {
            let (key, comment) = next_word(after);
            let comment = comment.chars().filter(|c| !is_control(*c)).take(LONGEST_COMMENT);
            let comment = comment.collect::<String>().trim().to_owned();
            return Some(SshLine { kind: word, key, comment });
        }
        rest = after;
    }
    None
}

/// Whether a key in SSH's wire form is a sequence of length-prefixed strings and nothing
/// after them.
pub(crate) fn is_whole(blob: &[u8]) -> bool {
    let mut rest = blob;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        match after.get(length..) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}

/// The first word, and what follows it. A quoted part of an option may hold spaces.
fn next_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => return (&text[..at], &text[at..]),
            _ => {}
        }
    }
    (text, "")
}

fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| word.starts_with(start))
        && word.len() <= 64
        && word.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'@' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_key_behind_options() {
        let cases = [
            ("ssh-rsa AAAA", ("ssh-rsa", "AAAA", "")),
            ("ssh-rsa  AAAA  me @ home ", ("ssh-rsa", "AAAA", "me @ home")),
            ("restrict ssh-ed25519 AAAA me", ("ssh-ed25519", "AAAA", "me")),
            (r#"command="echo \" ssh-rsa BBBB",pty ssh-rsa AAAA x"#, ("ssh-rsa", "AAAA", "x")),
            ("ssh-rsa AAAA a\u{1b}[31mb\u{7}", ("ssh-rsa", "AAAA", "a[31mb")),
        ];
        for (line, (kind, key, comment)) in cases {
            let comment = comment.to_owned();
            assert_eq!(split(line), Some(SshLine { kind, key, comment }), "{line}");
        }
        for line in ["", "AAAA", "a b ssh-rsa AAAA", "hello world"] {
            assert_eq!(split(line), None, "{line}");
        }
    }

    #[test]
    fn a_whole_key_has_nothing_after_it() {
        assert!(is_whole(b"\0\0\0\x01a\0\0\0\0"));
        for bad in [&b"\0\0\0\x01a\0"[..], b"\0\0\0\x02a", b"\xff\xff\xff\xffa"] {
            assert!(!is_whole(bad));
        }
    }
}
