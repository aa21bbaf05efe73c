//! What a `.env` file says, as far as its readers agree. What one of them would expand or run
//! is refused by its name, and so is a line that is none. Pure.

use keyrack_names::{KeyName, Secret};

/// One variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: KeyName,
    /// Its value.
    pub value: Secret,
}

/// A line that says nothing that readers agree on. Never shows the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// No `NAME=` at its beginning.
    #[error("line {0} is no NAME=VALUE")]
    Line(usize),
    /// Another value is to be put in, or a command run.
    #[error("line {0}: {1} refers to something else by $ or `: set it by hand")]
    Refers(usize, KeyName),
    /// The name stands there with another value, too.
    #[error("line {0}: {1} stands there twice; the last counts")]
    Twice(usize, KeyName),
    /// A backslash that some readers take as it stands, and some do not.
    #[error("line {0}: readers disagree about a backslash in {1}: set it by hand")]
    Disputed(usize, KeyName),
    /// A key over several lines, without quotes.
    #[error("line {0}: {1} begins a key over several lines, without quotes: set it by hand")]
    Key(usize, KeyName),
    /// A quote that does not end.
    #[error("line {0}: {1} begins with a quote that does not end")]
    Quote(usize, KeyName),
    /// Something stands behind the quote.
    #[error("line {0}: something stands behind the quoted value of {1}")]
    Behind(usize, KeyName),
}

/// Reads the file: each variable, or why it is not one. The last of a name counts, and each
/// before it that is another is told.
pub fn parse(text: &str) -> (Vec<Variable>, Vec<Unread>) {
    let (mut variables, mut unread): (Vec<Variable>, _) = (Vec::new(), Vec::new());
    let mut rest = text.trim_start_matches('\u{feff}');
    let mut line = 1;
    while !rest.is_empty() {
        let read = next(rest, line);
        match read.said {
            None => {}
            Some(Ok(variable)) => {
                let same = variables.iter().position(|other| other.name == variable.name);
                if let Some(other) = same.map(|at| variables.remove(at))
                    && other.value != variable.value
                {
                    unread.push(Unread::Twice(line, variable.name.clone()));
                }
                variables.push(variable);
            }
            Some(Err(why)) => unread.push(why),
        }
        line += rest[..read.length].matches('\n').count();
        rest = &rest[read.length..];
    }
    (variables, unread)
}

/// What stands at the beginning of `text`, and how long that is.
struct Read {
    length: usize,
    said: Option<Result<Variable, Unread>>,
}

fn next(text: &str, line: usize) -> Read {
    let end = text.find('\n').map_or(text.len(), |at| at + 1);
    let first = text[..end].trim();
    if first.is_empty() || first.starts_with('#') {
        return Read { length: end, said: None };
    }
    let bad = |why| Read { length: end, said: Some(Err(why)) };
    let Some(at) = text[..end].find('=') else { return bad(Unread::Line(line)) };
    let name = text[..at].trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let Ok(name) = name.parse::<KeyName>() else { return bad(Unread::Line(line)) };
    let start = at + 1 + spaces(&text[at + 1..end]);
    match text[start..].chars().next() {
        Some(quote @ ('\'' | '"')) => quoted(text, start + 1, quote, name, line),
        _ => {
            let value = unquoted(&text[start..end]);
            if value.starts_with(BEGIN) {
                return Read { length: key(text, end), said: Some(Err(Unread::Key(line, name))) };
            }
            let said = match refers(value) {
                true => Err(Unread::Refers(line, name)),
                false => Ok(Variable { name, value: Secret::from(value.as_bytes()) }),
            };
            Read { length: end, said: Some(said) }
        }
    }
}

/// How a key in PEM begins, whose lines may look like variables.
const BEGIN: &str = "-----BEGIN ";

/// Where such a key ends: behind the line that says so, else with the file.
fn key(text: &str, first: usize) -> usize {
    let Some(end) = text.find("-----END ") else { return text.len() };
    let line = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
    line.max(first)
}

/// Whether some reader puts another value in its place, or a shell runs it.
fn refers(value: &str) -> bool {
    value.char_indices().any(|(at, _)| is_reference(&value[at..]))
}

