//! Every rule of the rack, with a faked clock and values that are numbers.

use keyrack_protocol::message::{Forget, Registration, Scope};
use keyrack_protocol::names::{Ask, Env};
use proptest::prelude::*;

use super::*;

const MINUTE: u64 = 60_000;
const NOW: u64 = 1_000_000;
const GENERATION: u64 = 7;

fn slug(text: &str) -> Slug {
    text.parse().unwrap()
}

fn slugs(texts: &[&str]) -> Vec<Slug> {
    texts.iter().map(|text| slug(text)).collect()
}

fn id(n: u8) -> CapabilityId {
    CapabilityId::from_bytes([n; 16])
}

fn capability(n: u8) -> KeyKind {
    KeyKind::Capability(id(n))
}

fn ask(org: &str, env: Option<&str>, key: &str) -> Ask {
    let env = env.map(|env| env.parse().unwrap());
    Ask { org: org.parse().unwrap(), env, key: key.parse().unwrap(), exact: false }
}

fn grant(text: &str, value: u32, minutes: u64) -> NewGrant<u32> {
    NewGrant {
        slug: slug(text),
        value,
        ttl_ms: minutes * MINUTE,
        self_proof: false,
        vault: "personal".to_owned(),
        class: "config".to_owned(),
    }
}

fn pushed(grants: Vec<NewGrant<u32>>) -> Pushed<u32> {
    Pushed { generation: None, grants, replace: false, known: None, capability: None }
}

fn registration(n: u8, rights: Rights) -> Registration {
    Registration { id: id(n), key: None, rights, label: format!("tree {n}"), scope: Scope::Tree }
}

/// A rack in which the owner put each slug for an hour, its value its place in the list.
fn rack(held: &[&str]) -> Rack<u32> {
    let mut rack = Rack::new(GENERATION);
    let grants = held.iter().zip(0..).map(|(text, value)| grant(text, value, 60)).collect();
    rack.push(KeyKind::Attach, pushed(grants), NOW).unwrap();
    rack
}

/// The same, with capability `n` for `own`.
fn rack_with(held: &[&str], n: u8, rights: Rights, own: &[&str]) -> Rack<u32> {
    let mut rack = rack(held);
    let own = slugs(own).into_iter().collect();
    rack.mint(KeyKind::Attach, registration(n, rights), Some(0), Some(own), NOW).unwrap();
    rack
}

fn granted(text: &str) -> Verdict {
    Verdict::Granted(slug(text))
}

// Expiry.

#[test]
fn a_grant_ends_when_its_time_is_up_and_is_remembered_as_expired() {
    let mut rack = rack(&["o.all.K"]);
    let (wanted, end) = (ask("o", None, "K"), NOW + 60 * MINUTE);
    assert_eq!(rack.next_deadline(), Some(end));
    assert_eq!(rack.look_up(KeyKind::Attach, &wanted, end - 1), granted("o.all.K"));
    // Told by the clock even before anything was swept.
    assert_eq!(rack.look_up(KeyKind::Attach, &wanted, end), Verdict::Expired(slug("o.all.K")));
    assert!(rack.held(&slug("o.all.K"), end).is_none());
    assert!(rack.is_empty(end));
    assert_eq!((rack.sweep(end - 1), rack.sweep(end), rack.sweep(end)), (0, 1, 0));
    assert_eq!(rack.look_up(KeyKind::Attach, &wanted, end), Verdict::Expired(slug("o.all.K")));
    assert_eq!(rack.next_deadline(), None);
}

#[test]
fn nothing_is_held_longer_than_its_cap() {
    for (text, asked, held) in [
        ("o.all.K", 60, 60),
        ("o.all.K", 9 * 60, 9 * 60),
        ("o.all.K", 9 * 60 + 1, 9 * 60),
        ("o.sudo.K", 10, 10),
        ("o.sudo.K", 31, 30),
        ("o.sudo.K", 9 * 60, 30),
    ] {
        let mut rack = Rack::new(GENERATION);
        rack.push(KeyKind::Attach, pushed(vec![grant(text, 0, asked)]), NOW).unwrap();
        assert_eq!(rack.next_deadline(), Some(NOW + held * MINUTE), "{text} for {asked} min");
    }
    let mut rack = Rack::new(GENERATION);
    let mut endless = grant("o.all.K", 0, 0);
    endless.ttl_ms = u64::MAX;
    rack.push(KeyKind::Attach, pushed(vec![endless]), NOW).unwrap();
    assert_eq!(rack.next_deadline(), Some(NOW + MAX_TTL_MS));
}

