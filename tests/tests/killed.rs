//! `kill -9` at every single system call that changes a file: what is left is the old
//! state or the new one, it opens, and the next command goes on from there.
//!
//! What becomes of a team's vault is in `killed_teams.rs`.

use keyrack_tests::kill::{CHANGES, kill_at};
use keyrack_tests::{Rack, need};

fn rack() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.key("backup");
    rack.sh("keyrack init --for bot; printf old | keyrack set --for bot --key OLD").ok();
    rack
}

/// What must be so after any kill: the manifest opens with stock age, every key in it has
/// its value, and the next write works and leaves no debris.
fn whole(rack: &Rack, place: &str, values: &[(&str, &[&str])]) {
    let file = rack.manifest("bot").display().to_string();
    let opened = rack.sh(&format!("age -d -i ~/.ssh/id_ed25519_bot {file} >/dev/null"));
    assert_eq!(opened.code, 0, "{place}: {opened}");
    let listed = rack.sh("keyrack list --for bot --json");
    assert_eq!(listed.code, 0, "{place}: {listed}");
    for (key, possible) in values {
        let there = String::from_utf8_lossy(&listed.stdout).contains(&format!("all.{key}\""));
        let got = rack.sh(&format!("keyrack get --unlock --for bot --key {key}"));
        let value = String::from_utf8_lossy(&got.stdout).into_owned();
        let fits = if there { possible.contains(&value.as_str()) } else { got.code == 4 };
        assert!(fits, "{place}: {key} gives {value:?}\n{got}");
    }
    rack.sh("keyrack relock --for bot").ok();
    let next = rack.sh("printf later | keyrack set --for bot --key LATER");
    assert_eq!(next.code, 0, "{place}: {next}");
    let debris = rack.sh("find ~/.local -name '*tmp*'").text();
    assert_eq!(debris, "", "{place}");
}

#[test]
fn set_leaves_the_old_or_the_new() {
    need!("strace");
    let rack = rack();
    let kills = kill_at(CHANGES, &rack, "keyrack set --for bot --key NEW", |rack, place| {
        whole(rack, place, &[("OLD", &["old"]), ("NEW", &["new value"])]);
    });
    assert!(kills > 10, "only {kills} kills");
}

#[test]
fn set_over_a_value_leaves_the_old_or_the_new() {
    need!("strace");
    let rack = rack();
    let kills = kill_at(CHANGES, &rack, "keyrack set --for bot --key OLD", |rack, place| {
        let listed = rack.sh("keyrack list --for bot --json");
        assert!(String::from_utf8_lossy(&listed.stdout).contains("all.OLD\""), "{place}: {listed}");
        whole(rack, place, &[("OLD", &["old", "new value"])]);
    });
    assert!(kills > 10, "only {kills} kills");
}

#[test]
fn init_leaves_nothing_or_an_owner() {
    need!("strace");
    let rack = Rack::new();
    rack.key("bot");
    init_everywhere(&rack);
}

#[test]
fn init_with_a_new_key_leaves_nothing_or_an_owner() {
    need!("strace");
    init_everywhere(&Rack::new());
}

fn init_everywhere(rack: &Rack) {
    let kills = kill_at(CHANGES, rack, "keyrack init --for bot", |rack, place| {
        let again = rack.sh("keyrack init --for bot");
        assert_eq!(again.code, 0, "{place}: {again}");
        whole(rack, place, &[]);
    });
    assert!(kills > 10, "only {kills} kills");
}

#[test]
fn recipient_add_leaves_the_old_or_the_new() {
    need!("strace");
    let rack = rack();
    let add = "keyrack recipient add --for bot ../home/.ssh/id_ed25519_backup.pub --label backup";
    let kills = kill_at(CHANGES, &rack, add, |rack, place| {
        whole(rack, place, &[("OLD", &["old"])]);
        let again = rack.sh(&format!("{add}; keyrack get --unlock --for bot --key OLD --identity ~/.ssh/id_ed25519_backup; keyrack relock --quiet --for bot"));
        assert_eq!(again.stdout, b"old", "{place}: {again}");
    });
    assert!(kills > 10, "only {kills} kills");
}

