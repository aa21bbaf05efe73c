//! Which slug answers, until when, and for whom.

use keyrack_protocol::names::Env;

use super::*;

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

/// As for one: another credential is no answer where the owner has that of the env.
#[test]
fn what_the_owner_has_in_the_env_and_is_not_held_hides_the_fallback() {
    let mut rack = rack(&["a.all.K", "a.all.L"]);
    let known = Pushed { known: Some(slugs(&["a.prod.K"])), ..pushed(vec![]) };
    rack.push(KeyKind::Attach, known, NOW).unwrap();
    let prod: Env = "prod".parse().unwrap();
    assert_eq!(rack.readable(KeyKind::Attach, Some(&prod), NOW), slugs(&["a.all.L"]));
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
