//! Members that are not honest: links that their own keys signed, wraps and invitations.

use std::collections::{BTreeMap, BTreeSet};

use keyrack_manifest::{Class, DeviceId, Digest, InviteId};
use keyrack_vault::{
    AuditHead, CHECKPOINT_EVERY, Compartment, LinkKind, Member, Refusal, Role, Status, Vault,
    VaultError, Visibility, history, names,
};

use crate::rig::{Person, Team, get, now, put_as};

fn member(person: &Person, role: Role, status: Status, since_seq: u64) -> Member {
    Member {
        member_id: person.id(),
        handle: person.card.card.handle.clone(),
        role,
        status,
        sig_key: person.card.card.sig_key,
        recipients: person.card.card.recipients.clone(),
        card_fp: person.card.digest(),
        compartments: BTreeSet::from([Compartment::Std, Compartment::Password]),
        grant_key: None,
        since_seq,
    }
}

/// Puts a made-up wrap of `person` into a link's state.
fn wrap(link: &mut keyrack_vault::Link, person: &Person) {
    let digest = Digest::random().unwrap();
    link.state.epoch.as_mut().unwrap().wraps.insert(person.id(), digest);
}

#[test]
fn a_link_that_smuggles_one_more_member() {
    let team = Team::new();
    let (bob, eve) = (Person::new("bob"), Person::new("eve"));
    team.forge(LinkKind::Invite, &team.ann, |link| {
        for person in [&bob, &eve] {
            wrap(link, person);
            link.state.members.push(member(person, Role::Owner, Status::Invited, link.seq));
        }
        link.detail.member = Some(bob.id());
        link.detail.invite = Some(InviteId::from_bytes(*bob.id().as_bytes()));
    });
    let smuggled = Refusal::Smuggled { kind: LinkKind::Invite, what: "its members" };
    assert_eq!(team.refusal(), smuggled);
}

#[test]
fn every_kind_of_link_permits_its_own_change_and_no_other() {
    for kind in [
        LinkKind::Policy,
        LinkKind::Name,
        LinkKind::Checkpoint,
        LinkKind::Rotate,
        LinkKind::Accept,
        LinkKind::Leave,
        LinkKind::Role,
        LinkKind::Remove,
        LinkKind::Recipients,
        LinkKind::Rekey,
        LinkKind::Invite,
        LinkKind::Confirm,
        LinkKind::Cancel,
        LinkKind::Genesis,
    ] {
        let team = Team::new();
        let eve = Person::new("eve");
        team.forge(kind, &team.ann, |link| {
            wrap(link, &eve);
            link.detail.member = Some(eve.id());
            link.state.members.push(member(&eve, Role::Owner, Status::Active, link.seq));
            link.state.name = "other".parse().unwrap();
        });
        // Whatever the kind, it is refused, and by a name.
        let _: Refusal = team.refusal();
    }
}

#[test]
fn a_ghost_wrap() {
    let team = Team::new();
    let eve = Person::new("eve");
    team.forge(LinkKind::Policy, &team.ann, |link| wrap(link, &eve));
    assert_eq!(team.refusal(), Refusal::Smuggled { kind: LinkKind::Policy, what: "its keys" });

    // With new keys as well.
    let team = Team::new();
    let before = team.store.objects();
    team.owner().rotate(now()).unwrap();
    let rotated = team.owner().state().epoch.clone();
    team.store.restore(before);
    team.forge(LinkKind::Rotate, &team.ann, |link| {
        link.state.epoch = rotated;
        wrap(link, &eve);
    });
    assert_eq!(team.refusal(), Refusal::Wraps);
}

#[test]
fn old_keys_are_no_new_ones() {
    let team = Team::new();
    team.forge(LinkKind::Rotate, &team.ann, |_| {});
    assert_eq!(team.refusal(), Refusal::KeysKept { kind: LinkKind::Rotate });
    let team = Team::new();
    team.forge(LinkKind::Rotate, &team.ann, |link| {
        let epoch = link.state.epoch.as_mut().unwrap();
        epoch.id = epoch.id.next().unwrap();
        epoch.wraps.values_mut().for_each(|wrap| *wrap = Digest::random().unwrap());
    });
    assert_eq!(team.refusal(), Refusal::OldKeys);
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    team.forge(LinkKind::Remove, &team.ann, |link| {
        link.detail.member = Some(bob.id());
        link.state.members.iter_mut().for_each(|m| {
            if m.member_id == bob.id() {
                m.status = Status::Removed;
            }
        });
    });
    assert_eq!(team.refusal(), Refusal::KeysKept { kind: LinkKind::Remove });
}

