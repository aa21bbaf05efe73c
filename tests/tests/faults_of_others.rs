//! Faults found in tools like this one. Each is named after what went wrong there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use keyrack_tests::fake::FakeDaemon;
use keyrack_tests::rack::KeyType;
use keyrack_tests::{Rack, need};

/// A rack with these owners, each holding `TOKEN` with its own name as the value.
fn rack(owners: &[&str]) -> Rack {
    let rack = Rack::new();
    for owner in owners {
        rack.key(owner);
        let make = format!(
            "keyrack init --for {owner}; printf {owner} | keyrack set --for {owner} --key TOKEN"
        );
        rack.sh(&make).ok();
    }
    rack
}

#[test]
fn owner_before_the_subcommand_returned_the_default_owners_secret() {
    let rack = rack(&["human", "seaturtle"]);
    rack.sh("keyrack unlock --for human; keyrack unlock --for seaturtle").ok();
    for form in [
        "--owner seaturtle get --key TOKEN",
        "--for seaturtle get --key TOKEN",
        "get --owner seaturtle --key TOKEN",
        "get --key TOKEN --for seaturtle",
        "--for seaturtle get --key TOKEN --for seaturtle",
    ] {
        rack.sh(&format!("keyrack {form}")).ok().bytes(b"seaturtle");
        rack.sh(&format!("KEYRACK_FOR=human keyrack {form}")).ok().bytes(b"seaturtle");
    }
    rack.sh("keyrack --for human get --key TOKEN --for seaturtle").code(2).bytes(b"");
}

#[test]
fn the_wrong_process_was_identified_in_19_of_40_tries() {
    let rack = Rack::new();
    rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
    rack.sh("keyrack init --for bot --pubkey ~/.ssh/id_ed25519_bot.pub").ok();
    let unlock =
        "KEYRACK_PASSPHRASE_FD=3 keyrack unlock --quiet --for bot --accept-drops 3<<<'open sesame'";
    rack.sh("printf value | keyrack set --for bot --key TOKEN").ok();
    for _ in 0..20 {
        // The tree that unlocked, several processes deep, and a tree that did not.
        let tree = rack
            .sh(&format!("{unlock}; bash -c 'bash -c \"keyrack get --for bot --key TOKEN\"; :'"));
        tree.ok().bytes(b"value");
        rack.sh("keyrack get --for bot --key TOKEN").code(5).bytes(b"");
    }
}

#[test]
fn a_failed_decryption_printed_private_keys() {
    let rack = rack(&["bot", "other"]);
    let own = fs::read_to_string(rack.home().join(".ssh/id_ed25519_other")).expect("a key");
    let body: Vec<&str> = own.lines().filter(|l| !l.starts_with("---")).collect();
    let broken = own.replace(&body[1][10..20], "!!!!!!!!!!");
    let broken = rack.write("home/.ssh/broken", broken);
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o600)).expect("our file");
    for identity in ["~/.ssh/id_ed25519_other", "~/.ssh/broken"] {
        for command in ["unlock", "list", "doctor"] {
            let failed = rack.sh(&format!("keyrack {command} --for bot --identity {identity}"));
            assert_ne!(failed.code, 0, "{failed}");
            let said = failed.errors() + &failed.text();
            for line in &body {
                assert!(!said.contains(&line[..20]), "key material in\n{said}");
            }
        }
    }
    // Nor when a private key is given where a public one belongs.
    let given = rack.sh("keyrack init --for x --pubkey \"$(cat ~/.ssh/id_ed25519_other)\"");
    given.code(2).bytes(b"");
    assert!(body.iter().all(|line| !given.errors().contains(&line[..20])), "{given}");
}

#[test]
fn a_recipient_string_reached_a_shell() {
    let rack = rack(&["bot"]);
    for hostile in [
        "$(touch pwned)",
        "`touch pwned`",
        "; touch pwned;",
        "ssh-ed25519 AAAA$(touch pwned)",
        "age1$(touch pwned)",
        "-i pwned",
        "age1x;touch pwned",
    ] {
        rack.write("work/recipient", hostile);
        rack.sh("keyrack recipient add --for bot -- \"$(cat recipient)\"").code(6);
        rack.sh("keyrack init --for evil --pubkey=\"$(cat recipient)\"").code(6);
        rack.sh("keyrack init --for evil --pubkey - <recipient").code(6);
        assert!(!rack.path("work/pwned").exists(), "{hostile} was executed");
    }
}

