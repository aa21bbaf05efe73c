//! Credentials of a vault that somebody destroyed: told by name, put back by who has them, and
//! given up by nobody but who agrees.

use keyrack_tests::hub::Hub;
use keyrack_tests::team::Team;

/// Whoever may push may delete, cut or swap what it cannot read: who has it whole keeps it, and
/// puts it back for the others.
#[test]
fn what_a_pusher_destroys_is_put_back_and_told() {
    let hub = Hub::joined();
    let alice = &hub.alice;
    alice.sh("for k in TOKEN OTHER; do printf s3cret | keyrack set -q --for alice --vault team --key $k; done").ok();
    alice.sh("keyrack vault rotate -q --for alice").ok();
    alice.sh("printf later | keyrack set -q --for alice --vault team --key LATER").ok();
    hub.sync_alice();
    hub.sync_bob();
    // Where one is, by its name in the clear.
    let of = |key: &str| format!("$(grep -l {key} epochs/*/creds/*)");
    let (token, other, later) = (of("TOKEN"), of("OTHER"), of("LATER"));
    for (harm, named) in [
        (format!("rm {token}"), vec!["@all.all.TOKEN"]),
        (
            "rm epochs/*/creds/*".to_owned(),
            vec!["@all.all.TOKEN", "@all.all.OTHER", "@all.all.LATER"],
        ),
        (format!("t={later}; truncate -s 100 $t"), vec!["@all.all.LATER"]),
        (format!("t={token}; o={other}; cat $o > $t"), vec!["@all.all.TOKEN"]),
        (format!("t={later}; mv $t $t.old"), vec!["@all.all.LATER"]),
        (
            "rm epochs/*/*.roll epochs/*/keys/*; rm $(ls chain/* | tail -1)".to_owned(),
            vec!["link ", "the keys of alice", "the keys of bob", "the list of what is shared"],
        ),
        ("rm -r chain epochs".to_owned(), vec!["link 0", "@all.all.TOKEN"]),
    ] {
        hub.push_by_hand(&harm);
        let told = alice.sh("keyrack vault sync --for alice");
        let said = told.code(12).errors();
        assert!(named.iter().all(|name| said.contains(name)), "{harm}: {told}");
        let hint =
            said.lines().find_map(|line| line.strip_prefix("keyrack: hint: git ")).expect(&said);
        assert!(alice.sh(&format!("git {hint}")).ok().text().contains("by hand"), "{told}");
        alice.sh("keyrack vault verify --for alice").ok();
    }
    // The others have it from there.
    hub.sync_bob();
    assert_eq!(Hub::get(&hub.bob, "bob", "TOKEN"), "s3cret");
    // Beside something that is not pushed yet, and pulled by hand.
    alice.sh("printf new | keyrack set -q --for alice --vault team --key NEW").ok();
    hub.push_by_hand(&format!("rm {token}"));
    alice.sh("keyrack vault sync --for alice").code(12);
    hub.sync_bob();
    assert_eq!(Hub::get(&hub.bob, "bob", "NEW"), "new");
    hub.push_by_hand(&format!("rm {token}"));
    alice.sh("cd ~/team && git pull -q --ff-only").ok();
    let lost = alice.sh("keyrack get --unlock --for alice --key TOKEN");
    assert!(lost.code(12).errors().contains("@all.all.TOKEN was rolled back"), "{lost}");
    assert!(alice.sh("keyrack vault sync --for alice").code(12).errors().contains("TOKEN"));
    alice.sh("keyrack vault verify --for alice").ok();
    hub.sync_bob();
    assert_eq!(Hub::get(&hub.bob, "bob", "TOKEN"), "s3cret");
}

