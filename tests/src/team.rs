//! A team in one home: owners with keys of their own, and one vault called `team` that the
//! first of them made.

use std::ops::Deref;

use crate::{Finished, Rack};

/// The team and its home.
#[derive(Debug)]
pub struct Team {
    rack: Rack,
    first: String,
}

impl Deref for Team {
    type Target = Rack;

    fn deref(&self) -> &Rack {
        &self.rack
    }
}

impl Team {
    /// A vault of these owners; the first one is its owner, the others members.
    pub fn of(owners: &[&str]) -> Self {
        Self::in_rack(Rack::new(), owners)
    }

    /// The same in a home that is there.
    pub fn in_rack(rack: Rack, owners: &[&str]) -> Self {
        let [first, others @ ..] = owners else { panic!("a team has an owner") };
        rack.key(first);
        rack.sh(&format!(
            "keyrack init --quiet --for {first}; keyrack vault create --quiet team --for {first}"
        ))
        .ok();
        let team = Self { rack, first: (*first).to_owned() };
        others.iter().for_each(|owner| team.join(owner));
        team
    }

    /// Makes an owner and lets it in as a member.
    pub fn join(&self, owner: &str) {
        self.key(owner);
        self.sh(&format!("keyrack init --quiet --for {owner}")).ok();
        let invitation = self.invite(owner, "");
        self.sh(&format!("keyrack vault accept --quiet '{invitation}' --for {owner}")).ok();
    }

    /// Invites an owner of this home, its fingerprint compared.
    pub fn invite(&self, owner: &str, flags: &str) -> String {
        let fingerprint = self.fingerprint(owner);
        let first = &self.first;
        let invited = self.sh(&format!(
            "keyrack vault invite {owner} --quiet --for {first} --fingerprint '{fingerprint}' {flags}"
        ));
        invited.ok().text().trim().to_owned()
    }

    /// An owner's fingerprint, as it would be read aloud.
    pub fn fingerprint(&self, owner: &str) -> String {
        let shown = self.sh(&format!("keyrack identity fingerprint --for {owner} | head -1"));
        shown.ok().text().trim().to_owned()
    }

    /// What an owner reads under a name, unlocked for this.
    pub fn get(&self, owner: &str, key: &str) -> String {
        let got = self.sh(&format!(
            "keyrack get --unlock --for {owner} --key {key} && keyrack relock --quiet --for {owner}"
        ));
        String::from_utf8_lossy(&got.ok().stdout).into_owned()
    }

    /// SHA-256 and path of every file of the vault whose path ends like `pattern`.
    pub fn hashes(&self, pattern: &str) -> String {
        let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        let vault = self.data().join("vaults/team");
        self.sh(&format!(
            "cd {} && find . -path '*{folder}*' -name '{name}' | sort | xargs -r sha256sum",
            vault.display()
        ))
        .ok()
        .text()
    }
}

/// A field of what a command printed as JSON.
#[track_caller]
pub fn field(done: &Finished, pointer: &str) -> serde_json::Value {
    let object: serde_json::Value =
        serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {done}"));
    object.pointer(pointer).cloned().unwrap_or_default()
}