#[test]
fn a_removed_recipient_could_still_read_the_vault_and_a_new_one_could_not() {
    need!("age");
    let rack = rack(&["bot"]);
    let stays = rack.make_key("stays", KeyType::Ed25519, "");
    let goes = rack.make_key("goes", KeyType::Ed25519, "");
    rack.sh("keyrack recipient add --for bot ~/.ssh/goes.pub --label goes").ok();
    rack.sh("keyrack recipient add --for bot ~/.ssh/stays.pub --label stays").ok();
    rack.sh("keyrack recipient remove --for bot goes").ok();
    let opens = |key: &std::path::Path, file: &str| {
        rack.sh(&format!("age -d -i {} {file} >/dev/null", key.display())).code == 0
    };
    let found = rack.sh("find ~/.local/share/keyrack -name '*.age*' | sort").text();
    assert!(found.lines().count() >= 2, "the manifest and a wrap are expected in\n{found}");
    for file in found.lines() {
        assert!(opens(&stays, file), "the new recipient cannot open {file}");
        assert!(!opens(&goes, file), "the removed recipient opens {file}");
    }
    let get = "keyrack get --unlock --for bot --key TOKEN --identity";
    rack.sh(&format!("{get} {}", stays.display())).ok().bytes(b"bot");
    rack.sh("keyrack relock --for bot").ok();
    rack.sh(&format!("{get} {}", goes.display())).code(6).bytes(b"");
}

#[test]
fn of_five_parallel_sets_three_survived_and_all_exited_0() {
    let rack = rack(&["bot"]);
    rack.parallel(5, "printf $i | keyrack set --for bot --key K$i").ok();
    rack.sh("keyrack unlock --for bot").ok();
    for i in 1..=5 {
        rack.sh(&format!("keyrack get --for bot --key K{i}")).ok().stdout(&format!("{i}\n"));
    }
}

#[test]
fn an_ephemeral_token_of_55_minutes_got_9_hours() {
    let rack = rack(&["bot"]);
    rack.sh("printf x | keyrack set --for bot --key SHORT --expires 55m").ok();
    rack.sh("keyrack unlock --for bot --duration 9h").ok();
    let status = rack.sh("keyrack status --for bot --json").ok().json();
    let grants = status["owners"][0]["grants"].as_array().expect("grants").clone();
    let left = |slug: &str| {
        let grant = grants.iter().find(|grant| grant["slug"] == slug);
        let grant = grant.unwrap_or_else(|| panic!("{slug} in {status}"));
        grant["expiresInMs"].as_u64().unwrap_or_else(|| panic!("{grant}")) / 1000
    };
    assert!(left("@all.all.SHORT") <= 55 * 60);
    assert!(left("@all.all.TOKEN") > 8 * 3600);
}

#[test]
fn env_all_unlocked_sudo() {
    let rack = rack(&["bot"]);
    rack.sh("printf root | keyrack set --for bot --key ROOT --env sudo").ok();
    for unlock in ["--env all", "", "--env dev", "--key TOKEN"] {
        rack.sh(&format!("keyrack unlock --for bot {unlock}")).ok();
        rack.sh("keyrack get --for bot --key ROOT --env sudo").code(3).bytes(b"");
    }
    rack.sh("keyrack unlock --for bot --env sudo").code(2).bytes(b"");
    rack.sh("keyrack get --for bot --key ROOT --env sudo").code(3).bytes(b"");
}

