//! The keyrack command. It decrypts, in the foreground, with the person's terminal; the
//! daemon remembers.

// Then `start` holds the first instructions.
#![cfg_attr(all(target_env = "gnu", not(test)), no_main)]

mod access;
mod accounts;
mod anchor;
mod answer;
mod args;
mod asker;
mod audit_log;
mod bounded;
mod cmd;
mod complete;
mod daemon;
mod default_vault;
mod deliver;
mod drops;
mod elsewhere;
mod error;
mod exec;
mod grant;
mod harden;
mod installed;
mod keeper;
mod keysource;
mod level;
mod notify;
mod opened;
mod ownkey;
mod parent;
mod pending;
mod pinentry;
mod process;
mod project;
mod prompt;
mod provision;
mod provisional;
mod provisioner;
mod push;
mod renew;
mod ring;
mod roster;
mod sandbox;
mod settings;
mod skew;
mod sleeping;
mod sockets;
mod ssh_agent;
#[cfg(all(target_env = "gnu", not(test)))]
mod start;
mod sys;
mod team;
mod tree;
mod ui;
mod unlocking;
mod upkeep;
mod usage;
mod users;
mod values;
mod wanted;
mod when;
mod whereabouts;
mod words;
mod yubikey;

use args::{Cli, Global};
use error::{Code, ExitStatus};
use settings::Settings;

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
    let done = match users::elsewhere(&cli.command, &settings) {
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
