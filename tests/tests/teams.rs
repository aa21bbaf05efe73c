//! A team's whole story on one machine: who may do what, who can read what, and what is left
//! when somebody goes. Across machines it is in `teams_git.rs`.

use keyrack_tests::Rack;
use keyrack_tests::team::{Team, field};

#[test]
fn a_member_reads_what_an_owner_shares_and_writes_none_of_it() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("printf s3cret | keyrack set --for alice --vault team --key TOKEN").ok();
    team.sh("keyrack unlock --for bob; keyrack get --for bob --key TOKEN").ok().bytes(b"s3cret");
    team.sh("printf x | keyrack set --for bob --vault team --key TOKEN").fails(
        5,
        "keyrack: error: team: bob is a member there and may not write what is shared; \
         an admin or owner may\n\
         keyrack: hint: keyrack vault members list --for bob --vault team\n",
    );
    // Whatever else is there that it cannot read, and in a dry run, too.
    team.sh("printf p | keyrack set -q --for alice --vault team --key PASS --class password
             printf o | keyrack set -q --for bob --vault team --key OWN --private")
        .ok();
    team.key("eve");
    team.sh("keyrack init -q --for eve").ok();
    team.invite("eve", "");
    for (denied, act, who) in [
        ("vault invite carol --one-time-code", "invite a member", "an admin or owner"),
        ("vault invite carol --one-time-code --role admin", "invite an admin", "an owner"),
        ("vault cancel eve", "cancel an invitation", "an admin or owner"),
        ("vault confirm eve", "let anybody in", "an admin or owner"),
        ("vault members remove alice", "remove an owner", "an owner"),
        ("vault members role bob owner", "change roles", "an owner"),
        ("vault rotate", "replace its keys", "an admin or owner"),
        ("vault policy --max-ttl 1h", "change its rules", "an owner"),
        ("vault share --key OWN", "write what is shared", "an admin or owner"),
        ("del --key TOKEN", "write what is shared", "an admin or owner"),
    ] {
        let error = format!(
            "keyrack: error: team: bob is a member there and may not {act}; {who} may\n\
             keyrack: hint: keyrack vault members list --for bob --vault team\n"
        );
        for flag in ["--yes", "--yes --dry-run"] {
            team.sh(&format!("keyrack {denied} --for bob {flag}")).fails(5, &error);
        }
    }
    team.sh("keyrack relock --for bob").ok();
}

