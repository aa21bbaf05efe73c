//! One file a subcommand.

use crate::args::Command;
use crate::error::{ExitStatus, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;

mod attach;
mod connections;
mod connector;
mod copy;
mod daemon;
mod del;
mod demo;
mod destroy;
mod doctor;
mod exec;
mod expiring;
mod fill;
mod generate;
mod get;
mod identity;
mod import;
mod init;
mod list;
mod log;
mod recipient;
pub mod relock;
mod restart;
mod rotate;
pub mod set;
mod source;
mod status;
pub mod trust;
pub mod unlock;
pub mod vault;
mod version;
mod yubikey;

/// Runs the subcommand. Its exit status is a program's only for `exec` and
/// `connector run`.
///
/// # Errors
/// What it fails with is how the command ends.
pub fn run(command: &Command, settings: &Settings, ui: &Ui) -> Outcome<ExitStatus> {
    match command {
        Command::Exec(with) => return exec::run(&with.own, settings, ui),
        Command::Connector(with) => return connector::run(&with.own.act, settings, ui),
        Command::Init(with) => init::run(&with.own, settings, ui),
        Command::Set(with) => set::run(&with.own, settings, ui),
        Command::Unlock(with) => unlock::run(&with.own, settings, ui),
        Command::Get(with) => get::run(&with.own, settings, ui),
        Command::Relock(with) => relock::run(&with.own, settings, ui),
        Command::Status(with) => status::run(&with.own, settings, ui),
        Command::List(with) => list::run(&with.own, settings, ui),
        Command::Del(with) => del::run(&with.own, settings, ui),
        Command::Source(with) => source::run(&with.own, settings, ui),
        Command::Fill(with) => fill::run(&with.own, settings, ui),
        Command::Attach(with) => attach::run(&with.own, settings, ui),
        Command::Recipient(with) => recipient::run(&with.own.act, settings, ui),
        Command::Vault(with) => vault::run(&with.own.act, settings, ui),
        Command::Connections(with) => connections::run(&with.own.act, settings, ui),
        Command::Rotate(with) => rotate::run(&with.own, settings, ui),
        Command::Expiring(with) => expiring::run(&with.own, settings, ui),
        Command::Identity(with) => identity::run(&with.own.act, settings, ui),
        Command::Yubikey(with) => yubikey::run(&with.own.act, settings, ui),
        Command::Daemon(with) => daemon::run(&with.own.act, settings, ui),
        Command::Import(with) => import::run(&with.own.from, settings, ui),
        Command::Copy(with) => copy::run(&with.own, settings, ui),
        Command::Trust(with) => trust::run(&with.own, settings, ui),
        Command::Destroy(with) => destroy::run(&with.own, settings, ui),
        Command::Log(with) => log::run(with.own.act, settings, ui),
        Command::Doctor(with) => doctor::run(&with.own, settings, ui),
        Command::Demo(_) => demo::run(ui),
        Command::Generate(with) => generate::run(&with.own.what, ui),
        Command::Version(_) => version::run(ui),
    }
    .map(|()| ExitStatus::SUCCESS)
}
