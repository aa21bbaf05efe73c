//! Who may change what, and what that leaves.

use keyrack_protocol::message::Forget;
use keyrack_protocol::names::Env;

use super::*;

// Rights.

#[test]
fn a_capability_only_replaces_what_is_its_own_and_held() {
    let mut rack = rack_with(&["o.all.A", "o.all.B"], 1, Rights::TREE, &["o.all.A", "o.all.C"]);
    let replace = |text: &str| Pushed { replace: true, ..pushed(vec![grant(text, 99, 600)]) };
    assert_eq!(rack.push(capability(1), replace("o.all.A"), NOW + 5), Ok(1));
    let held = rack.held(&slug("o.all.A"), NOW + 5).unwrap();
    assert_eq!((held.value, held.expires_at), (99, NOW + 60 * MINUTE), "the expiry stays");
    assert_eq!(rack.push(capability(1), replace("o.all.C"), NOW), Ok(0), "not held");
    for refused in [
        replace("o.all.B"),
        pushed(vec![grant("o.all.A", 1, 600)]),
        Pushed { known: Some(vec![]), ..replace("o.all.A") },
    ] {
        assert!(matches!(rack.push(capability(1), refused, NOW), Err(Denial::Right(_))));
    }
    assert_eq!(rack.held(&slug("o.all.B"), NOW).unwrap().value, 1);
}

/// Whoever may no longer read a vault loses what came from it, replaced since or not.
#[test]
fn what_is_replaced_stays_of_its_vault_unless_the_owner_says_another() {
    let replace = |vault: &str, class: &str| {
        let (vault, class) = (vault.to_owned(), class.to_owned());
        let grants = vec![NewGrant { vault, class, ..grant("o.all.A", 2, 1) }];
        Pushed { replace: true, ..pushed(grants) }
    };
    for (asker, said, wanted) in [
        (KeyKind::Attach, ("", ""), ("personal", "config")),
        (KeyKind::Attach, ("crew", "password"), ("crew", "password")),
        (capability(1), ("", ""), ("personal", "config")),
        (capability(1), ("crew", "password"), ("personal", "config")),
    ] {
        let mut rack = rack_with(&["o.all.A"], 1, Rights::TREE, &["o.all.A"]);
        assert_eq!(rack.push(asker, replace(said.0, said.1), NOW), Ok(1));
        let held = rack.held(&slug("o.all.A"), NOW).unwrap();
        assert_eq!((held.value, held.vault.as_str(), held.class.as_str()), (2, wanted.0, wanted.1));
        let vault = Forget { vaults: vec![wanted.0.to_owned()], ..Forget::default() };
        assert_eq!(rack.forget(KeyKind::Attach, &vault), Ok(1), "{said:?}");
    }
}

#[test]
fn reading_rights_change_nothing() {
    for asker in [capability(1), KeyKind::SelfProof] {
        let mut rack = rack_with(&["o.all.A"], 1, Rights::READ, &["o.all.A"]);
        let replace = Pushed { replace: true, ..pushed(vec![grant("o.all.A", 9, 1)]) };
        assert!(matches!(rack.push(asker, replace, NOW), Err(Denial::Right(_))));
        let forget = Forget { slugs: slugs(&["o.all.A"]), ..Forget::default() };
        assert!(matches!(rack.forget(asker, &forget), Err(Denial::Right(_))));
        let narrower = registration(2, Rights::default());
        assert!(matches!(rack.mint(asker, narrower, Some(0), None, NOW), Err(Denial::Right(_))));
        assert!(matches!(rack.may_seal(asker), Err(Denial::Right(_))));
        assert_eq!(rack.held(&slug("o.all.A"), NOW).unwrap().value, 0);
        assert_eq!(rack.generation(), GENERATION);
    }
}