#[test]
fn an_org_name_accepted_on_write_made_the_manifest_unreadable() {
    let rack = rack(&["bot"]);
    for org in
        ["a.b", "a b", "../x", "@al", "", "a\u{e9}", "-a", "a/b", "@all.x", "{}", "a:b", "&a"]
    {
        rack.write("work/org", org);
        rack.sh("printf x | keyrack set --for bot --key K --org \"$(cat org)\"").code(2);
        rack.sh("printf x | keyrack set --for bot --key \"$(cat org).all.K\"").code(2);
    }
    for org in ["null", "true", "123", "0x1", "no", "1e5", "A-_9", "@all"] {
        rack.sh(&format!("printf {org} | keyrack set --for bot --key K --org {org}")).ok();
    }
    rack.sh("keyrack unlock --for bot").ok();
    for org in ["null", "true", "123", "0x1", "no", "1e5", "A-_9", "@all"] {
        let get = rack.sh(&format!("keyrack get --for bot --key {org}.all.K"));
        get.ok().bytes(org.as_bytes());
    }
}

#[test]
fn a_truncated_manifest_had_no_repair() {
    let rack = rack(&["bot"]);
    rack.sh("printf x | keyrack set --for bot --key SECOND").ok();
    let file = rack.manifest("bot");
    let whole = fs::read(&file).expect("a manifest");
    for length in [0, 10, 200, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).expect("our sandbox");
        rack.sh("keyrack list --for bot").code(12).bytes(b"");
        rack.sh("keyrack doctor --fix --yes --for bot").ok();
        rack.sh("keyrack get --unlock --for bot --key TOKEN").ok().bytes(b"bot");
        fs::write(&file, &whole).expect("our sandbox");
    }
}

#[test]
fn six_parallel_unlocks_left_several_daemons_and_an_orphan() {
    let rack = rack(&["bot"]);
    rack.parallel(6, "keyrack unlock --for bot").ok();
    assert_eq!(rack.daemons().len(), 1);
    rack.sh("keyrack relock --for bot").ok();
    rack.no_daemon();
    rack.sh("keyrack get --for bot --key TOKEN").code(3).bytes(b"");
}

#[test]
fn a_fake_socket_was_given_the_plaintext() {
    for answer in [None, Some(b"\0\0\0\x02{}".to_vec()), Some(vec![0xff; 64])] {
        let rack = rack(&["bot"]);
        let fake = FakeDaemon::saying(&rack.socket("bot"), answer);
        rack.sh("keyrack unlock --for bot").code(7).bytes(b"");
        rack.sh("printf canary-2 | keyrack set --for bot --key TOKEN");
        rack.sh("keyrack get --for bot --key TOKEN").code(7).bytes(b"");
        let heard = String::from_utf8_lossy(&fake.heard()).into_owned();
        assert!(!heard.is_empty(), "nobody called");
        for secret in ["canary-2", "value", "TOKEN"] {
            assert!(!heard.contains(secret), "{secret} was said to a fake daemon");
        }
    }
}

#[test]
fn prune_killed_an_unrelated_process_by_a_stale_pid() {
    let rack = rack(&["bot"]);
    rack.sh("keyrack unlock --for bot").ok();
    let daemon = rack.daemons()[0];
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), nix::sys::signal::Signal::SIGKILL)
        .expect("our daemon");
    rack.no_daemon();
    assert!(rack.socket("bot").exists(), "a killed daemon leaves its socket");
    let all = "before=$(ls -d /proc/[0-9]* | wc -l); sleep 30 & \
               keyrack daemon prune; keyrack daemon stop --all; \
               kill -0 $! && kill $!";
    rack.sh(all).ok();
    assert!(!rack.socket("bot").exists(), "prune removes a dead socket");
    // Nothing on disk names a pid that could go stale.
    let named = format!(
        "grep -rlw -- {daemon} ~/.local/share/keyrack ~/.local/state/keyrack $KEYRACK_SOCKET_DIR"
    );
    let found = rack.sh(&named);
    let files: Vec<String> =
        found.text().lines().filter(|f| !f.contains("/audit/")).map(str::to_owned).collect();
    assert_eq!(files, [] as [String; 0]);
}

#[test]
fn values_above_64_kib_were_silently_corrupted() {
    let rack = rack(&["bot"]);
    for size in [65_519, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let value: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let set = rack.script("keyrack set --for bot --key BIG");
        set.stdin(value.clone()).run().ok();
        rack.sh("keyrack get --unlock --for bot --key BIG").ok().bytes(&value);
    }
}

