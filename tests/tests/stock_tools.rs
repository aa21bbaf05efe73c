//! The way out: what keyrack writes, stock tools read. Debian's age, rage and OpenSSH.

use keyrack_tests::rack::KeyType;
use keyrack_tests::{Rack, need};

/// One owner per kind of key, each with one value; and a stranger's key.
fn rack() -> Rack {
    let rack = Rack::new();
    rack.make_key("id_ed25519_plain", KeyType::Ed25519, "");
    rack.make_key("id_ed25519_locked", KeyType::Ed25519, "open sesame");
    rack.make_key("rsa-plain", KeyType::Rsa, "");
    rack.make_key("rsa-locked", KeyType::Rsa, "open sesame");
    rack.make_key("stranger", KeyType::Ed25519, "");
    for owner in OWNERS {
        let init = format!("keyrack init --for {} --pubkey {}", owner.name, owner.key);
        rack.sh(&init).ok();
        let set = format!(
            "printf value | KEYRACK_PASSPHRASE_FD=3 keyrack set --for {} --key TOKEN \
             --identity {} 3<<<'open sesame'",
            owner.name, owner.key
        );
        rack.sh(&set).ok();
    }
    rack
}

struct Owner {
    name: &'static str,
    key: &'static str,
    locked: bool,
}

const OWNERS: [Owner; 4] = [
    Owner { name: "plain", key: "~/.ssh/id_ed25519_plain", locked: false },
    Owner { name: "locked", key: "~/.ssh/id_ed25519_locked", locked: true },
    Owner { name: "rsa-plain", key: "~/.ssh/rsa-plain", locked: false },
    Owner { name: "rsa-locked", key: "~/.ssh/rsa-locked", locked: true },
];

fn opens_every_manifest(tool: &str) {
    let rack = rack();
    for owner in OWNERS {
        let file = rack.manifest(owner.name);
        let command = format!("{tool} -d -i {} {} > manifest.yml", owner.key, file.display());
        if owner.locked {
            let mut terminal = rack.terminal(&command);
            terminal.expect("passphrase").type_line("open sesame");
            let (code, screen) = terminal.finish();
            assert_eq!(code, 0, "{tool} {}: {screen}", owner.name);
        } else {
            rack.sh(&command).ok();
        }
        let keys = "grep -A 1 '^owner:' manifest.yml; grep 'slug:' manifest.yml";
        let shown = rack.sh(keys).text();
        assert!(shown.contains(&format!("name: {}", owner.name)), "{tool}: {shown}");
        assert!(shown.contains("slug: '@all.all.TOKEN'"), "{tool}: {shown}");
        let stranger = format!("{tool} -d -i ~/.ssh/stranger {}", file.display());
        rack.sh(&stranger).code(1).bytes(b"");
    }
}

#[test]
fn every_kind_of_key_unlocks() {
    let rack = rack();
    for owner in OWNERS {
        let unlock = format!(
            "KEYRACK_PASSPHRASE_FD=3 keyrack unlock --for {} --identity {} 3<<<'open sesame'; \
             keyrack get --for {} --key TOKEN",
            owner.name, owner.key, owner.name
        );
        rack.sh(&unlock).ok().bytes(b"value");
    }
}

#[test]
fn age_prints_every_manifest() {
    need!("age");
    opens_every_manifest("age");
}

#[test]
fn rage_prints_every_manifest() {
    need!("rage");
    // Else it looks for a program that draws a window.
    opens_every_manifest("PINENTRY_PROGRAM= rage");
}

#[test]
fn ssh_keygen_verifies_what_is_signed() {
    let rack = rack();
    rack.write("work/verify.py", VERIFY);
    let file = rack.manifest("plain");
    let manifest = format!("age -d -i ~/.ssh/id_ed25519_plain {} > manifest.yml", file.display());
    rack.sh(&manifest).ok();
    let vault = rack.data().join("vaults/@plain");
    let verified = rack.sh(&format!("python3 verify.py manifest.yml {}", vault.display()));
    verified.ok().stdout("manifest\nrecords: 1\nchanged: refused\n");
}

/// Checks signatures from FORMATS.md alone: the manifest's own, and each record's.
const VERIFY: &str = include_str!("../support/verify.py");

#[test]
fn values_are_read_from_the_description_alone() {
    let rack = rack();
    rack.write("work/read.py", READ);
    rack.write("work/unseal.py", UNSEAL);
    let secret = "printf 'n\u{e4}me' | keyrack set --for plain --key LOGIN --class password";
    rack.sh(secret).ok();
    let file = rack.manifest("plain");
    let manifest = format!("age -d -i ~/.ssh/id_ed25519_plain {} > manifest.yml", file.display());
    rack.sh(&manifest).ok();
    let vault = rack.data().join("vaults/@plain");
    for (slug, value) in [("@all.all.TOKEN", "value"), ("@all.all.LOGIN", "n\u{e4}me")] {
        let read = format!("python3 read.py manifest.yml {} {slug}", vault.display());
        rack.sh(&read).ok().stdout(value);
    }
}

/// Opens records with nothing but Python's own library and FORMATS.md.
const READ: &str = include_str!("../support/read.py");
const UNSEAL: &str = include_str!("../support/unseal.py");