#[test]
fn a_capability_makes_only_narrower_ones() {
    let no_push = Rights { get: true, push: false, mint: true };
    let mut rack = rack_with(&["o.all.A", "o.all.B"], 1, no_push, &["o.all.A"]);
    let own = || Some(slugs(&["o.all.A"]).into_iter().collect());
    for (rights, wanted) in [
        (Rights::TREE, own()),
        (Rights { get: false, push: true, mint: false }, own()),
        (Rights::READ, Some(slugs(&["o.all.A", "o.all.B"]).into_iter().collect())),
        (Rights::READ, Some(slugs(&["o.all.UNKNOWN"]).into_iter().collect())),
    ] {
        let made = rack.mint(capability(1), registration(2, rights), Some(0), wanted, NOW);
        assert!(matches!(made, Err(Denial::Right(_))), "{rights:?}");
    }
    assert_eq!(rack.mint(capability(1), registration(2, Rights::READ), Some(0), None, NOW), Ok(1));
    assert_eq!(rack.look_up(capability(2), &ask("o", None, "A"), NOW), granted("o.all.A"));
    // Not its own, not another's: only the owner changes what is there.
    for n in [1, 2] {
        let made = rack.mint(capability(1), registration(n, Rights::READ), Some(0), own(), NOW);
        assert!(matches!(made, Err(Denial::Right(_))), "{n}");
    }
}

#[test]
fn an_unlock_extends_the_capability_of_its_tree() {
    let mut rack = rack_with(&["o.all.A"], 1, Rights::TREE, &["o.all.A"]);
    let capability_again = Some((registration(1, Rights::TREE), None));
    let more = Pushed { capability: capability_again, ..pushed(vec![grant("o.all.B", 5, 60)]) };
    assert_eq!(rack.push(KeyKind::Attach, more, NOW), Ok(1));
    for key in ["A", "B"] {
        let verdict = rack.look_up(capability(1), &ask("o", None, key), NOW);
        assert!(matches!(verdict, Verdict::Granted(_)), "{key}");
    }
    let gone = Some((registration(9, Rights::TREE), None));
    let push = Pushed { capability: gone, ..pushed(vec![grant("o.all.C", 5, 60)]) };
    assert_eq!(rack.push(KeyKind::Attach, push, NOW), Err(Denial::Revoked));
    assert!(rack.held(&slug("o.all.C"), NOW).is_none(), "refused as a whole");
}

#[test]
fn a_capability_sleeps_and_wakes_and_never_expires() {
    let mut rack = rack_with(&["o.all.A"], 1, Rights::TREE, &["o.all.A"]);
    let awake = |rack: &Rack<u32>, now| rack.capabilities_seen(capability(1), now)[0].awake;
    assert_eq!(awake(&rack, NOW), 1);
    let later = NOW + 600 * MINUTE;
    rack.sweep(later);
    assert_eq!(awake(&rack, later), 0);
    rack.push(KeyKind::Attach, pushed(vec![grant("o.all.A", 3, 60)]), later).unwrap();
    assert_eq!(awake(&rack, later), 1);
    assert_eq!(rack.look_up(capability(1), &ask("o", None, "A"), later), granted("o.all.A"));
}

#[test]
fn capabilities_are_bounded() {
    let mut rack = rack(&[]);
    for n in 0..crate::capability::MAX {
        let mut about = registration(0, Rights::READ);
        about.id = CapabilityId::from_bytes((n as u128 + 1).to_be_bytes());
        rack.mint(KeyKind::Attach, about, Some(0), None, NOW).unwrap();
    }
    let one_more = registration(255, Rights::READ);
    assert_eq!(
        rack.mint(KeyKind::Attach, one_more, Some(0), None, NOW),
        Err(Denial::Full(crate::capability::MAX))
    );
}

#[test]
fn revoking_is_for_the_owner_itself_and_its_maker() {
    let mut rack = rack_with(&["o.all.A"], 1, Rights::TREE, &["o.all.A"]);
    rack.mint(capability(1), registration(2, Rights::READ), Some(0), None, NOW).unwrap();
    let stranger = registration(3, Rights::TREE);
    rack.mint(KeyKind::Attach, stranger, Some(0), None, NOW).unwrap();
    for asker in [capability(3), capability(2), KeyKind::SelfProof] {
        assert!(matches!(rack.revoke(asker, &id(1)), Err(Denial::Right(_))));
    }
    assert_eq!(rack.revoke(capability(1), &id(2)), Ok(vec![id(2)]));
    assert_eq!(rack.revoke(capability(3), &id(3)), Ok(vec![id(3)]));
    rack.mint(capability(1), registration(2, Rights::READ), Some(0), None, NOW).unwrap();
    assert_eq!(rack.revoke(KeyKind::Attach, &id(1)), Ok(vec![id(1), id(2)]));
    assert!(!rack.is_known(capability(1)) && !rack.is_known(capability(2)));
    assert_eq!(rack.revoke(KeyKind::Attach, &id(1)), Ok(vec![]));
}

// Forgetting.