#[test]
fn a_grant_for_no_time_is_not_held() {
    let mut rack = Rack::new(GENERATION);
    assert_eq!(rack.push(KeyKind::Attach, pushed(vec![grant("o.all.K", 0, 0)]), NOW), Ok(0));
    assert!(rack.is_empty(NOW));
}

// Look-up.

#[test]
fn the_best_candidate_that_the_owner_has_decides() {
    let mut rack = rack(&["o.all.K", "@all.dev.K"]);
    let wanted = ask("o", Some("dev"), "K");
    assert_eq!(rack.look_up(KeyKind::Attach, &wanted, NOW), granted("o.all.K"));
    let known = Pushed { known: Some(slugs(&["o.dev.K"])), ..pushed(vec![]) };
    rack.push(KeyKind::Attach, known, NOW).unwrap();
    assert_eq!(rack.look_up(KeyKind::Attach, &wanted, NOW), Verdict::Locked(slug("o.dev.K")));
    rack.push(KeyKind::Attach, pushed(vec![grant("o.dev.K", 0, 1)]), NOW).unwrap();
    assert_eq!(rack.look_up(KeyKind::Attach, &wanted, NOW), granted("o.dev.K"));
    let later = NOW + MINUTE;
    assert_eq!(rack.look_up(KeyKind::Attach, &wanted, later), Verdict::Expired(slug("o.dev.K")));
}

#[test]
fn a_key_the_owner_does_not_have_is_absent() {
    let rack = rack(&["o.dev.K"]);
    for wanted in [ask("o", Some("prod"), "K"), ask("p", Some("dev"), "K"), ask("o", None, "L")] {
        assert_eq!(rack.look_up(KeyKind::Attach, &wanted, NOW), Verdict::Absent);
    }
}

#[test]
fn sudo_is_only_reached_by_its_name() {
    let rack = rack(&["o.sudo.K"]);
    for env in [None, Some("all"), Some("dev")] {
        assert_eq!(rack.look_up(KeyKind::Attach, &ask("o", env, "K"), NOW), Verdict::Absent);
    }
    let exact = ask("o", Some("sudo"), "K");
    assert_eq!(rack.look_up(KeyKind::Attach, &exact, NOW), granted("o.sudo.K"));
    assert!(rack.readable(KeyKind::Attach, None, NOW).is_empty());
}

#[test]
fn without_an_env_only_what_the_asker_may_read_counts() {
    let rack = rack_with(&["a.dev.K", "a.prod.K", "a.sudo.K"], 1, Rights::READ, &["a.prod.K"]);
    let wanted = ask("a", None, "K");
    assert_eq!(
        rack.look_up(KeyKind::Attach, &wanted, NOW),
        Verdict::Ambiguous(slugs(&["a.dev.K", "a.prod.K"]))
    );
    assert_eq!(rack.look_up(capability(1), &wanted, NOW), granted("a.prod.K"));
    // Nothing for this one: the most telling reason.
    assert_eq!(rack.look_up(KeyKind::SelfProof, &wanted, NOW), Verdict::Denied(slug("a.dev.K")));
}

#[test]
fn each_asker_sees_only_its_own() {
    let mut rack = rack_with(&["o.all.A", "o.all.B"], 1, Rights::READ, &["o.all.A", "o.all.C"]);
    let mut open = grant("o.all.D", 9, 60);
    open.self_proof = true;
    let known = Some(slugs(&["o.all.A", "o.all.B", "o.all.C", "o.all.D", "o.all.E"]));
    rack.push(KeyKind::Attach, Pushed { known, ..pushed(vec![open]) }, NOW).unwrap();
    let verdicts = |asker| -> Vec<Verdict> {
        ["A", "B", "C", "D", "E"]
            .iter()
            .map(|key| rack.look_up(asker, &ask("o", None, key), NOW))
            .collect()
    };
    let (granted, locked) = (|k| Verdict::Granted(slug(k)), |k| Verdict::Locked(slug(k)));
    let denied = |k| Verdict::Denied(slug(k));
    let [a, b, c, d, e] = ["o.all.A", "o.all.B", "o.all.C", "o.all.D", "o.all.E"];
    assert_eq!(
        verdicts(KeyKind::Attach),
        [granted(a), granted(b), locked(c), granted(d), locked(e)]
    );
    assert_eq!(verdicts(capability(1)), [granted(a), denied(b), locked(c), denied(d), locked(e)]);
    assert_eq!(
        verdicts(KeyKind::SelfProof),
        [denied(a), denied(b), locked(c), granted(d), locked(e)]
    );
    // A capability nobody made sees nothing.
    assert_eq!(verdicts(capability(2)), [denied(a), denied(b), locked(c), denied(d), locked(e)]);
}

