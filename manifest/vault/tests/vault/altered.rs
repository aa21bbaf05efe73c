//! Files that were changed, moved, replaced or taken away by somebody who can write the
//! vault's directory. Each is refused in its own words; none is a panic.

use std::fs;

use keyrack_manifest::{Class, RecordRef};
use keyrack_vault::VaultError;

use crate::owner::{Owner, files, slug};

#[test]
fn every_changed_byte_of_a_record_is_refused() {
    let owner = Owner::new();
    let record = owner.put("A", "value", None);
    let path = owner.path(&record.id, record.version);
    let good = fs::read(&path).unwrap();
    // What a restored manifest falls back to has no digest to hold it against.
    let older = RecordRef { version: 0, ..record };
    assert_eq!(owner.get("A", &older).unwrap(), "value");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        let refused = owner.get("A", &record).unwrap_err();
        assert!(matches!(refused, VaultError::Altered { .. }), "byte {at}: {refused}");
        let refused = owner.get("A", &older).unwrap_err();
        assert!(matches!(refused, VaultError::Signed { .. }), "byte {at}: {refused}");
        assert!(!format!("{refused:?}").contains("value"));
    }
}

#[test]
fn every_changed_byte_of_any_other_file_is_refused_or_cosmetic() {
    let owner = Owner::new();
    let cosmetic = ["KEYRACK-VAULT", ".gitattributes"];
    owner.vault().check().unwrap();
    for path in owner.files() {
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let checked = owner.vault().check();
            let is_cosmetic = cosmetic.iter().any(|name| path.ends_with(name));
            match checked {
                Ok(()) => assert!(is_cosmetic, "{}, byte {at}", path.display()),
                Err(refused) => assert!(refused.is_tampering(), "{refused}"),
            }
        }
        fs::write(&path, &good).unwrap();
    }
    assert_eq!(owner.files().len(), 6);
}

#[test]
fn every_length_of_a_record_is_refused() {
    let owner = Owner::new();
    let record = owner.put("A", "value", None);
    let path = owner.path(&record.id, record.version);
    let good = fs::read(&path).unwrap();
    let older = RecordRef { version: 0, ..record };
    for length in 0..good.len() {
        fs::write(&path, &good[..length]).unwrap();
        assert!(matches!(owner.get("A", &record), Err(VaultError::Altered { .. })), "{length}");
        assert!(matches!(owner.get("A", &older), Err(VaultError::Signed { .. })), "{length}");
    }
    let crlf = String::from_utf8(good).unwrap().replace('\n', "\r\n");
    fs::write(&path, crlf).unwrap();
    assert!(matches!(owner.get("A", &older), Err(VaultError::Signed { .. })));
}

