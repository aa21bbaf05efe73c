//! Fetching in a process of its own. Entering a user namespace makes a process readable by
//! others of the same user for a moment, and what it starts afterwards lives inside. So a
//! copy, made before, opens the manifest, asks the person and starts the daemon; this
//! process gets from it what the program will get, and no more.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::fetch::Fetched;
use crate::error::{Code, Context, Failure, Outcome};
use crate::sandbox;

/// A copy that waits to be told to begin. Dropped, it ends without having done anything.
#[derive(Debug)]
pub struct Apart {
    copy: Pid,
    line: UnixStream,
}

#[derive(Serialize, Deserialize)]
enum Told {
    Fetched(Fetched),
    Failed(Failure),
}

impl Apart {
    /// Makes the copy that will do `work`.
    ///
    /// # Errors
    /// When there are too many processes or descriptors.
    pub fn begin(work: impl FnOnce() -> Outcome<Fetched>) -> Outcome<Self> {
        let doing = || "a process to fetch values in".to_owned();
        let (line, theirs) = UnixStream::pair().context(doing)?;
        let ours = line.try_clone().context(doing)?;
        let copy = sandbox::in_a_copy(move || {
            drop(ours);
            // The original may fail first, and then nobody is to be asked for anything.
            if (&theirs).read_exact(&mut [0]).is_ok() {
                let told = work().map_or_else(Told::Failed, Told::Fetched);
                let bytes = Zeroizing::new(serde_json::to_vec(&told).unwrap_or_default());
                let _ = (&theirs).write_all(&bytes);
            }
            0
        })
        .context(doing)?;
        Ok(Self { copy, line })
    }

    /// Lets it begin, and gives what it found.
    ///
    /// # Errors
    /// What it failed with.
    pub fn go(mut self) -> Outcome<Fetched> {
        let ended =
            || Failure::new(Code::Unexpected, "the process that fetches values ended early");
        self.line.write_all(&[0]).map_err(|_| ended())?;
        let mut bytes = Zeroizing::new(Vec::new());
        self.line.read_to_end(&mut bytes).map_err(|_| ended())?;
        match serde_json::from_slice(&bytes).map_err(|_| ended())? {
            Told::Fetched(fetched) => Ok(fetched),
            Told::Failed(failure) => Err(failure),
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.line.shutdown(Shutdown::Both);
        let _ = waitpid(self.copy, None);
    }
}
