//! Storage that alters, swaps, replays, cuts and forks.

use keyrack_vault::{ChainError, Refusal, Role, Vault, VaultError, Visibility, names};

use crate::rig::{Team, get, now, put, set};

/// Every byte of every file changed: a typed refusal or nothing to notice, never a panic
/// and never another value.
#[test]
fn every_changed_byte_is_refused_or_harmless() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let shared = team.share("A", "value");
    let own = put(&mut team.open(&bob), "OWN", "mine", Visibility::Private).unwrap();
    let seen = team.open(&bob).seen();
    let good = team.store.objects();
    for (name, bytes) in &good {
        let step = (bytes.len() / 150).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let mut altered = good.clone();
            altered.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
            team.store.restore(altered);
            let cosmetic = matches!(name.as_str(), names::MARKER | names::ATTRIBUTES);
            for opened in
                [bob.open(&team.store, &team.id), bob.reopen(&team.store, &team.id, &seen)]
            {
                let read = |vault: &Vault<'_>| (get(vault, &shared), get(vault, &own));
                match opened {
                    Ok(vault) => match read(&vault) {
                        (Ok(a), Ok(b)) => assert_eq!((a.as_str(), b.as_str()), ("value", "mine")),
                        (a, b) => {
                            assert!(!cosmetic);
                            for error in [a.err(), b.err()].into_iter().flatten() {
                                let known = error.is_tampering()
                                    || matches!(
                                        error,
                                        VaultError::Unknown { .. } | VaultError::NotHeld { .. }
                                    );
                                assert!(known, "{name} byte {at}: {error}");
                            }
                        }
                    },
                    Err(error) => assert!(error.is_tampering(), "{name} byte {at}: {error}"),
                }
            }
        }
    }
}

#[test]
fn a_chain_that_is_cut_or_forked_is_told_by_who_has_seen_more() {
    let team = Team::new();
    let before = team.store.objects();
    let bob = team.join("bob", Role::Member);
    let seen = team.owner().seen();
    let after = team.store.objects();
    team.store.restore(before);
    let cut = team.ann.reopen(&team.store, &team.id, &seen).unwrap_err();
    assert!(
        matches!(cut, VaultError::Chain(ChainError::RolledBack { seen: 3, found: 1 })),
        "{cut}"
    );
    let eve = team.join("eve", Role::Member);
    let fork = team.ann.reopen(&team.store, &team.id, &seen).unwrap_err();
    assert!(matches!(fork, VaultError::Chain(ChainError::Forked { seq: 3 })), "{fork}");
    team.store.restore(after);
    team.tamper(|all| drop(all.remove(&names::link(2))));
    let gap = team.open_error(&bob);
    assert!(matches!(gap, VaultError::Chain(ChainError::Gap { seq: 2 })), "{gap}");
    assert!(matches!(team.open_error(&eve), VaultError::Chain(ChainError::Gap { .. })));
}

#[test]
fn a_look_alike_vault_is_no_vault_that_somebody_was_invited_to() {
    let (team, other) = (Team::new(), Team::new());
    let bob = crate::rig::Person::new("bob");
    let invited = team.owner().invite(&bob.card, Role::Member, false, now()).unwrap();
    let shown = Vault::accept(&other.store, &invited, bob.actor(), now()).unwrap_err();
    assert!(matches!(shown, VaultError::Chain(ChainError::LookAlike)), "{shown}");
}

#[test]
fn an_older_record_is_told_by_who_has_seen_a_newer() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let cred = team.share("A", "old");
    let before = team.store.objects();
    set(&mut team.owner(), cred, "new").unwrap();
    let seen = team.open(&bob).seen();
    team.store.restore(before);
    let vault = bob.reopen(&team.store, &team.id, &seen).unwrap();
    let error = get(&vault, &cred).unwrap_err();
    assert!(matches!(error, VaultError::Lost { expected: 2, found: 1, .. }), "{error}");
    // And it goes on being remembered.
    assert_eq!(vault.seen(), seen);
}

#[test]
fn links_of_another_vault_or_place_are_refused() {
    let (team, other) = (Team::new(), Team::new());
    team.join("bob", Role::Member);
    other.join("bob", Role::Member);
    let foreign = other.store.objects();
    let good = team.store.objects();
    for (seq, from, why) in [
        (2, foreign[&names::link(2)].clone(), Refusal::OtherVault),
        (3, good[&names::link(2)].clone(), Refusal::Number),
    ] {
        team.store.restore(good.clone());
        team.tamper(|all| drop(all.insert(names::link(seq), from)));
        let error = team.open_error(&team.ann);
        let expected = ChainError::Refused { seq, why };
        assert!(matches!(&error, VaultError::Chain(found) if *found == expected), "{error}");
    }
}
