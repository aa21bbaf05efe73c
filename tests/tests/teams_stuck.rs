//! A vault in a clone, where git or the clone is not as it should be: told, with what to type,
//! which works when it is typed.

use keyrack_tests::hub::Hub;
use keyrack_tests::{Finished, Rack};

/// The commands that a failure hints at.
fn hints(done: &Finished) -> Vec<String> {
    let said = done.errors();
    let hints = said.lines().filter_map(|line| line.strip_prefix("keyrack: hint: "));
    hints.map(str::to_owned).collect()
}

/// Syncs alice's clone, which fails, and types the hint; then it does not.
fn typed(alice: &Rack, code: i32) {
    let refused = alice.sh("keyrack vault sync --for alice");
    let hints = hints(refused.code(code));
    alice.sh(hints.last().expect("a hint")).ok();
    alice.sh("keyrack vault sync --for alice").ok();
}

#[test]
fn what_git_refuses_is_told_with_what_to_type() {
    let hub = Hub::joined();
    let (alice, url) = (&hub.alice, hub.url());
    // A path that a shell would take for several words.
    alice.sh("mv ~/team \"$HOME/my clôné's t m\"").ok();
    let team = "\"$HOME/my clôné's t m\"";
    alice.sh(&format!("keyrack vault moved {team} --for alice")).ok();
    alice.sh("printf one | keyrack set -q --for alice --vault team --key TOKEN").ok();

    alice.sh(&format!("touch {team}/.git/index.lock")).ok();
    typed(alice, 1);
    alice.sh(&format!("git -C {team} checkout -q --detach")).ok();
    let detached = alice.sh("keyrack vault sync --for alice");
    assert!(hints(detached.code(1))[1].ends_with("switch BRANCH"), "{detached}");
    alice.sh(&format!("git -C {team} checkout -q main; mv {url} {url}.away")).ok();
    let away = alice.sh("keyrack vault sync --for alice");
    let fetch = hints(away.code(1)).remove(0);
    let said = alice.sh(&fetch);
    assert!(said.errors().contains("does not appear to be a git repository"), "{said}");
    alice.sh(&format!("mv {url}.away {url}")).ok();
    alice.sh(&fetch).ok();
    let only = "PATH=$(dirname $(command -v keyrack))";
    let without = alice.sh(&format!("{only} keyrack vault sync --for alice"));
    assert_eq!(hints(without.code(1)), ["install git"]);
    // Nor is this clone's own path sent to who is invited.
    let invited = format!("{only} keyrack vault invite cid --one-time-code --for alice");
    assert_eq!(hints(alice.sh(&invited).code(1)), ["install git"]);
    assert_eq!(alice.sh("keyrack vault invites --for alice").ok().text(), "");
}

#[test]
fn a_branch_that_others_do_not_exchange_is_told() {
    let hub = Hub::joined();
    let (alice, url) = (&hub.alice, hub.url());
    alice.sh("git -C ~/team switch -qc feature").ok();
    alice.sh("printf one | keyrack set -q --for alice --vault team --key TOKEN").ok();
    typed(alice, 11);
    assert_eq!(alice.sh(&format!("git -C {url} branch --list feature")).ok().text(), "");
    // Where the remote's was renamed, nothing makes the old one anew.
    alice.sh(&format!("git -C {url} branch -m main trunk")).ok();
    alice.sh("printf two | keyrack set -q --for alice --vault team --key OTHER").ok();
    typed(alice, 11);
    let branches = format!("git -C {url} for-each-ref --format='%(refname:short)' refs/heads");
    assert_eq!(alice.sh(&branches).ok().text(), "trunk");
    let pushed = alice.sh(&format!("git -C {url} grep -l OTHER trunk -- '*.cred'"));
    assert!(pushed.ok().text().contains(".cred"), "{pushed}");
}

#[test]
fn a_clone_that_was_moved_is_said_to_be_elsewhere() {
    let hub = Hub::joined();
    let alice = &hub.alice;
    alice.sh("printf s3cret | keyrack set -q --for alice --vault team --key TOKEN").ok();
    alice.sh("cp -r ~/team ~/older").ok();
    alice.sh("keyrack vault rotate -q --for alice; mv ~/team ~/newer").ok();
    for (act, code) in [("status", 12), ("sync", 12), ("leave", 8)] {
        let gone = alice.sh(&format!("keyrack vault {act} --for alice"));
        assert!(gone.code(code).errors().contains("there is no vault at /"), "{gone}");
        assert_eq!(hints(&gone)[0], "keyrack vault moved DIRECTORY --for alice --vault team");
    }
    let moved =
        |to: &str| hints(&alice.sh("keyrack vault status --for alice"))[0].replace("DIRECTORY", to);
    // Not to an older one, nor to another.
    alice.sh(&moved("~/older")).code(12);
    alice.sh("git clone -q ~/newer ~/empty && rm -r ~/empty/chain").ok();
    alice.sh(&moved("~/empty")).code(12);
    alice.sh("keyrack vault status --for alice").code(12);
    alice.sh(&moved("~/newer")).ok();
    hub.sync_alice();
    assert_eq!(Hub::get(alice, "alice", "TOKEN"), "s3cret");
    // Gone for good, it is forgotten by who agrees.
    alice.sh("rm -rf ~/newer; keyrack vault leave --for alice --yes").ok();
    assert_eq!(alice.sh("keyrack vault list --for alice").ok().text(), "");
    alice.sh("keyrack unlock --for alice").ok();
}

#[test]
fn who_accepts_again_elsewhere_says_where_the_vault_is() {
    let hub = Hub::made();
    let invitation = hub.invite("");
    let bob = &hub.bob;
    bob.sh(&format!(
        "keyrack vault accept -q '{invitation}' --for bob && keyrack vault sync -q --for bob"
    ))
    .ok();
    bob.sh("mv ~/.local/share/keyrack/vaults/team ~/there").ok();
    bob.sh("keyrack vault status --for bob").code(12);
    bob.sh(&format!("keyrack vault accept '{invitation}' --for bob --at ~/there")).ok();
    bob.sh("keyrack vault status --for bob").ok();
    hub.sync_bob();
}

#[test]
fn a_vault_that_was_not_made_leaves_no_clone() {
    let hub = Hub::joined();
    let url = hub.url();
    hub.alice.sh(&format!("keyrack vault create again --for alice --at {url}")).code(11);
    hub.alice
        .sh(&format!(
            "git init -q --bare -b main {url}.other
             keyrack vault create again --for alice --at {url}.other"
        ))
        .ok();
}
