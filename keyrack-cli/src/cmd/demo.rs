//! `keyrack demo`: the tour. Two owners with fresh keys in a throwaway home, the same key
//! name with different values, a refused cross-owner ask, relock, clean up. Every line is
//! a command that was really run, with what it really said.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::error::{Code, Context, Failure, Outcome};
use crate::person::ui::Ui;

/// Runs `keyrack demo`.
pub fn run(ui: &Ui) -> Outcome {
    let home = tempfile::Builder::new()
        .prefix("keyrack-demo-")
        .tempdir()
        .context(|| "a throwaway home".to_owned())?;
    let tour = Tour {
        ui,
        home: home.path(),
        keyrack: std::env::current_exe().context(|| "keyrack".to_owned())?,
    };
    let toured = tour.all();
    // Whatever happened, nothing is left behind.
    let _ = tour.run(&["daemon", "stop", "--all"], None);
    home.close().context(|| "removing the throwaway home".to_owned())?;
    toured?;
    ui.lines(["", "The home and both daemons are gone. To begin for real: keyrack init"])
}

struct Tour<'a> {
    ui: &'a Ui,
    home: &'a Path,
    keyrack: PathBuf,
}

impl Tour<'_> {
    fn all(&self) -> Outcome {
        self.say(
            "Two robots share this machine. Each gets a key, a manifest and a daemon of its own.",
        )?;
        self.ok("init --for seaturtle", None)?;
        self.ok("init --for mechanic", None)?;

        self.say("The same name, two values. They come by stdin or a hidden prompt, never as an argument.")?;
        self.ok("set --for seaturtle --key GITHUB_TOKEN --env sudo", Some("seaturtle-token"))?;
        self.ok("set --for mechanic --key GITHUB_TOKEN --env sudo", Some("mechanic-token"))?;
        self.ok("set --for seaturtle --key DEPLOY_KEY", Some("only-for-turtles"))?;

        self.say("What is locked is not handed out.")?;
        self.fails("get --for seaturtle --key GITHUB_TOKEN --env sudo", Code::Locked)?;

        self.say("unlock decrypts and lets the daemon hold it: 9 hours, or 30 minutes for sudo.")?;
        self.ok("unlock --for seaturtle --env sudo --key GITHUB_TOKEN", None)?;
        self.ok("unlock --for seaturtle", None)?;
        self.ok("unlock --for mechanic --env sudo --key GITHUB_TOKEN", None)?;

        self.say("Each robot reads its own.")?;
        self.prints("get --for seaturtle --key GITHUB_TOKEN --env sudo", "seaturtle-token")?;
        self.prints("get --for mechanic --key GITHUB_TOKEN --env sudo", "mechanic-token")?;

        self.say("mechanic asks for what only seaturtle has; then tries to open its manifest.")?;
        self.fails("get --for mechanic --key DEPLOY_KEY", Code::Absent)?;
        self.fails(
            "unlock --for seaturtle --identity ~/.ssh/id_ed25519_mechanic",
            Code::NoIdentity,
        )?;

        self.say("Two daemons, two owners. Locking one leaves the other as it is.")?;
        self.ok("daemon list", None)?;
        self.ok("relock --for seaturtle", None)?;
        self.fails("get --for seaturtle --key GITHUB_TOKEN --env sudo", Code::Locked)?;
        self.prints("get --for mechanic --key GITHUB_TOKEN --env sudo", "mechanic-token")?;
        self.ok("relock --for mechanic", None)?;

        self.say("What was given out is on record, line chained to line.")?;
        self.ok("log verify --for mechanic", None)
    }

    fn say(&self, text: &str) -> Outcome {
        self.ui.lines(["", text])
    }

    fn ok(&self, line: &str, stdin: Option<&str>) -> Outcome {
        self.shown(line, stdin, Code::Ok).map(drop)
    }

    fn fails(&self, line: &str, code: Code) -> Outcome {
        self.shown(line, None, code).map(drop)
    }

    fn prints(&self, line: &str, value: &str) -> Outcome {
        let output = self.shown(line, None, Code::Ok)?;
        if output.stdout == value.as_bytes() {
            return Ok(());
        }
        Err(Failure::new(
            Code::Unexpected,
            format!("the tour went wrong: keyrack {line} printed something else"),
        ))
    }

    /// Runs a line, shows it with what it said, and checks how it ended.
    fn shown(&self, line: &str, stdin: Option<&str>, code: Code) -> Outcome<Output> {
        let from = stdin.map(|value| format!("printf %s {value} | ")).unwrap_or_default();
        self.ui.lines([format!("  $ {from}keyrack {line}")])?;
        let home = self.home.display().to_string();
        let args: Vec<String> = line.split(' ').map(|word| word.replace('~', &home)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = self.run(&args, stdin)?;
        let said = [&output.stdout, &output.stderr]
            .map(|bytes| String::from_utf8_lossy(bytes).replace(&home, "~"));
        self.ui
            .lines(said.iter().flat_map(|text| text.lines()).map(|text| format!("    {text}")))?;
        if output.status.code() == Some(i32::from(code as u8)) {
            return Ok(output);
        }
        Err(Failure::new(
            Code::Unexpected,
            format!("the tour went wrong: keyrack {line} ended with {}", output.status),
        ))
    }

    fn run(&self, args: &[&str], stdin: Option<&str>) -> Outcome<Output> {
        let doing = || format!("keyrack {}", args.join(" "));
        let mut child = Command::new(&self.keyrack)
            .args(args)
            .env_clear()
            .env("HOME", self.home)
            .env("PATH", "/usr/bin:/bin")
            .env("KEYRACK_SOCKET_DIR", self.home)
            .stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context(doing)?;
        if let (Some(value), Some(mut pipe)) = (stdin, child.stdin.take()) {
            pipe.write_all(value.as_bytes()).context(doing)?;
        }
        child.wait_with_output().context(doing)
    }
}