/// What is lost is given up by name, by whoever agrees, and not before it may have come back.
#[test]
fn what_is_lost_is_given_up_only_by_who_agrees() {
    let team = Team::of(&["ann"]);
    let vault = team.data().join("vaults/team");
    team.sh("for k in A B C; do printf v | keyrack set -q --for ann --vault team --key $k; done")
        .ok();
    let rm = |key: &str| {
        let found = format!("cd {} && rm $(grep -l {key} epochs/*/creds/*)", vault.display());
        team.sh(&found).ok();
    };
    rm("all.A");
    rm("all.B");
    let status = team.sh("keyrack vault status --for ann");
    assert!(status.ok().text().contains("@all.all.A was rolled back"), "{status}");
    team.sh("keyrack get --unlock --for ann --key A").code(12);
    // What the list hints at is what settles it, once somebody agrees.
    let listed = team.sh("keyrack vault resolve --for ann");
    let listed = listed.ok().errors();
    let hints: Vec<&str> =
        listed.lines().filter_map(|line| line.strip_prefix("keyrack: hint: ")).collect();
    assert_eq!(hints, ["keyrack vault resolve --keep ours --for ann --vault team"]);
    let asked = team.sh("keyrack vault resolve --for ann --keep ours");
    assert!(asked.code(8).errors().contains("give up @all.all.A, @all.all.B for good?"), "{asked}");
    // Not one without the other: new keys would leave that one behind.
    team.sh("keyrack vault resolve --for ann --keep ours --key A --yes").code(12);
    assert_eq!(team.sh("keyrack vault resolve --for ann").ok().text().lines().count(), 2);
    team.sh("keyrack vault resolve --for ann --keep theirs").code(4);
    team.sh(&format!("{} --yes", hints[0])).ok();
    team.sh("keyrack vault verify --for ann").ok();
    team.sh("keyrack get --unlock --for ann --key A").code(4);
    // A file under an id that never was is only taken away, by that id.
    let stray = "0f".repeat(16);
    team.sh(&format!(
        "cd {}; f=$(ls epochs/*/creds/*.cred) && cp $f $(dirname $f)/{stray}.1.cred",
        vault.display()
    ))
    .ok();
    team.sh("keyrack vault verify --for ann").code(12);
    team.sh(&format!("keyrack vault resolve --for ann --keep ours --key {stray}")).ok();
    team.sh("keyrack vault verify --for ann").ok();
    assert_eq!(team.get("ann", "C"), "v");
}

/// A copy that was put back is older than what the devices of its members have seen.
#[test]
fn an_older_copy_that_was_put_back_is_believed_by_who_agrees() {
    let team = Team::of(&["ann", "bob"]);
    let vault = team.data().join("vaults/team");
    team.sh("printf one | keyrack set -q --for ann --vault team --key TOKEN").ok();
    team.sh("keyrack vault export copy --for ann").ok();
    team.sh("printf two | keyrack set -q --for ann --vault team --key TOKEN").ok();
    team.sh("keyrack vault rotate -q --for ann; keyrack vault verify --for bob").ok();
    team.sh(&format!("rm -r {0} && mv copy {0}", vault.display())).ok();
    let cut = team.sh("keyrack vault status --for ann");
    let said = cut.code(12).errors();
    let hint = said.lines().last().and_then(|line| line.strip_prefix("keyrack: hint: "));
    let hint = hint.expect("a hint");
    let asked = team.sh(hint);
    assert!(asked.code(8).errors().contains("team: the chain was cut"), "{asked}");
    team.sh("keyrack vault status --for ann").code(12);
    team.sh(&format!("{hint} --yes")).ok();
    assert_eq!(team.get("ann", "TOKEN"), "one");
    team.sh("printf three | keyrack set -q --for ann --vault team --key TOKEN").ok();
    // Each member for itself.
    team.sh("keyrack vault status --for bob").code(12);
    team.sh("keyrack doctor --accept-restored --for bob --yes").ok();
    assert_eq!(team.get("bob", "TOKEN"), "three");
    let nothing = team.sh("keyrack doctor --accept-restored --for bob --yes");
    assert!(nothing.ok().errors().contains("nothing to accept"), "{nothing}");
}
