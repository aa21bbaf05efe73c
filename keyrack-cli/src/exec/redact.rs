//! Replaces values in a stream of bytes, also where a value comes in several pieces.
//! Pure. It keeps accidents out of logs; a program that wants to tell can always tell.

use zeroize::Zeroizing;

/// What is written instead.
pub const MASK: &[u8] = b"***";
/// Shorter ones would be found everywhere.
pub const SHORTEST: usize = 8;

/// What is looked for: every line of every value that is long enough.
#[derive(Clone, Default)]
pub struct Values {
    texts: Vec<Zeroizing<Vec<u8>>>,
    /// Which bytes one of them begins with.
    begins: [bool; 32],
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Values({})", self.texts.len())
    }
}

impl Values {
    /// Adds a value. Returns whether any part of it is long enough to be looked for.
    pub fn add(&mut self, value: &[u8]) -> bool {
        let lines =
            value.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut any = false;
        for line in lines.filter(|line| line.len() >= SHORTEST) {
            self.begins[usize::from(line[0] % 32)] = true;
            self.texts.push(Zeroizing::new(line.to_vec()));
            any = true;
        }
        any
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// How long the longest value is that `text` begins with, and whether `text` ends
    /// before one that it may turn into.
    fn at(&self, text: &[u8]) -> (usize, bool) {
        if text.first().is_none_or(|first| !self.begins[usize::from(first % 32)]) {
            return (0, false);
        }
        let found = self
            .texts
            .iter()
            .filter(|value| text.starts_with(value))
            .map(|value| value.len())
            .max();
        let unfinished =
            self.texts.iter().any(|value| value.len() > text.len() && value.starts_with(text));
        (found.unwrap_or(0), unfinished)
    }
}

/// One stream on its way.
#[derive(Debug)]
pub struct Redactor<'a> {
    values: &'a Values,
    /// What may be the beginning of a value.
    held: Zeroizing<Vec<u8>>,
    /// How much of `held` belongs to a value that was replaced already.
    covered: usize,
}

impl<'a> Redactor<'a> {
    /// A stream that has just begun.
    pub fn new(values: &'a Values) -> Self {
        Self { values, held: Zeroizing::default(), covered: 0 }
    }

    /// Takes the next piece; gives what can be passed on.
    pub fn next(&mut self, piece: &[u8]) -> Zeroizing<Vec<u8>> {
        self.held.extend_from_slice(piece);
        self.pass(false)
    }

    /// The stream ended: gives what was held back.
    pub fn end(&mut self) -> Zeroizing<Vec<u8>> {
        self.pass(true)
    }

    fn pass(&mut self, ended: bool) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.held.len() + MASK.len()));
        let mut at = 0;
        // Values may overlap: every byte of each of them is replaced.
        while at < self.held.len() {
            let (found, unfinished) = self.values.at(&self.held[at..]);
            if unfinished && !ended {
                break;
            }
            if found > 0 {
                if self.covered <= at {
                    out.extend_from_slice(MASK);
                }
                self.covered = self.covered.max(at + found);
            }
            if self.covered <= at {
                out.push(self.held[at]);
            }
            at += 1;
        }
        self.covered = self.covered.saturating_sub(at);
        self.held.drain(..at);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(texts: &[&str]) -> Values {
        let mut values = Values::default();
        for text in texts {
            values.add(text.as_bytes());
        }
        values
    }

    /// `pieces` redacted one after the other.
    fn redacted(texts: &[&str], pieces: &[&[u8]]) -> String {
        let values = values(texts);
        let mut redactor = Redactor::new(&values);
        let mut out: Vec<u8> =
            pieces.iter().flat_map(|piece| redactor.next(piece).to_vec()).collect();
        out.extend_from_slice(&redactor.end());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_value_is_replaced_wherever_it_is_cut() {
        let text = b"a token-12345678 b\n";
        for cut in 0..text.len() {
            let (before, after) = text.split_at(cut);
            assert_eq!(
                redacted(&["token-12345678"], &[before, after]),
                "a *** b\n",
                "cut at {cut}"
            );
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(redacted(&["token-12345678"], &bytes), "a *** b\n");
    }

    #[test]
    fn what_only_begins_like_a_value_is_passed_on() {
        assert_eq!(redacted(&["token-12345678"], &[b"token-1234", b"x"]), "token-1234x");
        assert_eq!(redacted(&["token-12345678"], &[b"token-1234"]), "token-1234");
        assert_eq!(redacted(&["aaaaaaab"], &[b"aaaaaaaaaaab"]), "aaaa***");
    }

    #[test]
    fn of_values_that_overlap_every_byte_is_replaced() {
        assert_eq!(
            redacted(&["12345678abcd", "abcdEFGHIJKL"], &[b"<12345678abcdEFGHIJKL>"]),
            "<***>"
        );
        assert_eq!(redacted(&["12345678", "12345678abcd"], &[b"12345678", b"abcd!"]), "***!");
        assert_eq!(redacted(&["12345678", "12345678abcd"], &[b"12345678", b"xyz"]), "***xyz");
    }

    #[test]
    fn every_line_of_a_value_is_looked_for() {
        let value = "-----BEGIN KEY-----\r\nAAAABBBBCCCC\nshort\n";
        assert_eq!(redacted(&[value], &[b"> AAAABBBBCCCC\n> short\n"]), "> ***\n> short\n");
        assert!(!Values::default().add(b"short"));
    }

    proptest! {
        #[test]
        fn no_value_survives_and_nothing_else_is_lost(
            words in proptest::collection::vec("[ab]{0,12}|SECRETabab", 0..12),
            size in 1usize..9,
        ) {
            let text = words.join(" ");
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(redacted(&["SECRETabab"], &pieces), text.replace("SECRETabab", "***"));
        }
    }
}
