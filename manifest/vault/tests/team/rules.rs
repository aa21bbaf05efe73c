//! What the model holds of members and credentials, and its rules: who reads, who writes,
//! who knows what it can no longer read.

use std::collections::BTreeSet;

use keyrack_manifest::{CredId, VaultRef};
use keyrack_vault::{Role, Seen, Vault, VaultError};

use crate::rig::{Person, Team};

pub struct ModelMember {
    pub person: Person,
    pub role: Role,
    pub password: bool,
    pub active: bool,
    /// What its manifest and its device remember.
    pub remembered: Option<(VaultRef, Seen)>,
}

pub struct ModelCred {
    pub id: CredId,
    pub owner: usize,
    pub password: bool,
    pub shared: bool,
    pub grantees: BTreeSet<usize>,
    /// Who may take it.
    pub offered: Option<usize>,
    pub value: String,
    /// Who could read the value that is there and cannot any more.
    pub exposed: BTreeSet<usize>,
}

pub struct Model {
    pub team: Team,
    pub members: Vec<ModelMember>,
    pub creds: Vec<ModelCred>,
    pub count: usize,
}

impl Model {
    pub fn reads(&self, who: usize, cred: &ModelCred) -> bool {
        let member = &self.members[who];
        let compartment = !cred.password || member.password;
        if !member.active {
            return false;
        }
        if cred.shared {
            return compartment;
        }
        cred.owner == who || (cred.grantees.contains(&who) && compartment)
    }

    pub fn writes(&self, who: usize, cred: &ModelCred) -> bool {
        if cred.shared { self.members[who].role.writes_shared() } else { cred.owner == who }
    }

    /// Whose reading ended with what was just done: they know the value.
    pub fn expose(&mut self, before: &[BTreeSet<usize>]) {
        let now: Vec<BTreeSet<usize>> = self.creds.iter().map(|cred| self.readers(cred)).collect();
        for ((cred, before), now) in self.creds.iter_mut().zip(before).zip(&now) {
            cred.exposed.extend(before.difference(now));
        }
    }

    pub fn readers(&self, cred: &ModelCred) -> BTreeSet<usize> {
        (0..self.members.len()).filter(|who| self.reads(*who, cred)).collect()
    }

    /// A new version is wrapped for those who may have it now.
    pub fn prune(&mut self, at: usize) {
        let may = |who: &usize| {
            let member = &self.members[*who];
            member.active && (member.password || !self.creds[at].password)
        };
        let grantees = self.creds[at].grantees.iter().copied().filter(may).collect();
        self.creds[at].grantees = grantees;
        self.keep_offer(at);
    }

    /// An offer stands while whoever it was made to can read.
    pub fn keep_offer(&mut self, at: usize) {
        let cred = &mut self.creds[at];
        cred.offered = cred.offered.filter(|to| cred.grantees.contains(to));
    }

    pub fn owners(&self) -> usize {
        self.members.iter().filter(|m| m.active && m.role == Role::Owner).count()
    }

    pub fn open(&self, who: usize) -> Result<Vault<'_>, VaultError> {
        let member = &self.members[who];
        let (carried, seen) = member.remembered.as_ref().map(|(c, s)| (c, s)).unzip();
        Vault::open(&self.team.store, &self.team.id, seen, carried, member.person.actor())
    }
}
