//! The keyrack command. It decrypts, in the foreground, with the person's terminal; the
//! daemon remembers.

// Then `start` holds the first instructions.
#![cfg_attr(all(target_env = "gnu", not(test)), no_main)]

mod args;
mod bounded;
mod cmd;
mod connector;
mod deliver;
mod error;
mod exec;
mod import;
mod owner;
mod person;
mod policy;
mod project;
mod provision;
mod rack;
mod sandbox;
mod settings;
mod system;
mod team;
mod tree;
mod words;
mod yubikey;

use args::{Cli, Global, complete, usage};
use error::{Code, ExitStatus};
use owner::users;
use settings::Settings;
use system::{harden, sys};

/// Wipes what libraries leave behind.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// Runs the command. What it returns is what the process exits with.
fn main() -> ExitStatus {
    harden::harden();
    match complete::answer() {
        Ok(false) => {}
        answered => return answered.map_or(Code::Unexpected, |_| Code::Ok).into(),
    }
    match usage::parse() {
        Ok(cli) => run(cli),
        Err(usage::Stop::Shown) => ExitStatus::SUCCESS,
        Err(usage::Stop::Helped) => Code::Usage.into(),
        Err(usage::Stop::Wrong(failure, json)) => {
            usage::report(&failure, json);
            failure.code.into()
        }
    }
}

fn run(mut cli: Cli) -> ExitStatus {
    let global: Global = cli.global.and(cli.command.take_global());
    let (settings, ui) = match Settings::read(&global) {
        Ok(read) => read,
        Err(failure) => {
            usage::report(&failure, global.json);
            return failure.code.into();
        }
    };
    let done = match users::elsewhere(&cli.command, ui.asker.passphrase_fd, &settings) {
        Ok(None) => {
            // An age plugin gets our environment, whole: what is in it from here on.
            sys::forget_variables(settings::NOT_FOR_CHILDREN);
            ui.asker.passphrase_fd.iter().for_each(|fd| sys::keep_from_programs(*fd));
            cmd::run(&cli.command, &settings, &ui)
        }
        Ok(Some(status)) => Ok(status),
        Err(failure) => Err(failure),
    };
    done.unwrap_or_else(|failure| {
        ui.fail(&failure);
        failure.code.into()
    })
}
