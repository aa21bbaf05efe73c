//! Two users on both sides of a bare git repository.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use crate::Rack;

/// A bare repository, and a user's home on each side of it.
#[derive(Debug)]
pub struct Hub {
    /// What both reach.
    pub dir: TempDir,
    /// Who made the vault.
    pub alice: Rack,
    /// Who is to join, or did.
    pub bob: Rack,
}

impl Hub {
    /// Alice made the vault and pushed it; bob is an owner somewhere else.
    pub fn made() -> Self {
        let dir = tempfile::Builder::new().prefix("kr-hub").tempdir_in("/tmp").expect("a hub");
        let open = |path| std::fs::set_permissions(path, Permissions::from_mode(0o777));
        open(dir.path()).expect("our directory");
        let rack = || {
            let rack = Rack::ordinary();
            // git asks whose a repository is; both users here are one test's.
            rack.write("home/.gitconfig", "[safe]\n\tdirectory = *\n");
            rack
        };
        let hub = Self { dir, alice: rack(), bob: rack() };
        let url = hub.url();
        hub.alice.key("alice");
        hub.bob.key("bob");
        hub.alice
            .sh(&format!(
                "git init -q --bare --shared=0666 -b main {url}
                 git -C {url} config receive.denyNonFastForwards false
                 git clone -q {url} ~/team 2>/dev/null; keyrack init -q --for alice
                 keyrack vault create team --quiet --for alice --at ~/team
                 keyrack vault sync --quiet --for alice"
            ))
            .ok();
        hub.bob.sh("keyrack init -q --for bob").ok();
        hub
    }

    /// Where the repository is.
    pub fn url(&self) -> String {
        self.dir.path().join("team.git").display().to_string()
    }

    /// Bob's card goes one way, the invitation the other; the fingerprint by voice.
    pub fn invite(&self, flags: &str) -> String {
        let card = self.bob.sh("keyrack identity card --for bob").ok().text();
        let fingerprint = self.bob.sh("keyrack identity fingerprint --for bob | head -1").text();
        self.alice.write("work/bob.card", format!("{card}\n"));
        let invited = self.alice.sh(&format!(
            "keyrack vault invite bob --quiet --for alice --card bob.card \
             --fingerprint '{fingerprint}' {flags}"
        ));
        let invitation = invited.ok().text();
        self.sync_alice();
        invitation
    }

    /// Bob is a member, and both know.
    pub fn joined() -> Self {
        let hub = Self::made();
        let invitation = hub.invite("");
        hub.bob
            .sh(&format!(
                "keyrack vault accept --quiet '{invitation}' --for bob
                 keyrack vault sync --quiet --for bob"
            ))
            .ok();
        hub.sync_alice();
        hub
    }

    /// Alice exchanges.
    #[track_caller]
    pub fn sync_alice(&self) {
        self.alice.sh("keyrack vault sync --quiet --for alice").ok();
    }

    /// Bob exchanges.
    #[track_caller]
    pub fn sync_bob(&self) {
        self.bob.sh("keyrack vault sync --quiet --for bob").ok();
    }

    /// Somebody who may push, member or not, changes files in a clone and pushes that.
    pub fn push_by_hand(&self, change: &str) {
        self.alice
            .sh(&format!(
                "cd $(mktemp -d) && git clone -q {} . && {change} && git add -A && \
                 git -c user.name=e -c user.email=e@x commit -qm 'by hand' && git push -q origin HEAD",
                self.url()
            ))
            .ok();
    }

    /// What the owner in that home reads.
    pub fn get(rack: &Rack, owner: &str, key: &str) -> String {
        let got = rack.sh(&format!(
            "keyrack get --unlock --for {owner} --key {key} && keyrack relock -q --for {owner}"
        ));
        got.ok().text()
    }
}
