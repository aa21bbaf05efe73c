//! `keyrack vault`: vaults with several members. One file an act.

pub mod accept;
pub mod create;
mod credentials;
mod export;
mod git;
mod invite;
mod list;
mod log;
mod members;
mod moved;
mod policy;
mod resolve;
mod status;
mod sync;
mod verify;

pub use credentials::{about, delete};

use crate::args::VaultAct;
use crate::error::Outcome;
use crate::person::ui::Ui;
use crate::settings::Settings;

/// Runs `keyrack vault`.
pub fn run(act: &VaultAct, settings: &Settings, ui: &Ui) -> Outcome {
    match act {
        VaultAct::Create(with) => create::run(&with.own, settings, ui),
        VaultAct::List(_) => list::run(settings, ui),
        VaultAct::Status(with) => status::run(&with.own, settings, ui),
        VaultAct::Verify(with) => verify::run(&with.own, settings, ui),
        VaultAct::Export(with) => export::run(&with.own, settings, ui),
        VaultAct::Invite(with) => invite::run(&with.own, settings, ui),
        VaultAct::Invites(with) => invite::list(&with.own, settings, ui),
        VaultAct::Cancel(with) => invite::cancel(&with.own, settings, ui),
        VaultAct::Accept(with) => accept::run(&with.own, settings, ui),
        VaultAct::Confirm(with) => invite::confirm(&with.own, settings, ui),
        VaultAct::Leave(with) => members::leave(&with.own, settings, ui),
        VaultAct::Members(with) => members::run(&with.own.act, settings, ui),
        VaultAct::Moved(with) => moved::run(&with.own, settings, ui),
        VaultAct::Rotate(with) => members::rotate(&with.own, settings, ui),
        VaultAct::Policy(with) => policy::run(&with.own, settings, ui),
        VaultAct::Share(with) => credentials::share(&with.own, settings, ui),
        VaultAct::Adopt(with) => credentials::adopt(&with.own, settings, ui),
        VaultAct::Unshare(with) => credentials::unshare(&with.own, settings, ui),
        VaultAct::Transfer(with) => credentials::transfer(&with.own, settings, ui),
        VaultAct::Claim(with) => credentials::claim(&with.own, settings, ui),
        VaultAct::Sync(with) => sync::run(&with.own, settings, ui),
        VaultAct::Resolve(with) => resolve::run(&with.own, settings, ui),
        VaultAct::Log(with) => log::run(&with.own, settings, ui),
        VaultAct::MergeDriver(with) => git::merge(&with.own, ui),
        VaultAct::Textconv(with) => git::textconv(&with.own, ui),
    }
}
