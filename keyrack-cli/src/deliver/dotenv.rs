//! Values in dotenv files. No standard says how one is quoted, and readers differ; so each
//! value takes the first form in which they agree on it.
//!
//! | form | for | read alike by |
//! |---|---|---|
//! | `'…'` | all that has no single quote | every reader, and shells |
//! | `"…"` | the others without `"`, `\`, `$` and backtick | every reader, and shells |
//! | `"…"` with escapes | the rest without backtick and `$(` | python-dotenv; not Node |
//!
//! What is left is written in no form, nor is what ends in a backslash, or holds `${`, which
//! python-dotenv replaces in every form: a value that is wrong is worse than none.

use zeroize::Zeroizing;

/// `text` as it stands behind `KEY=`; `None` where readers would make different values of
/// it, or a shell would run what it says.
pub fn quoted(text: &str) -> Option<Zeroizing<String>> {
    // The one would escape the closing quote.
    if text.ends_with('\\') || text.contains("${") {
        return None;
    }
    // Between quotes all is as it is, but to python-dotenv a backslash before another one
    // or before a quote, and a carriage return, which Node drops.
    let is_plain = !text.contains("\\\\") && !text.contains('\r');
    if is_plain && !text.contains('\'') {
        return Some(between('\'', text));
    }
    if is_plain && !text.contains(['"', '\\', '$', '`']) {
        return Some(between('"', text));
    }
    if text.contains('`') || text.contains("$(") {
        return None;
    }
    let mut escaped = Zeroizing::new(String::with_capacity(text.len() * 2));
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            other => escaped.push(other),
        }
    }
    Some(between('"', &escaped))
}

fn between(quote: char, text: &str) -> Zeroizing<String> {
    let mut quoted = Zeroizing::new(String::with_capacity(text.len() + 2));
    quoted.push(quote);
    quoted.push_str(text);
    quoted.push(quote);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_fits_is_taken() {
        for (text, expected) in [
            ("", Some("''")),
            ("a $b `c` \"d\" \\e", Some("'a $b `c` \"d\" \\e'")),
            ("two\nlines\n", Some("'two\nlines\n'")),
            ("it's", Some("\"it's\"")),
            ("it's\ntwo", Some("\"it's\ntwo\"")),
            ("it's \"so\"\n$5", Some("\"it's \\\"so\\\"\\n$5\"")),
            ("\\\\host\r", Some("\"\\\\\\\\host\\r\"")),
            ("ends in \\", None),
            ("it's `id`", None),
            ("it's $(id)", None),
            ("it's ${HOME}", None),
            ("pa${HOME}ss", None),
            ("pa$HOME{}ss", Some("'pa$HOME{}ss'")),
        ] {
            assert_eq!(quoted(text).as_deref().map(String::as_str), expected, "{text:?}");
        }
    }
}
