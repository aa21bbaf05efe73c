//! Writers at the same time, on one device and on several.

use keyrack_vault::{Memory, Role, Uncarried, Vault, VaultError, Visibility, Why};

use crate::rig::{Person, Team, get, now, put, set};

#[test]
fn two_rotators_at_once_leave_one_chain() {
    let team = Team::new();
    let cid = team.join("cid", Role::Admin);
    let cred = team.share("A", "a");
    std::thread::scope(|scope| {
        for person in [&team.ann, &cid] {
            scope.spawn(|| {
                for _ in 0..5 {
                    team.open(person).rotate(now()).unwrap();
                }
            });
        }
    });
    let vault = team.owner();
    assert_eq!(get(&vault, &cred).unwrap(), "a");
    // Ten rotations after the first, and of nine epochs nothing is left.
    assert_eq!(vault.state().epoch.clone().unwrap().id.number(), 10);
    let epochs: std::collections::BTreeSet<String> = team
        .store
        .objects()
        .into_keys()
        .filter_map(|name| Some(name.strip_prefix("epochs/")?.split_once('/')?.0.to_owned()))
        .collect();
    assert_eq!(epochs.len(), 1);
}

#[test]
fn writers_beside_a_rotator_lose_nothing() {
    let team = Team::new();
    let cid = team.join("cid", Role::Admin);
    let creds: Vec<_> = (0..4).map(|n| team.share(&format!("K{n}"), "0")).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..6 {
                team.open(&cid).rotate(now()).unwrap();
            }
        });
        for (n, cred) in creds.iter().enumerate() {
            let team = &team;
            scope.spawn(move || {
                for round in 1..=5 {
                    set(&mut team.owner(), *cred, &format!("{n}.{round}")).unwrap();
                }
            });
        }
    });
    let vault = team.owner();
    for (n, cred) in creds.iter().enumerate() {
        assert_eq!(get(&vault, cred).unwrap(), format!("{n}.5"));
    }
}

#[test]
fn small_links_do_not_starve_a_removal() {
    let team = Team::new();
    let (bob, cid) = (team.join("bob", Role::Member), team.join("cid", Role::Owner));
    for n in 0..20 {
        team.share(&format!("K{n}"), "x");
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..30 {
                let name = format!("team-{n}").parse().unwrap();
                let renamed = team.open(&cid).rename(&name, now());
                assert!(matches!(renamed, Ok(()) | Err(VaultError::Busy)));
            }
        });
        scope.spawn(|| team.owner().remove(&bob.id(), now()).unwrap());
    });
    assert!(team.owner().state().active(&bob.id()).is_none());
}

/// A clone that has not heard of a removal writes under the old keys; what it wrote is not
/// believed, and it writes it again once it has heard.
#[test]
fn a_stale_writer_after_a_removal() {
    let team = Team::new();
    let (bob, cid) = (team.join("bob", Role::Member), team.join("cid", Role::Admin));
    let cred = team.share("A", "a");
    let clone = Memory::default();
    clone.restore(team.store.objects());
    team.owner().remove(&bob.id(), now()).unwrap();

    let mut stale = cid.open(&clone, &team.id).unwrap();
    let base = stale.seen().records;
    set(&mut stale, cred, "stale").unwrap();
    let fresh = put(&mut stale, "NEW", "new", Visibility::Shared).unwrap();
    let own = put(&mut stale, "OWN", "own", Visibility::Private).unwrap();
    let seen = stale.seen();
    // Synced: what the team has, and what the clone wrote beside it.
    let mut merged = clone.objects();
    merged.extend(team.store.objects());
    clone.restore(merged);
    let mut vault = cid.reopen(&clone, &team.id, &seen).unwrap();
    assert!(get(&vault, &cred).is_err());
    let left = vault.carry_over(&stale, &base, now()).unwrap();
    assert!(left.is_empty());
    assert_eq!(get(&vault, &cred).unwrap(), "stale");
    assert_eq!(get(&vault, &fresh).unwrap(), "new");
    assert_eq!(get(&vault, &own).unwrap(), "own");

    // Removed meanwhile itself, it may not.
    let mut stale = cid.open(&team.store, &team.id).unwrap();
    let (clone, base) = (Memory::default(), stale.seen().records);
    clone.restore(team.store.objects());
    let mut theirs = team.ann.open(&clone, &team.id).unwrap();
    theirs.set_role(&cid.id(), Role::Member, false, now()).unwrap();
    set(&mut stale, cred, "late").unwrap();
    let mut vault = cid.open(&clone, &team.id).unwrap();
    let left = vault.carry_over(&stale, &base, now()).unwrap();
    let [Uncarried { name, why: Why::Refused(VaultError::NotEntitled { .. }), .. }] = &left[..]
    else {
        panic!("{left:?}")
    };
    assert_eq!(name.to_string(), "@all.all.A");
}

