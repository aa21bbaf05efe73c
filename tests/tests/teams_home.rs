//! Several owners of one home in one vault, and what becomes of memberships when keys change
//! or an owner goes.

use keyrack_tests::Rack;
use keyrack_tests::rack::KeyType;
use keyrack_tests::team::{Team, field};

/// But one that needs a person: it is told how.
#[test]
fn owners_that_are_there_join_the_default_vault_at_once() {
    let rack = Rack::new();
    rack.make_key("id_ed25519_carol", KeyType::Ed25519, "open sesame");
    for owner in ["alice", "bob"] {
        rack.key(owner);
    }
    let made = rack.sh("keyrack init -q --for alice --for bob --for carol
                        keyrack vault create house --default --for alice");
    let said = made.ok().errors();
    assert!(said.contains("bob joined house, the default vault of this home"), "{made}");
    assert!(said.contains("carol is not in house, the default vault of this home, yet"), "{made}");
    let members = rack.sh("keyrack vault members list --for bob").ok().text();
    assert!(members.contains("bob\tmember\tactive") && !members.contains("carol"), "{members}");
    rack.sh("keyrack vault invite carol -q --yes --for alice --vault house").ok();
}

/// What cannot be made whole is not made.
#[test]
fn a_second_default_vault_is_refused_before_it_is_made() {
    let rack = Rack::new();
    rack.key("alice");
    rack.sh("keyrack init -q --for alice; keyrack vault create house --default -q --for alice")
        .ok();
    let second = rack.sh("keyrack vault create other --default --for alice");
    second
        .fails(11, "keyrack: error: house is the default vault of this home already\n")
        .bytes(b"");
    let vaults = rack.sh("keyrack vault list --for alice").ok().text();
    assert!(vaults.contains("house") && !vaults.contains("other"), "{vaults}");
    assert!(!rack.data().join("vaults/other").exists());
    rack.sh("keyrack vault create other -q --for alice").ok();
}

#[test]
fn later_owners_join_the_default_vault_and_keep_their_own() {
    let rack = Rack::new();
    rack.key("alice");
    rack.key("bob");
    rack.sh("keyrack init -q --for alice; keyrack vault create house --default -q --for alice
             keyrack init -q --for bob")
        .ok();
    let ids: Vec<serde_json::Value> = ["alice", "bob"]
        .iter()
        .map(|owner| {
            field(&rack.sh(&format!("keyrack vault list --for {owner} --json")), "/vaults/0/id")
        })
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert!(ids[0].is_string(), "{ids:?}");
    // One name twice: each has its own.
    rack.sh("printf a | keyrack set -q --for alice --vault house --key TOKEN
             printf b | keyrack set -q --for bob --vault house --key TOKEN")
        .ok();
    rack.sh("keyrack get --unlock --for bob --key TOKEN; keyrack relock -q --for bob")
        .ok()
        .bytes(b"b");
    rack.sh("keyrack get --unlock --for alice --key TOKEN; keyrack relock -q --for alice")
        .ok()
        .bytes(b"a");
    let all = field(&rack.sh("keyrack connections list --all --for bob --json"), "/connections");
    let owners: Vec<&str> =
        all.as_array().into_iter().flatten().filter_map(|row| row["owner"].as_str()).collect();
    assert_eq!(owners, ["alice", "bob"]);
    // A grant to one identity.
    rack.sh("printf g | keyrack set -q --for alice --vault house --key GRANTED
             keyrack vault share --for alice --key GRANTED --with bob")
        .ok();
    rack.sh("keyrack get --unlock --for bob --key GRANTED; keyrack relock -q --for bob")
        .ok()
        .bytes(b"g");
}

/// Two values under one name are one only where they are the same.
#[test]
fn what_moves_into_a_vault_replaces_none_of_its_owners_there() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("printf team | keyrack set -q --for alice --vault team --key TOKEN
             printf bank | keyrack set -q --for alice --key TOKEN
             printf other | keyrack set -q --for alice --key OTHER")
        .ok();
    let error = "keyrack: error: alice has another @all.all.TOKEN in team already: \
                 one of the two has to go\n\
                 keyrack: hint: keyrack del --for alice --vault personal --key @all.all.TOKEN\n\
                 keyrack: hint: or: keyrack del --for alice --vault team --key @all.all.TOKEN\n";
    for refused in [
        "adopt --for alice --dry-run",
        "adopt --for alice",
        "share --for alice --key TOKEN --dry-run",
        "share --for alice --key TOKEN",
        "share --for alice --key TOKEN --with bob",
    ] {
        team.sh(&format!("keyrack vault {refused}")).fails(11, error);
    }
    assert_eq!(team.get("bob", "TOKEN"), "team");
    assert_eq!(team.get("alice", "TOKEN"), "bank");
    let at = |key: &str| {
        let rows = field(&team.sh("keyrack list --for alice --json"), "/keys");
        let row = rows.as_array().into_iter().flatten().find(|row| row["slug"] == key).cloned();
        row.map(|row| row["vault"].clone()).unwrap_or_default()
    };
    assert_eq!(at("@all.all.OTHER"), "personal", "nothing was moved");
    // A move that was killed has the value in both.
    team.sh(
        "printf team | keyrack set -q --for alice --key TOKEN; keyrack vault adopt -q --for alice",
    )
    .ok();
    assert_eq!([at("@all.all.TOKEN"), at("@all.all.OTHER")], ["team", "team"]);
    assert_eq!(team.get("bob", "TOKEN"), "team");
}

/// Where the vault is instead of the personal one, both are one credential.
#[test]
fn of_a_credential_and_what_was_set_instead_of_it_the_newer_counts() {
    let rack = Rack::new();
    rack.key("alice");
    rack.sh("keyrack init -q --for alice; printf o1 | keyrack set -q --for alice --key OLD
             printf n1 | keyrack set -q --for alice --key NEW
             keyrack vault create house --instead -q --for alice
             printf o2 | keyrack set -q --for alice --key OLD
             printf n0 | keyrack set -q --for alice --key NEW
             printf n2 | keyrack set -q --for alice --vault personal --key NEW
             keyrack vault adopt -q --for alice
             keyrack get --unlock --for alice --key OLD; keyrack get --unlock --for alice --key NEW
             keyrack relock -q --for alice")
        .ok()
        .bytes(b"o2n2");
}

/// Whoever is given it has one of that name: that is told while its owner can still decide.
#[test]
fn what_cannot_be_given_away_is_told_before_an_owner_is_gone() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("keyrack vault members role bob admin -q --for alice
             for k in ONE TWO; do
                 printf b | keyrack set -q --for bob --vault team --key $k --private
             done
             printf a | keyrack set -q --for alice --vault team --key TWO")
        .ok();
    let error = "keyrack: error: team: alice has a @all.all.TWO of its own there\n\
                 keyrack: hint: keyrack del --for alice --vault team --key @all.all.TWO\n";
    for refused in [
        "destroy --for bob --yes --transfer-to alice",
        "destroy --for bob --yes --transfer-to alice --dry-run",
        "vault transfer --for bob --key TWO --to alice",
    ] {
        team.sh(&format!("keyrack {refused}")).fails(11, error);
    }
    team.sh("keyrack destroy --for bob --yes --transfer-to carol").code(4);
    // Nothing was done to any of it.
    assert_eq!(team.get("bob", "ONE"), "b");
    team.sh("keyrack vault claim --for alice --key ONE").code(4);
    team.sh("keyrack vault transfer -q --for bob --key ONE --to alice
             printf a | keyrack set -q --for alice --vault team --key ONE --private
             keyrack vault claim --for alice --key ONE")
        .fails(11, &error.replace("TWO", "ONE"));
    team.sh("keyrack del -q --for alice --vault team --key ONE
             keyrack del -q --for alice --vault team --key TWO
             keyrack destroy -q --for bob --yes --transfer-to alice
             keyrack vault claim -q --for alice --key ONE
             keyrack vault claim -q --for alice --key TWO")
        .ok();
    assert_eq!(team.get("alice", "TWO"), "b");
}

/// A name that was there once is told of before anything is made under it.
#[test]
fn an_owner_that_was_destroyed_joins_the_default_vault_under_another_handle() {
    let rack = Rack::new();
    for owner in ["alice", "robot"] {
        rack.key(owner);
    }
    rack.sh("keyrack init -q --for alice; keyrack vault create house --default -q --for alice
             keyrack init -q --for robot; keyrack destroy -q --yes --for robot")
        .ok();
    let error = "keyrack: error: house: robot left, and nobody comes back under a name or key \
                 of before\nkeyrack: hint: keyrack init --for robot --handle robot-2\n";
    rack.sh("keyrack init --for robot").fails(11, error);
    rack.sh("keyrack init --for robot --dry-run").fails(11, error);
    let made = rack.sh("keyrack init --for robot --handle robot-2");
    assert!(made.ok().errors().contains("robot joined house"), "{made}");
}

#[test]
fn personal_credentials_are_adopted_and_new_ones_follow() {
    let rack = Rack::new();
    rack.key("alice");
    rack.sh("keyrack init -q --for alice; printf 1 | keyrack set -q --for alice --key ONE
             keyrack vault create house --instead -q --for alice
             keyrack vault adopt --for alice
             printf 2 | keyrack set -q --for alice --key TWO")
        .ok();
    let rows = field(&rack.sh("keyrack list --for alice --json"), "/keys");
    let vaults: Vec<&str> =
        rows.as_array().into_iter().flatten().filter_map(|row| row["vault"].as_str()).collect();
    assert_eq!(vaults, ["house", "house"]);
    rack.sh("keyrack get --unlock --for alice --key ONE; keyrack relock -q --for alice")
        .ok()
        .bytes(b"1");
}

#[test]
fn an_owner_goes_only_with_a_decision_about_what_it_has() {
    let team = Team::of(&["alice", "bob", "carol"]);
    team.sh("printf s | keyrack set -q --for alice --vault team --key SHARED
             keyrack vault transfer -q --for alice --key SHARED --to bob")
        .ok();
    let done = team.sh("keyrack destroy --for bob --yes");
    done.code(11);
    assert!(done.errors().contains("@all.all.SHARED"), "{done}");
    team.sh("keyrack vault members role bob admin --for alice").ok();
    team.sh("keyrack destroy --for bob --yes --transfer-to alice").ok();
    let members = field(&team.sh("keyrack vault members list --for alice --json"), "/members");
    let bob = members.as_array().into_iter().flatten().find(|member| member["handle"] == "bob");
    assert_eq!(bob.expect("he is on the list")["status"], "left");
    // Who has nothing there decides nothing.
    team.sh("keyrack destroy --for carol --yes").ok();
}

#[test]
fn a_removed_recipient_is_a_lost_key_to_every_vault() {
    let team = Team::of(&["alice", "bob"]);
    team.key("spare");
    team.sh("printf s | keyrack set -q --for alice --vault team --key TOKEN
             keyrack recipient add --for bob ~/.ssh/id_ed25519_spare.pub --label spare")
        .ok();
    // The new key opens the vault's keys, too.
    team.sh("cd ~/.local/share/keyrack/vaults/team/epochs; ok=0
             for f in $(ls -d * | tail -1)/keys/*.age; do
               age -d -i ~/.ssh/id_ed25519_spare $f >/dev/null 2>&1 && ok=1; done; [ $ok = 1 ]")
        .ok();
    let done = team.sh("keyrack recipient remove --for bob spare");
    done.ok();
    assert!(done.errors().contains("team vault team awaits an admin's rotate"), "{done}");
    assert!(done.errors().contains("team: these need a new value: @all.all.TOKEN"), "{done}");
    assert_eq!(team.get("bob", "TOKEN"), "s");
    let due = field(&team.sh("keyrack vault status --for alice --json"), "/rotationDue");
    assert_eq!(due, serde_json::json!(["bob (lost a key)"]));
    team.sh("keyrack vault rotate --for alice").ok();
    let due = field(&team.sh("keyrack vault status --for alice --json"), "/rotationDue");
    assert_eq!(due, serde_json::json!([]));
    team.sh("cd ~/.local/share/keyrack/vaults/team/epochs
             for f in $(ls -d * | tail -1)/keys/*.age; do
               ! age -d -i ~/.ssh/id_ed25519_spare $f >/dev/null 2>&1 || exit 1; done")
        .ok();
    assert_eq!(team.get("bob", "TOKEN"), "s");
}

#[test]
fn an_owner_that_loses_a_key_brings_new_ones_at_once() {
    let team = Team::of(&["alice", "bob"]);
    team.key("spare");
    team.sh("printf s | keyrack set -q --for alice --vault team --key TOKEN
             keyrack recipient add --for alice ~/.ssh/id_ed25519_spare.pub --label spare
             keyrack recipient remove --for alice spare")
        .ok();
    team.sh("keyrack vault verify --for bob").ok();
    assert_eq!(team.get("bob", "TOKEN"), "s");
    assert_eq!(team.get("alice", "TOKEN"), "s");
    team.sh("printf new | keyrack set -q --for alice --vault team --key TOKEN").ok();
    assert_eq!(team.get("bob", "TOKEN"), "new");
}
