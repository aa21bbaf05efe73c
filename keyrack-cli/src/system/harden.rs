//! What every run of the command does first: no core dump, no reading of its memory by
//! other processes of the same user.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

/// Best effort: a kernel that refuses is no reason not to hand out a credential.
pub fn harden() {
    let _ = prctl::set_dumpable(false);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
}
