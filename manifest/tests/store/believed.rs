//! What is held against the pin: everything that was not last written here is refused in
//! its own words, and nothing that was.

use std::fs;

use crate::home::{Home, key, now};
use keyrack_manifest::{Pin, StoreError, Tampered};

fn tampered<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Tampered {
    match result.unwrap_err() {
        StoreError::Tampered { kind, .. } => kind,
        other => panic!("{other}"),
    }
}

#[test]
fn an_older_copy_is_told() {
    let home = Home::new();
    let old = home.sealed();
    home.set("A");
    home.put_back(&old);
    assert_eq!(tampered(home.open()), Tampered::Rollback { seen: 1, pinned: 2 });
    let accepted = home.store().accept_restored(&home.owner, &home.identity, now()).unwrap();
    assert_eq!(accepted.counter, 3, "counted past everything seen");
    home.open().unwrap();
}

#[test]
fn a_manifest_forged_to_the_public_key_is_told() {
    let home = Home::new();
    let forger = home.forged();
    home.put_back(&forger.sealed());
    assert!(matches!(tampered(home.open()), Tampered::OtherSigner { .. }));
    let update = home.update(|_| ()).unwrap_err();
    assert!(update.to_string().contains("where"), "{update}");
}

#[test]
fn another_owners_manifest_is_told() {
    let home = Home::new();
    let other = "other".parse().unwrap();
    home.create(&other).unwrap();
    home.put_back(&fs::read(home.places.manifest(&other)).unwrap());
    assert_eq!(
        tampered(home.open()),
        Tampered::Swapped { is: other, expected: home.owner.clone() }
    );
}

#[test]
fn recipients_that_came_from_elsewhere_are_told() {
    let home = Home::new();
    let pin = fs::read(home.places.pin(&home.owner)).unwrap();
    let (_, added) = key();
    home.update(|m| m.add_backup("safe".parse().unwrap(), added.clone(), now()).unwrap()).unwrap();
    // As if another device had added it.
    fs::write(home.places.pin(&home.owner), pin).unwrap();
    let kind = Tampered::RecipientsChanged { added: vec![added], removed: Vec::new() };
    assert_eq!(tampered(home.open()), kind);
}

/// What a writer leaves that was killed after the manifest and before the pin.
fn killed_before_the_pin(home: &Home, change: impl FnOnce(&mut keyrack_manifest::Manifest)) {
    let path = home.places.pin(&home.owner);
    let read = || serde_json::from_slice::<serde_json::Value>(&fs::read(&path).unwrap()).unwrap();
    let mut pin = read();
    home.update(change).unwrap();
    pin["next"] = read();
    fs::write(&path, pin.to_string()).unwrap();
}

#[test]
fn a_writer_killed_before_the_pin_is_no_tampering() {
    let home = Home::new();
    let (_, added) = key();
    let label: keyrack_manifest::Word = "safe".parse().unwrap();
    killed_before_the_pin(&home, |m| m.add_backup(label.clone(), added, now()).unwrap());
    home.open().unwrap();
    // The removal replaces the signing key as well.
    killed_before_the_pin(&home, |m| drop(m.remove_backup(&label).unwrap()));
    home.set("A");
    assert_eq!(home.open().unwrap().keys.len(), 1);
    let text = fs::read_to_string(home.places.pin(&home.owner)).unwrap();
    assert!(!text.contains("next"), "the pin is plain again: {text}");
}

#[test]
fn what_the_pin_would_refuse_is_announced_before_it_is_written() {
    let home = Home::new();
    let label: keyrack_manifest::Word = "safe".parse().unwrap();
    home.update(|m| m.add_backup(label.clone(), key().1, now()).unwrap()).unwrap();
    let (path, sealed) = (home.places.manifest(&home.owner), home.sealed());
    home.update(|manifest| {
        manifest.remove_backup(&label).unwrap();
        // A directory in its place: the rename at the end fails.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
    })
    .unwrap_err();
    let pin = fs::read_to_string(home.places.pin(&home.owner)).unwrap();
    let pin: serde_json::Value = serde_json::from_str(&pin).unwrap();
    assert_eq!((&pin["counter"], &pin["next"]["counter"]), (&2.into(), &3.into()));
    assert_ne!(pin["signer"], pin["next"]["signer"]);
    fs::remove_dir(&path).unwrap();
    home.put_back(&sealed);
    home.open().unwrap();
}