/// Whether one begins here.
fn is_reference(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{' | '(');
    text.starts_with('`') || text.strip_prefix('$').is_some_and(|rest| rest.starts_with(is_name))
}

/// Up to a comment, without the spaces around.
fn unquoted(text: &str) -> &str {
    let comment = text.find(" #").or_else(|| text.find("\t#")).unwrap_or(text.len());
    text[..comment].trim()
}

fn quoted(text: &str, start: usize, quote: char, name: KeyName, line: usize) -> Read {
    let mut value = zeroize::Zeroizing::new(String::new());
    let mut chars = text[start..].char_indices();
    let (mut is_other, mut is_disputed) = (false, false);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => {
                let behind = start + at + 1;
                let end = text[behind..].find('\n').map_or(text.len(), |at| behind + at + 1);
                let after = text[behind..end].trim();
                let said = match () {
                    () if is_other => Err(Unread::Refers(line, name)),
                    () if is_disputed => Err(Unread::Disputed(line, name)),
                    () if after.is_empty() || after.starts_with('#') => {
                        Ok(Variable { name, value: Secret::from(value.as_bytes()) })
                    }
                    () => Err(Unread::Behind(line, name)),
                };
                return Read { length: end, said: Some(said) };
            }
            '\\' if quote == '"' => match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some(c @ ('"' | '\\')) => value.push(c),
                _ => is_disputed = true,
            },
            c => {
                is_other |= quote == '"' && is_reference(&text[start + at..]);
                value.push(c);
            }
        }
    }
    // What follows may be its second line, and no variable.
    Read { length: text.len(), said: Some(Err(Unread::Quote(line, name))) }
}

fn spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let (variables, unread) = parse(text);
        assert_eq!(unread, [], "{text}");
        let text = |value: &Secret| String::from_utf8(value.expose().to_vec()).unwrap();
        variables.iter().map(|one| (one.name.to_string(), text(&one.value))).collect()
    }

    #[test]
    fn what_readers_agree_on() {
        for (text, value) in [
            ("A=b", "b"),
            ("A = b \n", "b"),
            ("export A=b # comment", "b"),
            ("A=b#c", "b#c"),
            ("A=", ""),
            ("A='$b `c` \\n'", "$b `c` \\n"),
            ("A=\"b\\nc \\\"d\\\" \\\\\"", "b\nc \"d\" \\"),
            ("A=\"two\nlines\" # comment\n", "two\nlines"),
            ("# first\n\n  A=b\r\n", "b"),
            ("A=two\nA=two", "two"),
            ("\u{feff}A=b", "b"),
        ] {
            assert_eq!(values(text), [("A".to_owned(), value.to_owned())], "{text}");
        }
    }

    #[test]
    fn what_they_do_not_is_named_with_its_line_and_without_its_value() {
        let text = "hunter2\nA=$hunter2\nB=\"${hunter2}\"\nC='hunter2' hunter2\nD=hunter2\n9=hunter2\nD=ok\n\
            F=\"C:\\hunter2\"\nG=-----BEGIN KEY-----\nhunter2=\n-----END KEY-----\nE=\"hunter2\nhunter2=x\n";
        let (variables, unread) = parse(text);
        let said: Vec<String> = unread.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "line 1 is no NAME=VALUE",
                "line 2: A refers to something else by $ or `: set it by hand",
                "line 3: B refers to something else by $ or `: set it by hand",
                "line 4: something stands behind the quoted value of C",
                "line 6 is no NAME=VALUE",
                "line 7: D stands there twice; the last counts",
                "line 8: readers disagree about a backslash in F: set it by hand",
                "line 9: G begins a key over several lines, without quotes: set it by hand",
                "line 12: E begins with a quote that does not end",
            ]
        );
        assert_eq!(variables.len(), 1);
        assert!(!format!("{variables:?}{said:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn what_we_write_is_read_back(value in "[^\u{0}\r]{0,40}") {
            let name: KeyName = "A".parse().unwrap();
            let format = crate::args::Format::Dotenv;
            if let Ok(line) = crate::deliver::write(format, &name, value.as_bytes(), "") {
                let text = String::from_utf8(line.to_vec()).unwrap();
                // Readers disagree about a name behind a $ between double quotes.
                prop_assume!(!text.contains("=\"") || !refers(&value));
                prop_assert_eq!(values(&text), [("A".to_owned(), value)]);
            }
        }

        #[test]
        fn any_text_is_read_to_its_end(text: String) {
            let _ = parse(&text);
        }
    }
}
