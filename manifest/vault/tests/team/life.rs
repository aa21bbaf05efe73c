//! The life of a vault: who joins, what they read, who goes, and what that leaves.

use std::collections::BTreeMap;

use keyrack_manifest::Class;
use keyrack_vault::{Policy, Refusal, Role, Vault, VaultError, Visibility};
use serde_json::json;

use crate::rig::{Person, Team, get, now, put, put_as, set};

#[test]
fn a_member_reads_what_is_shared_and_writes_none_of_it() {
    let team = Team::new();
    let token = team.share("TOKEN", "one");
    let bob = team.join("bob", Role::Member);
    let mut vault = team.open(&bob);
    assert_eq!(get(&vault, &token).unwrap(), "one");
    assert!(matches!(set(&mut vault, token, "two"), Err(VaultError::NotEntitled { .. })));
    let refused = put(&mut vault, "OTHER", "x", Visibility::Shared);
    assert!(matches!(refused, Err(VaultError::NotEntitled { .. })));

    let cid = team.join("cid", Role::Admin);
    set(&mut team.open(&cid), token, "three").unwrap();
    vault.refresh().unwrap();
    assert_eq!(get(&vault, &token).unwrap(), "three");
}

#[test]
fn adding_a_member_changes_no_credential_byte() {
    let team = Team::new();
    team.share("A", "a");
    put(&mut team.owner(), "B", "b", Visibility::Private).unwrap();
    let records = |team: &Team| -> BTreeMap<String, Vec<u8>> {
        team.store.objects().into_iter().filter(|(name, _)| name.ends_with(".cred")).collect()
    };
    let before = records(&team);
    team.join("bob", Role::Member);
    assert_eq!(records(&team), before);
}

#[test]
fn removing_a_member_changes_every_shared_byte_and_no_private_one() {
    let team = Team::new();
    let (a, b) = (team.share("A", "a"), team.share("B", "b"));
    let bob = team.join("bob", Role::Member);
    let cid = team.join("cid", Role::Member);
    let own = put(&mut team.open(&cid), "OWN", "mine", Visibility::Private).unwrap();
    let before = team.store.objects();
    let (old, seen) = (team.open(&bob), team.open(&bob).seen());

    team.owner().remove(&bob.id(), now()).unwrap();
    let after = team.store.objects();
    for (name, bytes) in &before {
        if name.starts_with("private/") {
            assert_eq!(after.get(name), Some(bytes), "{name}");
        } else if name.starts_with("epochs/") {
            assert_eq!(after.get(name), None, "{name}");
        }
    }
    let gone = bob.reopen(&team.store, &team.id, &seen).unwrap_err();
    assert!(matches!(gone, VaultError::NotMember { status: Some(_) }), "{gone}");
    // What it read it knows.
    assert_eq!(get(&old, &a).unwrap(), "a");

    let mut vault = team.owner();
    let exposed: Vec<_> =
        vault.needs_rotation().into_iter().map(|n| (n.cred, n.exposed_to)).collect();
    assert_eq!(exposed.len(), 2);
    assert!(exposed.iter().all(|(_, to)| to.contains(&bob.id())));
    set(&mut vault, a, "new").unwrap();
    let left: Vec<_> = vault.needs_rotation().iter().map(|n| n.cred).collect();
    assert_eq!(left, [b]);
    // The same value again is no new value.
    set(&mut vault, b, "b").unwrap();
    vault.rotate(now()).unwrap();
    assert_eq!(vault.needs_rotation().len(), 1);
    set(&mut vault, b, "c").unwrap();
    assert_eq!(vault.needs_rotation(), []);
    assert_eq!(get(&team.open(&cid), &own).unwrap(), "mine");
}

#[test]
fn a_one_time_code_gives_nothing_before_it_is_confirmed() {
    let team = Team::new();
    let token = team.share("TOKEN", "one");
    let bob = Person::new("bob");
    let handle = bob.card.card.handle.clone();
    let invited = team.owner().invite_one_time(&handle, Role::Member, false, now()).unwrap();
    let early = Vault::accept(&team.store, &invited, bob.actor(), now());
    assert!(matches!(early, Err(VaultError::Invitation { .. })));
    Vault::request(&team.store, &invited, &bob.card, &bob.actor()).unwrap();
    // Twice used.
    let eve = Person::new("eve");
    let twice = Vault::request(&team.store, &invited, &eve.card, &eve.actor());
    assert!(matches!(twice, Err(VaultError::Invitation { .. })));
    assert!(bob.open(&team.store, &team.id).is_err());

    let mut vault = team.owner();
    let requests = vault.requests().unwrap();
    assert_eq!(requests[0].card.fingerprint(), bob.card.fingerprint());
    vault.confirm(&requests[0], now()).unwrap();
    let bobs = Vault::accept(&team.store, &invited, bob.actor(), now()).unwrap();
    assert_eq!(get(&bobs, &token).unwrap(), "one");
    let late = Vault::request(&team.store, &invited, &eve.card, &eve.actor());
    assert!(matches!(late, Err(VaultError::Invitation { .. })));
}

