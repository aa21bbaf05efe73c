//! A team over a git remote: two users with homes of their own (where the tests run as root,
//! two Unix users), who see nothing of each other but what was pushed.

use keyrack_tests::hub::Hub;
use keyrack_tests::team::field;

#[test]
fn a_whole_story_over_a_remote() {
    let hub = Hub::joined();
    let (alice, bob) = (&hub.alice, &hub.bob);
    alice.sh("printf s3cret | keyrack set -q --for alice --vault team --key TOKEN").ok();
    hub.sync_alice();
    hub.sync_bob();
    assert_eq!(Hub::get(bob, "bob", "TOKEN"), "s3cret");
    bob.sh("printf x | keyrack set --for bob --vault team --key TOKEN").code(5);
    // Promoted, he writes; demoted, he does not.
    alice.sh("keyrack vault members role bob admin --for alice").ok();
    hub.sync_alice();
    hub.sync_bob();
    bob.sh("printf his | keyrack set -q --for bob --vault team --key HIS").ok();
    hub.sync_bob();
    hub.sync_alice();
    assert_eq!(Hub::get(alice, "alice", "HIS"), "his");
    alice.sh("keyrack vault members role bob member --for alice").ok();
    hub.sync_alice();
    hub.sync_bob();
    bob.sh("printf x | keyrack set --for bob --vault team --key HIS").code(5);
    // Removed, his clone opens nothing that is written from then on.
    alice.sh("keyrack vault members remove bob --for alice").ok();
    alice.sh("printf new | keyrack set -q --for alice --vault team --key LATER").ok();
    hub.sync_alice();
    bob.sh("keyrack vault sync --for bob").code(5);
    bob.sh("git -C ~/.local/share/keyrack/vaults/team pull -q --ff-only").ok();
    bob.sh("keyrack get --unlock --for bob --key LATER").code(5);
    bob.sh("keyrack vault verify --for bob").code(5);
    bob.sh(
        "cd ~/.local/share/keyrack/vaults/team; for f in $(ls -d epochs/* | tail -1)/keys/*.age; do
           ! age -d -i ~/.ssh/id_ed25519_bob $f || exit 1; done",
    )
    .ok();
    let needs = field(&alice.sh("keyrack vault status --for alice --json"), "/needsRotation");
    let names: Vec<&str> =
        needs.as_array().into_iter().flatten().filter_map(|need| need["slug"].as_str()).collect();
    assert_eq!(names, ["@all.all.HIS", "@all.all.TOKEN"]);
    alice.sh("for k in HIS TOKEN; do printf new | keyrack set -q --for alice --vault team --key $k; done").ok();
    let needs = field(&alice.sh("keyrack vault status --for alice --json"), "/needsRotation");
    assert_eq!(needs, serde_json::json!([]));
}

#[test]
fn a_one_time_code_over_a_remote() {
    let hub = Hub::made();
    let line = hub.alice.sh("keyrack vault invite bob --one-time-code -q --for alice").ok().text();
    hub.sync_alice();
    hub.bob.sh(&format!("keyrack vault accept -q '{line}' --for bob")).ok();
    hub.sync_alice();
    let fingerprint = hub.bob.sh("keyrack identity fingerprint --for bob | head -1").text();
    hub.alice
        .sh(&format!("keyrack vault confirm bob -q --for alice --fingerprint '{fingerprint}'"))
        .ok();
    hub.alice.sh("printf s3cret | keyrack set -q --for alice --vault team --key TOKEN").ok();
    hub.sync_alice();
    hub.bob.sh(&format!("keyrack vault accept -q '{line}' --for bob")).ok();
    assert_eq!(Hub::get(&hub.bob, "bob", "TOKEN"), "s3cret");
}

#[test]
fn a_repository_without_a_work_tree_is_cloned_and_not_written_into() {
    let hub = Hub::made();
    let other = hub.dir.path().join("other.git");
    let other = other.display();
    hub.alice
        .sh(&format!(
            "git init -q --bare -b main {other}
             keyrack vault create -q other --for alice --at {other}
             keyrack vault sync -q --for alice --vault other"
        ))
        .ok();
    let files = hub.alice.sh(&format!("git -C {other} ls-tree --name-only main; ls {other}"));
    let files = files.ok().text();
    assert!(files.contains("KEYRACK-VAULT\nchain\nepochs\n"), "{files}");
    assert_eq!(files.matches("chain").count(), 1, "{files}");
}