#[test]
fn a_writer_killed_before_the_manifest_changed_nothing() {
    let home = Home::new();
    let sealed = home.sealed();
    let (_, added) = key();
    killed_before_the_pin(&home, |m| m.add_backup("safe".parse().unwrap(), added, now()).unwrap());
    home.put_back(&sealed);
    home.open().unwrap();
    home.set("A");
    home.open().unwrap();
}

#[test]
fn a_reader_beside_a_writer_sees_no_tampering() {
    let home = Home::new();
    let label: keyrack_manifest::Word = "safe".parse().unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..40 {
                let (_, added) = key();
                home.update(|m| m.add_backup(label.clone(), added, now()).unwrap()).unwrap();
                home.update(|m| drop(m.remove_backup(&label).unwrap())).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            home.open().unwrap();
        }
    });
}

#[test]
fn parallel_writers_lose_nothing() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for writer in 0..10 {
            let home = &home;
            scope.spawn(move || (0..5).for_each(|n| home.set(&format!("K{writer}_{n}"))));
        }
    });
    let manifest = home.open().unwrap();
    assert_eq!((manifest.keys.len(), manifest.counter), (50, 51));
}

#[test]
fn a_lost_pin_is_first_sight_and_a_damaged_one_is_told() {
    let home = Home::new();
    let open = || home.store().open(&home.owner, &home.identity);
    assert!(!open().unwrap().first_sight);
    fs::remove_dir_all(&home.places.state).unwrap();
    assert!(open().unwrap().first_sight);
    assert!(!open().unwrap().first_sight);
    let pin = home.pin();
    assert_eq!((pin.counter, &pin.recipients[..]), (1, std::slice::from_ref(&home.recipient)));
    for damaged in ["", "{}", "[", "{\"v\":2}"] {
        fs::write(home.places.pin(&home.owner), damaged).unwrap();
        assert_eq!(tampered(open()), Tampered::DamagedPin, "{damaged:?}");
    }
    home.store().accept_restored(&home.owner, &home.identity, now()).unwrap();
    open().unwrap();
}

#[test]
fn what_a_host_made_up_is_the_owners_to_replace_elsewhere() {
    let home = Home::empty();
    let new = keyrack_manifest::NewOwner {
        provisional: true,
        identity: None,
        ..home.new_owner(&home.owner)
    };
    home.store().create(&new, |_| Ok::<_, std::convert::Infallible>(())).unwrap();
    assert!(home.pin().provisional);
    assert!(matches!(
        home.update(|_| ()).unwrap_err(),
        keyrack_manifest::UpdateError::Store(StoreError::Provisional { .. })
    ));
    let pin = fs::read(home.places.pin(&home.owner)).unwrap();
    let replaced = home
        .store()
        .replace_provisional(&home.owner, &home.identity, now(), |_| {
            Ok::<_, std::convert::Infallible>(())
        })
        .unwrap();
    assert!(!replaced.signing.provisional);
    assert_ne!(Some(replaced.rack.id), serde_json::from_slice::<Pin>(&pin).ok().map(|p| p.rack_id));
    // The host that made it sees the owner's own for the first time.
    fs::write(home.places.pin(&home.owner), pin).unwrap();
    assert!(home.store().open(&home.owner, &home.identity).unwrap().first_sight);
    assert!(!home.pin().provisional);
}

#[test]
fn work_at_rest_is_done_on_the_last_write_only() {
    let home = Home::new();
    let updated = home
        .store()
        .update(&home.owner, &home.identity, now(), |_| Ok::<_, std::convert::Infallible>(()))
        .unwrap();
    assert_eq!((updated.before.counter, updated.after.counter), (1, 2));
    assert_eq!(home.store().at_rest(&updated.after, || 7).unwrap(), Some(7));
    assert_eq!(home.store().at_rest(&updated.before, || 7).unwrap(), None);
    home.update(|_| {
        // A writer is at work.
        assert_eq!(home.store().at_rest(&updated.after, || 7).unwrap(), None);
    })
    .unwrap();
}