/// Of two clones that wrote the same, the first one's stays, be it written anew since: the
/// other's is named.
#[test]
fn what_somebody_wrote_first_is_not_written_over() {
    let team = Team::new();
    let (bob, cid) = (team.join("bob", Role::Admin), team.join("cid", Role::Admin));
    let (a, b, c) = (team.share("A", "a"), team.share("B", "b"), team.share("C", "c"));
    let clone = Memory::default();
    clone.restore(team.store.objects());
    let mut first = bob.open(&team.store, &team.id).unwrap();
    let base = first.seen().records;
    set(&mut first, a, "first").unwrap();
    put(&mut first, "NEW", "first", Visibility::Shared).unwrap();
    first.delete(&b, now()).unwrap();

    let mut later = cid.open(&clone, &team.id).unwrap();
    set(&mut later, a, "later").unwrap();
    set(&mut later, a, "later still").unwrap();
    set(&mut later, b, "later").unwrap();
    set(&mut later, c, "later").unwrap();
    put(&mut later, "NEW", "later", Visibility::Shared).unwrap();

    for rotate in [false, true] {
        if rotate {
            team.owner().rotate(now()).unwrap();
        }
        let joint = Memory::default();
        joint.restore(team.store.objects());
        let mut vault = cid.open(&joint, &team.id).unwrap();
        let left = vault.carry_over(&later, &base, now()).unwrap();
        let mut names: Vec<String> = left.iter().map(|left| left.name.to_string()).collect();
        names.sort();
        assert_eq!(names, ["@all.all.A", "@all.all.B", "@all.all.NEW"]);
        assert!(left.iter().all(|left| matches!(left.why, Why::Later)));
        assert_eq!(get(&vault, &a).unwrap(), "first");
        assert_eq!(get(&vault, &c).unwrap(), "later");
        assert!(vault.record(&b).is_err());
        assert_eq!(vault.records().filter(|record| record.name.key.as_str() == "NEW").count(), 1);
    }
}

/// Two devices of one member write the same version; both are kept, and one is chosen.
#[test]
fn two_devices_of_one_member() {
    let team = Team::new();
    let cred = put(&mut team.owner(), "A", "a", Visibility::Private).unwrap();
    let other = Memory::default();
    other.restore(team.store.objects());
    set(&mut team.owner(), cred, "here").unwrap();
    let seen = team.owner().seen();
    set(&mut team.ann.open(&other, &team.id).unwrap(), cred, "there").unwrap();
    // The other device's file takes the place of this one's.
    let (mine, theirs) = (team.store.objects(), other.objects());
    let name = theirs.keys().find(|name| name.ends_with(".2.cred")).unwrap();
    team.tamper(|all| drop(all.insert(name.clone(), theirs[name].clone())));
    let mut vault = team.ann.reopen(&team.store, &team.id, &seen).unwrap();
    assert!(get(&vault, &cred).is_err(), "what was seen is not served as something else");
    let aside = &vault.quarantined()[0];
    assert!(matches!(aside.why, VaultError::Conflict { version: 2, .. }));
    let chosen = aside.digest.unwrap();
    vault.resolve(&cred, &chosen, now()).unwrap();
    assert_eq!(get(&vault, &cred).unwrap(), "there");
    assert_eq!(get(&team.owner(), &cred).unwrap(), "there");
    assert_ne!(mine[name], theirs[name]);
}

