//! The part of YAML a manifest may use: block maps and lists of scalars on one line.
//!
//! Whoever can write a manifest file can seal any text to its owner, so the text is
//! checked line by line before a YAML parser sees it. Anchors, aliases, tags, block and
//! flow collections have no place in a manifest and are refused; so is anything deep.

/// Why a text is outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct YamlError {
    line: usize,
    what: &'static str,
}

/// Deepest indentation, in spaces. What keyrack writes goes to 8.
const DEEPEST: usize = 16;

/// Longest line, in bytes. The longest keyrack writes is a recipient with its comment.
const LONGEST: usize = 16 << 10;

/// Checks that `text` uses nothing but that part.
pub(crate) fn check(text: &str) -> Result<(), YamlError> {
    for (at, line) in text.split_terminator('\n').enumerate() {
        check_line(line).map_err(|what| YamlError { line: at + 1, what })?;
    }
    Ok(())
}

/// Whether a character has no place in a manifest. U+2028 and U+2029 are no control
/// characters to Unicode, but YAML ends a line at them.
pub(crate) fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn check_line(line: &str) -> Result<(), &'static str> {
    if line.len() > LONGEST {
        return Err("too long");
    }
    if line.chars().any(is_control) {
        return Err("a control character");
    }
    let mut rest = line.trim_start_matches(' ');
    if line.len() - rest.len() > DEEPEST {
        return Err("too deep");
    }
    let mut dashes = 0;
    while let Some(item) = rest.strip_prefix("- ") {
        rest = item.trim_start_matches(' ');
        dashes += 1;
    }
    match dashes {
        0 => check_pair(rest),
        1 => check_pair(rest).or_else(|_| check_scalar(rest)),
        _ => Err("a list in a list"),
    }
}

/// `key:` or `key: value`, the key plain or quoted.
fn check_pair(text: &str) -> Result<(), &'static str> {
    let after_key = match quoted(text) {
        Some(rest) => rest.strip_prefix(':'),
        None => {
            let end = text
                .find(": ")
                .or_else(|| text.ends_with(':').then(|| text.len() - 1))
                .unwrap_or(text.len());
            check_plain_start(&text[..end])?;
            text[end..].strip_prefix(':')
        }
    };
    match after_key.ok_or("neither a key nor an element")? {
        "" => Ok(()),
        value => check_scalar(value.strip_prefix(' ').ok_or("no space after a key")?),
    }
}

fn check_scalar(text: &str) -> Result<(), &'static str> {
    match quoted(text) {
        Some("") => Ok(()),
        Some(_) => Err("text after a quoted scalar"),
        None if matches!(text, "{}" | "[]") => Ok(()),
        None => check_plain_start(text),
    }
}

/// What follows the quoted scalar at the start of `text`; `None` if there is none that
/// ends on this line.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut inside = text[1..].char_indices();
    while let Some((at, c)) = inside.next() {
        let after = &text[at + 1 + c.len_utf8()..];
        match c {
            '\\' if quote == '"' => _ = inside.next(),
            _ if c != quote => {}
            // Two single quotes are one inside a single-quoted scalar.
            '\'' if after.starts_with('\'') => _ = inside.next(),
            _ => return Some(after),
        }
    }
    None
}

fn check_plain_start(text: &str) -> Result<(), &'static str> {
    match text.bytes().next() {
        None => Err("an empty line"),
        Some(b'&') => Err("an anchor"),
        Some(b'*') => Err("an alias"),
        Some(b'!') => Err("a tag"),
        Some(b'|' | b'>') => Err("a block scalar"),
        Some(b'{' | b'[' | b'}' | b']' | b',') => Err("a flow collection"),
        Some(b'"' | b'\'') => Err("a scalar on several lines"),
        Some(b'%' | b'@' | b'`' | b'#' | b' ' | b'\t') => Err("not what keyrack writes"),
        Some(_) if text == "?" || text.starts_with("? ") => Err("not what keyrack writes"),
        Some(_) if text.starts_with("---") || text.starts_with("...") => Err("a second document"),
        Some(_) if text.contains(" #") => Err("a comment"),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_serde_yaml_writes() {
        check(
            "version: 1\nowner:\n  name: a\n  pubkey: ssh-rsa AAAA me & you * b\nkeys: {}\nlist: []\n\
             '@all.all.K':\n  x: null\n  'it''s': \"a \\\" b\"\nl:\n- a: 1\n  b: 2\n- plain\n- 'quoted'\n\
             exid: ?x\nc: 'me #1'\n",
        )
        .unwrap();
    }

    #[test]
    fn refuses_everything_else() {
        for (text, what) in [
            ("a: &x 1\n", "an anchor"),
            ("a: *x\n", "an alias"),
            ("- *x\n", "an alias"),
            ("*x : 1\n", "an alias"),
            ("&x a: 1\n", "an anchor"),
            ("a: !!str b\n", "a tag"),
            ("a: |\n  text\n", "a block scalar"),
            ("a: {b: c}\n", "a flow collection"),
            ("a: [*x, *x]\n", "a flow collection"),
            ("a: \"b\n", "a scalar on several lines"),
            ("a: 'b' c\n", "text after a quoted scalar"),
            ("a: b\n  c\n", "neither a key nor an element"),
            ("- - a\n", "a list in a list"),
            ("a: b # c\n", "a comment"),
            ("# c\n", "not what keyrack writes"),
            ("? a\n", "not what keyrack writes"),
            ("---\na: b\n", "a second document"),
            ("a: b\n\nc: d\n", "an empty line"),
            ("a:\tb\n", "a control character"),
            ("a: b\u{85}c: *x\n", "a control character"),
            ("a: b\u{2028}c: *x\n", "a control character"),
            ("                  a: b\n", "too deep"),
        ] {
            let error = check(text).map(|()| "accepted").unwrap_or_else(|e| e.what);
            assert_eq!(error, what, "{text:?}");
        }
        assert_eq!(check(&format!("a: {}\n", "x".repeat(LONGEST))).unwrap_err().what, "too long");
    }

    #[test]
    fn quotes_that_never_end_are_no_panic() {
        for text in ["'", "\"", "\"\\", "'é", "\"é\\é", "'a''", "- '", "a: '"] {
            assert!(check(text).is_err(), "{text:?}");
        }
    }
}
