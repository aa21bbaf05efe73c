//! The only place that writes to stdout and stderr. stdout is payload only.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use serde::Serialize;

use crate::error::{Context, Failure, Outcome};
use crate::person::asker::Asker;
use crate::system::streams::Stdout;
use crate::system::sys;

/// How this run talks.
#[derive(Debug, Clone)]
pub struct Ui {
    /// One JSON object on stdout.
    pub json: bool,
    /// Nothing on stderr but errors.
    pub quiet: bool,
    /// How a person is asked.
    pub asker: Arc<Asker>,
}

impl Ui {
    /// Writes bytes to stdout as they are, with a newline only on a terminal.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn payload(&self, bytes: &[u8]) -> Outcome {
        let on_terminal = io::stdout().is_terminal() && !bytes.ends_with(b"\n");
        let newline: &[u8] = if on_terminal { b"\n" } else { b"" };
        written(Stdout.write_all(bytes).and_then(|()| Stdout.write_all(newline)))
    }

    /// Writes lines to stdout.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn lines(&self, lines: impl IntoIterator<Item = impl AsRef<str>>) -> Outcome {
        let mut text = zeroize::Zeroizing::new(String::new());
        for line in lines {
            text.push_str(line.as_ref());
            text.push('\n');
        }
        written(Stdout.write_all(text.as_bytes()))
    }

    /// Writes rows to stdout: aligned under a heading on a terminal, else parted by tabs.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn table<const N: usize>(&self, heading: [&str; N], rows: &[[String; N]]) -> Outcome {
        if !io::stdout().is_terminal() {
            return self.lines(rows.iter().map(|row| row.join("\t")));
        }
        let heading = heading.map(str::to_owned);
        let width = |at: usize| {
            std::iter::once(&heading)
                .chain(rows)
                .map(|row| row[at].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..N).map(width).collect();
        self.lines(std::iter::once(&heading).chain(rows).map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        }))
    }

    /// Writes one JSON object to stdout, its version first.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn object(&self, value: &impl Serialize) -> Outcome {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned<'a, T> {
            schema_version: u8,
            #[serde(flatten)]
            value: &'a T,
        }
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        serde_json::to_writer(&mut *bytes, &Versioned { schema_version: 1, value })
            .context(|| "json".to_owned())?;
        bytes.push(b'\n');
        written(Stdout.write_all(&bytes))
    }

    /// Says what was done: to a person in words, to a program as an object on stdout.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn done(&self, words: impl AsRef<str>, object: serde_json::Value) -> Outcome {
        if self.json {
            return self.object(&object);
        }
        self.say(words);
        Ok(())
    }

    /// Says what would be done, and was not. In JSON: what would have been said, marked.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn would(&self, words: impl AsRef<str>, mut object: serde_json::Value) -> Outcome {
        if let Some(fields) = object.as_object_mut() {
            fields.insert("dryRun".to_owned(), true.into());
        }
        self.done(words, object)
    }

    /// How far it is, on a terminal: a line that the next one takes the place of.
    pub fn progress(&self, done: usize, all: usize) {
        if done > 0 && !self.quiet && !self.json && io::stderr().is_terminal() {
            // Shorter than whatever is said next, so nothing of it stays.
            let _ = write!(io::stderr(), "{done} of {all}\r");
        }
    }

    /// Says something on stderr.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.json {
            stderr("", text.as_ref());
        }
    }

    /// Says something that a person must not miss, even with `--quiet`.
    pub fn warn(&self, text: impl AsRef<str>) {
        if !self.json {
            stderr("warning: ", text.as_ref());
        }
    }

    /// Says the next command to type.
    pub fn hint(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.json {
            stderr("hint: ", text.as_ref());
        }
    }

    /// Says why the command fails.
    pub fn fail(&self, failure: &Failure) {
        if self.json {
            let _ = writeln!(io::stderr(), "{}", failure.json());
            return;
        }
        stderr("error: ", &failure.message);
        for hint in &failure.hints {
            stderr("hint: ", hint);
        }
    }
}

/// A reader that went away ends us as it ends any other program of a pipe.
fn written(result: io::Result<()>) -> Outcome {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => sys::end_by_sigpipe(),
        other => other.context(|| "stdout".to_owned()),
    }
}

/// Writes to stderr, each line with our name, control characters made visible.
pub fn stderr(kind: &str, text: &str) {
    let mut out = String::new();
    for line in text.lines() {
        let line: String =
            line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        out.push_str(&format!("keyrack: {kind}{line}\n"));
    }
    // In one write, so that lines of several processes do not mix.
    let _ = io::stderr().write_all(out.as_bytes());
}
