//! keyrackd: one process for each owner, which remembers what the command decrypted and
//! forgets it in time. Memory, a clock and a cipher: it opens no manifest, no key, no
//! vault and no network connection.
//!
//! | file | holds |
//! |---|---|
//! | `args`, `start`, `life` | how it comes to life and how it ends |
//! | `reexec`, `process`, `sandbox` | what its process gives up, in order |
//! | `harden` | every `unsafe` line |
//! | `bind` | where it listens |
//! | `server`, `seats`, `signals`, `clock` | the accept loop, who is connected, time |
//! | `connection`, `meet`, `replay`, `session` | one caller: frames, proof, dispatch |
//! | `daemon` | what all callers share |
//! | `rack`, `capability` | what is held, until when, for whom: pure |
//! | `arena`, `sealed`, `scrub` | the locked page, values at rest under it, the stack wiped |
//! | `audit`, `queue`, `log_file` | the log, the way to its writer, the file it goes to |

mod arena;
mod args;
mod audit;
mod bind;
mod capability;
mod clock;
mod connection;
mod daemon;
mod harden;
mod life;
mod log_file;
mod meet;
mod process;
mod queue;
mod rack;
mod reexec;
mod replay;
mod sandbox;
mod scrub;
mod sealed;
mod seats;
mod server;
mod session;
mod signals;
mod start;

use std::process::ExitCode;

use args::Args;

/// What libraries leave on the heap is wiped when it is freed.
#[global_allocator]
static WIPING: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// Wrong use, as everywhere in keyrack.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match args::parse(std::env::args_os().skip(1)) {
        Args::Version => println!("keyrackd {}", env!("CARGO_PKG_VERSION")),
        Args::Help => print!("{}", args::HELP),
        Args::Unknown => return complain(USAGE, &"it takes no arguments but --version and --help"),
        Args::Serve(nonce) => match life::live(nonce.as_deref()) {
            Ok(()) => {}
            Err(e @ life::LifeError::Start(start::StartError::ByHand)) => {
                return complain(USAGE, &e);
            }
            Err(e) => return complain(1, &e),
        },
    }
    ExitCode::SUCCESS
}

fn complain(code: u8, why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("keyrackd: error: {why}");
    ExitCode::from(code)
}
