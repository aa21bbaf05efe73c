//! What every engine promises.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, SystemTime};

use keyrack_vault::{VaultStore, names};

const LIMIT: u64 = 1 << 20;

fn text(store: &dyn VaultStore, name: &str) -> Option<String> {
    store.get(name, LIMIT).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
}

fn listed(store: &dyn VaultStore, folder: &str) -> Vec<String> {
    let mut found = store.list(folder).unwrap();
    found.sort();
    found
}

pub fn what_is_created_is_there_and_stays(store: &dyn VaultStore) {
    let name = names::link(0);
    assert!(store.create(&name, b"first").unwrap());
    assert!(!store.create(&name, b"second").unwrap());
    assert_eq!(text(store, &name).unwrap(), "first");
    assert!(store.create("KEYRACK-VAULT", b"").unwrap());
    assert_eq!(text(store, "KEYRACK-VAULT").unwrap(), "");
}

pub fn what_is_absent_is_none(store: &dyn VaultStore) {
    assert_eq!(store.get("chain/0000000007.link", LIMIT).unwrap(), None);
    assert_eq!(store.get("KEYRACK-VAULT", LIMIT).unwrap(), None);
    assert!(store.list("chain").unwrap().is_empty());
    assert!(store.list("epochs/0000000000-0011223344556677/creds").unwrap().is_empty());
}

pub fn what_is_too_large_is_foreign(store: &dyn VaultStore) {
    store.create("chain/a", &[0; 100]).unwrap();
    assert_eq!(store.get("chain/a", 100).unwrap().unwrap().len(), 100);
    assert!(store.get("chain/a", 99).unwrap_err().is_foreign());
}

pub fn folders_list_what_is_directly_in_them(store: &dyn VaultStore) {
    for name in ["a/b/one", "a/b/two", "a/b/c/three", "a/four", "ab/five", "six"] {
        store.create(name, name.as_bytes()).unwrap();
    }
    assert_eq!(listed(store, "a"), ["b/", "four"]);
    assert_eq!(listed(store, "a/b"), ["c/", "one", "two"]);
    assert_eq!(listed(store, "a/b/c"), ["three"]);
}

pub fn what_is_staged_replaces(store: &dyn VaultStore) {
    let one = |bytes: &[u8]| vec![("creds/one".to_owned(), bytes.to_vec())];
    store.stage(&one(b"half")).unwrap();
    store.stage(&one(b"whole")).unwrap();
    assert_eq!(text(store, "creds/one").unwrap(), "whole");
    store.stage(&[]).unwrap();
}

pub fn many_objects_of_many_folders_are_staged(store: &dyn VaultStore) {
    let objects: Vec<(String, Vec<u8>)> = (0..120)
        .map(|n| (format!("epochs/{}/creds/{n}", n % 3), n.to_string().into_bytes()))
        .collect();
    store.stage(&objects).unwrap();
    for (name, bytes) in &objects {
        assert_eq!(store.get(name, LIMIT).unwrap().as_ref(), Some(bytes));
    }
    assert_eq!(listed(store, "epochs"), ["0/", "1/", "2/"]);
    assert_eq!(store.list("epochs/1/creds").unwrap().len(), 40);
}

pub fn what_is_removed_is_gone(store: &dyn VaultStore) {
    store.create("chain/a", b"a").unwrap();
    store.remove("chain/a").unwrap();
    store.remove("chain/a").unwrap();
    store.remove("nowhere/b").unwrap();
    assert_eq!(store.get("chain/a", LIMIT).unwrap(), None);
    assert!(store.create("chain/a", b"again").unwrap());
}

pub fn it_knows_when_an_object_was_written(store: &dyn VaultStore) {
    assert_eq!(store.written("chain/a").unwrap(), None);
    store.create("chain/a", b"a").unwrap();
    let minute = Duration::from_secs(60);
    let written = store.written("chain/a").unwrap().expect("every engine here knows");
    let now = SystemTime::now();
    assert!(written < now + minute && written + minute > now, "{written:?} {now:?}");
}

pub fn of_many_creators_one_wins(store: &dyn VaultStore) {
    for round in 0..20 {
        let name = names::link(round);
        let won: Vec<usize> = thread::scope(|scope| {
            let name = &name;
            let tries: Vec<_> = (0..8)
                .map(|who: usize| {
                    // Long, so that half of it would be seen.
                    let bytes = vec![b'0' + who as u8; 100_000];
                    scope.spawn(move || store.create(name, &bytes).unwrap().then_some(who))
                })
                .collect();
            tries.into_iter().filter_map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(won.len(), 1, "round {round}");
        let bytes = store.get(&name, LIMIT).unwrap().unwrap();
        assert_eq!(bytes, vec![b'0' + won[0] as u8; 100_000]);
    }
}

pub fn writers_that_race_lose_no_number(store: &dyn VaultStore) {
    const EACH: usize = 25;
    thread::scope(|scope| {
        for who in 0..4 {
            scope.spawn(move || {
                for n in 0..EACH {
                    let mut seq = 0;
                    while !store.create(&names::link(seq), format!("{who}.{n}").as_bytes()).unwrap()
                    {
                        seq += 1;
                    }
                }
            });
        }
    });
    let links = listed(store, names::CHAIN);
    assert_eq!(links.len(), 4 * EACH);
    let written: BTreeSet<String> =
        (0..100).map(|seq| text(store, &names::link(seq)).unwrap()).collect();
    assert_eq!(written.len(), 4 * EACH);
}

pub fn one_lock_at_a_time_comes_to_everybody(store: &dyn VaultStore) {
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    drop(store.lock().unwrap());
                }
            });
        }
    });
    let _held = store.lock().unwrap();
    assert!(store.create("chain/a", b"under the lock").unwrap());
}
