//! Members that are not honest: records that their own keys signed.

use keyrack_manifest::Digest;
use keyrack_vault::{Role, VaultError, Visibility, names};
use serde_json::json;

use crate::rig::{Person, Team, get, now, put, set};

#[test]
fn shared_records_of_those_who_may_not() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let cid = team.join("cid", Role::Admin);
    let cred = team.share("A", "good");
    let place = team.place(&cred);
    let next = place.replace(".1.cred", ".2.cred");
    let forge = |author: &Person| {
        team.forge_record(&place, &next, author, |payload| {
            payload["version"] = json!(2);
            payload["author"] = json!(author.id());
        });
    };
    // A member's.
    forge(&bob);
    let vault = team.owner();
    assert_eq!(get(&vault, &cred).unwrap(), "good");
    assert!(matches!(vault.quarantined()[0].why, VaultError::NotEntitled { .. }));
    // A demoted admin's, with a link of when it was one.
    let place_then = place.clone();
    team.owner().set_role(&cid.id(), Role::Member, false, now()).unwrap();
    let place = team.place(&cred);
    let next = place.replace(".1.cred", ".2.cred");
    assert_ne!(place, place_then);
    team.forge_record(&place, &next, &cid, |payload| {
        payload["version"] = json!(2);
        payload["author"] = json!(cid.id());
    });
    let vault = team.owner();
    assert_eq!(get(&vault, &cred).unwrap(), "good");
    assert!(matches!(vault.quarantined()[0].why, VaultError::NotEntitled { .. }));
    // A removed one's.
    team.owner().remove(&cid.id(), now()).unwrap();
    let place = team.place(&cred);
    let next = place.replace(".1.cred", ".2.cred");
    team.forge_record(&place, &next, &cid, |payload| {
        payload["version"] = json!(2);
        payload["author"] = json!(cid.id());
    });
    assert!(matches!(team.owner().quarantined()[0].why, VaultError::NotEntitled { .. }));
}

#[test]
fn a_record_belongs_to_its_name_owner_vault_and_chain() {
    let (team, other) = (Team::new(), Team::new());
    let bob = team.join("bob", Role::Member);
    let (a, b) = (team.share("A", "a"), team.share("B", "b"));
    let (place, theirs) = (team.place(&a), team.place(&b));
    let good = team.store.objects();
    // Moved as a file.
    team.tamper(|all| {
        let moved = all[&theirs].clone();
        all.insert(place.clone(), moved);
    });
    assert!(matches!(team.owner().quarantined()[0].why, VaultError::Moved { .. }));
    // Rewritten by an owner that is not honest: the name, the class, the owner, the link.
    for (field, value) in [
        ("name", json!("@all.all.B2")),
        ("value_version", json!(2)),
        ("link", json!(Digest::random().unwrap())),
        ("vault_id", json!(other.id)),
        ("version", json!(2)),
        ("compartment", json!("password")),
    ] {
        team.store.restore(good.clone());
        team.forge_record(&place, &place, &team.ann, |payload| payload[field] = value);
        let vault = team.owner();
        let refused = get(&vault, &a).is_err();
        assert!(refused, "{field}");
        assert_eq!(get(&vault, &b).unwrap(), "b", "nothing else is hidden");
    }
    // Somebody's private record under the same id does not take its place.
    team.store.restore(good);
    let own = put(&mut team.open(&bob), "A", "mine", Visibility::Private).unwrap();
    let mine = team.place(&own);
    let planted = format!("{}/{}", names::private(&bob.id()), names::record(&a, 9));
    team.forge_record(&mine, &planted, &bob, |payload| {
        payload["cred_id"] = json!(a);
        payload["version"] = json!(9);
    });
    assert_eq!(get(&team.owner(), &a).unwrap(), "a");
    // And the next version is above it.
    set(&mut team.owner(), a, "a2").unwrap();
    assert_eq!(team.owner().record(&a).unwrap().version, 10);
}

#[test]
fn a_record_with_two_keys() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let (a, b) = (team.share("A", "a"), team.share("B", "b"));
    let (place, other) = (team.place(&a), team.place(&b));
    let all = team.store.objects();
    let theirs: serde_json::Value =
        keyrack_manifest::signed::Signed::split(&all[&other]).unwrap().read().unwrap();
    // Another wrap, another body, another commitment: none opens to something else.
    for part in ["wrap", "body", "dek_commit"] {
        team.store.restore(all.clone());
        team.forge_record(&place, &place, &team.ann, |payload| {
            payload["sealed"][part] = theirs["sealed"][part].clone();
        });
        let error = get(&team.open(&bob), &a).unwrap_err();
        assert!(matches!(error, VaultError::Sealed { .. }), "{part}: {error}");
    }
}
