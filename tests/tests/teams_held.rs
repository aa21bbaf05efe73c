//! What a daemon holds of a vault goes when its owner may not read it any more, however it
//! came to be held.

use keyrack_tests::team::Team;

#[test]
fn a_value_that_was_set_while_unlocked_goes_with_its_vault() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("keyrack vault members role bob admin -q --for alice").ok();
    for take in ["relock --for bob --vault team", "vault members remove bob --for alice"] {
        team.sh(&format!(
            "printf 1 | keyrack set -q --for bob --vault team --key BV; keyrack unlock -q --for bob
             printf 2 | keyrack set -q --for bob --vault team --key BV
             keyrack get --for bob --key BV; keyrack {take} -q; keyrack get --for bob --key BV"
        ))
        .code(3)
        .bytes(b"2");
    }
    team.sh("keyrack relock -q --for bob").ok();
}

/// The manifest's is what is unlocked: the daemon says no other until it is.
#[test]
fn a_value_set_in_a_vault_replaces_no_other_ones_that_is_unlocked() {
    let team = Team::of(&["alice"]);
    team.sh("printf own | keyrack set -q --for alice --key TOKEN; keyrack unlock -q --for alice
             printf team | keyrack set -q --for alice --vault team --key TOKEN
             keyrack get --for alice --key TOKEN; keyrack relock -q --for alice")
        .ok()
        .bytes(b"own");
}

#[test]
fn who_loses_the_passwords_alone_loses_them_at_once() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("printf p | keyrack set -q --for alice --vault team --key PASS --class password
             keyrack vault members role bob member -q --passwords yes --for alice
             keyrack get --unlock --for bob --key PASS")
        .ok()
        .bytes(b"p");
    team.sh("keyrack vault members role bob member -q --passwords no --for alice
             keyrack get --for bob --key PASS")
        .code(3);
    team.sh("keyrack relock -q --for bob").ok();
}

/// By whoever deletes it or takes it back, on another machine: the next unlock sees it.
#[test]
fn what_is_gone_from_a_vault_is_forgotten_by_the_next_unlock() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("for k in DELETED TAKEN GRANTED KEPT; do
                 printf 1 | keyrack set -q --for alice --vault team --key $k
             done
             keyrack vault unshare -q --for alice --key GRANTED
             keyrack vault share -q --for alice --key GRANTED --with bob
             keyrack unlock -q --for bob
             keyrack del -q --for alice --vault team --key DELETED
             keyrack vault unshare -q --for alice --key TAKEN
             keyrack vault unshare -q --for alice --key GRANTED --with bob
             for k in DELETED TAKEN GRANTED KEPT; do keyrack get --for bob --key $k; done")
        .ok()
        .bytes(b"1111");
    // Whatever it was asked for.
    team.sh("keyrack get --unlock --for bob --key TAKEN").code(4);
    for gone in ["DELETED", "TAKEN", "GRANTED"] {
        team.sh(&format!("keyrack get --for bob --key {gone}")).bytes(b"");
    }
    team.sh("keyrack get --for bob --key KEPT; keyrack relock -q --for bob").ok().bytes(b"1");
}