/// What was set aside because nobody signed it is not signed by whoever decides.
#[test]
fn what_its_author_did_not_say_is_not_chosen() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let cred = put(&mut team.owner(), "A", "a", Visibility::Private).unwrap();
    let other = put(&mut team.owner(), "B", "b", Visibility::Private).unwrap();
    let seen = team.owner().seen();
    let (place, from) = (team.place(&cred), team.place(&other));
    let to = bob.id().to_string();
    let all = team.store.objects();
    // Bob writes himself a grant, as whoever holds the disk may; or moves another record here.
    team.forge_record(&place, &place, &bob, |payload| {
        payload["grantees"] = serde_json::json!([to.clone()]);
        payload["sealed"]["grants"] = serde_json::json!({ to.clone(): "AA==" });
    });
    let forged = team.store.objects();
    let mut moved = all.clone();
    moved.insert(place.clone(), all[&from].clone());
    for objects in [forged, moved] {
        team.store.restore(objects);
        let mut vault = team.ann.reopen(&team.store, &team.id, &seen).unwrap();
        let aside = vault.quarantined().iter().find(|aside| aside.name == place);
        let chosen = aside.and_then(|aside| aside.digest).expect("it is set aside");
        let refused = vault.resolve(&cred, &chosen, now()).unwrap_err();
        assert!(refused.is_tampering(), "{refused}");
    }
    team.store.restore(all);
    assert_eq!(get(&team.owner(), &cred).unwrap(), "a");
}

#[test]
fn what_is_lost_is_given_up_by_name() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let (a, b) = (team.share("A", "a"), team.share("B", "b"));
    team.owner().rotate(now()).unwrap();
    let place = team.place(&a);
    team.tamper(|all| drop(all.remove(&place)));
    // Whoever sees the vault for the first time is told as well.
    let mut vault = team.owner();
    assert!(matches!(get(&vault, &a), Err(VaultError::Lost { expected: 1, found: 0, .. })));
    let refused = vault.remove(&bob.id(), now()).unwrap_err();
    assert!(matches!(refused, VaultError::Lost { .. }), "{refused}");
    // All at once or none: new keys would leave the other behind unnamed.
    let place = team.place(&b);
    let whole = team.store.objects();
    team.tamper(|all| drop(all.remove(&place)));
    let mut both = team.owner();
    assert!(matches!(both.give_up(&[a], now()), Err(VaultError::Lost { .. })));
    assert_eq!(both.lost().count(), 2, "what is not given up stays lost");
    team.store.restore(whole);
    // A plain member gives up nothing that is shared.
    let mut bobs = bob.open(&team.store, &team.id).unwrap();
    assert!(matches!(bobs.give_up(&[a], now()), Err(VaultError::Refused { .. })));
    assert_eq!(bobs.lost().count(), 1);
    vault.give_up(&[a], now()).unwrap();
    vault.remove(&bob.id(), now()).unwrap();
    assert_eq!(get(&vault, &b).unwrap(), "b");
    assert_eq!(team.owner().lost().count(), 0);
}

/// A file under an id that the vault never had is believed by nobody, and is only removed.
#[test]
fn what_was_never_there_is_discarded() {
    let team = Team::new();
    let cred = team.share("A", "a");
    let place = team.place(&cred);
    let stray = place.replace(&cred.to_string(), &"0f".repeat(16));
    team.tamper(|all| drop(all.insert(stray.clone(), all[&place].clone())));
    let mut vault = team.owner();
    let aside = vault.quarantined()[0].cred;
    assert!(vault.discard(&cred).is_err(), "what is there is not discarded");
    vault.discard(&aside).unwrap();
    assert!(vault.quarantined().is_empty());
    assert!(!team.store.objects().contains_key(&stray));
    assert_eq!(get(&team.owner(), &cred).unwrap(), "a");
}

/// A chain that somebody opened before does not confuse whoever opens it first.
#[test]
fn a_vault_that_a_killed_creator_left_is_made_anew() {
    let (store, ann) = (Memory::default(), Person::new("ann"));
    let create = |store| {
        let (name, policy) = ("team".parse().unwrap(), Default::default());
        Vault::create(store, name, policy, &ann.card, ann.actor(), now()).map(|vault| *vault.id())
    };
    create(&store).unwrap();
    let mut half = store.objects();
    half.remove(&keyrack_vault::names::link(1));
    store.restore(half);
    let id = create(&store).unwrap();
    ann.open(&store, &id).unwrap();
    assert!(matches!(create(&store), Err(VaultError::Exists)));
}
