//! A script that has run, and what is asserted of it: whole outputs, not fragments.

use std::path::PathBuf;

use crate::mask;

/// What a script did.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Exit status, or 128 + the signal.
    pub code: i32,
    /// Everything on stdout.
    pub stdout: Vec<u8>,
    /// Everything on stderr.
    pub stderr: Vec<u8>,
    pub(crate) script: String,
    pub(crate) root: PathBuf,
}

impl Finished {
    /// Asserts the exit code.
    #[track_caller]
    pub fn code(&self, expected: i32) -> &Self {
        assert!(self.code == expected, "exit {} instead of {expected}\n{self}", self.code);
        self
    }

    /// Asserts success.
    #[track_caller]
    pub fn ok(&self) -> &Self {
        self.code(0)
    }

    /// Asserts the whole of stdout, masked (see [`mask`]).
    #[track_caller]
    pub fn stdout(&self, expected: &str) -> &Self {
        let actual = String::from_utf8_lossy(&self.stdout);
        let same = mask::matches(expected, &actual, Some(&self.root));
        assert!(same, "stdout is not\n{expected}\n{self}");
        self
    }

    /// Asserts stdout byte for byte.
    #[track_caller]
    pub fn bytes(&self, expected: &[u8]) -> &Self {
        assert!(
            self.stdout == expected,
            "{} bytes on stdout, {} expected, first difference at {:?}; stderr:\n{}",
            self.stdout.len(),
            expected.len(),
            self.stdout.iter().zip(expected).position(|(a, b)| a != b),
            String::from_utf8_lossy(&self.stderr)
        );
        self
    }

    /// Asserts the whole of stderr, masked (see [`mask`]).
    #[track_caller]
    pub fn stderr(&self, expected: &str) -> &Self {
        let same = mask::matches(expected, &self.errors(), Some(&self.root));
        assert!(same, "stderr is not\n{expected}\n{self}");
        self
    }

    /// Asserts a failure as a user sees it: the exit code, nothing on stdout, and the
    /// whole of stderr.
    #[track_caller]
    pub fn fails(&self, code: i32, stderr: &str) -> &Self {
        self.code(code).bytes(b"").stderr(stderr)
    }

    /// stdout as text, without its last newline.
    #[track_caller]
    pub fn text(&self) -> String {
        let text = String::from_utf8(self.stdout.clone());
        let text = text.unwrap_or_else(|_| panic!("stdout is not UTF-8\n{self}"));
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }

    /// stderr as text.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// stdout as one JSON object.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|e| panic!("no JSON: {e}\n{self}"))
    }

    /// stderr as one JSON object.
    #[track_caller]
    pub fn json_error(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stderr).unwrap_or_else(|e| panic!("no JSON: {e}\n{self}"))
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let mut short: String = text.chars().take(4000).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            short
        };
        writeln!(f, "--- script\n{}", shown(self.script.as_bytes()))?;
        writeln!(f, "--- exit {}\n--- stdout\n{}", self.code, shown(&self.stdout))?;
        writeln!(f, "--- stderr\n{}---", shown(&self.stderr))
    }
}
