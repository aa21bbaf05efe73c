//! `kill -9` in the middle of what a member does to a team's vault: the vault is as before or
//! as after, nobody lost anything, and the same command finishes it.

use keyrack_tests::kill::kill_at;
use keyrack_tests::need;
use keyrack_tests::team::Team;

/// The calls by which a file or a name comes or goes for good.
const CHANGES: &[&str] =
    &["write", "fsync", "fdatasync", "rename", "link", "linkat", "unlink", "unlinkat"];

/// A team of two with something shared, and something of bob's own.
fn team() -> Team {
    let team = Team::of(&["alice", "bob"]);
    team.sh("printf s3cret | keyrack set --quiet --for alice --vault team --key SHARED
         printf mine | keyrack set --quiet --for bob --vault team --key OWN --private")
        .ok();
    team
}

/// Kills `act` everywhere. After each kill the vault holds, `act` can be done again with one
/// of `codes`, and `after` is so.
fn kill_and_repeat(team: &Team, act: &str, codes: &[i32], after: &[(&str, &str)]) {
    let kills = kill_at(CHANGES, team, act, |rack, place| {
        let verified = rack
            .sh("keyrack vault verify --for alice && keyrack vault log verify --for alice &&
             keyrack get --unlock --for alice --key SHARED && keyrack relock --quiet --for alice");
        assert_eq!(verified.code, 0, "{place}: {verified}");
        assert_eq!(verified.stdout, b"s3cret", "{place}");
        let again = rack.sh(act);
        assert!(codes.contains(&again.code), "{place}: {again}");
        for (command, said) in after {
            let done = rack.sh(command);
            let text = String::from_utf8_lossy(&done.stdout).into_owned();
            assert_eq!(text, *said, "{place}: {done}");
        }
        rack.sh("keyrack vault verify --for alice").ok();
    });
    assert!(kills > 10, "only {kills} kills");
}

const GET: &str = "keyrack get --unlock --for bob --key SHARED && keyrack relock --quiet --for bob";
const GET_OWN: &str =
    "keyrack get --unlock --for bob --key OWN && keyrack relock --quiet --for bob";

#[test]
fn rotate_leaves_the_old_keys_or_the_new() {
    need!("strace");
    let after = [(GET, "s3cret"), (GET_OWN, "mine")];
    kill_and_repeat(&team(), "keyrack vault rotate --for alice", &[0], &after);
}

#[test]
fn a_member_is_removed_or_is_not() {
    need!("strace");
    let act = "keyrack vault members remove bob --for alice --yes";
    // Removed already: there is no such member any more.
    kill_and_repeat(&team(), act, &[0, 4], &[(GET, "")]);
}

#[test]
fn somebody_is_invited_or_is_not() {
    need!("strace");
    let team = team();
    team.key("carol");
    team.sh("keyrack init --quiet --for carol").ok();
    let print = team.fingerprint("carol");
    let act = format!("keyrack vault invite carol --quiet --fingerprint '{print}' --for alice");
    // Who was invited and never saw the line is invited by the same once more.
    let accept = format!(
        "keyrack vault accept --quiet \"$({act})\" --for carol &&
         keyrack get --unlock --for carol --key SHARED; keyrack relock --quiet --for carol"
    );
    kill_and_repeat(&team, &act, &[0], &[(&accept, "s3cret")]);
}

#[test]
fn an_invitation_is_accepted_or_is_not() {
    need!("strace");
    let team = team();
    team.key("carol");
    team.sh("keyrack init --quiet --for carol").ok();
    let invitation = team.invite("carol", "");
    let act = format!("keyrack vault accept --quiet '{invitation}' --for carol");
    let get = "keyrack get --unlock --for carol --key SHARED; keyrack relock --quiet --for carol";
    kill_and_repeat(&team, &act, &[0], &[(get, "s3cret"), (GET, "s3cret")]);
}

/// From the manifest's own vault into the shared one: it is in one of them, and at last shared.
#[test]
fn a_personal_credential_is_shared_or_still_personal() {
    need!("strace");
    let team = team();
    team.sh("printf moved | keyrack set --quiet --for alice --key TOKEN").ok();
    let act = "keyrack vault share --quiet --for alice --key TOKEN";
    let get = |who| {
        format!("keyrack get --unlock --for {who} --key TOKEN; keyrack relock --quiet --for {who}")
    };
    let (alice, bob) = (get("alice"), get("bob"));
    kill_and_repeat(&team, act, &[0], &[(&alice, "moved"), (&bob, "moved")]);
}

const GIVE: &str = "keyrack vault transfer --quiet --for bob --key OWN --to alice";
const TAKE: &str = "keyrack vault claim --quiet --for alice --key OWN";
const GET_TAKEN: &str =
    "keyrack get --unlock --for alice --key OWN && keyrack relock --quiet --for alice";

#[test]
fn a_credential_is_offered_or_is_not() {
    need!("strace");
    kill_and_repeat(&team(), GIVE, &[0], &[(GET_OWN, "mine"), (TAKE, ""), (GET_TAKEN, "mine")]);
}

#[test]
fn a_credential_is_taken_or_is_not() {
    need!("strace");
    let team = team();
    team.sh(GIVE).ok();
    // Taken already: nobody offers it any more.
    kill_and_repeat(&team, TAKE, &[0, 4], &[(GET_TAKEN, "mine")]);
}
