//! A program as a sealed file in memory that its user cannot read. The kernel starts what is
//! executed from it closed: nobody looks into it, or takes a descriptor of it, not for a moment.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// How often another copy is made for one that is held.
const COPY_AGAIN: u32 = 10;

/// How a program begins that is no script.
const MAGIC: [u8; 4] = *b"\x7fELF";

/// Such a copy of `program`, under that name.
///
/// # Errors
/// When `program` cannot be read, or is a script, or the machine executes nothing in memory.
pub fn of(program: &Path, name: &str) -> io::Result<File> {
    // The kernel seals no copy of which anything, such as its own compaction, holds a page:
    // another copy lies elsewhere.
    let is_held = |e: &io::Error| e.raw_os_error() == Some(Errno::EBUSY as i32);
    let mut made = copy(program, name);
    for _ in 0..COPY_AGAIN {
        match made {
            Err(e) if is_held(&e) => made = copy(program, name),
            made => return made,
        }
    }
    made
}

fn copy(program: &Path, name: &str) -> io::Result<File> {
    let mut program = File::open(program)?;
    let mut begins = [0; MAGIC.len()];
    program.read_exact(&mut begins)?;
    if begins != MAGIC {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "its interpreter could not read it",
        ));
    }
    let mut copy = executable_memory(name)?;
    copy.write_all(&begins)?;
    io::copy(&mut program, &mut copy)?;
    copy.set_permissions(Permissions::from_mode(0o111))?;
    let all = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SEAL;
    fcntl(&copy, FcntlArg::F_ADD_SEALS(all))?;
    Ok(copy)
}

fn executable_memory(name: &str) -> io::Result<File> {
    const MFD_EXEC: MFdFlags = MFdFlags::from_bits_retain(0x10);
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Before Linux 6.3 there is no such flag, and all of them are executable.
    let memory = memfd_create(name, flags | MFD_EXEC).or_else(|_| memfd_create(name, flags))?;
    Ok(File::from(memory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_was_copied_and_stays_so() {
        let program = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(program.path(), "#!/bin/sh\n").unwrap();
        assert!(of(program.path(), "test").is_err());
        std::fs::write(program.path(), "\x7fELF and more").unwrap();
        let copy = of(program.path(), "test").unwrap();
        let about = copy.metadata().unwrap();
        assert_eq!((about.len(), about.permissions().mode() & 0o777), (13, 0o111));
        assert!(copy.set_len(0).is_err() && (&copy).write(b"x").is_err());
        assert!(of(Path::new("/nonexistent"), "test").is_err());
    }
}
