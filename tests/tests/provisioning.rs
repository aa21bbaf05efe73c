//! Many owners at once: in one file, or in a loop. Each whole or not at all, the same again
//! is nothing, and nothing is left of whoever is destroyed.

use std::path::Path;

use keyrack_tests::team::Team;
use keyrack_tests::{Rack, daemons, need};

/// Every file under `dir` with what is in it, but locks, which are empty.
fn contents(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).expect("ours")));
        }
    }
    found.sort();
    found
}

const AGENTS: &str = "\
owners:
  one:
    keys:
      GITHUB_TOKEN: { env: repo, file: secrets/github, trim: true }
      acme.dev.NPM_TOKEN: { stdin: true, class: session, expires: 30d }
      DATABASE: { vault: 1password }
  two: { via: age, selfProof: off, keys: { BLOB: { stdin: true } } }
";
const VALUES: &str = r#"{"one": {"acme.dev.NPM_TOKEN": "npm"}, "two": {"BLOB": {"encoding": "base64", "value": "AP8K"}}}"#;

fn rack() -> Rack {
    let rack = Rack::new();
    rack.write("work/agents.yml", AGENTS);
    rack.write("work/secrets/github", "ghp_1\n");
    rack
}

fn init(rack: &Rack, flags: &str) -> keyrack_tests::Finished {
    rack.script(&format!("keyrack init --from agents.yml {flags}; exit $?")).stdin(VALUES).run()
}

#[test]
fn owners_come_with_what_they_are_to_have() {
    let rack = rack();
    let done = init(&rack, "--json").ok().json();
    let status = |owner: usize| -> Vec<(String, String)> {
        let keys = done["owners"][owner]["keys"].as_array().expect("keys").iter();
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        keys.map(|key| (text(&key["slug"]), text(&key["status"]))).collect()
    };
    let set = |slug: &str| (slug.to_owned(), "set".to_owned());
    assert_eq!(
        status(0),
        [set("@all.all.DATABASE"), set("@all.repo.GITHUB_TOKEN"), set("acme.dev.NPM_TOKEN")]
    );
    assert_eq!(status(1), [set("@all.all.BLOB")]);
    rack.sh("keyrack unlock --quiet --for one --env repo; keyrack unlock --quiet --for one --org acme --env dev; keyrack unlock --quiet --for two").code(0);
    rack.sh("keyrack get --for one --env repo --key GITHUB_TOKEN").ok().bytes(b"ghp_1");
    rack.sh("keyrack get --for one --key acme.dev.NPM_TOKEN").ok().bytes(b"npm");
    rack.sh("keyrack get --for two --key BLOB; exit $?").code(5);
    rack.sh("keyrack unlock --quiet --for two; keyrack get --for two --key BLOB")
        .ok()
        .bytes(b"\x00\xff\n");
    rack.sh("keyrack list --for one").ok().stdout(
        "@all.all.DATABASE\t1password\tlong_lived_token\tkeyrack/one/@all.all.DATABASE\n@all.repo.GITHUB_TOKEN\tpersonal\tlong_lived_token\t-\nacme.dev.NPM_TOKEN\tpersonal\tsession\t-\n",
    );
}

#[test]
fn the_same_again_writes_nothing_and_a_change_one_file() {
    let rack = rack();
    init(&rack, "").ok();
    rack.sh("keyrack unlock --quiet --for one --env repo --key GITHUB_TOKEN").ok();
    let before = contents(&rack.data());
    let again = init(&rack, "");
    assert!(again.ok().errors().contains("2 owners: 2 there already"), "{again}");
    assert_eq!(contents(&rack.data()), before, "nothing was written");
    rack.write("work/secrets/github", "ghp_2\n");
    let changed = init(&rack, "--json").ok().json();
    let keys = changed["owners"][0]["keys"].as_array().expect("keys").clone();
    let set: Vec<_> = keys.iter().filter(|key| key["status"] == "set").collect();
    assert_eq!(set.len(), 1, "{changed}");
    // What was unlocked is replaced.
    rack.sh("keyrack get --for one --env repo --key GITHUB_TOKEN").ok().bytes(b"ghp_2");
}

