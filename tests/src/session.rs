//! Sessions a user could have typed, as Markdown: what is shown is what is checked.
//!
//! ````text
//! ```console
//! $ keyrack get --for seaturtle --key TOKEN
//! keyrack: error: …
//! ? 3
//! ```
//! ````
//!
//! All `console` blocks of a file are one session in one bash, so variables, the working
//! directory and capabilities last; a block marked `console fresh` begins a new sandbox.
//! A line `> …` continues a command, `? N` is a status other than 0, `[..]` is anything.
//! stdout and stderr are shown as a terminal would. What differs from run to run is
//! masked ([`crate::mask`]). `KEYRACK_SESSIONS=write` writes what happened into the
//! file, for a person to read before it is kept.

use std::fs;
use std::path::Path;

use crate::{Rack, mask};

/// One command and what it should show.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    command: String,
    output: String,
    status: i32,
    /// The step's lines in the file.
    lines: std::ops::Range<usize>,
    fresh: bool,
}

/// Runs the session in `file`, each sandbox made by `sandbox`. Panics with every difference.
#[track_caller]
pub fn run(file: &Path, sandbox: impl Fn() -> Rack) {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let steps = parse(&text);
    assert!(!steps.is_empty(), "{} has no console block", file.display());
    let mut shown = Vec::new();
    for part in steps.chunk_by(|_, next| !next.fresh) {
        shown.extend(play(part, &sandbox()));
    }
    if std::env::var("KEYRACK_SESSIONS").is_ok_and(|v| v == "write") {
        fs::write(file, rewritten(&text, &steps, &shown)).expect("the session's file");
        return;
    }
    let different = steps.iter().zip(&shown).filter(|(step, (output, status))| {
        *status != step.status || !mask::matches(&step.output, output, None)
    });
    let report: Vec<String> = different
        .map(|(step, (output, status))| {
            let place = format!("{}:{}", file.display(), step.lines.start + 1);
            let want = format!("--- expected, exit {}\n{}", step.status, step.output);
            let got = format!("--- got, exit {status}\n{output}");
            format!("{place}\n$ {}\n{want}{got}", step.command)
        })
        .collect();
    assert!(report.is_empty(), "\n{}", report.join("\n"));
}

/// Runs steps in one bash; gives each one's output and status.
fn play(steps: &[Step], rack: &Rack) -> Vec<(String, i32)> {
    let mut script = String::new();
    for (n, step) in steps.iter().enumerate() {
        let dir = rack.root().display();
        rack.write(&format!("steps/{n}.sh"), format!("{}\n", step.command));
        // One file for both, so that their lines come in the order they were written.
        script += &format!(". {dir}/steps/{n}.sh >{dir}/steps/{n}.out 2>&1\n");
        script += &format!("echo $? >{dir}/steps/{n}.status\n");
    }
    rack.sh(&script).ok();
    let result = |n: usize| {
        let read =
            |kind: &str| fs::read(rack.path(&format!("steps/{n}.{kind}"))).unwrap_or_default();
        let status = String::from_utf8_lossy(&read("status")).trim().parse().unwrap_or(-1);
        (mask::mask(&String::from_utf8_lossy(&read("out")), Some(rack.root())), status)
    };
    (0..steps.len()).map(result).collect()
}

fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    let mut fresh = true;
    for (n, line) in text.lines().enumerate() {
        if !inside {
            let block = line.strip_prefix("```console").map(str::trim);
            inside = matches!(block, Some("" | "fresh"));
            fresh |= block == Some("fresh");
        } else if line == "```" {
            inside = false;
        } else if let Some(command) = line.strip_prefix("$ ") {
            let (command, output) = (command.to_owned(), String::new());
            steps.push(Step { command, output, status: 0, lines: n..n + 1, fresh });
            fresh = false;
        } else {
            let step =
                steps.last_mut().unwrap_or_else(|| panic!("line {n} comes before a command"));
            step.lines.end = n + 1;
            let more = line.strip_prefix("> ").or_else(|| (line == ">").then_some(""));
            if let (Some(more), true) = (more, step.output.is_empty()) {
                step.command += &format!("\n{more}");
            } else if let Some(status) = line.strip_prefix("? ") {
                step.status = status.parse().unwrap_or_else(|_| panic!("line {n}: ? NUMBER"));
            } else {
                step.output += &format!("{line}\n");
            }
        }
    }
    steps
}

/// The file's text with what was shown in place of what was expected, where they differ.
fn rewritten(text: &str, steps: &[Step], shown: &[(String, i32)]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    let mut at = 0;
    for (step, (output, status)) in steps.iter().zip(shown) {
        for line in &lines[at..step.lines.start] {
            out += &format!("{line}\n");
        }
        at = step.lines.end;
        let kept = *status == step.status && mask::matches(&step.output, output, None);
        let command = step.command.replace('\n', "\n> ").replace("\n> \n", "\n>\n");
        out += &format!("$ {command}\n");
        out += if kept { &step.output } else { output };
        if !out.ends_with('\n') {
            out.push('\n');
        }
        if *status != 0 {
            out += &format!("? {status}\n");
        }
    }
    for line in &lines[at..] {
        out += &format!("{line}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# title\n```console\n$ a \\\n> b\n>\n> c\none\ntwo\n? 3\n$ c\n```\nwords\n```sh\n$ no\n```\n```console fresh\n$ d\n```\n";

    #[test]
    fn commands_outputs_and_statuses_are_read() {
        let steps = parse(TEXT);
        assert_eq!(steps.len(), 3);
        assert_eq!((steps[0].command.as_str(), steps[0].status), ("a \\\nb\n\nc", 3));
        assert_eq!(steps[0].output, "one\ntwo\n");
        assert_eq!((steps[1].command.as_str(), steps[1].output.as_str()), ("c", ""));
        assert_eq!(steps.iter().map(|s| s.fresh).collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn what_happened_is_written_back() {
        let steps = parse(TEXT);
        let same: Vec<_> = steps.iter().map(|s| (s.output.clone(), s.status)).collect();
        assert_eq!(rewritten(TEXT, &steps, &same), TEXT);
        let other = [("x\n".to_owned(), 0), (String::new(), 0), (String::new(), 1)];
        let text = rewritten(TEXT, &steps, &other);
        assert!(text.contains("> b\n>\n> c\nx\n$ c\n") && text.contains("$ d\n? 1\n"), "{text}");
    }
}