#[test]
fn recipient_remove_leaves_the_old_or_the_new() {
    need!("strace");
    let rack = rack();
    rack.sh("keyrack recipient add --for bot ~/.ssh/id_ed25519_backup.pub --label backup").ok();
    let remove = "keyrack recipient remove --for bot backup";
    let kills = kill_at(CHANGES, &rack, remove, |rack, place| {
        whole(rack, place, &[("OLD", &["old"])]);
        rack.sh(remove);
        let opened = "for f in $(find ~/.local/share/keyrack -name '*.age*'); do \
                      age -d -i ~/.ssh/id_ed25519_backup $f >/dev/null 2>&1 && echo $f; done";
        assert_eq!(rack.sh(opened).text(), "", "{place}: the removed key still opens files");
    });
    assert!(kills > 10, "only {kills} kills");
}

#[test]
fn del_leaves_the_old_or_the_new() {
    need!("strace");
    let rack = rack();
    rack.sh("printf gone | keyrack set --for bot --key GONE").ok();
    let kills = kill_at(CHANGES, &rack, "keyrack del --for bot --key GONE", |rack, place| {
        whole(rack, place, &[("OLD", &["old"]), ("GONE", &["gone"])]);
    });
    assert!(kills > 10, "only {kills} kills");
}

/// A home from before personal vaults had chains, with the values it holds.
fn home_of_before() -> Rack {
    let rack = Rack::new();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifest/vault/tests/golden");
    let (data, state) = (rack.data().display().to_string(), rack.state().display().to_string());
    rack.sh(&format!(
        "mkdir -p {data}/keys {state} && cp -r {golden}/home/. {data} && rm -r {data}/drops && \
         cp -r {golden}/state/. {state} && cp {golden}/key.txt {data}/keys/golden.txt && \
         chmod -R u+rwX,go= {data} {state}"
    ))
    .ok();
    rack
}

/// Everything it held is still there, and so it is if the backup is put back.
fn holds_what_was_there(rack: &Rack, place: &str) {
    let get = |key| format!("keyrack get --unlock --quiet --for golden --key {key}");
    for (key, value) in [("EMPTY", ""), ("LOGIN", "p\u{e4}ss"), ("acme.prod.TOKEN", "value")] {
        let got = rack.sh(&get(key));
        assert_eq!((got.code, got.stdout.as_slice()), (0, value.as_bytes()), "{place}: {key}{got}");
    }
    rack.sh("keyrack relock --quiet --for golden").ok();
}

#[test]
fn a_vault_of_before_is_left_as_it_was_or_made_anew() {
    need!("strace");
    let rack = home_of_before();
    holds_what_was_there(&rack, "before");
    let set = "keyrack set --for golden --key NEW";
    let kills = kill_at(CHANGES, &rack, set, |rack, place| {
        holds_what_was_there(rack, place);
        let file = rack.manifest("golden").display().to_string();
        // Whatever is the backup now holds all of it as well.
        rack.sh(&format!(
            "cp -a ~ ../aside; if [ -e {file}.bak ]; then mv {file}.bak {file}; fi; \
             keyrack doctor --for golden --accept-restored --yes"
        ));
        holds_what_was_there(rack, &format!("{place}, and the backup put back"));
        rack.sh("find ~ -mindepth 1 -delete; cp -a ../aside/. ~; rm -r ../aside").ok();
        let later = rack.sh("printf later | keyrack set --quiet --for golden --key LATER");
        assert_eq!(later.code, 0, "{place}: {later}");
        holds_what_was_there(rack, place);
        let left = rack.sh("find ~/.local -name '*tmp*' -o -name creds").text();
        assert_eq!(left, "", "{place}");
    });
    assert!(kills > 40, "only {kills} kills");
}

#[test]
fn a_vault_of_before_that_is_damaged_is_still_read_and_mended() {
    let rack = home_of_before();
    rack.sh("printf x > $(find ~/.local -name '*.3.cred')").ok();
    rack.sh("keyrack get --unlock --quiet --for golden --key LOGIN; keyrack relock --for golden")
        .ok()
        .stdout("p\u{e4}ss");
    // What cannot be read cannot be taken along, and is not left behind in silence.
    let refused = rack.sh("printf new | keyrack set --for golden --key NEW");
    refused.code(12);
    rack.sh("keyrack del --for golden --key acme.prod.TOKEN").ok();
    rack.sh("printf new | keyrack set --for golden --key NEW").ok();
    rack.sh("keyrack get --unlock --quiet --for golden --key LOGIN; keyrack relock --for golden")
        .ok()
        .stdout("p\u{e4}ss");
}
