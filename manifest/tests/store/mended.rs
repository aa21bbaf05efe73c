//! Backups, conflicts and ends: what is put back, what is refused, what is removed.

use std::fs;

use crate::home::{Home, key, now};
use keyrack_manifest::{Conflict, Created, StoreError, Tampered, UpdateError};

#[test]
fn a_backup_takes_the_place_of_a_damaged_manifest() {
    let home = Home::new();
    home.set("A");
    home.set("B");
    home.put_back(b"age-encryption.org/v1\ngarbage");
    let restored = home.store().restore_backup(&home.owner, &home.identity).unwrap();
    assert_eq!(restored.lost, 1, "the write that was damaged");
    assert_eq!(fs::read(restored.aside.unwrap()).unwrap(), b"age-encryption.org/v1\ngarbage");
    let manifest = home.open().unwrap();
    assert_eq!((manifest.keys.len(), manifest.counter), (1, 4));
}

#[test]
fn a_backup_older_than_the_last_write_is_told() {
    let home = Home::new();
    home.set("A");
    let old = fs::read(home.places.backup(&home.owner)).unwrap();
    (0..3).for_each(|n| home.set(&format!("B{n}")));
    fs::write(home.places.backup(&home.owner), old).unwrap();
    home.put_back(b"");
    let restored = home.store().restore_backup(&home.owner, &home.identity).unwrap();
    assert_eq!(restored.lost, 4);
}

#[test]
fn a_forged_backup_is_not_put_back() {
    let home = Home::new();
    home.set("A");
    let forger = home.forged();
    home.put_back(b"");
    fs::write(home.places.backup(&home.owner), forger.sealed()).unwrap();
    let refused = home.store().restore_backup(&home.owner, &home.identity).unwrap_err();
    assert!(
        matches!(refused, StoreError::Tampered { kind: Tampered::OtherSigner { .. }, .. }),
        "{refused}"
    );
    assert_eq!(home.sealed(), b"");
}

#[test]
fn a_removed_key_does_not_come_back_with_a_backup() {
    let home = Home::new();
    let (_, added) = key();
    let label: keyrack_manifest::Word = "safe".parse().unwrap();
    home.update(|m| m.add_backup(label.clone(), added, now()).unwrap()).unwrap();
    let with = home.sealed();
    home.update(|m| drop(m.remove_backup(&label).unwrap())).unwrap();
    assert!(!home.places.backup(&home.owner).exists(), "the removed key opens it");
    fs::write(home.places.backup(&home.owner), with).unwrap();
    home.put_back(b"");
    home.store().restore_backup(&home.owner, &home.identity).unwrap_err();
}

#[test]
fn a_key_added_since_the_backup_is_no_obstacle() {
    let home = Home::new();
    let (_, added) = key();
    home.update(|m| m.add_backup("safe".parse().unwrap(), added, now()).unwrap()).unwrap();
    home.put_back(b"");
    home.store().restore_backup(&home.owner, &home.identity).unwrap();
    assert!(home.open().unwrap().recipients.is_empty());
}

#[test]
fn a_new_manifest_is_not_made_beside_a_backup() {
    let home = Home::new();
    home.set("A");
    fs::remove_file(home.places.manifest(&home.owner)).unwrap();
    let refused = home.create(&home.owner).unwrap_err();
    let UpdateError::Store(StoreError::Conflict { conflict, .. }) = refused else {
        panic!("{refused}");
    };
    assert_eq!(conflict, Conflict::BackupOnly { path: home.places.backup(&home.owner) });
    let restored = home.store().restore_backup(&home.owner, &home.identity).unwrap();
    assert_eq!(restored.aside, None);
    assert_eq!(home.create(&home.owner).unwrap(), Created::Same);
}

#[test]
fn a_new_manifest_is_not_made_beside_the_vault_of_one_that_is_gone() {
    let home = Home::new();
    let vault = home.places.personal_vault(&home.owner);
    fs::create_dir_all(&vault).unwrap();
    let lose = || {
        fs::remove_file(home.places.manifest(&home.owner)).unwrap();
        let _ = fs::remove_file(home.places.backup(&home.owner));
    };
    // As a maker leaves it that was killed.
    lose();
    assert_eq!(home.create(&home.owner).unwrap(), Created::New);
    home.set("A");
    lose();
    let refused = home.create(&home.owner).unwrap_err();
    let UpdateError::Store(StoreError::Conflict { conflict, .. }) = refused else {
        panic!("{refused}");
    };
    assert_eq!(conflict, Conflict::VaultOnly { path: vault.clone() });
    assert!(vault.exists());
    home.store().destroy(&home.owner).unwrap();
    assert_eq!(home.create(&home.owner).unwrap(), Created::New);
}

