//! What differs from run to run (paths, pids, times, fingerprints) is masked before two
//! outputs are compared, on both sides alike. So a session can show what a user sees.

use std::path::Path;
use std::sync::OnceLock;

use regex_lite::Regex;

/// Each pattern, and what stands for it.
const MASKS: &[(&str, &str)] = &[
    // Before Linux 6.5 nobody knows a peer's session.
    (r"\bpid \d+(, session \d+)?", "pid N"),
    (r#","session":\d+"#, ""),
    (r"\bSHA256:[A-Za-z0-9+/]{43}", "SHA256:…"),
    (r"\bssh-(ed25519|rsa) AAAA[A-Za-z0-9+/=]+", "ssh-$1 AAAA…"),
    (r"\bage1[a-z0-9]{30,}", "age1…"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?UTC|Z)?", "TIME"),
    (r"\b([0-9a-f]{4} ){15}[0-9a-f]{4}\b", "0000 … ffff"),
    (r"\bkeyrack-invite:[A-Za-z0-9+/]+=*", "keyrack-invite:…"),
    (r"\b[0-9a-f]{32,128}\b", "ID"),
    (r"\.log\.\d{9,}", ".log.TIME"),
    (r"@[0-9a-f]{8}\.sock", "@RACK.sock"),
    (r"\btree [0-9a-f]{8}\b", "tree ID"),
    (r#""(id|rack)":"[0-9a-f]{8}""#, r#""$1":"ID""#),
    (r#""(\w*[mM]s|generation|pid|uid)":\d+"#, "\"$1\":N"),
    // What is left of a grant begins to shrink at once, and faster where many tests run.
    (r"\b8 ?h ?5[5-9] ?m(in)?( ?\d+ ?s)?", "9h"),
    (r"\b2[5-9] ?m(in)?( ?\d+ ?s)?\b", "30m"),
    (r"\b5[0-4]m\d+s\b", "55m"),
];

/// `text` with what differs masked; `root` is the sandbox it was printed in.
pub fn mask(text: &str, root: Option<&Path>) -> String {
    static COMPILED: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let masks = COMPILED.get_or_init(|| {
        MASKS.iter().map(|(p, to)| (Regex::new(p).expect("masks are constant"), *to)).collect()
    });
    let mut text = text.to_owned();
    if let Some(root) = root {
        let root = root.display().to_string();
        text = text.replace(&format!("{root}/home"), "/home/you");
        text = text.replace(&format!("{root}/work"), "/sandbox/project");
        text = text.replace(&format!("{root}/bin"), "/usr/local/bin").replace(&root, "/sandbox");
    }
    for (pattern, to) in masks {
        text = pattern.replace_all(&text, *to).into_owned();
    }
    text
}

/// Whether `actual` is what `expected` says, both masked. `[..]` in `expected` stands for
/// anything within one line.
pub fn matches(expected: &str, actual: &str, root: Option<&Path>) -> bool {
    let (expected, actual) = (mask(expected, None), mask(actual, root));
    let (mut want, mut got) = (expected.lines(), actual.lines());
    loop {
        match (want.next(), got.next()) {
            (None, None) => return true,
            (Some(want), Some(got)) if line_matches(want, got) => {}
            _ => return false,
        }
    }
}

fn line_matches(want: &str, got: &str) -> bool {
    let mut parts = want.split("[..]");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = got.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_masked_on_both_sides() {
        let root = Path::new("/tmp/kr-1");
        assert!(matches("given to bash (pid 4711)\n", "given to bash (pid 12)\n", None));
        assert!(matches("/home/you/.ssh", "/tmp/kr-1/home/.ssh", Some(root)));
        assert!(!matches("given to bash (pid 4711)", "given to node (pid 4711)", None));
        assert!(matches("pid 4711, session 4700\tL0", "pid 12\tL0", None));
        assert!(!matches("pid 4711, session 4700", "pid 4711 (exited)", None));
    }

    #[test]
    fn a_hole_stays_within_its_line() {
        assert!(matches("a[..]c\nd", "abbbc\nd", None));
        assert!(matches("[..]", "x", None));
        assert!(!matches("a[..]c", "abb\nc", None));
        assert!(!matches("a[..]b[..]c", "ac", None));
        assert!(!matches("a", "a\nb", None));
        assert!(!matches("a\nb", "a", None));
    }
}
