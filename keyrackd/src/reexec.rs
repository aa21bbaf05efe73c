//! The start window: between exec and the first instruction that closes it, any process
//! of the user could open a daemon's memory. It is shut by executing a file that its user
//! cannot read: then the kernel starts the process closed.
//!
//! A binary installed so (0111, or 0711 of root) is used as it is. Any other one copies
//! itself into a sealed file in memory, takes away the right to read it, and executes that.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use keyrack_protocol::peer;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::fexecve;

use crate::args::SECOND_STAGE;
use crate::harden;

/// How often another copy is made for one that is held.
const COPY_AGAIN: u32 = 10;

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
    // The kernel seals no copy of which anything, such as its own compaction, holds a page:
    // another copy lies elsewhere.
    let mut made = execute_copy();
    for _ in 0..COPY_AGAIN {
        match made {
            Err(e) if e.raw_os_error() == Some(Errno::EBUSY as i32) => made = execute_copy(),
            _ => break,
        }
    }
    match made {
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
    let mut copy = executable_memory(&name(&nonce))?;
    io::copy(&mut File::open("/proc/self/exe")?, &mut copy)?;
    copy.set_permissions(Permissions::from_mode(0o111))?;
    let all = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SEAL;
    fcntl(&copy, FcntlArg::F_ADD_SEALS(all))?;
    let args = [c"keyrackd".to_owned(), CString::new(format!("{SECOND_STAGE}{nonce}"))?];
    let environment: [CString; 0] = [];
    Ok(fexecve(&copy, &args, &environment)?)
}

fn executable_memory(name: &str) -> io::Result<File> {
    const MFD_EXEC: MFdFlags = MFdFlags::from_bits_retain(0x10);
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Before Linux 6.3 there is no such flag, and all of them are executable.
    let memory = memfd_create(name, flags | MFD_EXEC).or_else(|_| memfd_create(name, flags))?;
    Ok(File::from(memory))
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
