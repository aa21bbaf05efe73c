//! What writers leave that were killed, and what becomes of it.

use std::fs;
use std::time::{Duration, SystemTime};

use keyrack_manifest::generate;
use keyrack_vault::{GRACE, VaultError};

use crate::owner::{Owner, now, slug};

#[test]
fn a_writer_killed_before_the_manifest_changed_nothing() {
    let owner = Owner::new();
    let first = owner.put("A", "old", None);
    owner.put("A", "killed", Some(&first));
    assert_eq!(owner.get("A", &first).unwrap(), "old");
    let second = owner.put("A", "new", Some(&first));
    assert_eq!(owner.get("A", &second).unwrap(), "new");
}

#[test]
fn a_restored_manifest_finds_what_was_written_since() {
    let owner = Owner::new();
    let first = owner.put("A", "old", None);
    let second = owner.put("A", "new", Some(&first));
    owner.vault().discard([first]).unwrap();
    assert_eq!(owner.get("A", &first).unwrap(), "new");
    assert_eq!(owner.get("A", &second).unwrap(), "new");
    assert!(matches!(
        {
            owner.vault().discard([second]).unwrap();
            owner.get("A", &first)
        },
        Err(VaultError::Missing { .. })
    ));
}

#[test]
fn a_failed_renewal_leaves_nothing_and_the_old_vault_whole() {
    let owner = Owner::new();
    let (a, b) = (owner.put("A", "a", None), owner.put("B", "b", None));
    fs::write(owner.path(&b.id, 1), "damaged").unwrap();
    let before = owner.files();
    owner.try_renew(&[(slug("A"), a), (slug("B"), b)]).unwrap_err();
    assert_eq!(owner.files(), before);
    assert_eq!(owner.get("A", &a).unwrap(), "a");
}

#[test]
fn a_renewal_touches_nothing_old_and_leaves_none_of_it() {
    let mut owner = Owner::new();
    let record = owner.put("A", "a", None);
    let (old_id, old) = (owner.id, owner.carried.clone());
    let before: Vec<_> =
        owner.files().iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    let moved = owner.renew(&[(slug("A"), record)]);
    for (path, bytes) in &before {
        let is_cosmetic = path.ends_with("KEYRACK-VAULT");
        assert!(is_cosmetic || fs::read(path).unwrap() == *bytes, "{}", path.display());
    }
    // Whichever of the two a manifest names.
    let old_vault = owner.vault_with(&old_id, &old);
    assert_eq!(old_vault.get(&record, &slug("A")).unwrap().expose(), b"a");
    old_vault.check().unwrap();
    owner.vault().check().unwrap();
    assert_eq!(owner.get("A", &moved[0].1).unwrap(), "a");
    assert_ne!(old.keys, owner.carried.keys);
    assert_eq!(moved[0].1.version, record.version + 1);

    owner.vault().discard([record]).unwrap();
    owner.vault().tidy().unwrap();
    owner.vault().check().unwrap();
    for (path, bytes) in before.iter().filter(|(path, _)| !path.ends_with(".gitattributes")) {
        assert!(fs::read(path).ok().as_ref() != Some(bytes), "{}", path.display());
    }
    // The second time, with nothing waiting.
    owner.vault().tidy().unwrap();
    assert_eq!(owner.get("A", &moved[0].1).unwrap(), "a");
    assert!(!owner.files().iter().any(|path| path.starts_with(owner.dir.join("next"))));
}

#[test]
fn only_the_wrap_that_is_named_stays() {
    let mut owner = Owner::new();
    let (_, more) = generate::age_text().unwrap();
    let first = owner.carried.clone();
    let card = owner.card(&[owner.recipient.clone(), more]);
    let carried = owner.vault().rewrap(&card, &owner.key, now()).unwrap();
    // Not committed yet: the old manifest still names the old wrap.
    owner.vault().check().unwrap();
    owner.carried = carried;
    owner.vault().check().unwrap();
    owner.vault().tidy().unwrap();
    assert_eq!(fs::read_dir(owner.epoch().join("keys")).unwrap().count(), 1);
    // A restored manifest names a wrap that is gone: the one that is there is not removed.
    owner.carried = first;
    owner.vault().tidy().unwrap();
    assert_eq!(fs::read_dir(owner.epoch().join("keys")).unwrap().count(), 1);
    assert!(matches!(owner.vault().check(), Err(VaultError::Missing { .. })));
}

#[test]
fn debris_is_swept_once_it_is_old() {
    let owner = Owner::new();
    let named = owner.put("A", "a", None);
    let later = owner.put("A", "killed", Some(&named));
    let orphan = owner.put("B", "killed", None);
    let older = owner.put("C", "older", None);
    let newer = owner.put("C", "newer", Some(&older));
    let half = owner.dir.join("epochs/0000000007-0011223344556677/creds");
    fs::create_dir_all(&half).unwrap();
    let temp = owner.records().join(".~new.tmp");
    fs::write(&temp, "half").unwrap();

    let now = SystemTime::now();
    assert_eq!(
        owner.vault().sweep([named, newer], now).unwrap(),
        0,
        "another device's, for all we know"
    );
    let swept = owner.vault().sweep([named, newer], now + GRACE + Duration::from_secs(60)).unwrap();
    assert_eq!(swept, 4);
    assert!(!owner.path(&older.id, 1).exists() && owner.path(&newer.id, 2).exists());
    assert!(!owner.path(&orphan.id, 1).exists() && !half.exists() && !temp.exists());
    // A restored manifest may need it.
    assert!(owner.path(&later.id, 2).exists());
    assert_eq!(owner.get("A", &named).unwrap(), "a");
}
