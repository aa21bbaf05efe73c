//! Names that mean harm, at every door: flags, environment, `keyrack.yml`, lists of
//! owners, files that lie about, and drops. Each is refused before a path is built.

use std::fs;

use keyrack_tests::Rack;

const OWNERS: &[&str] = &[
    "..",
    ".",
    "../evil",
    "../../../evil",
    "/etc/passwd",
    "a/b",
    "a..b",
    ".hidden",
    "-rf",
    "_x",
    "A",
    "UPPER",
    "a b",
    "a\nb",
    "a\tb",
    "a'b",
    "a\"b",
    "$(touch pwned)",
    "`touch pwned`",
    "a;b",
    "a|b",
    "a*",
    "a\u{202e}b",
    "é",
    "\u{1b}[31m",
    "a@b",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];
const ORGS: &[&str] =
    &["..", "../evil", "a.b", "a b", "@", "@al", "@all2", "-x", "_x", "a/b", "a\nb", "$(x)", "é"];
const ENVS: &[&str] =
    &["..", "PROD", "Prod", "a.b", "a_b", "1a", "-a", "a b", "@all", "a/b", "a\nb", "é"];
const KEYS: &[&str] =
    &["1A", "A-B", "A B", "A=B", "A.B", "a.b.c.d", "../x", "A/B", "A\nB", "$(x)", "É", "-A"];

/// Runs `command` with `$NAME` as the hostile name; exit 2, nothing on stdout, no raw
/// control character on stderr, no file made.
#[track_caller]
fn refused(rack: &Rack, name: &str, command: &str) {
    let done = rack.script(command).env("NAME", name).stdin("value").run();
    done.code(2).bytes(b"");
    let said = done.errors();
    assert!(said.starts_with("keyrack: error: "), "{done}");
    assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "raw control characters: {said:?}");
    assert!(!said.contains('\u{202e}'), "{said:?}");
    assert!(said.len() < 600, "an error of {} bytes", said.len());
    assert!(!rack.path("work/pwned").exists());
}

/// A rack with an owner, and the names of all its files.
fn rack() -> (Rack, String) {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf x | keyrack set --for bot --key TOKEN").ok();
    let files = rack.sh(FILES).text();
    (rack, files)
}

const FILES: &str = "cd ../home && find . ../run ../etc -type f 2>/dev/null | sort";

#[test]
fn owners_by_flag_and_environment() {
    let (rack, files) = rack();
    for name in OWNERS.iter().chain(&[""]) {
        for command in [
            "keyrack init --for=\"$NAME\"",
            "keyrack set --for=\"$NAME\" --key K",
            "keyrack unlock --for=\"$NAME\"",
            "keyrack --for=\"$NAME\" get --key K",
            "keyrack get --owner=\"$NAME\" --key K",
            "keyrack destroy --yes --for=\"$NAME\"",
            "keyrack copy --from=\"$NAME\" --to bot --key TOKEN",
            "keyrack copy --from bot --to=\"$NAME\" --key TOKEN",
            "keyrack init --for x --kept-by=\"$NAME\"",
        ] {
            refused(&rack, name, command);
        }
        if !name.is_empty() {
            refused(&rack, name, "KEYRACK_FOR=\"$NAME\" keyrack get --key K");
        }
    }
    assert_eq!(rack.sh(FILES).text(), files, "a refused command left a file");
}

#[test]
fn orgs_envs_and_keys_by_flag() {
    let (rack, files) = rack();
    for name in ORGS.iter().chain(&[""]) {
        refused(&rack, name, "keyrack set --for bot --key K --org=\"$NAME\"");
        refused(&rack, name, "keyrack get --for bot --key K --org=\"$NAME\"");
        refused(&rack, name, "keyrack get --for bot --key=\"$NAME.all.K\"");
        refused(&rack, name, "keyrack list --for bot --org=\"$NAME\"");
    }
    for name in ENVS.iter().chain(&[""]) {
        refused(&rack, name, "keyrack set --for bot --key K --env=\"$NAME\"");
        refused(&rack, name, "keyrack unlock --for bot --env=\"$NAME\"");
        refused(&rack, name, "keyrack get --for bot --key=\"acme.$NAME.K\"");
    }
    for name in KEYS.iter().chain(&[""]) {
        refused(&rack, name, "keyrack set --for bot --key=\"$NAME\"");
        refused(&rack, name, "keyrack get --for bot --key=\"$NAME\"");
        refused(&rack, name, "keyrack del --for bot --key=\"acme.all.$NAME\"");
    }
    assert_eq!(rack.sh(FILES).text(), files, "a refused command left a file");
}

#[test]
fn a_key_that_may_be_a_value_is_not_shown() {
    let (rack, _) = rack();
    for form in
        ["keyrack get --for bot --key 'hunter2!'", "keyrack set --for bot --key TOKEN=hunter2!"]
    {
        let done = rack.sh(form);
        done.code(2);
        assert!(!done.errors().contains("hunter2"), "{done}");
    }
}

#[test]
fn names_in_keyrack_yml() {
    let (rack, files) = rack();
    for (names, template) in [
        (ORGS, "org: NAME\nenv:\n  all: [TOKEN]\n"),
        (ENVS, "org: acme\nenv:\n  NAME: [TOKEN]\n"),
        (KEYS, "org: acme\nenv:\n  all: [NAME]\n"),
    ] {
        for name in names {
            let quoted = serde_json::to_string(name).expect("a string");
            rack.write("work/keyrack.yml", template.replace("NAME", &quoted));
            for command in ["keyrack fill --for bot", "keyrack source --for bot", "keyrack trust"] {
                refused(&rack, name, command);
            }
        }
    }
    assert_eq!(rack.sh(FILES).text(), files, "a refused command left a file");
}

