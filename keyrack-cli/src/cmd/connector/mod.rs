//! `keyrack connector`: one file an act.

use keyrack_manifest::Word;

use crate::args::{ConnectorAct, OneGrant};
use crate::error::{ExitStatus, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;

mod add;
mod disclose;
mod grant;
mod list;
mod revoke;
mod run;

/// Runs `keyrack connector`. The exit status is a program's only for `run`.
pub fn run(act: &ConnectorAct, settings: &Settings, ui: &Ui) -> Outcome<ExitStatus> {
    match act {
        ConnectorAct::Run(with) => return run::run(&with.own, settings, ui),
        ConnectorAct::Add(with) => add::run(&with.own, settings, ui),
        ConnectorAct::List(_) => list::run(settings, ui),
        ConnectorAct::Disclose(with) => disclose::run(&with.own, settings, ui),
        ConnectorAct::Grant(with) => grant::run(&with.own, settings, ui),
        ConnectorAct::Revoke(with) => revoke::run(&with.own, settings, ui),
    }
    .map(|()| ExitStatus::SUCCESS)
}

impl OneGrant {
    /// What the grant is called.
    pub fn name(&self) -> Word {
        grant_name(self.grant.as_ref())
    }
}

/// What a grant is called where a flag may say so.
pub fn grant_name(flag: Option<&Word>) -> Word {
    flag.cloned().unwrap_or_else(Word::usual)
}
