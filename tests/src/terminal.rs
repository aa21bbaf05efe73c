//! A terminal with a script on it, and a person who reads and types.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::script::{exit_code, wait};

const PATIENCE: Duration = Duration::from_secs(30);

/// A script on a terminal of its own.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: mpsc::Receiver<Vec<u8>>,
    seen: String,
    read: usize,
}

impl Terminal {
    /// `setsid` makes the terminal the script's controlling one, so that `/dev/tty` is it.
    pub(crate) fn new(mut setsid: Command, script: &str) -> Self {
        let pty = openpty(None, None).expect("a pseudo terminal");
        let keyboard = File::from(pty.master);
        let line = File::from(pty.slave);
        let copy = || line.try_clone().expect("a descriptor");
        let body = format!("{script}\nexit $?\n");
        setsid.args(["--ctty", "--wait", "bash", "--noprofile", "--norc", "-c", &body]);
        setsid.stdin(copy()).stdout(copy()).stderr(copy());
        let child = setsid.spawn().expect("setsid starts");
        // This process must not keep the terminal open. The command keeps its copies until
        // it is dropped.
        drop(setsid);
        drop(line);
        let mut screen = keyboard.try_clone().expect("a descriptor");
        let (to, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // EIO: nobody has the terminal any more.
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                if to.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keyboard, screen: receiver, seen: String::new(), read: 0 }
    }

    /// Waits until `text` appears after what was expected before.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> &mut Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen[self.read..].find(text) {
                self.read += at + text.len();
                return self;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(why) => panic!("{why}: no {text:?} in\n{}", self.seen),
            }
        }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) -> &mut Self {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).expect("the terminal is there");
        self
    }

    /// Types a line as soon as the terminal does not show what is typed: some programs ask
    /// first, and throw away what came before they were ready.
    #[track_caller]
    pub fn type_hidden(&mut self, line: &str) -> &mut Self {
        let deadline = Instant::now() + PATIENCE;
        let echoes = |keyboard: &File| {
            tcgetattr(keyboard).is_ok_and(|line| line.local_flags.contains(LocalFlags::ECHO))
        };
        while echoes(&self.keyboard) {
            assert!(Instant::now() < deadline, "what is typed is shown:\n{}", self.seen);
            thread::sleep(Duration::from_millis(1));
        }
        self.type_line(line)
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&mut self) -> &mut Self {
        self.press(b"\x03")
    }

    /// Presses keys, as the terminal sends them.
    pub fn press(&mut self, keys: &[u8]) -> &mut Self {
        self.keyboard.write_all(keys).expect("the terminal is there");
        self
    }

    /// Waits for the end; gives the exit code and all that was on the screen.
    #[track_caller]
    pub fn finish(mut self) -> (i32, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("the terminal is still held:\n{}", self.seen);
                }
            }
        }
        let status = wait(&mut self.child, PATIENCE).expect("the terminal is gone");
        (exit_code(status), self.seen.replace("\r\n", "\n"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
