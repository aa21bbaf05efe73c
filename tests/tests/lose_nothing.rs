//! Nothing is lost: by writers in parallel, by damage, by a full or read-only disk.
//! What a kill can do is in `killed.rs`, and what comes between two steps of another command
//! in `in_between.rs`.

use std::fs;

use keyrack_tests::Rack;

fn rack() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf old | keyrack set --for bot --key OLD").ok();
    rack
}

#[test]
fn fifty_parallel_sets_leave_fifty_keys() {
    let rack = rack();
    rack.parallel(50, "printf \"value $i\" | keyrack set --for bot --key K$i").ok();
    rack.sh("keyrack unlock --for bot").ok();
    let all = rack.sh("for i in $(seq 50); do keyrack get --for bot --key K$i; echo; done");
    let expected: String = (1..=50).map(|i| format!("value {i}\n")).collect();
    all.ok().stdout(&expected);
    rack.sh("keyrack get --for bot --key OLD").ok().stdout("old");
    assert_eq!(
        rack.sh("keyrack list --for bot --json").json()["keys"].as_array().map(Vec::len),
        Some(51)
    );
}

#[test]
fn twenty_parallel_unlocks_leave_one_daemon() {
    let rack = rack();
    rack.parallel(20, "keyrack unlock --for bot").ok();
    assert_eq!(rack.daemons().len(), 1);
    rack.sh("keyrack get --for bot --key OLD").ok().stdout("old");
}

