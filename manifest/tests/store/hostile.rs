//! Bytes from whoever can write the manifest's file: damaged, or sealed to the owner by
//! somebody who knows the public key. Every one is refused in its own words.

use crate::home::{Home, now};
use keyrack_manifest::{Manifest, Namespace, StoreError, Tampered, TextError, seal};
use proptest::prelude::*;

/// The decrypted manifest of `home`.
fn text(home: &Home) -> String {
    let plain = seal::open(&home.identity, &home.sealed(), 1 << 20).unwrap();
    String::from_utf8(plain.expose().to_vec()).unwrap()
}

/// Puts a text in the place of the manifest, sealed to the same key.
fn seal_in(home: &Home, text: &[u8]) {
    home.put_back(&seal::seal(std::slice::from_ref(&home.recipient), text).unwrap());
}

/// What stands before the signature, changed, and signed by the key it holds.
fn signed(manifest: &Manifest, body: &str) -> String {
    let signature = manifest.signing.key.sign(Namespace::Manifest, body.as_bytes());
    format!("{body}signature: {signature}\n")
}

fn body(text: &str) -> &str {
    &text[..text.rfind("signature: ").unwrap()]
}

#[test]
fn every_changed_byte_of_the_file_is_refused() {
    let home = Home::new();
    home.set("A");
    let good = home.sealed();
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            home.put_back(&bad);
            let refused = home.open().unwrap_err();
            assert!(
                matches!(refused, StoreError::Tampered { .. } | StoreError::WrongKey { .. }),
                "byte {at}: {refused}"
            );
        }
    }
}

#[test]
fn every_length_of_the_file_is_refused() {
    let home = Home::new();
    let good = home.sealed();
    for length in 0..good.len() {
        home.put_back(&good[..length]);
        let refused = home.open().unwrap_err();
        assert!(
            matches!(
                refused,
                StoreError::Tampered {
                    kind: Tampered::Truncated | Tampered::Damaged | Tampered::NotAge,
                    ..
                }
            ),
            "{length} bytes: {refused}"
        );
    }
}

#[test]
fn every_changed_byte_of_the_text_is_refused() {
    let home = Home::new();
    home.set("A");
    let good = text(&home).into_bytes();
    for at in 0..good.len() {
        for bit in [0x01, 0x20] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            seal_in(&home, &bad);
            let refused = home.open().unwrap_err();
            assert!(
                matches!(refused, StoreError::Tampered { .. } | StoreError::Newer { .. }),
                "byte {at}: {refused}"
            );
        }
    }
}

#[test]
fn texts_that_are_no_manifest_are_told_apart() {
    let home = Home::new();
    let good = text(&home);
    let body = body(&good);
    let manifest = home.open().unwrap();
    let twice = body.replace("counter: 1\n", "counter: 1\ncounter: 1\n");
    let unknown = body.replace("counter: 1\n", "counter: 1\nnew: 1\n");
    let last = body.replace("counter: 1\n", "counter: 9007199254740992\n");
    let zero = body.replace("counter: 1\n", "counter: 0\n");
    let bomb = body.replace("keys: {}\n", "keys: {a: &a [x, x], b: *a}\n");
    let deep = body.replace("keys: {}\n", &format!("keys: {}1{}\n", "[".repeat(9), "]".repeat(9)));
    let slug = body.replace("name: bot", "name: ../../evil");
    for (bad, words) in [
        (String::new(), "its first line is not a version"),
        ("version: 0\n".to_owned(), "its first line is not a version"),
        (format!("{}\n", "x".repeat(1 << 20)), "its first line is not a version"),
        ("version: 1\n".to_owned(), "its last line is not a signature"),
        (body.to_owned(), "its last line is not a signature"),
        (good.replace("version: 1\n", "version: 2\n"), "has version 2"),
        (signed(&manifest, &twice), "it does not read as a manifest"),
        (signed(&manifest, &unknown), "it does not read as a manifest"),
        (signed(&manifest, &last), "it contradicts itself: its counter"),
        (signed(&manifest, &zero), "it contradicts itself: its counter"),
        (signed(&manifest, &bomb), "a flow collection"),
        (signed(&manifest, &deep), "a flow collection"),
        (signed(&manifest, &slug), "it does not read as a manifest"),
        (signed(&manifest, &body.replace('\n', "\r\n")), "a control character"),
    ] {
        seal_in(&home, bad.as_bytes());
        let refused = home.open().unwrap_err().to_string();
        let start: String = bad.chars().take(40).collect();
        assert!(refused.contains(words), "{start:?}: {refused}");
    }
    seal_in(&home, b"version: 1\n\xff\n");
    assert!(home.open().unwrap_err().to_string().contains("it is not UTF-8"));
    seal_in(&home, signed(&manifest, body).as_bytes());
    home.open().unwrap();
}

#[test]
fn a_text_that_is_too_large_is_not_read_to_its_end() {
    let home = Home::new();
    seal_in(&home, &vec![b'x'; (16 << 20) + 1]);
    let refused = home.open().unwrap_err();
    let StoreError::Tampered { kind: Tampered::Garbage(TextError::Shape(what)), .. } = refused
    else {
        panic!("{refused}");
    };
    assert_eq!(what, "it is larger than 16 MiB");
}

#[test]
fn no_error_shows_what_stands_in_a_manifest() {
    let home = Home::new();
    let secret = "hunter2hunter2";
    let good = text(&home);
    for line in good.lines() {
        let Some((key, _)) = line.split_once(": ") else { continue };
        let bad = good.replace(line, &format!("{key}: {secret}"));
        seal_in(&home, bad.as_bytes());
        // Names are shown: an owner called so is no secret.
        if let Err(refused) = home.open()
            && !line.trim_start().starts_with("name:")
        {
            assert!(!format!("{refused} {refused:?}").contains(secret), "{line}: {refused:?}");
        }
    }
}

#[test]
fn a_fifo_or_a_directory_in_its_place_holds_nobody_up() {
    let home = Home::new();
    let path = home.places.manifest(&home.owner);
    std::fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(home.open().unwrap_err(), StoreError::File(_)));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(home.open().unwrap_err(), StoreError::File(_)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]
    /// What is taken at the door is read again, whatever characters it holds.
    #[test]
    fn what_can_be_written_can_be_read(exid in "\\PC{1,40}|[-?:,#&*!|>'\"%@` a{}\\[\\].]{1,6}", comment in "\\PC{0,40}|.{0,40}|[-?:,#&*!|>'\"%@` a{}\\[\\].]{1,6}") {
        let home = Home::new();
        let entry = keyrack_manifest::Entry {
            exid: exid.parse().ok(),
            ..keyrack_manifest::Entry::new(
                "@all.all.A".parse().unwrap(),
                "1password".parse().unwrap(),
                now(),
            )
        };
        let backup = format!("{} {}", ED25519, comment.replace(['\n', '\r'], " "));
        let backup: keyrack_manifest::Recipient = backup.parse().unwrap();
        home.update(|manifest| {
            manifest.keys.insert(entry.slug.clone(), entry.clone());
            manifest.add_backup("safe".parse().unwrap(), backup.clone(), now()).unwrap();
        }).unwrap();
        let manifest = home.open().unwrap();
        prop_assert_eq!(&manifest.keys[&entry.slug], &entry);
        prop_assert_eq!(manifest.recipients[0].recipient.as_str(), backup.as_str());
    }
}

const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILGu2F+Yz2ySfmzojixeipuBOBvTnSTt19Zis4YdjKKj";
