//! The command's first instructions, in the place of Rust's own. Those read
//! `/proc/self/maps` for the end of the stack and install a handler that would name a stack
//! overflow: twenty system calls, and a twentieth of what a `get` takes. What matters of
//! them is here; see docs/decisions/first-instructions.md.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};
use std::io::Write as _;

/// What the C library calls. It gave the arguments to [`std::env::args_os`] before.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    open_standard_streams();
    // A reader that went away is an error to handle, and not yet the end.
    // SAFETY: ignoring a signal installs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let status = crate::main();
    // What clap prints.
    let _ = std::io::stdout().flush();
    c_int::from(status.0)
}

/// No file of ours is to be taken for a standard stream that the caller closed. What was to
/// be read is not read, and what was to be written is not lost in silence.
fn open_standard_streams() {
    for (fd, how) in [(0, libc::O_WRONLY), (1, libc::O_RDONLY), (2, libc::O_RDWR)] {
        // SAFETY: only the number is read. The lowest free one is what `open` gives.
        let opened = unsafe {
            libc::fcntl(fd, libc::F_GETFD) != -1 || libc::open(c"/dev/null".as_ptr(), how) != -1
        };
        if !opened {
            std::process::abort();
        }
    }
}