#[test]
fn paths_in_extends_stay_what_they_are() {
    let (rack, _) = rack();
    for path in ["$(touch pwned)", "-", "/dev/zero", "/proc/self/mem", "nowhere.yml", "\u{1b}[31m"]
    {
        let quoted = serde_json::to_string(path).expect("a string");
        rack.write("work/keyrack.yml", format!("org: acme\nextends: [{quoted}]\n"));
        refused(&rack, path, "keyrack source --for bot");
    }
}

#[test]
fn owners_in_a_list() {
    let (rack, files) = rack();
    for name in OWNERS.iter().chain(&[""]) {
        let quoted = serde_json::to_string(name).expect("a string");
        rack.write("work/agents.yml", format!("owners:\n  {quoted}:\n"));
        refused(&rack, name, "keyrack init --from agents.yml");
    }
    for bomb in [
        bomb(),
        format!("owners: {}{}\n", "[".repeat(5000), "]".repeat(5000)),
        "owners:\n  a:\n  a:\n".to_owned(),
        "owners:\n  twice: {via: age, via: ssh}\n".to_owned(),
        "not a list\n".to_owned(),
        "x".repeat(40 * 1024 * 1024),
    ] {
        rack.write("work/agents.yml", bomb);
        refused(&rack, "", "keyrack init --from agents.yml");
    }
    assert_eq!(rack.sh(FILES).text(), files, "a refused command left a file");
}

/// A YAML text whose aliases stand for a billion words.
fn bomb() -> String {
    let level =
        |n: usize| format!("l{}: &l{} [{}]\n", n, n, vec![format!("*l{}", n - 1); 10].join(", "));
    let levels: String = (1..10).map(level).collect();
    format!("l0: &l0 [lol]\n{levels}owners: {{x: {{backup: *l9}}}}\n")
}

#[test]
fn files_with_hostile_names_are_passed_over() {
    let (rack, _) = rack();
    for name in [
        "host...yml.age",
        "host.A B.yml.age",
        "host.\u{1b}[31m.yml.age",
        "host.$(x).yml.age",
        "host..yml.age",
    ] {
        fs::write(rack.data().join(name), b"x").expect("our sandbox");
    }
    for name in
        ["keyrack-daemon.A B.sock", "keyrack-daemon.\u{1b}[31m.sock", "keyrack-daemon...sock"]
    {
        fs::write(rack.path("run").join(name), b"x").expect("our sandbox");
    }
    for command in [
        "status --all",
        "daemon list",
        "daemon prune",
        "relock --all",
        "doctor --for bot",
        "list --for bot",
    ] {
        let done = rack.sh(&format!("keyrack {command}"));
        done.ok();
        assert!(!(done.errors() + &done.text()).contains('\u{1b}'), "{done}");
    }
    for name in ["keyrack-daemon.A B.sock", "keyrack-daemon...sock"] {
        assert!(
            rack.path("run").join(name).exists(),
            "prune removed {name}, which is no socket of ours"
        );
    }
}

#[test]
fn drops_that_lie_are_named_and_passed_over() {
    let (rack, _) = rack();
    rack.sh("mkdir -p ~/.local/share/keyrack/drops/bot").ok();
    let drop = |n: usize, payload: &str| {
        let seal = format!(
            "age -R ~/.ssh/id_ed25519_bot.pub -o ~/.local/share/keyrack/drops/bot/{n:032x}.age"
        );
        rack.script(&seal).stdin(payload).run().ok();
    };
    for (n, payload) in [
        "not json",
        "{}",
        r#"{"owner":"bot","slug":"../x.all.K","value":"eA=="}"#,
        r#"{"owner":"other","slug":"acme.all.K","value":"eA=="}"#,
        r#"{"owner":"bot","slug":"acme.all.K","value":"eA==","exec":"touch pwned"}"#,
    ]
    .into_iter()
    .enumerate()
    {
        drop(n, &format!("{payload}\n{{}}\n"));
    }
    let unlock = rack.sh("keyrack unlock --for bot --accept-drops");
    let warned = unlock.ok().errors().matches("it is left where it is").count();
    assert_eq!(warned, 5, "{unlock}");
    rack.sh("keyrack get --for bot --key TOKEN").ok().bytes(b"x");
    let keys = rack.sh("keyrack list --for bot --json").json();
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1), "{keys}");
    assert!(!rack.path("work/pwned").exists());
}

#[test]
fn a_socket_directory_with_too_long_a_path_is_told() {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf x | keyrack set --for bot --key K").ok();
    let there = "export KEYRACK_SOCKET_DIR=~/$(printf 'x%.0s' $(seq 110)); mkdir -pm 700 $KEYRACK_SOCKET_DIR";
    let told = rack.sh(&format!("{there}; keyrack unlock --for bot; exit $?"));
    let said = told.code(7).errors();
    assert!(said.contains("there is nowhere to listen: "), "{told}");
    assert!(said.contains("keyrack-daemon.bot.sock: File name too long"), "{told}");
    rack.sh(&format!("{there}; keyrack get --for bot --key K; exit $?")).code(3);
}

/// An argument is bytes: a path that is no UTF-8 names a file like any other.
#[test]
fn a_key_file_whose_name_is_no_text_is_a_key_file() {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init -q --for bot; printf value | keyrack set -q --for bot --key TOKEN
             mv ~/.ssh/id_ed25519_bot $'k\\xff'
             keyrack unlock -q --for bot --identity $'k\\xff'
             keyrack get --for bot --key TOKEN; mv $'k\\xff' ~/.ssh/id_ed25519_bot")
        .ok()
        .bytes(b"value");
}