#[test]
fn owners_promote_and_demote() {
    let team = Team::of(&["alice", "bob", "carol"]);
    team.sh("keyrack vault members role bob admin --for alice").ok();
    team.sh("printf 1 | keyrack set --for bob --vault team --key BY_BOB").ok();
    // An admin administers members, and no more than that.
    team.sh("keyrack vault members role carol admin --for bob").code(5);
    team.sh("keyrack vault members remove alice --for bob").code(5);
    team.sh("keyrack vault invite dave --one-time-code --role admin --for bob").code(5);
    team.sh("keyrack vault invite dave --one-time-code --for bob").ok();
    team.sh("keyrack vault members role bob member --for alice").ok();
    team.sh("printf 2 | keyrack set --for bob --vault team --key BY_BOB").code(5);
    // What somebody is already is nothing to do.
    let links = || field(&team.sh("keyrack vault status --for alice --json"), "/links");
    let before = links();
    assert!(before.is_number(), "{before}");
    team.sh("keyrack vault members role bob member --for alice
             keyrack vault members role bob member --passwords no --for alice
             keyrack vault members role alice owner --for alice")
        .ok();
    assert_eq!(links(), before);
    team.sh("keyrack vault members role bob admin --passwords no --for alice").fails(
        2,
        "keyrack: error: --passwords no: an admin reads passwords, too\n\
         keyrack: hint: leave --passwords out\n",
    );
    // The last owner stays one.
    team.sh("keyrack vault members role alice admin --for alice").code(11);
    // Nobody makes itself a plain member: it could not sign the new keys.
    team.sh("keyrack vault members role alice member --for alice").code(5);
    team.sh("keyrack vault leave --for alice --yes").code(11);
}

#[test]
fn adding_a_member_changes_no_credential_byte() {
    let team = Team::of(&["alice"]);
    team.sh("for n in 1 2 3; do printf $n | keyrack set --for alice --vault team --key K$n; done")
        .ok();
    let before = team.hashes("*.cred");
    assert_eq!(before.lines().count(), 3);
    team.join("bob");
    assert_eq!(team.hashes("*.cred"), before);
    assert_eq!(team.get("bob", "K2"), "2");
}

#[test]
fn removing_a_member_changes_every_shared_ciphertext_and_nothing_private() {
    let team = Team::of(&["alice", "bob", "carol"]);
    team.sh("for n in 1 2; do printf $n | keyrack set --for alice --vault team --key K$n; done
             printf mine | keyrack set --for carol --vault team --key MINE --private")
        .ok();
    let private = team.hashes("private/*.cred");
    let shared = team.hashes("creds/*.cred");
    assert_eq!((private.lines().count(), shared.lines().count()), (1, 2));
    team.sh("keyrack vault members remove bob --for alice").ok();
    assert_eq!(team.hashes("private/*.cred"), private);
    let after = team.hashes("creds/*.cred");
    for line in after.lines() {
        let hash = line.split(' ').next().unwrap_or_default();
        assert!(!shared.contains(hash), "{line} is as before");
    }
    assert_eq!(team.get("carol", "K1"), "1");
    assert_eq!(team.get("carol", "MINE"), "mine");
}

#[test]
fn what_a_removed_member_could_read_needs_a_new_value_until_it_has_one() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("for n in 1 2; do printf $n | keyrack set --for alice --vault team --key K$n; done
             printf p | keyrack set --for alice --vault team --key PASS --class password")
        .ok();
    let said = team.sh("keyrack vault members remove bob --for alice").ok().errors();
    assert!(said.contains("each needs a new value: @all.all.K1, @all.all.K2\n"), "{said}");
    let needs = || field(&team.sh("keyrack vault status --for alice --json"), "/needsRotation");
    assert_eq!(needs().as_array().map(Vec::len), Some(2));
    assert_eq!(needs()[0]["slug"], "@all.all.K1");
    assert_eq!(needs()[0]["exposedTo"], serde_json::json!(["bob"]));
    // The same value again is no new one.
    team.sh("printf 1 | keyrack set --for alice --vault team --key K1").ok();
    assert_eq!(needs().as_array().map(Vec::len), Some(2));
    team.sh("printf new | keyrack set --for alice --vault team --key K1").ok();
    team.sh("keyrack vault rotate --for alice").ok();
    assert_eq!(needs()[0]["slug"], "@all.all.K2");
    team.sh("printf new | keyrack set --for alice --vault team --key K2").ok();
    assert_eq!(needs(), serde_json::json!([]));
}

#[test]
fn removal_is_effective_at_once_on_this_machine() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("printf s3cret | keyrack set --for alice --vault team --key TOKEN
             printf own | keyrack set --for bob --key OWN")
        .ok();
    let told =
        team.sh("keyrack unlock --for bob; keyrack get --for bob --key TOKEN >/dev/null || exit 1
         keyrack vault members remove bob --for alice
         keyrack get --for bob --key OWN; keyrack get --for bob --key TOKEN");
    told.code(3).bytes(b"own");
    team.sh("keyrack unlock --for bob").code(10);
    team.sh("keyrack vault leave --for bob; keyrack unlock --for bob; keyrack relock --for bob")
        .ok();
    assert_eq!(
        field(&team.sh("keyrack vault list --for bob --json"), "/vaults"),
        serde_json::json!([])
    );
}

#[test]
fn an_unlock_lasts_no_longer_than_the_vault_allows() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("keyrack vault policy --max-ttl 10m --for alice
             printf x | keyrack set --for alice --vault team --key TOKEN")
        .ok();
    let left = field(team.sh("keyrack unlock --for bob --json").ok(), "/keys/0/expiresInMs")
        .as_u64()
        .unwrap_or_default();
    assert!((1..=600_000).contains(&left), "{left}");
    team.sh("keyrack relock --for bob").ok();
}

#[test]
fn passwords_are_for_those_who_hold_the_compartment() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("printf p | keyrack set --for alice --vault team --key PASS --class password").ok();
    team.sh("keyrack get --unlock --for bob --key PASS").code(4);
    team.sh("keyrack vault members role bob member --passwords yes --for alice").ok();
    assert_eq!(team.get("bob", "PASS"), "p");
    team.sh("keyrack vault members role bob member --passwords no --for alice").ok();
    team.sh("keyrack relock --for bob; keyrack get --unlock --for bob --key PASS").code(4);
}

#[test]
fn nobody_is_let_in_by_a_card_that_was_not_compared() {
    let team = Team::of(&["alice"]);
    team.sh("keyrack init --quiet --for bob; keyrack init --quiet --for eve --handle eve").ok();
    team.sh("keyrack vault invite bob --for alice").code(8).bytes(b"");
    let eves = team.fingerprint("eve");
    team.sh(&format!("keyrack vault invite bob --for alice --fingerprint '{eves}'")).code(12);
    // A card under another's name.
    team.sh("keyrack identity card --for eve > eve.card").ok();
    team.sh(&format!(
        "keyrack vault invite bob --card eve.card --for alice --fingerprint '{eves}'"
    ))
    .code(11);
    team.sh("printf garbage > bad.card; keyrack vault invite bob --card bad.card --for alice")
        .code(12);
    let members = field(&team.sh("keyrack vault members list --for alice --json"), "/members");
    assert_eq!(members.as_array().map(Vec::len), Some(1));
}

#[test]
fn an_invitation_is_for_one_member_once() {
    let team = Team::of(&["alice"]);
    team.sh("keyrack init --quiet --for bob; keyrack init --quiet --for eve").ok();
    let invitation = team.invite("bob", "");
    team.sh(&format!("keyrack vault accept '{invitation}' --for eve")).code(5);
    team.sh(&format!("keyrack vault accept '{}x' --for bob", &invitation[..40])).code(2);
    team.sh("keyrack vault cancel bob --for alice").ok();
    team.sh(&format!("keyrack vault accept '{invitation}' --for bob")).code(5);
    // A name that was used is used.
    let fingerprint = team.fingerprint("bob");
    team.sh(&format!("keyrack vault invite bob --for alice --fingerprint '{fingerprint}'"))
        .code(11);
}

#[test]
fn a_one_time_code_gives_nothing_before_it_is_confirmed() {
    let team = Team::of(&["alice"]);
    team.sh("keyrack init --quiet --for bob
             printf s3cret | keyrack set --for alice --vault team --key TOKEN")
        .ok();
    let wraps = || {
        team.sh(
            "ls $(dirname $(find ~ -name '*.age' -path '*keys*' | grep team | head -1)) | wc -l",
        )
        .text()
    };
    let before = wraps();
    let line = team.sh("keyrack vault invite bob --one-time-code --for alice").ok().text();
    assert_eq!(line.lines().count(), 1);
    assert_eq!(wraps(), before, "no key is wrapped for a stranger");
    team.sh(&format!("keyrack vault accept '{}' --for bob", line.trim())).ok();
    team.sh("keyrack get --unlock --for bob --key TOKEN").code(4);
    team.sh("keyrack vault confirm bob --for alice").code(8);
    let fingerprint = team.fingerprint("bob");
    team.sh(&format!("keyrack vault confirm bob --for alice --fingerprint '{fingerprint}'")).ok();
    team.sh(&format!("keyrack vault accept '{}' --for bob", line.trim())).ok();
    assert_eq!(team.get("bob", "TOKEN"), "s3cret");
    // Twice is once.
    team.sh(&format!("keyrack vault accept '{}' --for bob", line.trim())).ok();
}

#[test]
fn a_name_in_several_places_is_decided_by_the_manifest() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("printf shared | keyrack set --for alice --vault team --key TOKEN
             printf own | keyrack set --for bob --key TOKEN")
        .ok();
    assert_eq!(team.get("bob", "TOKEN"), "own");
    team.sh("keyrack del --for bob --key TOKEN; keyrack relock --for bob").ok();
    assert_eq!(team.get("bob", "TOKEN"), "shared");
    // In two vaults: nobody guesses.
    team.sh("keyrack vault create other --for bob
             printf other | keyrack set --for bob --vault other --key TOKEN
             keyrack relock --for bob")
        .ok();
    let done = team.sh("keyrack get --unlock --for bob --key TOKEN");
    done.code(11);
    let hint = String::from_utf8_lossy(&done.stderr)
        .lines()
        .find_map(|line| line.strip_prefix("keyrack: hint: ").map(str::to_owned))
        .unwrap_or_default();
    assert!(hint.contains("--vault other --exid "), "{hint}");
    team.sh(&hint).ok();
    assert_eq!(team.get("bob", "TOKEN"), "other");
    // The decision goes, and no credential: so it is said.
    let error = "keyrack: bob: @all.all.TOKEN is not looked for in other alone any more; it stays \
                 there\nkeyrack: hint: keyrack del --for bob --vault other --key @all.all.TOKEN\n";
    assert_eq!(team.sh("keyrack del --for bob --key TOKEN").ok().errors(), error);
    team.sh("keyrack get --unlock --for bob --key TOKEN").code(11);
    // The credential goes, and the decision for it.
    team.sh(&hint).ok();
    team.sh("keyrack del -q --for bob --vault other --key TOKEN").ok();
    assert_eq!(team.get("bob", "TOKEN"), "shared");
}

#[test]
fn sharing_moves_a_personal_credential_and_unsharing_marks_it() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("printf mine | keyrack set --for alice --key TOKEN
             keyrack vault share --for alice --key TOKEN")
        .ok();
    assert_eq!(team.get("bob", "TOKEN"), "mine");
    assert_eq!(team.get("alice", "TOKEN"), "mine");
    team.sh("keyrack vault unshare --for alice --key TOKEN; keyrack relock --for bob").ok();
    team.sh("keyrack get --unlock --for bob --key TOKEN").code(4);
    let needs = field(&team.sh("keyrack vault status --for alice --json"), "/needsRotation/0/slug");
    assert_eq!(needs, "@all.all.TOKEN");
    // To one member alone, and back.
    team.sh("keyrack vault share --for alice --key TOKEN --with bob").ok();
    assert_eq!(team.get("bob", "TOKEN"), "mine");
    team.sh("keyrack vault unshare --for alice --key TOKEN --with bob; keyrack relock --for bob")
        .ok();
    team.sh("keyrack get --unlock --for bob --key TOKEN").code(4);
}

#[test]
fn a_credential_is_given_away() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("printf s | keyrack set --for alice --vault team --key SHARED
             keyrack vault transfer --for alice --key SHARED --to bob
             printf p | keyrack set --for alice --vault team --key PRIVATE --private")
        .ok();
    // What is private changes hands once it is taken.
    let offered = team.sh("keyrack vault transfer --for alice --key PRIVATE --to bob");
    let claim = "keyrack vault claim --for bob --vault team --key @all.all.PRIVATE";
    assert!(offered.ok().errors().contains(&format!("hint: {claim}")), "{offered}");
    team.sh(claim).ok();
    let owners = field(&team.sh("keyrack connections list --for bob --json"), "/connections");
    let owners: Vec<&serde_json::Value> =
        owners.as_array().into_iter().flatten().map(|row| &row["owner"]).collect();
    assert_eq!(owners, ["bob", "bob"]);
    team.sh("keyrack vault transfer --for alice --key SHARED --to bob").code(5);
}

#[test]
fn other_peoples_private_entries_show_as_metadata_only() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("printf p | keyrack set --for alice --vault team --key MINE --private").ok();
    let rows = |flag: &str| {
        field(
            &team.sh(&format!("keyrack connections list {flag} --for bob --json")),
            "/connections",
        )
    };
    assert_eq!(rows(""), serde_json::json!([]));
    assert_eq!(rows("--all")[0]["owner"], "alice");
    assert_eq!(rows("--all")[0]["readable"], false);
}

#[test]
fn exec_gives_a_program_what_is_shared() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("printf s3cret | keyrack set --for alice --vault team --key TOKEN --env dev").ok();
    let done =
        team.sh("keyrack exec --for bob --env dev -- printenv TOKEN; keyrack relock --for bob");
    done.ok();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "s3cret\n");
}

#[test]
fn rotations_newcomers_and_many_writers_at_once_lose_nothing() {
    let team = Team::of(&["alice", "bob"]);
    team.sh("keyrack vault members role bob admin --for alice").ok();
    let accepts = ["carol", "frank"].map(|newcomer| {
        team.key(newcomer);
        team.sh(&format!("keyrack init --quiet --for {newcomer}")).ok();
        let invitation = team.invite(newcomer, "");
        format!("keyrack vault accept --quiet '{invitation}' --for {newcomer} & pids+=($!)")
    });
    team.sh(&format!(
        "{}
         for n in 1 2 3 4; do
           printf a$n | keyrack set --quiet --for alice --vault team --key A$n & pids+=($!)
           printf b$n | keyrack set --quiet --for bob --vault team --key B$n & pids+=($!)
         done
         keyrack vault rotate --quiet --for alice & pids+=($!)
         keyrack vault rotate --quiet --for bob & pids+=($!)
         keyrack vault invite dave --one-time-code --quiet --for alice >/dev/null & pids+=($!)
         keyrack vault invite erin --one-time-code --quiet --for bob >/dev/null & pids+=($!)
         for pid in \"${{pids[@]}}\"; do wait $pid || exit 1; done",
        accepts.join("\n")
    ))
    .ok();
    team.sh("keyrack vault verify --for alice").ok();
    for n in 1..=4 {
        assert_eq!(team.get("bob", &format!("A{n}")), format!("a{n}"));
        assert_eq!(team.get("carol", &format!("B{n}")), format!("b{n}"));
        assert_eq!(team.get("frank", &format!("A{n}")), format!("a{n}"));
        assert_eq!(team.get("alice", &format!("B{n}")), format!("b{n}"));
    }
    let invites = field(&team.sh("keyrack vault invites --for alice --json"), "/invites");
    assert_eq!(invites.as_array().map(Vec::len), Some(2));
}

#[test]
fn an_export_opens_with_stock_age() {
    let team = Team::of(&["alice"]);
    team.sh("printf x | keyrack set --for alice --vault team --key TOKEN
             keyrack vault export --for alice out")
        .ok();
    team.sh("age -d -i ~/.ssh/id_ed25519_alice out/epochs/*/keys/*.age | grep -q vault_id").ok();
    team.sh("keyrack vault export --for alice out").code(11);
}

#[test]
fn a_vault_is_for_members() {
    let team = Team::of(&["alice"]);
    team.sh("keyrack init --quiet --for bob; keyrack vault status --for bob").code(4);
    team.sh("keyrack vault create team --for alice").code(11);
    team.sh("keyrack vault create personal --for alice").code(2);
    let rack: &Rack = &team;
    rack.sh("keyrack vault create x --for alice --at 'ext::sh -c date'").code(2);
}
