//! Credentials that change their owner: offered, taken, offered to somebody else, and what
//! becomes of them when whoever gave them goes or has other keys.

use keyrack_vault::{Role, Vault, VaultError, Visibility};

use crate::rig::{Person, Team, get, now, put, set};

#[test]
fn what_is_offered_can_be_changed_and_offered_to_another() {
    let team = Team::new();
    let (bob, cid) = (team.join("bob", Role::Member), team.join("cid", Role::Member));
    let mut vault = team.owner();
    let own = put(&mut vault, "OWN", "old", Visibility::Private).unwrap();
    vault.transfer(&own, &bob.id(), now()).unwrap();
    let seen = (team.owner().seen(), team.open(&bob).seen());
    // Until it is taken it is its owner's, who may go on with it; the offer stands.
    set(&mut vault, own, "new").unwrap();
    vault.grant(&own, &cid.id(), now()).unwrap();
    assert_eq!(get(&team.owner(), &own).unwrap(), "new");
    assert_eq!(team.open(&bob).offered().count(), 1);
    // Offered once more, to the same one or to another: the last offer is the one.
    vault.transfer(&own, &bob.id(), now()).unwrap();
    vault.transfer(&own, &cid.id(), now()).unwrap();
    assert_eq!(get(&team.owner(), &own).unwrap(), "new");
    let late = team.open(&bob).claim(&own, now()).unwrap_err();
    assert!(matches!(late, VaultError::NotEntitled { .. }), "{late}");
    team.open(&cid).claim(&own, now()).unwrap();
    assert_eq!(get(&team.open(&cid), &own).unwrap(), "new");
    // Whoever saw it before can follow.
    for (person, seen) in [(&team.ann, &seen.0), (&bob, &seen.1)] {
        let vault = person.reopen(&team.store, &team.id, seen).unwrap();
        assert_eq!(*vault.record(&own).map(|record| record.owner).as_ref().unwrap(), cid.id());
        assert_eq!((vault.lost().count(), vault.quarantined().len()), (0, 0));
    }
}

#[test]
fn an_offer_is_taken_back_with_the_grant() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let mut vault = team.owner();
    let own = put(&mut vault, "OWN", "mine", Visibility::Private).unwrap();
    vault.transfer(&own, &bob.id(), now()).unwrap();
    let offered = team.place(&own);
    let old = team.store.objects()[&offered].clone();
    vault.take_back(&own, &bob.id(), now()).unwrap();
    assert_eq!(team.open(&bob).offered().count(), 0);
    let seen = team.owner().seen();
    // With what was offered once, nobody takes it from those who saw it taken back.
    let taken_back = team.place(&own);
    let back = team.store.objects()[&taken_back].clone();
    team.tamper(|all| {
        all.remove(&taken_back);
        all.insert(offered.clone(), old);
    });
    team.open(&bob).claim(&own, now()).unwrap();
    team.tamper(|all| drop(all.insert(taken_back, back)));
    let vault = team.ann.reopen(&team.store, &team.id, &seen).unwrap();
    assert_eq!(get(&vault, &own).unwrap(), "mine");
    assert_eq!(vault.record(&own).unwrap().owner, team.ann.id());
}

/// What was given stays with whom it was given to when the giver's key is another one.
#[test]
fn a_giver_with_a_new_key_takes_nothing_along() {
    let team = Team::new();
    let (bob, cid) = (team.join("bob", Role::Admin), team.join("cid", Role::Admin));
    let own = put(&mut team.open(&cid), "OWN", "mine", Visibility::Private).unwrap();
    let shared = put(&mut team.open(&cid), "ALL", "ours", Visibility::Shared).unwrap();
    for cred in [&own, &shared] {
        team.open(&cid).transfer(cred, &bob.id(), now()).unwrap();
    }
    team.open(&bob).claim(&own, now()).unwrap();
    let seen = team.open(&bob).seen();
    let new = Person::new("cid");
    team.open(&cid).rekey(new.actor(), &new.card, now()).unwrap();
    for vault in [bob.reopen(&team.store, &team.id, &seen).unwrap(), team.open(&bob)] {
        assert_eq!(get(&vault, &own).unwrap(), "mine");
        assert_eq!(get(&vault, &shared).unwrap(), "ours");
        assert_eq!(vault.record(&shared).unwrap().owner, bob.id());
    }
    set(&mut team.open(&bob), own, "still mine").unwrap();
}

#[test]
fn an_admin_who_leaves_gives_what_it_has() {
    let team = Team::new();
    let (bob, cid) = (team.join("bob", Role::Member), team.join("cid", Role::Admin));
    let mut vault = team.open(&cid);
    let own = put(&mut vault, "OWN", "mine", Visibility::Private).unwrap();
    let shared = put(&mut vault, "ALL", "ours", Visibility::Shared).unwrap();
    vault.transfer(&own, &bob.id(), now()).unwrap();
    vault.transfer(&shared, &team.ann.id(), now()).unwrap();
    vault.leave(now()).unwrap();
    // Before the new keys that are due, and after.
    let check = || {
        let (ann, bob) = (team.owner(), team.open(&bob));
        assert_eq!(
            (get(&bob, &shared).unwrap(), get(&ann, &shared).unwrap()),
            ("ours".into(), "ours".into())
        );
        assert_eq!(ann.record(&shared).unwrap().owner, team.ann.id());
        assert_eq!(get(&bob, &own).unwrap(), "mine");
    };
    check();
    team.owner().rotate(now()).unwrap();
    check();
    // Offered by somebody who is gone, and still taken.
    team.open(&bob).claim(&own, now()).unwrap();
    assert_eq!(get(&team.open(&bob), &own).unwrap(), "mine");
    team.owner().unshare(&shared, now()).unwrap();
    assert_eq!(get(&team.owner(), &shared).unwrap(), "ours");
    // It knows the values all the same.
    let exposed = |vault: &Vault<'_>| {
        vault.needs_rotation().iter().filter(|need| need.exposed_to.contains(&cid.id())).count()
    };
    assert_eq!(exposed(&team.open(&bob)), 2);
}