#[test]
fn what_a_role_may_not_do() {
    let team = Team::new();
    let (bob, cid) = (team.join("bob", Role::Member), team.join("cid", Role::Admin));
    let eve = Person::new("eve");
    let refused = |error: VaultError| match error {
        VaultError::Refused { why: Refusal::NotEntitled { .. }, .. } => {}
        other => panic!("{other}"),
    };
    refused(team.open(&bob).rotate(now()).unwrap_err());
    refused(team.open(&bob).invite(&eve.card, Role::Member, false, now()).unwrap_err());
    refused(team.open(&bob).remove(&cid.id(), now()).unwrap_err());
    // An admin admits members, and removes them; no more.
    refused(team.open(&cid).invite(&eve.card, Role::Admin, false, now()).unwrap_err());
    refused(team.open(&cid).remove(&team.ann.id(), now()).unwrap_err());
    refused(team.open(&cid).set_role(&bob.id(), Role::Admin, false, now()).unwrap_err());
    refused(team.open(&cid).set_policy(&Default::default(), now()).unwrap_err());
    let handle = eve.card.card.handle.clone();
    let asked = team.owner().invite_one_time(&handle, Role::Admin, false, now()).unwrap();
    Vault::request(&team.store, &asked, &eve.card, &eve.actor()).unwrap();
    let request = team.open(&cid).requests().unwrap().remove(0);
    refused(team.open(&cid).confirm(&request, now()).unwrap_err());
    // And whoever signs it nevertheless is told by every reader.
    team.forge(LinkKind::Rotate, &bob, |_| {});
    assert_eq!(team.refusal(), Refusal::NotEntitled { kind: LinkKind::Rotate });
}

#[test]
fn an_author_is_a_member_and_signs_with_its_key() {
    let team = Team::new();
    let bob = team.join("bob", Role::Admin);
    let eve = Person::new("eve");
    let good = team.store.objects();
    team.forge(LinkKind::Rotate, &eve, |_| {});
    assert_eq!(team.refusal(), Refusal::NoMember(eve.id()));
    team.store.restore(good.clone());
    team.forge(LinkKind::Name, &eve, |link| link.author = team.ann.id());
    let broken = keyrack_manifest::signed::SignedError::Signature;
    assert_eq!(team.refusal(), Refusal::Signed(broken));
    team.store.restore(good);
    team.owner().remove(&bob.id(), now()).unwrap();
    team.forge(LinkKind::Rotate, &bob, |_| {});
    assert_eq!(team.refusal(), Refusal::NoMember(bob.id()));
}

#[test]
fn the_last_owner_stays() {
    let team = Team::new();
    let bob = team.join("bob", Role::Owner);
    team.open(&bob).remove(&team.ann.id(), now()).unwrap();
    let vault = || team.open(&bob);
    let last = |error| matches!(error, VaultError::Refused { why: Refusal::LastOwner, .. });
    assert!(last(vault().leave(now()).unwrap_err()));
    assert!(last(vault().set_role(&bob.id(), Role::Admin, true, now()).unwrap_err()));
    assert!(vault().remove(&bob.id(), now()).is_err());
    // Nor does one of two make itself a member: what it signed by that would be nobody's.
    let cid = team.join_by(&bob, "cid", Role::Owner);
    assert!(vault().set_role(&bob.id(), Role::Member, true, now()).is_err());
    team.open(&cid).set_role(&bob.id(), Role::Member, true, now()).unwrap();
}

#[test]
fn checkpoints_are_few() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let none = Default::default();
    team.open(&bob).checkpoint(&none, now()).unwrap();
    let again = team.open(&bob).checkpoint(&none, now()).unwrap_err();
    assert!(matches!(again, VaultError::Refused { why: Refusal::Flood, .. }), "{again}");
    for n in 0..CHECKPOINT_EVERY {
        team.owner().rename(&format!("team-{n}").parse().unwrap(), now()).unwrap();
    }
    team.open(&bob).checkpoint(&none, now()).unwrap();
}

/// Nobody else can tell how long a log was. Who said it stands in the chain for good.
#[test]
fn a_false_witness_succeeds_and_is_named() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let device = DeviceId::random().unwrap();
    let head = AuditHead { seq: 99, hash: Digest::of(b"never written") };
    let heads = BTreeMap::from([(team.ann.id(), BTreeMap::from([(device, head.clone())]))]);
    team.open(&bob).checkpoint(&heads, now()).unwrap();
    let vault = team.owner();
    assert_eq!(vault.state().audit_heads[&team.ann.id()][&device], head);
    let last = history(&team.store, vault.chain()).unwrap().pop().unwrap();
    assert_eq!((last.kind, last.author), (LinkKind::Checkpoint, bob.id()));
}