#[test]
fn what_ran_out_is_told_as_expired_only_to_those_who_could_read_it() {
    let mut rack = rack_with(&["o.all.A"], 1, Rights::READ, &["o.all.A"]);
    rack.sweep(NOW + 60 * MINUTE);
    let wanted = ask("o", None, "A");
    let later = NOW + 60 * MINUTE;
    assert_eq!(rack.look_up(capability(1), &wanted, later), Verdict::Expired(slug("o.all.A")));
    for other in [capability(2), KeyKind::SelfProof] {
        assert_eq!(rack.look_up(other, &wanted, later), Verdict::Locked(slug("o.all.A")));
    }
}

#[test]
fn everything_of_an_env_with_its_fallback_and_never_sudo() {
    let held =
        ["a.all.K", "a.dev.K", "a.prod.K", "a.sudo.K", "@all.all.K", "@all.all.L", "a.all.M"];
    let rack = rack(&held);
    let all = |env: Option<&str>| -> Vec<String> {
        let env: Option<Env> = env.map(|env| env.parse().unwrap());
        let found = rack.readable(KeyKind::Attach, env.as_ref(), NOW);
        found.iter().map(Slug::to_string).collect()
    };
    assert_eq!(
        all(None),
        ["@all.all.K", "@all.all.L", "a.all.K", "a.all.M", "a.dev.K", "a.prod.K"]
    );
    assert_eq!(all(Some("dev")), ["@all.all.K", "@all.all.L", "a.all.M", "a.dev.K"]);
    assert_eq!(all(Some("all")), ["@all.all.K", "@all.all.L", "a.all.K", "a.all.M"]);
    assert_eq!(all(Some("sudo")), ["a.sudo.K"]);
    assert_eq!(all(Some("test")), ["@all.all.K", "@all.all.L", "a.all.K", "a.all.M"]);
}

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

// Status.

#[test]
fn status_shows_each_asker_its_own() {
    let mut rack = rack_with(&["o.all.A", "o.all.B"], 1, Rights::TREE, &["o.all.A"]);
    rack.mint(capability(1), registration(2, Rights::READ), Some(0), None, NOW).unwrap();
    rack.read_by(&slug("o.all.A"), "robot (pid 9)");
    let names = |asker| -> Vec<String> {
        rack.grants_seen(asker, NOW + 1).iter().map(|g| g.slug.to_string()).collect()
    };
    assert_eq!(names(KeyKind::Attach), ["o.all.A", "o.all.B"]);
    assert_eq!(names(capability(1)), ["o.all.A"]);
    assert!(names(KeyKind::SelfProof).is_empty());
    let seen = &rack.grants_seen(capability(1), NOW + 1)[0];
    assert_eq!(seen.expires_in_ms, 60 * MINUTE - 1);
    assert_eq!(seen.last_reader.as_deref(), Some("robot (pid 9)"));
    let counts = [KeyKind::Attach, capability(1), capability(2), KeyKind::SelfProof]
        .map(|asker| rack.capabilities_seen(asker, NOW).len());
    assert_eq!(counts, [2, 2, 1, 0]);
}

// Properties.

#[derive(Debug, Clone)]
enum Act {
    Hold { slug: usize, minutes: u64, owner: bool, replace: bool },
    Mint { from: Option<u8>, to: u8, slugs: Vec<usize>, rights: Rights },
    Forget { slug: usize, by: Option<u8> },
    Revoke { id: u8, by: Option<u8> },
    Wait(u64),
}

const NAMES: [&str; 6] = ["a.all.K", "a.dev.K", "@all.all.K", "a.sudo.K", "b.dev.K", "a.dev.L"];