#[test]
fn another_key_is_a_conflict_and_writes_nothing() {
    let home = Home::new();
    let (sealed, pin) = (home.sealed(), home.pin());
    let (identity, recipient) = key();
    for identity in [None, Some(&identity)] {
        let new = keyrack_manifest::NewOwner {
            recipient: recipient.clone(),
            identity,
            ..home.new_owner(&home.owner)
        };
        let refused = home.store().create(&new, |_| Ok::<_, String>(())).unwrap_err();
        assert!(matches!(
            refused,
            UpdateError::Store(StoreError::Conflict { conflict: Conflict::OtherRecipient, .. })
        ));
    }
    assert_eq!((home.sealed(), home.pin()), (sealed, pin));
}

#[test]
fn a_refused_change_writes_nothing() {
    let home = Home::new();
    let sealed = home.sealed();
    let refused = home.store().update(&home.owner, &home.identity, now(), |manifest| {
        manifest.keys.clear();
        Err::<(), _>("no")
    });
    assert!(matches!(refused, Err(UpdateError::Refused("no"))));
    assert_eq!(home.sealed(), sealed);
}

#[test]
fn an_owner_that_is_destroyed_leaves_nothing() {
    let home = Home::new();
    home.set("A");
    let removed = home.store().destroy(&home.owner).unwrap();
    assert!(removed.contains(&home.places.manifest(&home.owner)));
    for path in [
        home.places.backup(&home.owner),
        home.places.pin(&home.owner),
        home.places.card(&home.owner),
        home.places.handle_lock(&home.owner),
    ] {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[test]
fn two_owners_never_share_a_handle() {
    let home = Home::new();
    let card = || fs::read(home.places.card(&home.owner)).unwrap();
    let first = card();
    let other: keyrack_names::Owner = "other".parse().unwrap();
    let new = keyrack_manifest::NewOwner { handle: home.owner.clone(), ..home.new_owner(&other) };
    for _ in 0..2 {
        let refused = home.store().create(&new, |_| Ok::<_, String>(())).unwrap_err();
        assert!(matches!(refused, UpdateError::Store(StoreError::HandleTaken { .. })));
    }
    assert_eq!(home.places.owners().unwrap(), std::slice::from_ref(&home.owner));
    home.set("A");
    assert_eq!(card(), first);

    // A home that has one handle twice already: the card stays the first's.
    fs::remove_file(home.places.card(&home.owner)).unwrap();
    home.store().create(&new, |_| Ok::<_, String>(())).unwrap();
    let others = card();
    home.set("B");
    assert_eq!(card(), others);
    assert!(home.store().card(&home.owner).unwrap().is_none());
    assert_eq!(home.store().card(&other).unwrap().unwrap().bytes, others);
    let _ = home.store().destroy(&home.owner).unwrap();
    assert_eq!(card(), others);
}

#[test]
fn a_stale_card_is_issued_again_by_the_next_write() {
    let home = Home::new();
    for hostile in [&b"garbage"[..], b""] {
        fs::write(home.places.card(&home.owner), hostile).unwrap();
        home.set("A");
        let card = fs::read(home.places.card(&home.owner)).unwrap();
        let card = keyrack_manifest::Card::read(&card).unwrap().card;
        assert_eq!(card.sig_key, home.open().unwrap().signing.key.public());
    }
}

#[test]
fn whatever_a_killed_writer_left_is_gone_after_the_next() {
    let home = Home::new();
    let manifest = home.places.manifest(&home.owner);
    let left = [
        manifest.with_file_name(".host.bot.yml.age~new.tmp"),
        manifest.with_file_name(".host.bot.yml.age.bak~new.tmp"),
        home.places.pin(&home.owner).with_file_name(".bot.json~new.tmp"),
        home.places.card(&home.owner).with_file_name(".bot.card~new.tmp"),
    ];
    for path in &left {
        fs::write(path, "half").unwrap();
    }
    home.set("A");
    for path in &left {
        assert!(!path.exists(), "{}", path.display());
    }
}
