//! The helper that speaks to YubiKeys for the keyrack command: one JSON object a line on
//! stdin and stdout (`docs/PROTOCOL.md`). It has no terminal and no file of its own, keeps
//! what it opened for the length of one command, and ends with it.

mod admin;
mod agree;
mod algorithm;
mod apdu;
mod attest;
mod card;
mod create;
mod find;
mod holders;
mod keys;
mod metadata;
mod pin;
mod session;
mod tlv;
mod wire;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

/// Wipes what libraries leave behind: a PIN passes through many hands here.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() {
    let _ = prctl::set_dumpable(false);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let wire = wire::Wire::begin();
    let mut session = session::Session::default();
    while let Some(request) = wire.request() {
        let event = session.answer(request, &wire);
        wire.end(&event);
    }
}