#[test]
fn a_clone_that_no_vault_can_be_made_in_is_not_left_in_the_way() {
    let hub = Hub::joined();
    let other = hub.dir.path().join("other.git");
    let other = other.display();
    hub.alice
        .sh(&format!(
            "git init -q --bare -b main {other}
             keyrack vault create -q other --for alice --at {other}
             keyrack vault sync -q --for alice --vault other"
        ))
        .ok();
    let refused = hub.bob.sh(&format!("keyrack vault create other --for bob --at {other}"));
    let hint = format!("keyrack vault accept INVITATION --for bob --at {other}\n");
    assert!(refused.code(11).errors().ends_with(&hint), "{refused}");
    assert!(!hub.bob.data().join("vaults/other").exists());
    hub.bob.sh("keyrack vault create other -q --for bob").ok();
}

#[test]
fn what_is_damaged_here_is_taken_from_the_remote_and_not_pushed() {
    let hub = Hub::joined();
    hub.alice.sh("printf s3cret | keyrack set -q --for alice --vault team --key TOKEN").ok();
    hub.sync_alice();
    for damage in [
        "printf X | dd of=chain/0000000001.link bs=1 seek=9 conv=notrunc status=none",
        "rm chain/0000000002.link",
        "rm epochs/*/creds/*.cred",
    ] {
        let damaged = hub.alice.sh(&format!("cd ~/team && {damage}"));
        damaged.ok();
        let synced = hub.alice.sh("keyrack vault sync --for alice");
        assert!(synced.ok().errors().contains("what was here did not hold: team: "), "{synced}");
        hub.alice.sh("keyrack vault verify --for alice").ok();
        assert_eq!(Hub::get(&hub.alice, "alice", "TOKEN"), "s3cret");
        hub.sync_bob();
        hub.bob.sh("keyrack vault verify --for bob").ok();
    }
}

#[test]
fn what_is_not_the_vaults_is_never_committed() {
    let hub = Hub::joined();
    let notes = "echo hunter2 > .env; mkdir -p chain/old; cp chain/0000000000.link chain/old/";
    hub.alice.sh(&format!("cd ~/team; {notes}; echo one > README; git add README")).ok();
    hub.alice.sh("printf s3cret | keyrack set -q --for alice --vault team --key TOKEN").ok();
    hub.sync_alice();
    let pushed = hub.alice.sh(&format!("git -C {} ls-tree -r --name-only main", hub.url()));
    let pushed = pushed.ok().text();
    assert!(pushed.contains(".cred") && pushed.contains("KEYRACK-VAULT"), "{pushed}");
    for other in [".env", "README", "old"] {
        assert!(!pushed.contains(other), "{pushed}");
    }
    // Nor is it taken away where what others pushed takes the place of what is here.
    hub.alice
        .sh("cd ~/team && git -c user.name=a -c user.email=a@x commit -qm notes README && \
             git push -q && echo two > README")
        .ok();
    hub.sync_bob();
    hub.bob.sh("printf x | keyrack set -q --for bob --vault team --key OWN --private").ok();
    hub.sync_bob();
    hub.alice.sh("keyrack vault rotate -q --for alice").ok();
    hub.sync_alice();
    let left = hub.alice.sh("cd ~/team && git status --porcelain").ok().text();
    assert_eq!(left, " M README\n?? .env\n?? chain/old/");
}

#[test]
fn robots_of_one_home_share_one_clone() {
    let hub = Hub::joined();
    hub.alice.sh("printf s3cret | keyrack set -q --for alice --vault team --key TOKEN").ok();
    let invited = hub.alice.sh("keyrack vault invite carol --one-time-code -q --for alice");
    let invitation = invited.ok().text();
    let accept = format!("keyrack vault accept '{invitation}' --for carol");
    hub.bob.key("carol");
    // What was not pushed yet is not known to who accepts.
    let early = hub.bob.sh(&format!("keyrack init -q --for carol; {accept}"));
    let said = "the invitation cannot be used: it is not open";
    assert!(early.code(5).errors().contains(said), "{early}");
    hub.sync_alice();
    hub.bob.sh(&accept).ok();
    let fingerprint = hub.bob.sh("keyrack identity fingerprint --for carol | head -1").ok().text();
    hub.sync_alice();
    hub.alice
        .sh(&format!("keyrack vault confirm carol --for alice --fingerprint {fingerprint}"))
        .ok();
    hub.sync_alice();
    hub.bob.sh(&accept).ok();
    assert_eq!(Hub::get(&hub.bob, "carol", "TOKEN"), "s3cret");
    assert_eq!(hub.bob.sh("ls ~/.local/share/keyrack/vaults | grep -v @").ok().text(), "team");
}