#[test]
fn a_record_belongs_to_its_name_credential_and_version() {
    let owner = Owner::new();
    let (a, b) = (owner.put("A", "a", None), owner.put("B", "b", None));
    let bytes = fs::read(owner.path(&a.id, 1)).unwrap();

    // Under another credential's name in the directory.
    fs::write(owner.path(&b.id, 1), &bytes).unwrap();
    assert!(matches!(owner.get("B", &b), Err(VaultError::Altered { .. })));
    let older = |record: RecordRef| RecordRef { version: 0, ..record };
    let moved = |result| match result {
        Err(VaultError::Moved { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(moved(owner.get("B", &older(b))), "credential");
    // Asked for by another name.
    assert_eq!(moved(owner.get("B", &a)), "name");
    // As a later version of itself.
    fs::rename(owner.path(&a.id, 1), owner.path(&a.id, 2)).unwrap();
    assert_eq!(moved(owner.get("A", &a)), "version");
}

#[test]
fn a_record_belongs_to_its_vault_epoch_and_owner() {
    let (mut owner, other) = (Owner::new(), Owner::new());
    let mine = owner.put("A", "mine", None);
    let theirs = other.put("A", "theirs", None);
    let older = RecordRef { version: 0, ..mine };
    let bytes = fs::read(other.path(&theirs.id, 1)).unwrap();
    fs::write(owner.path(&mine.id, 1), &bytes).unwrap();
    assert!(matches!(owner.get("A", &older), Err(VaultError::Signed { .. })), "another's hand");

    // The same hand, in another vault.
    let mut twin = Owner::new();
    twin.key = owner.key.clone();
    let theirs = twin.put("A", "twin's", None);
    fs::write(owner.path(&theirs.id, 1), fs::read(twin.path(&theirs.id, 1)).unwrap()).unwrap();
    let named = RecordRef { version: 0, ..theirs };
    let refused = owner.get("A", &named).unwrap_err();
    assert!(matches!(refused, VaultError::Moved { what: "vault", .. }), "{refused}");

    // From before a rotation.
    let again = owner.put("B", "old", None);
    let old = fs::read(owner.path(&again.id, 1)).unwrap();
    let moved = owner.renew(&[(slug("B"), again)]);
    fs::remove_file(owner.path(&again.id, 2)).unwrap();
    fs::write(owner.path(&again.id, 2), &old).unwrap();
    assert!(matches!(owner.get("B", &moved[0].1), Err(VaultError::Altered { .. })));
    let named = RecordRef { version: 0, ..moved[0].1 };
    let refused = owner.get("B", &named).unwrap_err();
    assert!(matches!(refused, VaultError::Moved { what: "vault", .. }), "{refused}");
}

#[test]
fn an_older_version_is_told() {
    let owner = Owner::new();
    let first = owner.put("A", "old", None);
    let second = owner.put("A", "new", Some(&first));
    let old = fs::read(owner.path(&first.id, 1)).unwrap();
    fs::write(owner.path(&first.id, 2), &old).unwrap();
    assert!(matches!(owner.get("A", &second), Err(VaultError::Altered { .. })));
    fs::remove_file(owner.path(&first.id, 2)).unwrap();
    let refused = owner.get("A", &second).unwrap_err();
    assert!(matches!(refused, VaultError::RolledBack { expected: 2, found: 1, .. }), "{refused}");
    fs::remove_file(owner.path(&first.id, 1)).unwrap();
    assert!(matches!(owner.get("A", &second), Err(VaultError::Missing { .. })));
}

/// Two records of one version: a writer was killed, and what it wrote was replaced.
#[test]
fn another_record_of_the_same_version_is_told() {
    let owner = Owner::new();
    let first = owner.put("A", "first", None);
    let killed = owner.put("A", "killed", Some(&first));
    let kept = fs::read(owner.path(&first.id, 2)).unwrap();
    let second = owner.put("A", "second", Some(&first));
    assert_eq!(killed.version, second.version);
    assert_eq!(owner.get("A", &second).unwrap(), "second");
    fs::write(owner.path(&first.id, 2), kept).unwrap();
    assert!(matches!(owner.get("A", &second), Err(VaultError::Altered { .. })));
}

#[test]
fn what_is_no_file_of_ours_is_refused() {
    let owner = Owner::new();
    let record = owner.put("A", "value", None);
    let path = owner.path(&record.id, 1);
    let elsewhere = owner.dir.join("elsewhere");
    let refused = || {
        let refused = owner.get("A", &record).unwrap_err();
        assert!(refused.is_tampering(), "{refused}");
        refused.to_string()
    };
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert!(refused().ends_with("not a regular file"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(refused().ends_with("not a regular file"));
    fs::remove_dir(&path).unwrap();
    fs::write(&path, vec![b'x'; (2 << 20) + 1]).unwrap();
    assert!(refused().ends_with("larger than 2097152 bytes"));
}

/// Names in the directory that somebody made up.
#[test]
fn hostile_names_in_the_directory_are_passed_over() {
    let owner = Owner::new();
    let record = owner.put("A", "value", None);
    let creds = owner.records();
    let id = record.id;
    for name in [
        format!("{id}.18446744073709551615.cred"),
        format!("{id}.99999999999999999999999.cred"),
        format!("{id}.-1.cred"),
        format!("{id}.02.cred"),
        format!("..{id}.2.cred"),
        "\u{202e}.cred".to_owned(),
    ] {
        fs::write(creds.join(name), "x").unwrap();
    }
    assert_eq!(owner.get("A", &record).unwrap(), "value");
    let next = owner.put("A", "next", Some(&record));
    assert_eq!(next.version, 2);
    assert_eq!(owner.get("A", &next).unwrap(), "next");
    owner.vault().sweep([next], std::time::SystemTime::now()).unwrap();
    owner.vault().tidy().unwrap();
}

#[test]
fn keys_that_are_not_those_committed_to_open_nothing() {
    let owner = Owner::new();
    let other = Owner::new();
    let carried =
        keyrack_manifest::VaultRef { keys: other.carried.keys.clone(), ..owner.carried.clone() };
    let opened = keyrack_vault::personal::Personal::open(
        &owner.dir,
        &owner.id,
        &carried,
        owner.key.public(),
        owner.member,
    );
    assert!(matches!(opened, Err(VaultError::OtherKeys)));
}

#[test]
fn a_password_is_in_a_compartment_of_its_own() {
    let owner = Owner::new();
    let record = owner.put_as(Class::Password, "P", b"pass", None).unwrap();
    assert_eq!(owner.get("P", &record).unwrap(), "pass");
    let line = fs::read_to_string(owner.path(&record.id, 1)).unwrap();
    assert!(line.contains("\"compartment\":\"password\""), "{line}");
}

#[test]
fn a_value_is_a_mebibyte_at_most() {
    let owner = Owner::new();
    let put = |length: usize| owner.put_as(Class::LongLivedToken, "A", &vec![0xff; length], None);
    for length in [0, 1, 1 << 20] {
        let record = put(length).unwrap();
        assert_eq!(owner.vault().get(&record, &slug("A")).unwrap().len(), length);
    }
    let before = files(&owner.dir).len();
    let refused = put((1 << 20) + 1).unwrap_err();
    assert!(matches!(refused, VaultError::TooLong { length: 1_048_577, limit: 1_048_576 }));
    assert_eq!(files(&owner.dir).len(), before);
}