#[test]
fn a_push_that_began_before_a_relock_is_refused_after_it() {
    let mut rack = rack(&["o.all.A"]);
    let read = rack.generation();
    rack.forget(KeyKind::Attach, &Forget { envs: vec![Env::all()], ..Forget::default() }).unwrap();
    let push = |generation| Pushed { generation, ..pushed(vec![grant("o.all.A", 1, 60)]) };
    assert_eq!(rack.push(KeyKind::Attach, push(Some(read)), NOW), Err(Denial::Relocked));
    assert_eq!(rack.push(KeyKind::Attach, push(None), NOW), Err(Denial::Relocked));
    assert_eq!(rack.push(KeyKind::Attach, push(Some(rack.generation())), NOW), Ok(1));
}

#[test]
fn a_push_meant_for_an_earlier_daemon_is_refused() {
    let mut rack = Rack::new(GENERATION);
    let push = Pushed { generation: Some(3), ..pushed(vec![grant("o.all.A", 1, 60)]) };
    assert_eq!(rack.push(KeyKind::Attach, push, NOW), Err(Denial::Relocked));
}

#[test]
fn forgetting_takes_values_and_rights_by_slug_env_and_vault() {
    let all = ["o.all.A", "o.dev.B", "o.dev.C", "o.prod.D"];
    let cases: [(Forget, &[&str]); 4] = [
        (Forget { slugs: slugs(&["o.dev.B"]), ..Forget::default() }, &["o.dev.B"]),
        (
            Forget { envs: vec!["dev".parse().unwrap()], ..Forget::default() },
            &["o.dev.B", "o.dev.C"],
        ),
        (Forget { vaults: vec!["personal".to_owned()], ..Forget::default() }, &all),
        (Forget::default(), &[]),
    ];
    for (forget, gone) in cases {
        let mut rack = rack_with(&all, 1, Rights::TREE, &all);
        assert_eq!(rack.forget(capability(1), &forget), Ok(gone.len()));
        for text in all {
            let stays = !gone.contains(&text);
            assert_eq!(rack.held(&slug(text), NOW).is_some(), stays, "{text} after {forget:?}");
        }
        // Held again for another tree, it is not this one's.
        rack.first_generation = rack.generation;
        let again = gone.iter().map(|text| grant(text, 1, 60)).collect();
        rack.push(KeyKind::Attach, pushed(again), NOW).unwrap();
        for text in gone {
            let exact = Ask::exactly(slug(text));
            assert_eq!(rack.look_up(capability(1), &exact, NOW), Verdict::Denied(slug(text)));
        }
    }
}

#[test]
fn what_has_run_out_is_forgotten_with_its_vault() {
    let mut rack = rack_with(&["o.all.A"], 1, Rights::TREE, &["o.all.A"]);
    let later = NOW + 60 * MINUTE;
    assert_eq!(rack.sweep(later), 1);
    let vault = Forget { vaults: vec!["personal".to_owned()], ..Forget::default() };
    assert_eq!(rack.forget(KeyKind::Attach, &vault), Ok(0));
    rack.first_generation = rack.generation;
    rack.push(KeyKind::Attach, pushed(vec![grant("o.all.A", 1, 60)]), later).unwrap();
    let exact = Ask::exactly(slug("o.all.A"));
    assert_eq!(rack.look_up(capability(1), &exact, later), Verdict::Denied(slug("o.all.A")));
}

#[test]
fn a_capability_forgets_only_its_own() {
    let all = ["o.dev.A", "o.dev.B"];
    let mut rack = rack_with(&all, 1, Rights::TREE, &["o.dev.A"]);
    let named = Forget { slugs: slugs(&["o.dev.B"]), ..Forget::default() };
    assert!(matches!(rack.forget(capability(1), &named), Err(Denial::Right(_))));
    let env = Forget { envs: vec!["dev".parse().unwrap()], ..Forget::default() };
    assert_eq!(rack.forget(capability(1), &env), Ok(1));
    assert!(rack.held(&slug("o.dev.B"), NOW).is_some());
}

#[test]
fn clearing_leaves_nothing() {
    let mut rack = rack_with(&["o.all.A"], 1, Rights::TREE, &["o.all.A"]);
    rack.clear();
    assert!(rack.is_empty(NOW) && rack.capability_key(&id(1)).is_none());
    assert_eq!(rack.look_up(KeyKind::Attach, &ask("o", None, "A"), NOW), Verdict::Absent);
    assert_ne!(rack.generation(), GENERATION);
}