fn act() -> impl Strategy<Value = Act> {
    let rights = any::<[bool; 3]>().prop_map(|[get, push, mint]| Rights { get, push, mint });
    let by = proptest::option::of(0..4u8);
    prop_oneof![
        (0..6usize, 0..700u64, any::<bool>(), any::<bool>()).prop_map(
            |(slug, minutes, owner, replace)| Act::Hold { slug, minutes, owner, replace }
        ),
        (by.clone(), 0..4u8, proptest::collection::vec(0..6usize, 0..4), rights)
            .prop_map(|(from, to, slugs, rights)| Act::Mint { from, to, slugs, rights }),
        (0..6usize, by.clone()).prop_map(|(slug, by)| Act::Forget { slug, by }),
        (0..4u8, by).prop_map(|(id, by)| Act::Revoke { id, by }),
        (0..200u64).prop_map(Act::Wait),
    ]
}

fn asker(by: Option<u8>) -> KeyKind {
    by.map_or(KeyKind::Attach, capability)
}

proptest! {
    #[test]
    fn no_order_of_acts_breaks_the_rules(acts in proptest::collection::vec(act(), 1..60)) {
        let mut rack: Rack<u32> = Rack::new(GENERATION);
        let mut now = NOW;
        for act in acts {
            let before: Vec<_> = (0..4).map(|n| rack.readable(capability(n), None, now)).collect();
            let by_owner =
                matches!(act, Act::Hold { owner: true, .. } | Act::Mint { from: None, .. });
            let mut minted = None;
            match act {
                Act::Hold { slug, minutes, owner, replace } => {
                    let generation = Some(rack.generation());
                    let push = Pushed { generation, replace, ..pushed(vec![grant(NAMES[slug], 1, minutes)]) };
                    let _ = rack.push(asker((!owner).then_some(0)), push, now);
                }
                Act::Mint { from, to, slugs, rights } => {
                    minted = Some(usize::from(to));
                    let set = slugs.iter().map(|&i| NAMES[i].parse().unwrap()).collect();
                    let parent = from.map(|n| rack.readable(capability(n), None, now));
                    if rack.mint(asker(from), registration(to, rights), Some(1), Some(set), now).is_ok()
                        && let Some(parent) = parent {
                        // Never wider than the one it was made from.
                        let child = rack.readable(capability(to), None, now);
                        prop_assert!(child.iter().all(|slug| parent.contains(slug)));
                    }
                }
                Act::Forget { slug, by } => {
                    let slugs = vec![NAMES[slug].parse().unwrap()];
                    if rack.forget(asker(by), &Forget { slugs: slugs.clone(), ..Forget::default() }).is_ok() {
                        prop_assert!(rack.held(&slugs[0], now).is_none());
                    }
                }
                Act::Revoke { id: n, by } => {
                    if rack.revoke(asker(by), &id(n)).is_ok() {
                        prop_assert!(rack.readable(capability(n), None, now).is_empty());
                    }
                }
                Act::Wait(minutes) => {
                    now += minutes * MINUTE;
                    rack.sweep(now);
                }
            }
            // What nobody but the owner did widened nobody's reach but the new one's.
            if !by_owner {
                for n in (0..4).filter(|n| Some(*n) != minted) {
                    let after = rack.readable(capability(n as u8), None, now);
                    prop_assert!(after.iter().all(|slug| before[n].contains(slug)));
                }
            }
            // Caps hold, and what may not be read is not granted.
            for text in NAMES {
                let slug = slug(text);
                let cap = if slug.env.is_sudo() { MAX_SUDO_TTL_MS } else { MAX_TTL_MS };
                if let Some(held) = rack.held(&slug, now) {
                    prop_assert!(held.expires_at > now && held.expires_at <= now + cap);
                }
                for n in 0..4 {
                    let verdict = rack.look_up(capability(n), &Ask::exactly(slug.clone()), now);
                    let granted = matches!(verdict, Verdict::Granted(_));
                    prop_assert_eq!(granted, rack.may_read(capability(n), &slug, now));
                }
            }
            let deadline = rack.next_deadline();
            prop_assert_eq!(deadline, rack.grants.values().map(|held| held.expires_at).min());
            prop_assert!(rack.is_empty(now) || deadline.is_some_and(|deadline| deadline > now));
        }
    }
}
