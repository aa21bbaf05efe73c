//! Who may do what in a team, said before anything is asked or written: who comes in, who loses
//! what, and what a value is that is kept, taken back or given.

use keyrack_tests::team::{Team, field};

/// What was said to be private never becomes the team's by a name.
#[test]
fn a_private_value_is_never_shared_by_its_name() {
    let team = Team::of(&["alice", "bob", "carol"]);
    team.sh("keyrack vault members role bob admin -q --for alice
             printf team | keyrack set -q --for alice --vault team --key TOKEN")
        .ok();
    // Beside what another shares, by an admin and by a plain member.
    for who in ["bob", "carol"] {
        let own =
            format!("printf {who} | keyrack set --for {who} --vault team --key TOKEN --private");
        let set = team.sh(&format!("{own} --json"));
        assert_eq!(field(set.ok(), "/visibility"), "private");
        assert_eq!(team.get(who, "TOKEN"), who);
        assert_eq!(team.get("alice", "TOKEN"), "team");
        // A new value of it is private, too.
        team.sh(&own).ok();
    }
    // One's own that is shared is not made private by a value.
    team.sh("printf mine | keyrack set --for alice --vault team --key TOKEN --private").fails(
        11,
        "keyrack: error: alice shares @all.all.TOKEN in team: a value of it is not private\n\
         keyrack: hint: keyrack vault unshare --for alice --vault team --key @all.all.TOKEN\n",
    );
    team.sh("keyrack vault unshare -q --for alice --vault team --key @all.all.TOKEN
             printf mine | keyrack set -q --for alice --vault team --key TOKEN --private")
        .ok();
    assert_eq!(team.get("alice", "TOKEN"), "mine");
}

#[test]
fn an_old_invitation_makes_nobody_a_member_again() {
    let team = Team::of(&["alice"]);
    team.key("bob");
    team.sh("keyrack init -q --for bob").ok();
    let old = team.invite("bob", "");
    let accept = format!("keyrack vault accept '{old}' --for bob");
    team.sh(&format!("{accept}; {accept}")).ok();
    team.sh("keyrack vault members remove bob -q --for alice").ok();
    let removed = "keyrack: error: team: this owner was removed from the vault\n\
                   keyrack: hint: keyrack vault leave --for bob --vault team\n";
    team.sh(&accept).fails(5, removed);
    team.write("work/old", &old);
    team.write("work/agents.yml", "owners:\n  bob: { vaults: [old] }\n");
    team.sh("keyrack init --from agents.yml").code(5);
    team.sh(&format!("keyrack vault leave -q --for bob; {accept}")).code(5);
}

/// Who was let in once, or could have been: it comes under another name, and is told so.
#[test]
fn nobody_comes_back_under_a_name_or_key_of_before() {
    let team = Team::of(&["alice", "bob", "carol"]);
    for owner in ["dave", "eve"] {
        team.key(owner);
    }
    team.sh("keyrack init -q --for dave; keyrack init -q --for eve").ok();
    team.invite("dave", "");
    team.sh("keyrack vault invite dave -q --yes --for alice").ok();
    let as_another = "keyrack vault invite dave --yes --role admin --for alice";
    team.sh(as_another).fails(
        11,
        "keyrack: error: team: dave is invited as a member already\n\
         keyrack: hint: keyrack vault invites --for alice --vault team\n",
    );
    team.sh("keyrack vault cancel dave -q --for alice
             keyrack vault members remove carol -q --for alice
             keyrack vault leave --yes -q --for bob")
        .ok();
    for (gone, how) in [
        ("dave", "was invited and the invitation cancelled"),
        ("carol", "was removed"),
        ("bob", "left"),
    ] {
        let error = format!(
            "keyrack: error: team: {gone} {how}, and nobody comes back under a name or key of \
             before\nkeyrack: hint: {gone} can come as another owner, with its card: \
             keyrack init --for {gone}-2\n"
        );
        for flag in ["--yes", "--one-time-code"] {
            let again = format!("keyrack vault invite {gone} {flag} --for alice");
            team.sh(&again).fails(11, &error);
            team.sh(&format!("{again} --dry-run")).fails(11, &error);
        }
    }
    // By a code under another name, with the old key.
    let line = team.sh("keyrack vault invite robert --one-time-code -q --for alice").ok().text();
    let accepted = team.sh(&format!("keyrack vault accept '{line}' --for dave"));
    assert!(accepted.code(5).errors().contains("dave can come as another owner"), "{accepted}");
    // What is hinted.
    team.join("dave-2");
    team.sh("keyrack vault status --for dave-2").ok();
    // A code that was taken back is as if it had not been.
    team.sh("keyrack vault invite eve --one-time-code -q --for alice").ok();
    team.sh("keyrack vault invite eve --one-time-code -q --for alice").code(11);
    team.sh("keyrack vault cancel eve -q --for alice").ok();
    team.invite("eve", "");
}

/// What is said of it is so, and what is not taken back is not written.
#[test]
fn unsharing_says_what_it_took_back() {
    let team = Team::of(&["alice", "bob", "carol", "dan"]);
    team.sh("printf 1 | keyrack set -q --for alice --vault team --key K --private
             keyrack vault share -q --for alice --key K --with bob
             keyrack vault share -q --for alice --key K --with carol")
        .ok();
    let before = team.hashes("*.cred");
    let unshare = |with: &str| {
        let done = team.sh(&format!("keyrack vault unshare --for alice --key K {with}"));
        done.ok().errors()
    };
    let needs = || {
        let status = team.sh("keyrack vault status --for alice --json");
        let exposed = field(&status, "/needsRotation/0/exposedTo");
        let mut handles: Vec<String> = serde_json::from_value(exposed).unwrap_or_default();
        handles.sort();
        handles
    };
    assert_eq!(unshare("--with dan"), "keyrack: @all.all.K was not shared with dan in team\n");
    assert_eq!((team.hashes("*.cred"), needs()), (before, Vec::new()));
    let value = "keyrack: warning: @all.all.K was readable, so it needs a new value\n\
                 keyrack: hint: keyrack set --for alice --vault team --key @all.all.K\n";
    let taken = "keyrack: @all.all.K is taken back from bob in team\n";
    assert_eq!(unshare("--with bob"), format!("{taken}{value}"));
    assert_eq!(needs(), ["bob"]);
    team.sh("keyrack get --unlock --for bob --key K").code(4);
    assert_eq!(team.get("carol", "K"), "1");
    // Private again is private to its owner.
    let private = "keyrack: @all.all.K is private in team again\n";
    assert_eq!(unshare(""), format!("{private}{value}"));
    assert_eq!(needs(), ["bob", "carol"]);
    team.sh("keyrack get --unlock --for carol --key K").code(4);
    assert_eq!(unshare(""), "keyrack: @all.all.K is private in team already\n");
    team.sh("printf 1 | keyrack set -q --for alice --vault team --key ALL").ok();
    team.sh("keyrack vault unshare --for alice --key ALL --with bob").fails(
        11,
        "keyrack: error: @all.all.ALL is shared with every member of team, not with one of them\n\
         keyrack: hint: keyrack vault unshare --for alice --vault team --key @all.all.ALL\n",
    );
}

/// Not what was due before, nor what another could who went with it.
#[test]
fn whoever_loses_rights_is_said_to_have_read_what_it_could() {
    let team = Team::of(&["alice", "bob", "carol", "dan"]);
    team.sh("printf s | keyrack set -q --for alice --vault team --key SHARED
             printf o | keyrack set -q --for alice --vault team --key OLD
             keyrack vault unshare -q --for alice --key OLD
             printf p | keyrack set -q --for alice --vault team --key PASS --class password
             printf g | keyrack set -q --for alice --vault team --key GRANTED --private
             keyrack vault share -q --for alice --key GRANTED --with dan
             keyrack vault leave -q --yes --for dan")
        .ok();
    let needs = |act: &str| {
        let done = team.sh(&format!("keyrack vault members {act} --for alice --json"));
        field(done.ok(), "/needsRotation")
    };
    let named = |keys: &[&str]| {
        serde_json::json!(keys.iter().map(|key| format!("@all.all.{key}")).collect::<Vec<_>>())
    };
    // Dan is gone by this one.
    assert_eq!(needs("remove carol"), named(&["SHARED"]));
    assert_eq!(needs("role bob member --passwords yes"), named(&[]));
    assert_eq!(needs("role bob member --passwords no"), named(&["PASS"]));
    assert_eq!(needs("remove bob"), named(&["SHARED"]));
}

#[test]
fn who_is_refused_is_told_what_to_do_next() {
    let team = Team::of(&["alice", "bob"]);
    team.key("carol");
    team.key("erin");
    team.sh("keyrack init -q --for carol").ok();
    let asked = "keyrack: hint: ask who invited to look: keyrack vault invites\n\
                 keyrack: hint: or, where the vault is in git, to exchange it first: \
                 keyrack vault sync\n";
    let line = team.invite("carol", "");
    team.sh("keyrack vault cancel -q carol --for alice").ok();
    team.sh(&format!("keyrack vault accept '{line}' --for carol")).fails(
        5,
        "keyrack: error: team: carol was invited and the invitation cancelled, and nobody comes \
         back under a name or key of before\n\
         keyrack: hint: carol can come as another owner, with its card: keyrack init --for \
         carol-2\n",
    );
    // Before it was synced by who made it.
    team.sh(&format!("keyrack init -q --for erin; keyrack vault accept '{line}' --for erin")).fails(
        5,
        &format!(
            "keyrack: error: team: the invitation cannot be used: it is for somebody else, or has \
             not come here yet\n{asked}"
        ),
    );
    let code = team.sh("keyrack vault invite dan --one-time-code -q --for alice").ok().text();
    team.key("dan");
    team.sh("keyrack init -q --for dan; keyrack vault cancel -q dan --for alice").ok();
    team.sh(&format!("keyrack vault accept '{code}' --for dan")).fails(
        5,
        &format!(
            "keyrack: error: team: the invitation cannot be used: it is not open, or was \
             cancelled\n{asked}"
        ),
    );
    let other = team.fingerprint("bob");
    let refused = team.sh(&format!("keyrack vault invite dan --for alice --fingerprint '{other}'"));
    let said = refused.code(12).errors();
    assert!(said.contains("hint: ask dan to read this to you: keyrack identity fingerprint\n"));
    let last = "keyrack: error: team: alice is its last owner, and nobody would administer it\n\
                keyrack: hint: keyrack vault members role HANDLE owner --for alice --vault team\n";
    team.sh("keyrack vault leave --for alice --yes").fails(11, last);
    team.sh("keyrack vault members role alice admin --for alice").fails(11, last);
    team.sh("keyrack vault claim --for bob --key NONE").fails(
        4,
        "keyrack: error: team: nobody gave @all.all.NONE to bob\n\
         keyrack: hint: whoever has it gives it: keyrack vault transfer --key @all.all.NONE --to \
         bob\n",
    );
    team.sh("printf b | keyrack set -q --for bob --vault team --key B --private
             printf a | keyrack set -q --for alice --vault team --key A
             keyrack vault members role bob admin -q --for alice
             keyrack vault share -q --for bob --key B
             keyrack vault members role bob member -q --for alice")
        .ok();
    let done = team.sh("keyrack del --for bob --vault team --key B");
    assert!(!done.code(5).errors().contains("author"), "{done}");
}
