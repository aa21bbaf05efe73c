//! Keeps what a connector changed in its session. By a copy of this process, which was made
//! before this one entered the connector's session and sandbox: only there is the capability by
//! which the owner's daemon vouches for it.

use std::io::{PipeWriter, Read, Write, pipe};
use std::os::fd::AsRawFd;

use keyrack_manifest::Digest;
use keyrack_names::{KeyName, Secret};
use nix::sys::signal::SigSet;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::renewal::Renewal;
use crate::error::{Context, Outcome};
use crate::person::ui::Ui;
use crate::sandbox;
use crate::settings::Settings;

/// The copy. Dropped, it ends; told something first, it keeps that.
#[derive(Debug)]
pub struct Keeper {
    copy: Pid,
    line: Option<PipeWriter>,
}

/// What a connector left of a credential.
#[derive(Debug, Serialize, Deserialize)]
pub struct Left {
    /// What the declaration calls it.
    pub name: KeyName,
    /// SHA-256 of the value that it was handed.
    pub was: Digest,
    /// The value that it left.
    pub value: Secret,
}

impl Keeper {
    /// Makes the copy.
    ///
    /// # Errors
    /// When there are too many processes or descriptors.
    pub fn begin(renewal: &Renewal<'_>, settings: &Settings, ui: &Ui) -> Outcome<Self> {
        let doing = || "a process to keep sessions".to_owned();
        let (mut theirs, line) = pipe().context(doing)?;
        let ours = line.as_raw_fd();
        let copy = sandbox::in_a_copy(move || {
            // Or it would wait for itself to say something.
            let _ = nix::unistd::close(ours);
            // What ends the connector, from the terminal too, must not end what keeps its session.
            let _ = SigSet::all().thread_block();
            let mut told = Zeroizing::new(Vec::new());
            let read = theirs.read_to_end(&mut told).map(drop);
            let left = read.ok().and_then(|()| serde_json::from_slice::<Vec<Left>>(&told).ok());
            left.into_iter().flatten().for_each(|left| keep(renewal, left, settings, ui));
            0
        })
        .context(doing)?;
        Ok(Self { copy, line: Some(line) })
    }

    /// Has it keep these, and waits for it.
    pub fn keep(mut self, left: &[Left]) {
        let told = Zeroizing::new(serde_json::to_vec(left).unwrap_or_default());
        if let Some(line) = &mut self.line {
            // It says itself what it could not keep.
            let _ = line.write_all(&told);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.line.take());
        let _ = waitpid(self.copy, None);
    }
}

fn keep(renewal: &Renewal<'_>, left: Left, settings: &Settings, ui: &Ui) {
    let (owner, name) = (renewal.owner, left.name);
    match renewal.keep(&name, left.value, &left.was, settings, ui) {
        Ok(()) => ui.say(format!("{owner}: {name} is kept as the connector left it")),
        Err(failure) => ui.warn(format!("{owner}: {name} is not kept: {}", failure.message)),
    }
}