#[test]
fn roles_go_up_and_down() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let login = put_as(&mut team.owner(), Class::Password, None, "LOGIN", "pw", Visibility::Shared)
        .unwrap();
    assert!(matches!(get(&team.open(&bob), &login), Err(VaultError::NotHeld { .. })));
    let epoch = |team: &Team| team.owner().state().epoch.clone().unwrap().id;
    let first = epoch(&team);
    team.owner().set_role(&bob.id(), Role::Admin, false, now()).unwrap();
    assert_eq!(epoch(&team), first);
    assert_eq!(get(&team.open(&bob), &login).unwrap(), "pw");
    put(&mut team.open(&bob), "NEW", "x", Visibility::Shared).unwrap();

    team.owner().set_role(&bob.id(), Role::Member, false, now()).unwrap();
    assert_ne!(epoch(&team), first);
    assert!(matches!(get(&team.open(&bob), &login), Err(VaultError::NotHeld { .. })));
    // It could read the password and cannot any more.
    let exposed: Vec<_> = team.owner().needs_rotation().iter().map(|n| n.cred).collect();
    assert_eq!(exposed, [login]);
    // What the admin wrote was signed anew and is believed.
    assert_eq!(team.open(&bob).records().count(), 2);
}

#[test]
fn whoever_leaves_makes_new_keys_due_before_anything_else() {
    let team = Team::new();
    let token = team.share("TOKEN", "one");
    let bob = team.join("bob", Role::Member);
    team.open(&bob).leave(now()).unwrap();
    let mut vault = team.owner();
    assert!(vault.state().rotation_due());
    let before = vault.state().epoch.clone().unwrap().id;
    set(&mut vault, token, "two").unwrap();
    assert!(!vault.state().rotation_due());
    assert_ne!(vault.state().epoch.clone().unwrap().id, before);
    let last = vault.leave(now()).unwrap_err();
    assert!(matches!(last, VaultError::Refused { why: Refusal::LastOwner, .. }), "{last}");
}

#[test]
fn what_is_private_is_its_owners_and_whom_it_is_granted_to() {
    let team = Team::with(Policy { private_by_default: true, ..Policy::default() });
    let (bob, cid) = (team.join("bob", Role::Member), team.join("cid", Role::Member));
    let own = put(&mut team.open(&bob), "PAT", "secret", Visibility::Private).unwrap();
    // The owner of the vault is not the owner of that.
    assert!(matches!(get(&team.owner(), &own), Err(VaultError::NotHeld { .. })));
    assert_eq!(team.owner().record(&own).unwrap().owner, bob.id());

    team.open(&bob).grant(&own, &cid.id(), now()).unwrap();
    assert_eq!(get(&team.open(&cid), &own).unwrap(), "secret");
    assert!(matches!(get(&team.owner(), &own), Err(VaultError::NotHeld { .. })));
    set(&mut team.open(&bob), own, "newer").unwrap();
    assert_eq!(get(&team.open(&cid), &own).unwrap(), "newer");
    assert!(matches!(set(&mut team.open(&cid), own, "x"), Err(VaultError::NotEntitled { .. })));

    team.open(&bob).take_back(&own, &cid.id(), now()).unwrap();
    assert!(matches!(get(&team.open(&cid), &own), Err(VaultError::NotHeld { .. })));
    let marked = team.open(&bob).needs_rotation();
    assert_eq!(marked.len(), 1);
    assert!(marked[0].exposed_to.contains(&cid.id()));
    set(&mut team.open(&bob), own, "newest").unwrap();
    assert_eq!(team.open(&bob).needs_rotation(), []);
}

#[test]
fn shared_and_private_again() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let mut vault = team.owner();
    let cred = put(&mut vault, "A", "a", Visibility::Private).unwrap();
    vault.share(&cred, now()).unwrap();
    assert_eq!(get(&team.open(&bob), &cred).unwrap(), "a");
    vault.unshare(&cred, now()).unwrap();
    assert!(matches!(get(&team.open(&bob), &cred), Err(VaultError::NotHeld { .. })));
    assert_eq!(vault.needs_rotation().len(), 1);
    vault.rotate(now()).unwrap();
    assert_eq!(get(&team.owner(), &cred).unwrap(), "a");
}

#[test]
fn a_name_is_one_credential_of_each_owner() {
    let team = Team::new();
    let bob = team.join("bob", Role::Admin);
    team.share("A", "a");
    let again = put(&mut team.owner(), "A", "b", Visibility::Private);
    assert!(matches!(again, Err(VaultError::NameTaken { .. })));
    put(&mut team.open(&bob), "A", "bobs", Visibility::Shared).unwrap();
    assert_eq!(team.owner().find(&crate::rig::slug("A")).count(), 2);
}

