//! The start window: between exec and the first instruction that closes it, any process
//! of the user could open a daemon's memory. It is shut by executing a file that its user
//! cannot read: then the kernel starts the process closed.
//!
//! A binary installed so (0111, or 0711 of root) is used as it is. Of any other one the command
//! makes a sealed copy in memory, which nobody can read, and executes that. One that comes
//! to life open all the same does so itself, and has only lost what it was given before.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs;
use std::io;
use std::path::Path;

use keyrack_protocol::{peer, sealed_copy};
use nix::unistd::fexecve;

use crate::args::SECOND_STAGE;
use crate::harden;

/// How the start window of this process stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Window {
    /// It was never open.
    Shut,
    /// It was open, and why it could not be shut.
    Open(String),
}

/// The copy was not what was made.
#[derive(Debug, thiserror::Error)]
#[error("the sealed copy of keyrackd was tampered with while it started")]
pub(crate) struct Tampered;

/// Shuts the start window, by executing again where need be. `nonce` is the argument of a
/// second stage.
///
/// # Errors
/// When a second stage can be read although nothing on this machine explains that.
pub(crate) fn shut_window(nonce: Option<&str>) -> Result<Window, Tampered> {
    if !harden::is_open_to_its_user() {
        return Ok(Window::Shut);
    }
    // Root, also that of a user namespace, reads every file: nothing it executes is shut.
    if peer::own_uid() == 0 {
        return Ok(Window::Open("uid 0 can read every program".to_owned()));
    }
    if nonce.is_some_and(is_copy) {
        return match why_readable() {
            Some(why) => Ok(Window::Open(why.to_owned())),
            None => Err(Tampered),
        };
    }
    match execute_copy() {
        Ok(never) => match never {},
        Err(e) => Ok(Window::Open(format!("no sealed copy could be executed: {e}"))),
    }
}

/// What this process executes is the copy of that nonce.
fn is_copy(nonce: &str) -> bool {
    let link = format!("/memfd:{} (deleted)", name(nonce));
    fs::read_link("/proc/self/exe").is_ok_and(|target| target.as_os_str() == link.as_str())
}

fn name(nonce: &str) -> String {
    format!("keyrackd-{nonce}")
}

fn execute_copy() -> io::Result<Infallible> {
    let mut random = [0; 8];
    keyrack_protocol::random::fill(&mut random).map_err(io::Error::other)?;
    let nonce = hex::lower::encode_string(&random);
    let copy = sealed_copy::of(Path::new("/proc/self/exe"), &name(&nonce))?;
    let args = [c"keyrackd".to_owned(), CString::new(format!("{SECOND_STAGE}{nonce}"))?];
    let environment: [CString; 0] = [];
    Ok(fexecve(&copy, &args, &environment)?)
}

/// Why a process that executes an unreadable file may be open all the same.
fn why_readable() -> Option<&'static str> {
    let setting = fs::read_to_string("/proc/sys/fs/suid_dumpable").unwrap_or_default();
    if setting.trim() == "1" {
        return Some("fs.suid_dumpable is 1 on this machine");
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    reads_everything(&status).then_some("it has the capability to read every file")
}

/// CAP_DAC_OVERRIDE or CAP_DAC_READ_SEARCH, as `/proc/self/status` shows them.
fn reads_everything(status: &str) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
    capabilities.is_some_and(|capabilities| capabilities & 0b110 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_status() {
        for (line, reads) in [
            ("CapEff:\t0000000000000000", false),
            ("CapEff:\t0000000000000002", true),
            ("CapEff:\t0000000000000004", true),
            ("CapEff:\t000001ffffffffff", true),
            ("CapEff:\t0000000000000400", false),
            ("CapEff:\tnone", false),
            ("", false),
        ] {
            assert_eq!(reads_everything(&format!("Name:\tx\n{line}\n")), reads, "{line}");
        }
    }

    #[test]
    fn this_test_is_no_copy() {
        assert!(!is_copy("00") && !is_copy(""));
    }
}
