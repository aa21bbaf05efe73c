//! A bash script run inside a [`Rack`], with a bash of its own: `unlock` hands its
//! capability to the process that called it, and the kernel refuses that for a process
//! with several threads, which a test is.
//!
//! stdout and stderr are pipes read to their end, so every test also checks that no
//! daemon holds on to them.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Finished, Rack};

/// How long a script may take. Generous: it only ends what hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a pipe may stay open after the script's end.
const AFTERLIFE: Duration = Duration::from_secs(10);

/// A script about to run.
#[derive(Debug)]
#[must_use]
pub struct Script<'a> {
    rack: &'a Rack,
    text: String,
    stdin: Vec<u8>,
    env: Vec<(String, String)>,
}

impl<'a> Script<'a> {
    pub(crate) fn new(rack: &'a Rack, text: &str) -> Self {
        Self { rack, text: text.to_owned(), stdin: Vec::new(), env: Vec::new() }
    }

    /// What the script reads.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// One more environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Finished {
        self.start().finish()
    }

    /// Starts it and lets it run.
    pub fn start(self) -> Running {
        let mut command = self.rack.command("bash");
        // The last line keeps bash from becoming the script's only command.
        let body = format!("{}\nexit $?\n", self.text);
        command.args(["--noprofile", "--norc", "-c", &body]).envs(self.env).process_group(0);
        spawn(command, self.text, self.stdin, self.rack)
    }
}

/// A script that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    script: String,
    root: std::path::PathBuf,
    stdout: mpsc::Receiver<Vec<u8>>,
    stderr: mpsc::Receiver<Vec<u8>>,
}

fn spawn(mut command: Command, script: String, input: Vec<u8>, rack: &Rack) -> Running {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("bash starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A script that does not read its input closes the pipe: not this test's concern.
    thread::spawn(move || drop(stdin.write_all(&input)));
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    Running { child, script, root: rack.root().to_owned(), stdout, stderr }
}

impl Running {
    /// The bash's process id, which is also its process group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        let Some(status) = wait(&mut self.child, PATIENCE) else {
            let group = nix::unistd::Pid::from_raw(self.child.id() as i32);
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            let _ = self.child.wait();
            let stderr = self.stderr.recv_timeout(AFTERLIFE).unwrap_or_default();
            panic!(
                "no end in {PATIENCE:?}:\n{}\n{}",
                self.script,
                String::from_utf8_lossy(&stderr)
            );
        };
        let held = |name: &str| format!("something still holds {name} of\n{}", self.script);
        let stdout = self.stdout.recv_timeout(AFTERLIFE);
        let stderr = self.stderr.recv_timeout(AFTERLIFE);
        Finished {
            code: exit_code(status),
            stdout: stdout.unwrap_or_else(|_| panic!("{}", held("stdout"))),
            stderr: stderr.unwrap_or_else(|_| panic!("{}", held("stderr"))),
            script: self.script,
            root: self.root,
        }
    }
}

/// 128 + the signal, as a shell says it.
pub fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// Waits for `child`, `None` when it takes longer than `limit`.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    loop {
        match child.try_wait().expect("our own child") {
            Some(status) => return Some(status),
            None if Instant::now() > deadline => return None,
            None => thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn collect(mut from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (to, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = to.send(bytes);
    });
    receiver
}