#[test]
fn an_owner_called_evil_three_directories_up() {
    let rack = rack(&["bot"]);
    for command in
        ["init", "unlock", "list", "destroy --yes", "doctor", "status", "relock", "get --key K"]
    {
        rack.sh(&format!("keyrack {command} --for ../../../evil")).code(2).bytes(b"");
        rack.sh(&format!("KEYRACK_FOR=../../../evil keyrack {command}")).code(2).bytes(b"");
    }
    assert_eq!(
        rack.sh("find / -xdev -name '*evil*' -newer ~/.ssh -path '*keyrack*' 2>/dev/null").text(),
        ""
    );
}

#[test]
fn files_lay_about_at_0644() {
    let rack = rack(&["bot", "human"]);
    rack.key("kept");
    let everything = "umask 000; keyrack init --for loose; keyrack init --for aged --via age; \
        keyrack init --for drop --pubkey ~/.ssh/id_ed25519_bot.pub; \
        printf x | keyrack set --for drop --key K --identity /nowhere; \
        keyrack init --for kept --pubkey ~/.ssh/id_ed25519_kept.pub; \
        printf x | keyrack set --for loose --key K; \
        printf y | keyrack set --for loose --key K; \
        keyrack unlock --for loose; keyrack get --for loose --key K; \
        keyrack recipient add --for loose ~/.ssh/id_ed25519_bot.pub";
    rack.sh(everything);
    let open = "find ~/.local/share/keyrack ~/.local/state/keyrack ~/.ssh/id_ed25519_loose \
                $KEYRACK_SOCKET_DIR -perm /077 ! -name '*.pub'";
    assert_eq!(rack.sh(open).text(), "");
    assert!(rack.socket("loose").exists());
}

#[test]
fn one_bad_entry_aborted_the_batch() {
    let rack = rack(&["bot"]);
    rack.sh("printf x | keyrack set --for bot --key SECOND").ok();
    rack.sh("keyrack set --for bot --key REMOTE --vault openbao --exid kv/x").ok();
    let unlock = rack.sh("keyrack unlock --for bot");
    unlock.code(10);
    assert!(unlock.errors().contains("openbao"), "{unlock}");
    rack.sh("keyrack get --for bot --key TOKEN").ok().bytes(b"bot");
    rack.sh("keyrack get --for bot --key SECOND").ok().bytes(b"x");
    // A record damaged on disk.
    let damage = "f=$(grep -rl . ~/.local/share/keyrack/vaults --include='*.cred' | head -1); \
                  printf garbage > \"$f\"; keyrack relock --for bot; keyrack unlock --for bot";
    rack.sh(damage).code(10);
}

#[test]
fn four_copies_of_the_secret_stayed_in_memory_after_relock() {
    need!(root);
    let rack = rack(&["bot"]);
    let canary = "canary-7f3a-in-the-daemons-memory";
    rack.sh(&format!("printf {canary} | keyrack set --for bot --key FORGOTTEN")).ok();
    rack.sh("keyrack unlock --for bot; keyrack get --for bot --key FORGOTTEN >/dev/null").ok();
    rack.sh("keyrack relock --for bot --key FORGOTTEN").ok();
    let daemon = rack.daemons()[0];
    rack.write("work/scan.py", include_str!("../support/scan.py"));
    // That the scan finds what is there: the owner's name is no secret and stays.
    rack.sh(&format!("python3 scan.py {daemon} bot")).ok();
    rack.sh(&format!("python3 scan.py {daemon} {canary}")).code(1).stdout("0\n");
    rack.sh("keyrack relock --for bot").ok();
    rack.no_daemon();
}

#[test]
fn a_missing_runtime_directory_was_five_seconds_and_a_crash() {
    let rack = rack(&["bot"]);
    for runtime in ["", "/run/user/4242", "/nowhere/at/all", "relative"] {
        let with = format!(
            "export XDG_RUNTIME_DIR='{runtime}'; keyrack unlock --for bot && keyrack get --for bot --key TOKEN; keyrack relock --for bot"
        );
        rack.sh(&with).ok().stdout("bot");
    }
}
