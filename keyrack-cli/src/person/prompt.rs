//! Asking a person for a secret: on the terminal without echo, or through an askpass
//! program where there is none.
//!
//! The terminal is read byte by byte: in line mode the kernel cuts a pasted value at
//! 4,095 bytes without a word.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

use keyrack_names::Secret;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::ttyname;
use zeroize::{Zeroize, Zeroizing};

use crate::settings::SECRET_VARIABLES;

/// The longest answer read: a credential's longest value.
const LONGEST: usize = 1024 * 1024;

/// Whether this process has a terminal a person could be at.
pub fn has_terminal() -> bool {
    terminal().is_some()
}

/// Asks on the terminal. `None` when there is no terminal or the person cancels.
pub fn on_terminal(question: &str) -> Option<Secret> {
    let _turn = turn();
    let mut tty = terminal()?;
    let quiet = Quiet::begin(tty.try_clone().ok()?)?;
    write!(tty, "{question}").ok()?;
    let answer = read_line(&mut tty);
    drop(quiet);
    let _ = tty.write_all(b"\r\n");
    answer
}

/// Asks a yes-or-no question on the terminal; anything but yes is no.
pub fn agrees(question: &str) -> Option<bool> {
    let _turn = turn();
    let mut tty = terminal()?;
    write!(tty, "{question} [y/N] ").ok()?;
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < 64 && tty.read(&mut byte).ok()? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    Some(matches!(line.to_ascii_lowercase().as_slice(), b"y" | b"yes"))
}

/// Asks for a line that is no secret, on the terminal.
pub fn line(question: &str) -> Option<String> {
    let _turn = turn();
    let mut tty = terminal()?;
    write!(tty, "{question}").ok()?;
    let line = line_from(tty).ok()?;
    String::from_utf8(line.expose().to_vec()).ok()
}

/// Says something on the terminal, where stderr is not seen there.
pub fn tell(text: &str) {
    if std::io::stderr().is_terminal() {
        return;
    }
    let clean: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if let Some(mut tty) = terminal() {
        let _ = tty.write_all(format!("{clean}\r\n").as_bytes());
    }
}

/// Runs an askpass program, as ssh does: the question as its argument, the answer on its
/// standard output. `None` when it fails or the person cancels.
pub fn by_program(program: &std::ffi::OsStr, question: &str) -> Option<Secret> {
    let mut command = Command::new(program);
    for name in SECRET_VARIABLES {
        command.env_remove(name);
    }
    let mut child =
        command.arg(question).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().ok()?;
    let mut answer = Zeroizing::new(Vec::with_capacity(4096));
    child.stdout.take()?.take(LONGEST as u64).read_to_end(&mut answer).ok()?;
    if !child.wait().ok()?.success() {
        return None;
    }
    if answer.ends_with(b"\n") {
        answer.pop();
    }
    Some(Secret::from(answer.as_slice()))
}

/// One line from `from`, without its newline, at most `LONGEST` bytes.
pub fn line_from(mut from: impl Read) -> std::io::Result<Secret> {
    let mut line = Zeroizing::new(Vec::with_capacity(256));
    let mut byte = [0];
    while line.len() < LONGEST && from.read(&mut byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    byte.zeroize();
    Ok(Secret::from(line.as_slice()))
}

fn terminal() -> Option<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty").ok()
}

/// Ours alone to ask on, until dropped: two prompts at once would each get some of what
/// is typed, and the first to end would show what is typed for the other. The lock is on
/// the terminal itself, for `/dev/tty` is one file for every terminal of the machine.
fn turn() -> Option<Flock<File>> {
    let name = ttyname(io::stdin())
        .or_else(|_| ttyname(io::stdout()))
        .or_else(|_| ttyname(io::stderr()))
        .ok()?;
    let flags = OFlag::O_NOCTTY.bits();
    let tty = OpenOptions::new().read(true).custom_flags(flags).open(name).ok()?;
    Flock::lock(tty, FlockArg::LockExclusive).ok()
}

/// Reads to the end of the line, with the keys a person expects: backspace, ctrl-U,
/// ctrl-C and ctrl-D.
fn read_line(tty: &mut File) -> Option<Secret> {
    let mut answer = Zeroizing::new(Vec::with_capacity(4096));
    let mut byte = Zeroizing::new([0u8; 1]);
    loop {
        if tty.read(byte.as_mut()).ok()? == 0 {
            return None;
        }
        match byte[0] {
            b'\n' | b'\r' => return Some(Secret::from(answer.as_slice())),
            3 | 4 => return None,
            8 | 127 => {
                // A character may be several bytes: take its tail off first.
                while answer.pop().is_some_and(|b| b & 0xc0 == 0x80) {}
            }
            21 => answer.clear(),
            other if answer.len() < LONGEST => answer.push(other),
            _ => {}
        }
    }
}

/// The terminal without echo, line mode and signals, until dropped.
struct Quiet {
    tty: File,
    before: Termios,
}

impl Quiet {
    fn begin(tty: File) -> Option<Self> {
        let before = tcgetattr(&tty).ok()?;
        let mut quiet = before.clone();
        quiet.local_flags &= !(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        quiet.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        quiet.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(&tty, SetArg::TCSAFLUSH, &quiet).ok()?;
        Some(Self { tty, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.tty, SetArg::TCSADRAIN, &self.before);
    }
}
