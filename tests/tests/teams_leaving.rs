//! Leaving a vault that others have over a git remote: they are told, or it is not done.

use keyrack_tests::hub::Hub;
use keyrack_tests::team::{Team, field};

/// What alice's clone says of bob.
fn status(hub: &Hub) -> serde_json::Value {
    let members = hub.alice.sh("keyrack vault members list --for alice --json");
    field(&members, "/members/1/status")
}

#[test]
fn whoever_leaves_tells_the_others() {
    let hub = Hub::joined();
    let (alice, bob) = (&hub.alice, &hub.bob);
    // Not told is not done, and nothing of others is lost by it.
    let away = format!("mv {0} {0}.away", hub.url());
    alice.sh(&away).ok();
    bob.sh("keyrack vault leave --for bob --yes").code(1);
    bob.sh("keyrack vault status --for bob").ok();
    alice.sh(&format!("mv {0}.away {0}", hub.url())).ok();
    // Others wrote meanwhile.
    alice.sh("printf s | keyrack set -q --for alice --vault team --key LATER").ok();
    alice.sh("keyrack vault invite carol -q --one-time-code --for alice").ok();
    hub.sync_alice();
    let left = bob.sh("keyrack vault leave --for bob --yes");
    assert!(!left.ok().errors().contains("vault sync"), "{left}");
    bob.sh("keyrack vault status --for bob").code(4);
    hub.sync_alice();
    assert_eq!(status(&hub), "left");
    assert_eq!(Hub::get(alice, "alice", "LATER"), "s");
}

/// Nobody gets at it afterwards: that is said while it can still be given away.
#[test]
fn whoever_leaves_is_told_what_nobody_reads_any_more() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("for k in LOST GIVEN; do
                 printf b | keyrack set -q --for bob --vault team --private --key $k
             done
             keyrack vault transfer -q --for bob --key GIVEN --to alice")
        .ok();
    // Before it is asked, and so before it is done.
    for (flag, code) in [("", 8), ("--yes", 0)] {
        let left = team.sh(&format!("keyrack vault leave --for bob {flag}"));
        let warned = "keyrack: warning: these are private to bob, and nobody reads them once it \
                      has left: @all.all.LOST\n\
                      keyrack: hint: keyrack vault transfer --key @all.all.LOST --to HANDLE \
                      --for bob --vault team\n";
        assert!(left.code(code).errors().starts_with(warned), "{left}");
    }
    team.sh("keyrack vault claim -q --for alice --key GIVEN").ok();
}

#[test]
fn whoever_leaves_while_others_push_leaves_on_top_of_it() {
    let hub = Hub::joined();
    let url = hub.url();
    // What alice pushes becomes the remote's in the middle of what bob pushes.
    let hook = "#!/bin/sh\ngit rev-parse -q --verify refs/heads/later || exit 0
        unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
        git update-ref refs/heads/main refs/heads/later
        git update-ref -d refs/heads/later\n";
    hub.alice.write("work/hook", hook);
    hub.alice
        .sh(&format!(
            "install -m 755 hook {url}/hooks/pre-receive &&
             keyrack vault policy --max-ttl 1h -q --for alice && cd ~/team && git add -A &&
             git -c user.name=a -c user.email=a@x commit -q -m later &&
             git push -q origin HEAD:later"
        ))
        .ok();
    hub.bob.sh("keyrack vault leave --for bob --yes").ok();
    hub.alice.sh(&format!("git -C {url} rev-parse -q --verify refs/heads/later")).code(1);
    hub.sync_alice();
    assert_eq!(status(&hub), "left");
    let policy = field(&hub.alice.sh("keyrack vault policy --for alice --json"), "/maxTtl");
    assert_eq!(policy, "1h");
}

/// Kills bob's leave when it is in the clone and not with the others.
fn killed_leave(hub: &Hub) {
    let hook = "#!/bin/sh
        p=$$
        until [ \"$(cat /proc/$p/comm)\" = keyrack ]; do p=$(cut -d' ' -f4 /proc/$p/stat); done
        kill -9 $p; exit 1\n";
    hub.alice.write("work/hook", hook);
    let to = format!("{}/hooks/pre-receive", hub.url());
    hub.alice.sh(&format!("install -m 755 hook {to}")).ok();
    hub.bob.sh("keyrack vault leave --for bob --yes").code(137);
    hub.alice.sh(&format!("rm {to}")).ok();
}

/// Killed when its leave is in the clone and not with the others: said again, it is done.
#[test]
fn a_leave_that_was_killed_is_made_again() {
    let hub = Hub::joined();
    killed_leave(&hub);
    hub.bob.sh("keyrack vault leave --for bob --yes").ok();
    hub.bob.sh("keyrack vault status --for bob").code(4);
    hub.sync_alice();
    assert_eq!(status(&hub), "left");
}

/// And what another robot of the home wrote into the same clone meanwhile stays, and is told.
#[test]
fn what_others_of_the_home_wrote_stays_when_a_killed_leave_is_made_again() {
    let hub = Hub::joined();
    let clone = "~/.local/share/keyrack/vaults/team";
    let invitation =
        hub.alice.sh("keyrack vault invite carol -q --one-time-code --for alice").ok().text();
    hub.sync_alice();
    hub.bob.sh(&format!(
        "keyrack vault sync -q --for bob; keyrack init -q --for carol
         keyrack vault accept -q '{invitation}' --for carol --at {clone}; keyrack vault sync -q --for bob"
    ));
    hub.sync_alice();
    hub.alice.sh("keyrack vault confirm carol -q --yes --for alice").ok();
    hub.sync_alice();
    hub.bob.sh(&format!(
        "keyrack vault sync -q --for bob; keyrack vault accept -q '{invitation}' --for carol --at {clone}
         keyrack vault sync -q --for carol"
    )).ok();
    hub.sync_alice();
    killed_leave(&hub);
    hub.bob.sh("printf kept | keyrack set -q --for carol --vault team --key HERS --private").ok();
    hub.bob.sh("keyrack vault leave --for bob --yes").ok();
    assert_eq!(Hub::get(&hub.bob, "carol", "HERS"), "kept");
    hub.bob.sh("keyrack vault sync -q --for carol").ok();
    hub.sync_alice();
    assert_eq!(status(&hub), "left");
}

#[test]
fn who_was_removed_leaves_and_writes_nothing() {
    let hub = Hub::joined();
    hub.alice.sh("keyrack vault members remove bob --for alice").ok();
    hub.sync_alice();
    hub.bob.sh("keyrack vault leave --for bob --yes").ok();
    let team = "git -C ~/.local/share/keyrack/vaults/team status --porcelain";
    hub.bob.sh(team).ok().bytes(b"");
    hub.bob.sh("keyrack vault status --for bob").code(4);
    hub.sync_alice();
}

#[test]
fn an_owner_that_is_destroyed_tells_the_others() {
    let hub = Hub::joined();
    hub.bob.sh("printf x | keyrack set -q --for bob --vault team --key OWN --private").ok();
    let gone = hub.bob.sh("keyrack destroy --for bob --yes --connections delete --json");
    assert_eq!(gone.ok().json()["vaults"], serde_json::json!([]), "{gone}");
    assert!(!gone.errors().contains("still has it as a member"), "{gone}");
    hub.sync_alice();
    assert_eq!(status(&hub), "left");
}