#[test]
fn a_deletion_stays_through_new_keys() {
    let team = Team::new();
    let cred = team.share("A", "a");
    let mut vault = team.owner();
    let seen = vault.seen();
    vault.delete(&cred, now()).unwrap();
    vault.rotate(now()).unwrap();
    let vault = team.ann.reopen(&team.store, &team.id, &seen).unwrap();
    assert!(matches!(vault.get(&cred), Err(VaultError::Deleted { .. })));
    assert_eq!((vault.records().count(), vault.lost().count()), (0, 0));
    // The name is free again.
    team.share("A", "b");
}

#[test]
fn a_credential_is_given_away_by_its_owner() {
    let team = Team::new();
    let (bob, cid) = (team.join("bob", Role::Admin), team.join("cid", Role::Member));
    let shared = team.share("A", "a");
    let seen = team.open(&bob).seen();
    let stolen = team.open(&bob).transfer(&shared, &bob.id(), now());
    assert!(matches!(stolen, Err(VaultError::NotEntitled { .. })));
    team.owner().transfer(&shared, &bob.id(), now()).unwrap();
    let vault = bob.reopen(&team.store, &team.id, &seen).unwrap();
    assert_eq!(vault.record(&shared).unwrap().owner, bob.id());

    let own = put(&mut team.open(&bob), "OWN", "mine", Visibility::Private).unwrap();
    let seen = team.open(&bob).seen();
    team.open(&bob).transfer(&own, &cid.id(), now()).unwrap();
    assert_eq!(team.open(&cid).offered().count(), 1);
    team.open(&cid).claim(&own, now()).unwrap();
    assert_eq!(get(&team.open(&cid), &own).unwrap(), "mine");
    let bobs = bob.reopen(&team.store, &team.id, &seen).unwrap();
    assert_eq!(bobs.record(&own).unwrap().owner, cid.id());
    assert!(matches!(get(&bobs, &own), Err(VaultError::NotHeld { .. })));
    assert_eq!(team.open(&cid).needs_rotation().len(), 1);
}

#[test]
fn a_new_signing_key_signs_everything_anew() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let shared = team.share("A", "a");
    for (person, others) in [(&bob, &team.ann), (&team.ann, &bob)] {
        let own = put(&mut team.open(person), "OWN", "mine", Visibility::Private).unwrap();
        let new = Person::new(person.card.card.handle.as_str());
        let mut vault = team.open(person);
        vault.rekey(new.actor(), &new.card, now()).unwrap();
        assert!(person.open(&team.store, &team.id).is_err());
        let vault = team.open(&new);
        assert_eq!(*vault.me(), person.id());
        assert_eq!(get(&vault, &own).unwrap(), "mine");
        assert_eq!(get(&vault, &shared).unwrap(), "a");
        if others.id() == team.ann.id() {
            assert!(vault.state().rotation_due());
            team.owner().rotate(now()).unwrap();
        }
        let seen_by = others.open(&team.store, &team.id);
        assert!(seen_by.is_err() || get(&seen_by.unwrap(), &shared).unwrap() == "a");
    }
}

#[test]
fn a_manifest_carries_the_keys_and_nobody_is_asked() {
    let team = Team::new();
    let token = team.share("TOKEN", "one");
    let own = put(&mut team.owner(), "OWN", "mine", Visibility::Private).unwrap();
    let vault = team.owner();
    let (carried, seen) = (vault.carried(None).unwrap(), vault.seen());
    let nobody = keyrack_vault::Actor { key: team.ann.key.clone(), identity: None };
    let vault =
        Vault::open(&team.store, &team.id, Some(&seen), Some(&carried), nobody.clone()).unwrap();
    assert_eq!(get(&vault, &token).unwrap(), "one");
    assert_eq!(get(&vault, &own).unwrap(), "mine");
    let vault = Vault::open(&team.store, &team.id, None, None, nobody).unwrap();
    assert!(matches!(get(&vault, &token), Err(VaultError::NotHeld { .. })));
}

#[test]
fn what_is_ones_own_needs_no_grant_and_has_none() {
    let team = Team::new();
    let (ann, mut vault) = (team.ann.id(), team.owner());
    let own = put(&mut vault, "OWN", "mine", Visibility::Private).unwrap();
    assert!(matches!(vault.grant(&own, &ann, now()), Err(VaultError::IsOwner { .. })));
    assert!(matches!(vault.transfer(&own, &ann, now()), Err(VaultError::IsOwner { .. })));
    // There was a time when it was granted all the same, and hid the owner's own wrap.
    let place = team.place(&own);
    team.forge_record(&place, &place, &team.ann, |payload| {
        payload["grantees"] = json!([ann]);
        payload["sealed"]["grants"] = json!({ ann.to_string(): "AAAA" });
    });
    assert_eq!(get(&team.owner(), &own).unwrap(), "mine");
}
