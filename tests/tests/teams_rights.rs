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