#[test]
fn of_two_that_wrote_one_name_whoever_pushed_first_is_right() {
    let hub = Hub::joined();
    let (alice, bob) = (&hub.alice, &hub.bob);
    alice.sh("keyrack vault members role bob admin --for alice").ok();
    alice.sh("for k in A B C; do printf one | keyrack set -q --for alice --vault team --key $k; done").ok();
    hub.sync_alice();
    hub.sync_bob();
    let set = |key: &str, value: &str, owner: &str| {
        format!("printf {value} | keyrack set -q --for {owner} --vault team --key {key}")
    };
    alice.sh(&["A", "NEW", "ALICE"].map(|key| set(key, "alice", "alice")).join("; ")).ok();
    alice.sh("keyrack del -q --for alice --vault team --key B").ok();
    alice.sh(&set("C", "alice", "alice")).ok();
    bob.sh(&["A", "B", "NEW", "BOB"].map(|key| set(key, "bob", "bob")).join("; ")).ok();
    bob.sh("keyrack del -q --for bob --vault team --key C").ok();
    hub.sync_bob();
    let told = alice.sh("keyrack vault sync --for alice");
    let said = told.code(10).errors();
    for what in ["set @all.all.A (", "set @all.all.C (", "set @all.all.NEW (", "del @all.all.B ("] {
        assert!(said.contains(what), "{told}");
    }
    assert!(!said.contains("ALICE"), "{told}");
    let hint = "keyrack: hint: keyrack del --for alice --vault team --key @all.all.B";
    assert!(said.contains(hint), "{told}");
    hub.sync_bob();
    for (rack, owner) in [(alice, "alice"), (bob, "bob")] {
        for key in ["A", "B", "NEW", "BOB"] {
            assert_eq!(Hub::get(rack, owner, key), "bob");
        }
        assert_eq!(Hub::get(rack, owner, "ALICE"), "alice");
        rack.sh(&format!("keyrack get --unlock --for {owner} --key C")).code(4);
        rack.sh(&format!("keyrack vault verify --for {owner}")).ok();
    }
}