#[test]
fn an_owner_that_fails_leaves_nothing_and_stops_nobody() {
    let rack = rack();
    std::fs::remove_file(rack.path("work/secrets/github")).expect("ours");
    let done = init(&rack, "");
    let said = done.code(10).errors();
    assert!(said.contains("2 owners: 1 created, 1 failed"), "{done}");
    assert!(
        said.contains("error: one: @all.repo.GITHUB_TOKEN: secrets/github: No such file"),
        "{done}"
    );
    for dir in [rack.data(), rack.state(), rack.home().join(".ssh")] {
        let left = contents(&dir).into_iter().map(|(path, _)| path.display().to_string());
        let left: Vec<_> = left.filter(|path| path.contains("one")).collect();
        assert_eq!(left, [] as [String; 0]);
    }
    // What is too much for a disk or a value is found before, too.
    rack.sh("head -c 2000000 /dev/zero >secrets/github").ok();
    init(&rack, "").code(10);
    assert!(!rack.manifest("one").exists());
    rack.write("work/secrets/github", "ghp_1\n");
    init(&rack, "").ok();
}

#[test]
fn a_disk_that_takes_no_more_leaves_nothing_of_an_owner() {
    let rack = rack();
    // The vault is half written when a file of it does not fit.
    rack.sh("head -c 60000 /dev/zero >secrets/github").ok();
    let limited = "ulimit -f 16; trap '' XFSZ; keyrack init --from agents.yml; exit $?";
    let done = rack.script(limited).stdin(VALUES).run();
    assert!(done.code(10).errors().contains("2 owners: 1 created, 1 failed"), "{done}");
    for dir in [rack.data(), rack.state(), rack.home().join(".ssh")] {
        let left = contents(&dir).into_iter().map(|(path, _)| path.display().to_string());
        let left: Vec<_> = left.filter(|path| path.contains("one")).collect();
        assert_eq!(left, [] as [String; 0]);
    }
    init(&rack, "").ok();
    rack.sh("keyrack unlock --quiet --for one --env repo --key GITHUB_TOKEN").ok();
}

/// A key that a killed `init` was about to put in its place: nothing is sealed to it.
#[test]
fn a_half_made_key_is_swept_by_the_next_init() {
    let rack = Rack::new();
    rack.sh(
        "mkdir -p -m 700 ~/.ssh && cd ~/.ssh && touch .id_ed25519_bot~0a.tmp .id_ed25519_other~0a.tmp
         touch -d '2 hours ago' .id_ed25519_bot~0b.tmp .id_ed25519_other~0b.tmp
         keyrack init --quiet --for bot",
    )
    .ok();
    let left = rack.sh("cd ~/.ssh; ls -A | grep tmp").ok().text();
    assert_eq!(left, ".id_ed25519_bot~0a.tmp\n.id_ed25519_other~0a.tmp\n.id_ed25519_other~0b.tmp");
}

