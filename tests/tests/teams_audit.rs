//! The audit log of a vault: no line, no secret; and every way to break it is named.

use keyrack_tests::team::Team;
use keyrack_tests::{Rack, need};

const LOGS: &str = "~/.local/share/keyrack/vaults/team/audit";

fn team(rack: Rack) -> Team {
    let team = Team::in_rack(rack, &["alice", "bob"]);
    team.sh("printf s3cret | keyrack set -q --for alice --vault team --key TOKEN
             keyrack unlock -q --for bob && keyrack relock -q --for bob")
        .ok();
    team
}

#[test]
fn a_log_that_cannot_be_written_releases_nothing_of_others() {
    let team = team(Rack::ordinary());
    team.sh("printf own | keyrack set -q --for bob --key OWN").ok();
    team.sh(&format!("chmod -R a-w {LOGS}")).ok();
    team.sh("keyrack get --unlock --for bob --key TOKEN").code(14).bytes(b"");
    // What is the owner's alone is no business of the vault's.
    team.sh("keyrack get --unlock --for bob --key OWN").ok().bytes(b"own");
    team.sh(&format!("chmod -R u+w {LOGS}; keyrack relock -q --for bob")).ok();
    team.sh("keyrack get --unlock --for bob --key TOKEN && keyrack relock -q --for bob")
        .ok()
        .bytes(b"s3cret");
}

#[test]
fn a_full_disk_releases_nothing_of_others() {
    need!(root);
    let team = team(Rack::new());
    let done = team.sh(&format!(
        "unshare --mount bash -c 'mount -t tmpfs -o size=16k none {LOGS}
         dd if=/dev/zero of={LOGS}/full bs=1k 2>/dev/null
         keyrack get --unlock --for bob --key TOKEN'"
    ));
    done.code(14).bytes(b"");
}

#[test]
fn edited_cut_and_truncated_logs_are_named() {
    let team = team(Rack::new());
    team.sh("for n in 1 2 3; do keyrack unlock -q --for bob; done; keyrack relock -q --for bob")
        .ok();
    team.sh("keyrack vault log verify --for bob").ok();
    let id = team.sh("keyrack identity show --for bob --json | grep -o 'member\":\"[0-9a-f]*' | cut -d'\"' -f3").text();
    for (how, said) in [
        ("sed -i '2s/\"read\"/\"list\"/'", "line 2 was edited: its signature does not hold"),
        ("sed -i 2d", "line 2 is number 2, where number 1 was to follow: lines are cut out"),
        ("sed -i '$d'", "its end is cut off"),
        ("rm", "its end is cut off"),
    ] {
        let logs = format!("{LOGS}/{id}/*.log");
        team.sh(&format!("rm -rf saved; cp -a {LOGS} saved; {how} {logs}")).ok();
        let done = team.sh("keyrack vault log verify --for bob");
        done.code(12);
        assert!(done.errors().contains(said), "{how}: {done}");
        team.sh(&format!("rm -r {LOGS}; cp -a saved {LOGS}")).ok();
    }
    team.sh("keyrack vault log verify --for alice").ok();
}

#[test]
fn what_was_witnessed_is_missed_by_everybody() {
    let team = team(Rack::new());
    let id = team.sh("keyrack identity show --for bob --json | grep -o 'member\":\"[0-9a-f]*' | cut -d'\"' -f3").text();
    let cut = format!("sed -i '$d' {LOGS}/{id}/*.log; keyrack vault log verify --for alice");
    team.sh(&format!("cp -a {LOGS} saved; {cut}")).ok();
    team.sh(&format!("rm -r {LOGS}; cp -a saved {LOGS}")).ok();
    let noted = team.sh("keyrack vault log verify --witness --for alice --json").ok().text();
    assert!(noted.contains("\"witnessed\":2"), "{noted}");
    team.sh(&format!("rm -r saved; cp -a {LOGS} saved")).ok();
    for how in [cut, format!("rm -r {LOGS}/{id}; keyrack vault log verify --for alice")] {
        let done = team.sh(&how);
        done.code(12);
        assert!(
            done.errors().contains("bob's log") && done.errors().contains("its end is cut off"),
            "{done}"
        );
        team.sh(&format!("rm -r {LOGS}; cp -a saved {LOGS}")).ok();
    }
    // Nobody fills a chain with what was seen.
    let again = team.sh("keyrack vault log verify --witness --for alice --json").ok().text();
    assert!(again.contains("\"witnessed\":0"), "{again}");
    team.sh("keyrack vault log --witness --for alice").code(2);
}

#[test]
fn the_log_says_who_read_whose_and_no_value() {
    let team = team(Rack::new());
    let log = team.sh("keyrack vault log --for alice").ok().text();
    assert!(log.contains("\tread\tbob\t@all.all.TOKEN of alice"), "{log}");
    let raw = team.sh(&format!("cat {LOGS}/*/*.log")).ok().text();
    assert!(!raw.contains("s3cret"), "{raw}");
}