#[test]
fn who_pushes_later_writes_its_part_anew_under_the_new_keys() {
    let hub = Hub::joined();
    hub.alice.sh("keyrack vault members role bob admin --for alice").ok();
    hub.sync_alice();
    hub.sync_bob();
    hub.bob
        .sh("printf bob | keyrack set -q --for bob --vault team --key BOB
                keyrack vault invite carol --one-time-code -q --for bob >/dev/null")
        .ok();
    hub.alice
        .sh("printf alice | keyrack set -q --for alice --vault team --key ALICE
                  keyrack vault rotate -q --for alice")
        .ok();
    hub.sync_alice();
    // An invitation is a promise to somebody: it is named, not made again in silence.
    let done = hub.bob.sh("keyrack vault sync --for bob");
    done.code(10);
    let hint = "keyrack vault invite carol --one-time-code --for bob --vault team";
    assert!(done.errors().contains("invite carol (") && done.errors().contains(hint), "{done}");
    hub.sync_alice();
    for (rack, owner) in [(&hub.alice, "alice"), (&hub.bob, "bob")] {
        assert_eq!(Hub::get(rack, owner, "BOB"), "bob");
        assert_eq!(Hub::get(rack, owner, "ALICE"), "alice");
        rack.sh(&format!("keyrack vault verify --for {owner}")).ok();
    }
    // What was set aside is kept where git finds it.
    hub.bob
        .sh("git -C ~/.local/share/keyrack/vaults/team for-each-ref refs/keyrack | grep -q aside")
        .ok();
}

#[test]
fn a_stale_writer_after_a_removal_reaches_nobody() {
    let hub = Hub::joined();
    hub.alice.sh("keyrack vault members role bob admin --for alice").ok();
    hub.sync_alice();
    hub.sync_bob();
    hub.alice.sh("keyrack vault members remove bob --for alice").ok();
    hub.sync_alice();
    // He has not heard of it.
    hub.bob.sh("printf stale | keyrack set -q --for bob --vault team --key STALE").ok();
    hub.bob.sh("keyrack vault sync --for bob").code(5);
    hub.sync_alice();
    hub.alice.sh("keyrack get --unlock --for alice --key STALE").code(4);
}

#[test]
fn a_merge_of_two_chains_is_told_and_sync_mends_it() {
    let hub = Hub::joined();
    hub.alice.sh("keyrack vault members role bob admin --for alice").ok();
    hub.sync_alice();
    hub.sync_bob();
    hub.alice.sh("keyrack vault rotate -q --for alice").ok();
    hub.sync_alice();
    hub.bob.sh("keyrack vault rotate -q --for bob").ok();
    let merged = hub.bob.sh("cd ~/.local/share/keyrack/vaults/team && git add -A && \
         git -c user.name=b -c user.email=b@b commit -qm mine && \
         git -c user.name=b -c user.email=b@b pull -q --no-rebase origin main");
    assert_ne!(merged.code, 0, "two links of one number never merge: {merged}");
    hub.bob.sh("keyrack vault sync --for bob").code(11);
    // Forced to an end by hand, it is no chain.
    hub.bob
        .sh("cd ~/.local/share/keyrack/vaults/team && git checkout -q --theirs . ; git add -A && \
             git -c user.name=b -c user.email=b@b commit -qm merged")
        .ok();
    hub.bob.sh("keyrack vault sync --for bob").ok();
    hub.bob.sh("keyrack vault verify --for bob").ok();
    hub.sync_alice();
    hub.alice.sh("keyrack vault verify --for alice").ok();
}

#[test]
fn a_checkout_that_changes_line_ends_is_told() {
    let hub = Hub::joined();
    hub.alice.sh("cd ~/team && sed -i 's/$/\\r/' chain/0000000002.link").ok();
    hub.alice.sh("rm -r ~/.local/state/keyrack/vaults; keyrack vault verify --for alice").code(12);
    // git itself never does it to a vault.
    hub.bob
        .sh("cd && git -c core.autocrlf=true clone -q $(git -C ~/.local/share/keyrack/vaults/team \
             config remote.origin.url) crlf && ! grep -rq --include=*.link $'\\r' crlf")
        .ok();
}

#[test]
fn what_a_remote_rolls_back_is_told() {
    let hub = Hub::joined();
    let old = hub.alice.sh(&format!("git -C {} rev-parse main", hub.url())).ok().text();
    hub.alice.sh("keyrack vault rotate -q --for alice").ok();
    hub.sync_alice();
    hub.sync_bob();
    hub.alice.sh(&format!("git -C {} update-ref refs/heads/main {old}", hub.url())).ok();
    // Behind what was pushed from here: put back, as an addition.
    hub.sync_bob();
    // Forked: never.
    hub.alice
        .sh(&format!(
            "cd $(mktemp -d) && git clone -q {} . && git reset -q --hard {old} && \
             printf x > chain/0000000099.link && git add -A && \
             git -c user.name=e -c user.email=e@e commit -qm fork && git push -qf origin main",
            hub.url()
        ))
        .ok();
    hub.bob.sh("keyrack vault sync --for bob").code(12);
    hub.bob.sh("keyrack vault verify --for bob").ok();
}

#[test]
fn a_difference_is_shown_in_words_without_what_is_sealed() {
    let hub = Hub::joined();
    hub.alice.sh("printf s3cret | keyrack set -q --for alice --vault team --key TOKEN").ok();
    let shown = hub.alice.sh("cd ~/team && git add -A && git diff --cached").ok().text();
    assert!(
        shown.contains("@all.all.TOKEN") && shown.contains("\"visibility\": \"shared\""),
        "{shown}"
    );
    assert!(!shown.contains("\"body\"") && !shown.contains("\"wrap\""), "{shown}");
    let committed = hub.alice.sh("cd ~/team && git ls-files | grep -c '^audit/' || true").text();
    assert_eq!(committed, "0");
}

/// As `git init --bare` makes it where its default is another than the clone's.
#[test]
fn a_remote_that_does_not_say_which_branch_is_meant() {
    let hub = Hub::made();
    let url = hub.url();
    let invitation = hub.invite("");
    hub.sync_alice();
    hub.alice.sh(&format!("git -C {url} symbolic-ref HEAD refs/heads/master")).ok();
    hub.bob.sh(&format!("keyrack vault accept '{invitation}' --for bob")).ok();
    hub.bob.sh("keyrack vault sync --for bob").ok();
    hub.sync_alice();
    let members = field(&hub.alice.sh("keyrack vault members list --for alice --json"), "/members");
    assert_eq!(members[1]["status"], "active");
}

#[test]
fn a_remote_without_a_vault_is_named() {
    let hub = Hub::made();
    let invitation = hub.invite("");
    hub.sync_alice();
    let refused = hub.bob.sh(&format!(
        "git init -q --bare ../empty.git
         keyrack vault accept '{invitation}' --for bob --at $PWD/../empty.git"
    ));
    refused.code(4);
    assert!(refused.errors().contains("there is no vault at "), "{refused}");
    assert_eq!(hub.bob.sh("ls ~/.local/share/keyrack/vaults").text(), "@bob");
}
