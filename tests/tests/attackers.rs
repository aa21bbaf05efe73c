//! The attackers in `tests/attackers`: how many there are, and that each is sent out.

use std::collections::BTreeSet;

use keyrack_tests::{binaries, source};

/// The names in a Python dictionary `TABLE = dict(…)`.
fn names(program: &str, table: &str) -> BTreeSet<String> {
    let text = source::read(program);
    let (_, rest) = text.split_once(&format!("{table} = dict(\n")).expect("the table");
    let body = rest.split("\n)\n").next().expect("it ends");
    let name = |part: &str| part.split('=').next().map(|name| name.trim().to_owned());
    body.split(',').filter(|part| part.contains('=')).filter_map(name).collect()
}

/// What all the tests of attacks say.
fn suites() -> String {
    let of_attacks = |path: &std::path::Path| {
        let name = path.display().to_string();
        name.starts_with("tests/tests/attacks_") || name.starts_with("tests/tests/sandbox")
    };
    let texts = source::texts("rs").into_iter().filter(|(path, _)| of_attacks(path));
    texts.map(|(_, text)| text).collect()
}

#[test]
fn every_attacker_is_sent_out() {
    let suites = suites();
    let attacks = names("tests/attackers/attack.py", "ATTACKS");
    let squats = names("tests/attackers/squat.py", "KINDS");
    let is_sent = |name: &&String| {
        let mut words = suites.split(['"', ' ', '{', '}']);
        words.any(|word| word == **name)
    };
    let idle: Vec<&String> = attacks.iter().chain(&squats).filter(|name| !is_sent(name)).collect();
    assert_eq!(idle, [] as [&String; 0]);
    let programs = std::fs::read_dir(binaries::repository().join("tests/attackers"));
    for program in programs.expect("it is there").flatten() {
        let name = program.file_name().to_string_lossy().into_owned();
        assert!(
            suites.contains(&name) || source::read("tests/src/prison.rs").contains(&name),
            "{name} is idle"
        );
    }
}

#[test]
fn there_are_enough_of_them() {
    let keyring = source::read("tests/attackers/keyring.py");
    let of_key_rings = keyring.lines().filter(|line| line.contains(", lambda: keyctl(")).count();
    let others = names("tests/attackers/attack.py", "ATTACKS").len()
        + names("tests/attackers/squat.py", "KINDS").len();
    assert_eq!(of_key_rings, 18);
    assert!(others + of_key_rings >= 50, "{others} and {of_key_rings}");
}