#[test]
fn swapped_wraps_and_another_key_for_one_member() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let wraps = team.owner().state().epoch.clone().unwrap();
    let name = |person: &Person| names::wrap(&wraps.id, &wraps.wraps[&person.id()]);
    let good = team.store.objects();
    team.tamper(|all| {
        let (a, b) = (all[&name(&team.ann)].clone(), all[&name(&bob)].clone());
        all.insert(name(&team.ann), b);
        all.insert(name(&bob), a);
    });
    assert!(matches!(team.open_error(&bob), VaultError::Altered { .. }));
    // An admin that hands one member other keys than it commits to: the member is told.
    team.store.restore(good);
    let split = Team::new();
    let foreign = split.store.objects();
    let epoch = split.owner().state().epoch.clone().unwrap();
    let foreign = foreign[&names::wrap(&epoch.id, &epoch.wraps[&split.ann.id()])].clone();
    team.tamper(|all| {
        drop(all.insert(names::wrap(&wraps.id, &Digest::of(&foreign)), foreign.clone()))
    });
    team.forge(LinkKind::Recipients, &team.ann, |link| {
        link.detail.member = Some(bob.id());
        let wraps = &mut link.state.epoch.as_mut().unwrap().wraps;
        wraps.insert(bob.id(), Digest::of(&foreign));
    });
    let error = team.open_error(&bob);
    assert!(matches!(error, VaultError::Unopened(_) | VaultError::OtherKeys), "{error}");
}

#[test]
fn another_private_key_than_the_manifest_commits_to() {
    let team = Team::new();
    let vault = team.owner();
    let mut carried = vault.carried(None).unwrap();
    let own = carried.private_key.as_mut().unwrap();
    own.key = keyrack_names::Secret::from(&[7; 32][..]);
    let opened = Vault::open(&team.store, &team.id, None, Some(&carried), team.ann.actor());
    assert!(matches!(opened, Err(VaultError::OtherKeys)));
}

#[test]
fn an_invitation_is_used_once_and_by_whom_it_is_for() {
    let team = Team::new();
    let (bob, eve) = (Person::new("bob"), Person::new("eve"));
    let mut vault = team.owner();
    let for_bob = vault.invite(&bob.card, Role::Member, false, now()).unwrap();
    let for_eve = vault.invite(&eve.card, Role::Member, false, now()).unwrap();
    let swapped = Vault::accept(&team.store, &for_bob, eve.actor(), now());
    assert!(matches!(swapped, Err(VaultError::Invitation { .. })));
    vault.cancel(&for_eve.invite_id, now()).unwrap();
    let cancelled = Vault::accept(&team.store, &for_eve, eve.actor(), now());
    assert!(matches!(cancelled, Err(VaultError::Invitation { .. })));
    Vault::accept(&team.store, &for_bob, bob.actor(), now()).unwrap();
    // Once more is no harm, and no second member.
    Vault::accept(&team.store, &for_bob, bob.actor(), now()).unwrap();
    assert_eq!(team.owner().state().members.len(), 3);
    // Nobody comes back under a name that was used.
    let again = vault.invite(&eve.card, Role::Member, false, now()).unwrap_err();
    assert!(matches!(again, VaultError::Refused { why: Refusal::Taken, .. }), "{again}");
}

#[test]
fn new_keys_come_before_anything_that_matters() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    team.open(&bob).leave(now()).unwrap();
    let eve = Person::new("eve");
    team.forge(LinkKind::Invite, &team.ann, |link| {
        wrap(link, &eve);
        link.state.members.push(member(&eve, Role::Member, Status::Invited, link.seq));
        link.detail.member = Some(eve.id());
        link.detail.invite = Some(InviteId::from_bytes(*eve.id().as_bytes()));
    });
    assert_eq!(team.refusal(), Refusal::RotationDue);
}

#[test]
fn a_password_is_never_granted_to_who_lacks_the_compartment() {
    let team = Team::new();
    let (bob, cid) = (team.join("bob", Role::Member), team.join_with("cid", Role::Member, true));
    let mut vault = team.owner();
    let login =
        put_as(&mut vault, Class::Password, None, "LOGIN", "pw", Visibility::Private).unwrap();
    let refused = vault.grant(&login, &bob.id(), now());
    assert!(matches!(refused, Err(VaultError::CannotHold { .. })));
    vault.grant(&login, &cid.id(), now()).unwrap();
    assert_eq!(get(&team.open(&cid), &login).unwrap(), "pw");
}

#[test]
fn a_checkout_that_changes_line_ends_is_told() {
    let team = Team::new();
    team.share("A", "a");
    team.tamper(|all| {
        for bytes in all.values_mut() {
            let text = String::from_utf8_lossy(bytes).replace('\n', "\r\n");
            *bytes = text.into_bytes();
        }
    });
    assert!(team.open_error(&team.ann).is_tampering());
}