/// A host has one key that it makes owners with, so that each knows its drops.
#[test]
fn parallel_inits_on_a_new_host_pin_one_provisioner() {
    let rack = Rack::new();
    rack.key("bot");
    rack.parallel(12, "keyrack init --for a$i --provisioner --pubkey ~/.ssh/id_ed25519_bot.pub")
        .ok();
    let pinned = rack.sh("for i in $(seq 12); do
             age -d -i ~/.ssh/id_ed25519_bot ~/.local/share/keyrack/host.a$i.yml.age
         done | grep sigKey | sort | uniq -c | awk '{ print $1 }'");
    assert_eq!(pinned.ok().text(), "12");
}

/// Who reads a record while another command replaces it, and the keys it is under, reads
/// the manifest again instead of calling it tampering.
#[test]
fn reading_beside_a_rotation_is_no_tampering() {
    let rack = rack();
    rack.key("backup");
    let values = "for i in $(seq 40); do echo KEY_$i=v; done | keyrack fill --quiet --for bot";
    rack.write("work/keyrack.yml", format!("env.all:\n{}", keys()));
    rack.sh(values).ok();
    let rotate = "for i in $(seq 8); do \
                  keyrack recipient add --quiet --for bot ~/.ssh/id_ed25519_backup.pub; \
                  keyrack recipient remove --quiet --for bot backup-1; done 2>/dev/null";
    let read = "while [ -e rotating ]; do keyrack unlock --quiet --for bot 2>>said; \
                echo $? >> codes; keyrack list --for bot >/dev/null 2>>said; echo $? >> codes; done";
    rack.sh(&format!("touch rotating; ({rotate}; rm rotating) & {read}; wait"));
    let codes = rack.sh("sort -u codes").text();
    // A removal locks the owner, and its daemon has another key than the new manifest for a
    // moment; neither is tampering (12), and neither lasts.
    let fine = codes.lines().all(|code| ["0", "3", "7"].contains(&code));
    assert!(fine, "{codes}{}", rack.sh("sort said | uniq -c | tail -20").text());
    rack.sh("keyrack unlock --quiet --for bot && keyrack get --for bot --key OLD")
        .ok()
        .stdout("old");
}

#[test]
fn thirty_parallel_trusts_are_thirty_and_a_revoke_stays() {
    let rack = Rack::new();
    for n in 1..=31 {
        rack.write(&format!("work/{n}/keyrack.yml"), "org: acme\n");
    }
    rack.sh("cd 31; keyrack trust").ok();
    let each = "if [ $i = 31 ]; then cd 31; keyrack trust --revoke; else cd $i; keyrack trust; fi";
    rack.parallel(31, &format!("({each})")).ok();
    assert_eq!(rack.sh("keyrack trust --list").ok().text().lines().count(), 30);
    rack.sh("keyrack trust --list | grep -c /31/").stdout("0\n");
}

fn keys() -> String {
    (1..=40).map(|n| format!("- KEY_{n}\n")).collect()
}

#[test]
fn twenty_parallel_inits_make_one_owner() {
    let rack = Rack::new();
    rack.parallel(20, "keyrack init --for bot").ok();
    rack.sh("printf x | keyrack set --for bot --key K && keyrack get --unlock --for bot --key K")
        .ok()
        .stdout("x");
}

#[test]
fn a_stale_socket_is_recovered() {
    let rack = rack();
    rack.sh("keyrack unlock --for bot").ok();
    let daemon = nix::unistd::Pid::from_raw(rack.daemons()[0]);
    nix::sys::signal::kill(daemon, nix::sys::signal::Signal::SIGKILL).expect("our daemon");
    rack.no_daemon();
    assert!(rack.socket("bot").exists());
    rack.sh("keyrack get --for bot --key OLD").code(3).bytes(b"");
    rack.sh("keyrack unlock --for bot && keyrack get --for bot --key OLD").ok().stdout("old");
    assert_eq!(rack.daemons().len(), 1);
}

/// Damages the manifest, asserts that it is told with exit 12 by every command and left as
/// it is, then repaired from the backup without losing the damaged file.
#[track_caller]
fn damaged(rack: &Rack, content: &[u8], told: &str) {
    let file = rack.manifest("bot");
    fs::write(&file, content).expect("our sandbox");
    for command in ["list", "unlock", "recipient list", "get --unlock --key OLD", "doctor"] {
        let failed = rack.sh(&format!("keyrack {command} --for bot"));
        let said = failed.errors() + &failed.text();
        assert!(failed.code == 12 && said.contains(told), "{told:?} and 12 expected\n{failed}");
    }
    let set = rack.script("keyrack set --for bot --key NEW");
    set.stdin("new").run().code(12).bytes(b"");
    assert_eq!(fs::read(&file).expect("still there"), content, "a damaged file is not touched");
    rack.sh("keyrack doctor --fix --yes --for bot").ok();
    rack.sh("keyrack get --unlock --for bot --key OLD; keyrack relock --for bot")
        .ok()
        .stdout("old");
    let kept = fs::read_dir(rack.data()).expect("a home").flatten();
    let kept = kept.filter(|f| fs::read(f.path()).is_ok_and(|bytes| bytes == content));
    assert!(kept.count() >= 1, "the damaged file is kept");
}

fn twice_written() -> Rack {
    let rack = rack();
    rack.sh("printf more | keyrack set --for bot --key MORE").ok();
    rack
}

#[test]
fn a_truncated_manifest_is_explained_and_repaired() {
    let rack = twice_written();
    let whole = fs::read(rack.manifest("bot")).expect("a manifest");
    damaged(&rack, &whole[..whole.len() / 2], "host.bot.yml.age");
    // Until its owner goes.
    rack.sh("keyrack destroy --yes --for bot; ! ls -A ~/.local/share/keyrack | grep bot.yml").ok();
}

/// Somebody put a pipe in a key's place: nobody waits for what never comes.
#[test]
fn a_pipe_in_a_keys_place_holds_nobody_up() {
    let rack = Rack::new();
    let key = "~/.ssh/id_ed25519_bot";
    let made = rack.sh(&format!("mkfifo -m 600 {key}; timeout 20 keyrack init --for bot"));
    assert!(made.code(6).errors().contains("id_ed25519_bot is no file"), "{made}");
    rack.sh(&format!("rm {key}; keyrack init --for bot; mv {key} key; mkfifo -m 600 {key}")).ok();
    rack.sh("timeout 20 keyrack unlock --for bot").code(6);
}

#[test]
fn an_empty_manifest_is_explained_and_repaired() {
    damaged(&twice_written(), b"", "host.bot.yml.age");
}

#[test]
fn garbage_is_explained_and_repaired() {
    damaged(&twice_written(), b"this is no age file\n", "host.bot.yml.age");
}

#[test]
fn a_flipped_bit_is_explained_and_repaired() {
    let rack = twice_written();
    let mut bytes = fs::read(rack.manifest("bot")).expect("a manifest");
    let at = bytes.len() - 100;
    bytes[at] ^= 1;
    damaged(&rack, &bytes, "host.bot.yml.age");
}

#[test]
fn another_owners_manifest_in_its_place_is_explained_and_repaired() {
    let rack = twice_written();
    // Sealed to the same key, so that only the name inside tells them apart.
    rack.sh("keyrack init --for other --pubkey ~/.ssh/id_ed25519_bot.pub --identity ~/.ssh/id_ed25519_bot").ok();
    let bytes = fs::read(rack.manifest("other")).expect("a manifest");
    damaged(&rack, &bytes, "other");
}

#[test]
fn a_manifest_sealed_to_another_key_in_its_place_is_explained_and_repaired() {
    for via in ["ssh", "age"] {
        let rack = Rack::new();
        rack.sh(&format!(
            "keyrack init --for bot --via {via}; keyrack init --for other --via {via}; \
             printf old | keyrack set --for bot --key OLD; \
             printf more | keyrack set --for bot --key MORE"
        ))
        .ok();
        let bytes = fs::read(rack.manifest("other")).expect("a manifest");
        damaged(&rack, &bytes, "it is not sealed to bot's key");
    }
}

#[test]
fn without_the_key_another_owners_manifest_is_still_told() {
    let rack = twice_written();
    rack.sh("keyrack init --for other && mv ~/.ssh/id_ed25519_bot .").ok();
    fs::copy(rack.manifest("other"), rack.manifest("bot")).expect("our sandbox");
    let failed = rack.sh("keyrack unlock --for bot");
    let told = failed.errors().contains("it is not sealed to bot's key");
    assert!(failed.code == 12 && told, "{failed}");
}

#[test]
fn a_damaged_manifest_without_a_backup_is_no_dead_end() {
    let rack = twice_written();
    fs::write(rack.manifest("bot"), "this is no age file\n").expect("our sandbox");
    fs::remove_file(rack.data().join("host.bot.yml.age.bak")).expect("our sandbox");
    rack.sh("keyrack doctor --for bot --fix --yes").code(12).stderr(
        "keyrack: error: /home/you/.local/share/keyrack/host.bot.yml.age: it is not an age file; \
         there is no backup at /home/you/.local/share/keyrack/host.bot.yml.age.bak\n\
         keyrack: hint: put back a copy of your own; or, to begin anew:\n\
         keyrack: hint: keyrack destroy --for bot\n",
    );
    rack.sh("keyrack destroy --for bot --yes && keyrack init --for bot").ok();
}

#[test]
fn a_vault_whose_manifest_is_gone_waits_for_it() {
    let rack = twice_written();
    let data = rack.data().display().to_string();
    let get = "keyrack unlock --quiet --for bot && keyrack get --for bot --key MORE";
    let value = rack.sh(get).ok().text();
    rack.sh(&format!("keyrack relock --quiet --for bot; cp {data}/host.bot.yml.age copy")).ok();
    let lose = format!("rm {data}/host.bot.yml.age*");
    rack.sh(&lose).ok();
    for command in ["init --for bot", "init --for bot --handle other"] {
        let refused = rack.sh(&format!("keyrack {command}"));
        let said = refused.code(11).errors();
        assert!(said.contains("which is gone; its vault"), "{refused}");
        assert!(said.contains("hint: put host.bot.yml.age back from a copy of it"), "{refused}");
    }
    for command in ["get", "set", "unlock", "del"] {
        let told = rack.sh(&format!("printf x | keyrack {command} --for bot --key MORE"));
        let said = told.code(12).errors();
        assert!(
            said.contains("host.bot.yml.age is gone; ") && said.contains("copy of it"),
            "{told}"
        );
    }
    let restore = format!("cp copy {data}/host.bot.yml.age");
    assert_eq!(rack.sh(&format!("{restore}; {get}")).ok().text(), value);

    // A device that knows nothing of it makes another owner, and takes nothing away.
    let state = rack.state().display().to_string();
    rack.sh(&format!("keyrack relock --quiet --for bot; {lose}; rm -r {state} {data}/identities"))
        .ok();
    let made = rack.sh("keyrack init --for bot");
    assert!(made.ok().errors().contains("vaults/@bot~1\n"), "{made}");
    let back = format!("(cd {data}/vaults && rm -r @bot && mv @bot~1 @bot) && {restore}");
    rack.sh(&format!("{back} && keyrack doctor --for bot --accept-restored --yes")).ok();
    assert_eq!(rack.sh(get).ok().text(), value);
}

#[test]
fn a_manifest_of_a_future_version_is_left_alone_until_the_backup_is_asked_for() {
    let rack = twice_written();
    let file = rack.manifest("bot").display().to_string();
    let newer = format!(
        "age -d -i ~/.ssh/id_ed25519_bot {file} | sed 's/^version: 1$/version: 99/; $a future: field' > plain && \
         age -R ~/.ssh/id_ed25519_bot.pub -o {file} plain"
    );
    rack.sh(&newer).ok();
    let before = fs::read(&file).expect("a manifest");
    for command in ["list", "unlock", "doctor"] {
        let failed = rack.sh(&format!("keyrack {command} --for bot"));
        let said = failed.errors() + &failed.text();
        let both = said.contains("has version 99; this keyrack reads up to 1");
        assert!(failed.code == 12 && both, "both versions are named\n{failed}");
    }
    let set = rack.script("keyrack set --for bot --key NEW");
    set.stdin("new").run().code(12).bytes(b"");
    rack.sh("keyrack doctor --fix --no-input --for bot").code(8);
    assert_eq!(fs::read(&file).expect("still there"), before);
    rack.sh("keyrack doctor --fix --yes --for bot && keyrack get --unlock --for bot --key OLD")
        .ok();
    assert_eq!(fs::read(format!("{file}~damaged")).expect("kept"), before);
}

/// Runs `script` in a mount namespace of its own, where a disk can be made small or
/// read-only without root and without a trace.
fn in_namespace(rack: &Rack, script: &str) -> keyrack_tests::Finished {
    let map = if keyrack_tests::skip::is_root() { "" } else { "--map-root-user" };
    rack.write("work/inside.sh", script);
    rack.sh(&format!("unshare --mount {map} bash inside.sh"))
}

#[test]
fn a_full_disk_costs_nothing_that_was_there() {
    let rack = rack();
    let script = r#"
        set -e
        cp -a ~/.local saved
        mount -t tmpfs -o size=512k,mode=700 tmpfs ~/.local
        cp -a saved/. ~/.local
        dd if=/dev/zero of=~/.local/fill bs=4k 2>/dev/null || cat /dev/zero > ~/.local/fill 2>/dev/null || true
        before=$(cat ~/.local/share/keyrack/host.bot.yml.age | sha256sum)
        set +e
        printf new | keyrack set --for bot --key NEW;              echo "set $?"
        keyrack init --for other;                                  echo "init $?"
        keyrack recipient add --for bot ~/.ssh/id_ed25519_bot.pub; echo "recipient $?"
        keyrack get --unlock --for bot --key OLD;                  echo " get $?"
        keyrack relock --quiet --for bot
        [ "$before" = "$(cat ~/.local/share/keyrack/host.bot.yml.age | sha256sum)" ] || echo changed
        rm ~/.local/fill
        printf new | keyrack set --quiet --for bot --key NEW;      echo "set $?"
        keyrack init --quiet --for other;                          echo "init $?"
        keyrack get --unlock --quiet --for bot --key NEW;          echo " get $?"
        keyrack list --for bot >/dev/null;                         echo "list $?"
        find ~/.local -name '*tmp*'
        keyrack relock --quiet --for bot
    "#;
    let done = in_namespace(&rack, script);
    done.stdout("set 1\ninit 1\nrecipient [..]\nold get 0\nset 0\ninit 0\nnew get 0\nlist 0\n");
}

#[test]
fn a_read_only_home_reads_and_says_why_it_cannot_write() {
    let rack = rack();
    let script = r#"
        mount --bind ~ ~ && mount -o remount,bind,ro ~ || exit 99
        printf new | keyrack set --for bot --key NEW;     echo "set $?"
        keyrack init --for other;                         echo "init $?"
        keyrack list --for bot >/dev/null;                echo "list $?"
        keyrack get --unlock --for bot --key OLD;         echo " get $?"
        keyrack relock --quiet --for bot;                 echo "relock $?"
    "#;
    let done = in_namespace(&rack, script);
    done.stdout("set 1\ninit 1\nlist 0\nold get 0\nrelock 0\n");
}