#[test]
fn what_the_file_does_not_know_is_refused_before_anything_is_done() {
    let rack = rack();
    rack.write("work/agents.yml", AGENTS.replace("via: age", "vai: age"));
    let done = init(&rack, "");
    let said = done.code(2).errors();
    assert!(
        said.contains(
            "agents.yml: owners.two: unknown field `vai`, expected one of `via`, `pubkey`"
        ),
        "{done}"
    );
    assert!(said.contains("at line 7 column 10"), "{done}");
    let both = rack.sh("keyrack --for one init --from agents.yml; exit $?");
    assert!(both.code(2).errors().contains("--for cannot be used with --from"), "{both}");
    assert!(!rack.manifest("one").exists());
    rack.write("work/agents.yml", AGENTS);
    let script = "keyrack init --from agents.yml; exit $?";
    for (values, why) in [
        ("", "stdin: not an object of owners' values"),
        (r#"{"one": {"SECRET": "hunter2"}}"#, "stdin: one's SECRET is asked for by nobody"),
        (r#"{"one": {"acme.dev.NPM_TOKEN": 4711}}"#, "stdin: not an object of owners' values"),
    ] {
        let done = rack.script(script).stdin(values).run();
        assert!(done.code(2).errors().contains(why), "{done}");
        assert!(!done.errors().contains("hunter2") && !done.errors().contains("4711"), "{done}");
    }
    assert!(!rack.manifest("two").exists());
    // One that is asked for and does not come fails alone.
    let done = rack.script(script).stdin(r#"{"one": {"acme.dev.NPM_TOKEN": "npm"}}"#).run();
    assert!(
        done.code(10).errors().contains("two: @all.all.BLOB: stdin has no value for it"),
        "{done}"
    );
}

#[test]
fn with_only_public_keys_values_are_left_once() {
    let rack = Rack::new();
    rack.key("far");
    rack.sh("mkdir keys elsewhere; mv ~/.ssh/id_ed25519_far elsewhere/far; mv ~/.ssh/id_ed25519_far.pub keys/far.pub").ok();
    rack.write("work/token", "first");
    rack.write(
        "work/agents.yml",
        "owners:\n  far: { pubkey: keys/far.pub, provisioner: true, keys: { TOKEN: { file: token } } }\n",
    );
    let drops = || contents(&rack.data().join("drops/far")).len();
    let init = || rack.sh("keyrack init --from agents.yml");
    assert!(init().ok().errors().contains("1 left as drops"), "{}", init());
    assert_eq!(drops(), 1);
    assert!(init().ok().errors().contains("far: 1 unchanged"), "left once");
    assert_eq!(drops(), 1);
    // There and back: the last value is what counts.
    for value in ["second", "first"] {
        rack.write("work/token", value);
        init().ok();
    }
    assert_eq!(drops(), 3);
    rack.sh("cp elsewhere/far ~/.ssh/id_ed25519_far; keyrack unlock --quiet --for far; keyrack get --for far --key TOKEN").ok().bytes(b"first");
    assert_eq!(drops(), 0);
    // What a drop cannot hold is refused, and nothing of it is left.
    rack.sh("rm ~/.ssh/id_ed25519_far").ok();
    rack.write(
        "work/agents.yml",
        "owners:\n  far: { pubkey: keys/far.pub, keys: { A: { file: token }, B: { vault: 1password } } }\n",
    );
    rack.sh("keyrack init --from agents.yml; exit $?").code(6);
    assert_eq!(drops(), 0);
}

#[test]
fn drops_that_others_sealed_are_put_in_place() {
    let rack = Rack::new();
    rack.key("bot");
    // Another host, which knows the public key alone, leaves a drop.
    let other = Rack::new();
    let key = std::fs::read(rack.home().join(".ssh/id_ed25519_bot.pub")).expect("made");
    other.write("work/bot.pub", key);
    other.sh("keyrack init --for bot --pubkey bot.pub; printf from-afar | keyrack set --for bot --key TOKEN").ok();
    let sealed = contents(&other.data().join("drops/bot"));
    let name = sealed[0].0.file_name().expect("a file").to_str().expect("hex").to_owned();
    rack.write(&format!("work/left/{name}"), &sealed[0].1);
    rack.write("work/agents.yml", "owners:\n  bot: { drops: [left] }\n");
    rack.sh("keyrack init --from agents.yml; keyrack unlock --quiet --for bot --accept-drops; keyrack get --for bot --key TOKEN").ok().bytes(b"from-afar");
    // Merged is merged: the same file again is thrown away.
    rack.sh("keyrack del --for bot --key TOKEN; keyrack init --from agents.yml; keyrack unlock --quiet --for bot --accept-drops; keyrack get --for bot --key TOKEN").code(4);
    rack.write("work/left/README", "no drop");
    let done = rack.sh("keyrack init --from agents.yml");
    assert!(done.code(2).errors().contains("a drop is called by its id"), "{done}");
}

/// Nothing that lives, listens, locks or waits is there of any owner.
#[track_caller]
fn nothing_is_left(rack: &Rack) {
    rack.no_daemon();
    let left = |dir: &Path| -> Vec<String> {
        let all = contents(dir).into_iter().map(|(path, _)| path.display().to_string());
        // What an owner's daemon gave out is told for ever.
        all.filter(|path| !path.contains("/audit/")).collect()
    };
    assert_eq!(left(&rack.path("run")), [] as [String; 0], "sockets");
    assert_eq!(left(&rack.data()), [] as [String; 0], "files");
    assert_eq!(left(&rack.state()), [] as [String; 0], "pins and locks");
}

#[test]
fn a_loop_over_fifty_owners_leaves_nothing() {
    need!("keyctl");
    let rack = Rack::new();
    rack.sh(
        "for i in $(seq 50); do
             keyrack init --quiet --for agent-$i && printf v$i | keyrack set --quiet --for agent-$i --key TOKEN \\
                 && keyrack unlock --quiet --for agent-$i && [ $(keyrack get --for agent-$i --key TOKEN) = v$i ] || exit 1
         done
         keyctl show @s >held; grep -c 'user: keyrack:' held >trees
         for i in $(seq 50); do keyrack destroy --quiet --yes --for agent-$i || exit 1; done
         keyctl pipe $(keyctl search @s user keyrack:tree) | wc -l >remembered",
    )
    .ok();
    nothing_is_left(&rack);
    let text = |file: &str| std::fs::read_to_string(rack.path(file)).expect("it was written");
    assert_eq!(text("work/trees").trim(), "1", "one key of one tree, not fifty");
    assert_eq!(text("work/remembered").trim(), "1", "and it remembers no owner");
}

/// Its daemon ended before: nobody relocks it any more, and it is forgotten all the same.
#[test]
fn an_owner_whose_daemon_ended_leaves_nothing() {
    let rack = Rack::new();
    rack.sh(
        "keyrack init --via age --for agent && printf v | keyrack set --for agent --key TOKEN \\
             && keyrack unlock --for agent && keyrack daemon stop --all; exit $?",
    )
    .ok();
    rack.sh("keyrack destroy --yes --for agent").ok();
    nothing_is_left(&rack);
}

#[test]
fn fifty_owners_in_one_file_leave_nothing_either() {
    let rack = Rack::new();
    let owners =
        |n: usize| format!("  agent-{n}: {{ via: age, keys: {{ TOKEN: {{ stdin: true }} }} }}\n");
    rack.write("work/agents.yml", format!("owners:\n{}", (0..50).map(owners).collect::<String>()));
    let values = (0..50).map(|n| format!(r#""agent-{n}": {{"TOKEN": "v{n}"}}"#));
    let values = format!("{{{}}}", values.collect::<Vec<_>>().join(","));
    let all = (0..50).map(|n| format!("--for agent-{n}")).collect::<Vec<_>>().join(" ");
    let script = format!(
        "keyrack init --quiet --from agents.yml && keyrack unlock --quiet {all} && keyrack get --for agent-49 --key TOKEN; exit $?"
    );
    rack.script(&script).stdin(values).run().ok().bytes(b"v49");
    assert_eq!(rack.daemons().len(), 50);
    rack.sh(&format!("keyrack destroy --quiet --yes {all}")).ok();
    nothing_is_left(&rack);
}

/// Asked what it would do, it looks at all that is named; each error says whose it is.
#[test]
fn what_is_wrong_with_an_owner_is_told_before_and_by_its_name() {
    let rack = Rack::new();
    rack.write("work/no.drop", "x");
    for (what, why) in [
        ("pubkey: nothing", "nothing"),
        ("backup: [nothing]", "nothing"),
        ("drops: [no.drop]", "no.drop: a drop is called by its id"),
        ("vaults: [no.drop]", "no.drop: not an invitation"),
        ("keys: { K: { file: none } }", "@all.all.K: none: No such file"),
    ] {
        rack.write("work/agents.yml", format!("owners:\n  one: {{ via: age, {what} }}\n"));
        for flags in ["", "--dry-run"] {
            let done = rack.sh(&format!("keyrack init --from agents.yml {flags}"));
            assert_ne!(done.code, 0, "{what}: {done}");
            let said = done.errors().contains("error: one: ") && done.errors().contains(why);
            assert!(said, "{what}: {done}");
            assert!(!rack.manifest("one").exists(), "{what}");
        }
    }
}

#[test]
fn owners_made_at_the_same_time_are_told_of_in_their_order() {
    let rack = Rack::new();
    // One has a key that is none: the others neither wait for it nor fail with it.
    let of = |n: usize| match n {
        13 => "  a-13: { pubkey: nothing }\n".to_owned(),
        _ => format!("  a-{n}: {{ via: age, provisioner: {} }}\n", n >= 25),
    };
    let owners: String = (10..40).rev().map(of).collect();
    rack.write("work/agents.yml", format!("owners:\n{owners}"));
    let done = rack.sh("keyrack init --json --from agents.yml; exit $?");
    let rows = done.json()["owners"].as_array().expect("owners").clone();
    let told: Vec<_> = rows.iter().map(|row| row["owner"].as_str().expect("text")).collect();
    let all: Vec<_> = (10..40).rev().filter(|n| *n != 13).map(|n| format!("a-{n}")).collect();
    assert_eq!(told, all, "{done}");
    assert!(rows.iter().all(|row| row["created"] == true), "{done}");
    assert!(!rack.manifest("a-13").exists());
}

#[test]
fn one_daemon_of_many_is_destroyed_and_the_others_serve() {
    let rack = Rack::new();
    rack.sh("for i in 1 2 3; do keyrack init --quiet --for a$i; printf $i | keyrack set --quiet --for a$i --key K; done; keyrack unlock --quiet --for a1 --for a2 --for a3").ok();
    rack.sh("keyrack destroy --quiet --yes --for a2; keyrack get --for a1 --key K; keyrack get --for a3 --key K").ok().bytes(b"13");
    rack.sh("keyrack destroy --yes --for a1 --for a2; echo $?; keyrack get --for a1 --key K")
        .stdout("4\n1");
    daemons::until(|| rack.daemons().len() == 2);
    rack.sh("keyrack daemon stop --all").ok();
}

/// What is beside an owner's making, such as the default vault, hides no manifest.
#[test]
fn what_fails_beside_a_batch_ends_it_for_nobody() {
    let rack = Rack::new();
    rack.write("home/.local/share/keyrack/default-vault.json", "damaged");
    rack.write("work/agents.yml", "owners: { a1: {}, a2: {}, a3: {} }\n");
    let done = rack.sh("keyrack init --from agents.yml --json");
    let rows = done.code(10).json();
    let made = rows["owners"].as_array().expect("rows");
    assert!(made.len() == 3 && made.iter().all(|row| row["created"] == true), "{done}");
    assert_eq!(done.errors().matches("default-vault.json does not read").count(), 3, "{done}");
    // One that does not go keeps none of the others.
    rack.sh("ln -sf elsewhere ~/.local/state/keyrack/locks/a2.lock").ok();
    let done = rack.sh("keyrack destroy --yes --json --for a1 --for a2 --for a3");
    let gone = done.code(10).json();
    let gone = gone["owners"].as_array().expect("rows");
    let gone: Vec<_> = gone.iter().filter_map(|row| row["owner"].as_str()).collect();
    assert_eq!(gone, ["a1", "a3"], "{done}");
}

#[test]
fn an_owner_joins_the_vaults_it_is_invited_to() {
    let team = Team::of(&["alice"]);
    team.sh("keyrack init --quiet --for bob; printf s3cret | keyrack set --for alice --vault team --key TOKEN").ok();
    let invitation = team.invite("bob", "");
    team.write("work/invitation", format!("{invitation}\n"));
    team.write("work/agents.yml", "owners:\n  bob: { vaults: [invitation] }\n");
    let joined = team.sh("keyrack init --from agents.yml");
    assert!(joined.ok().errors().contains("member of team"), "{joined}");
    let again = team.sh("keyrack init --from agents.yml --json");
    again.ok().json();
    assert_eq!(team.get("bob", "TOKEN"), "s3cret");
    // What is not all its own stays with the others: where it is kept, that is said.
    team.sh("cp -a ~/.local ~/kept; cp -a ~/.ssh ~/kept-ssh").ok();
    let gone = team.sh("keyrack destroy --yes --for bob --connections keep");
    assert!(
        gone.ok().errors().contains("warning: bob: the vault team still has it as a member"),
        "{gone}"
    );
    team.sh("rm -r ~/.local ~/.ssh; mv ~/kept ~/.local; mv ~/kept-ssh ~/.ssh").ok();
    let gone = team.sh("keyrack destroy --yes --for bob");
    assert!(!gone.ok().errors().contains("still has it"), "{gone}");
    let members = team.sh("keyrack vault members list --for alice").ok().text();
    assert!(members.contains("bob\tmember\tleft"), "{members}");
    assert_eq!(team.get("alice", "TOKEN"), "s3cret");
}
