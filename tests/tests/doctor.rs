//! What `doctor` and `status` say of an owner's protection, on this machine and on those
//! that lack a part of it.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use keyrack_tests::rack::KeyType;
use keyrack_tests::{Finished, Rack, need};

/// What protects a daemon, in the order in which it is told.
const INGREDIENTS: &[&str] = &[
    "start window",
    "no inherited descriptors",
    "non-dumpable",
    "no core",
    "no new privileges",
    "no writable code",
    "own keyring",
    "empty environment",
    "locked page",
    "landlock",
    "seccomp",
    "audit log",
];

/// An ordinary user's owner, whose key needs a person.
fn rack() -> Rack {
    let rack = Rack::ordinary();
    rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
    rack.sh("keyrack init --for bot; printf value | keyrack set --for bot --key TOKEN").ok();
    rack
}

const UNLOCK: &str =
    "KEYRACK_PASSPHRASE_FD=3 keyrack unlock --quiet --accept-drops --for bot 3<<<'open sesame'";

/// The rows of a report: mark, what was looked at, how it is.
fn rows(report: &Finished) -> Vec<[String; 3]> {
    let text = report.text();
    let cells = |line: &str| -> Option<[String; 3]> {
        line.split('\t').map(str::to_owned).collect::<Vec<_>>().try_into().ok()
    };
    text.lines().filter_map(cells).collect()
}

fn row<'a>(rows: &'a [[String; 3]], name: &str) -> &'a [String; 3] {
    rows.iter().find(|row| row[1] == name).unwrap_or_else(|| panic!("no {name} in {rows:?}"))
}

#[test]
fn the_level_and_each_ingredient_are_told_with_their_state() {
    let rack = rack();
    let report = rack.sh(&format!("{UNLOCK}; keyrack doctor --for bot"));
    let rows = rows(report.ok());
    assert_eq!(row(&rows, "level"), &["ok", "level", "L1"]);
    for name in INGREDIENTS {
        assert_eq!(row(&rows, name)[0], "ok", "{report}");
    }
    assert_eq!(row(&rows, "key")[0], "ok", "{report}");
    let never: Vec<&str> =
        rows.iter().filter(|row| row[1] == "not protected from").map(|row| &*row[2]).collect();
    assert!(never.len() >= 4 && never[0].starts_with("root"), "{never:?}");
    // The same for a program.
    let json = rack.sh("keyrack doctor --json --for bot").ok().json();
    assert_eq!(json["level"]["name"], "L1");
    assert_eq!(json["notProtected"].as_array().map(Vec::len), Some(never.len()));
    let names: Vec<&str> = json["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|check| check["name"].as_str())
        .collect();
    assert!(INGREDIENTS.iter().all(|name| names.contains(name)), "{names:?}");
}

#[test]
fn a_key_that_opens_without_a_person_is_named_and_is_l0() {
    let rack = rack();
    rack.sh("ssh-keygen -q -p -P 'open sesame' -N '' -f ~/.ssh/id_ed25519_bot || true");
    rack.make_key("id_ed25519_eve", KeyType::Ed25519, "");
    rack.sh("keyrack init --for eve").ok();
    let report = rack.sh("keyrack doctor --for eve");
    let rows = rows(report.ok());
    assert_eq!(row(&rows, "level")[2], "L0: key readable without a person");
    let key = rack.home().join(".ssh/id_ed25519_eve");
    assert_eq!(row(&rows, "key")[2], format!("readable without a passphrase: {}", key.display()));
    assert!(report.errors().contains(&format!("ssh-keygen -p -f {}", key.display())), "{report}");
}

#[test]
fn a_program_that_can_be_read_is_made_to_start_closed() {
    let rack = rack();
    let program = rack.path("bin/keyrackd");
    if nix::unistd::geteuid().is_root() {
        // As the package installs it: root can read it, and nobody else.
        std::fs::set_permissions(&program, Permissions::from_mode(0o711)).expect("ours");
        let packaged = rack.sh("keyrack doctor --for bot");
        assert!(row(&rows(packaged.ok()), "keyrackd")[2].contains("nobody can read it"));
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("ours");
    }
    // As if this user had installed it.
    rack.hand_over(&program);
    let doctor = |flags: &str| rack.sh(&format!("keyrack doctor --for bot {flags}"));
    let said = |report: &Finished| row(&rows(report.ok()), "keyrackd")[2].clone();
    assert!(said(&doctor("")).contains("it can be read, so each start seals a copy first"));
    assert!(said(&doctor("--fix --dry-run")).contains("it can be read"));
    assert!(said(&doctor("--fix")).contains("nobody can read it any more"));
    assert!(said(&doctor("")).contains("nobody can read it, so it starts closed"));
    assert_eq!(program.metadata().expect("it is there").mode() & 0o777, 0o111);
    rack.sh(&format!("{UNLOCK}; keyrack get --for bot --key TOKEN")).ok().bytes(b"value");
}

/// Runs a daemon where `before` starts it, and asserts that `status` and `doctor` name what
/// it lacks, and that it serves.
#[track_caller]
fn lacking(rack: &Rack, before: &str, name: &str, state: &str) {
    let unlock = UNLOCK.replace("keyrack unlock", &format!("{before} keyrack unlock"));
    let done = rack.sh(&format!(
        "{unlock} --scope env >cap; . ./cap; keyrack get --for bot --key TOKEN; echo; \
         keyrack status --for bot; keyrack doctor --for bot; keyrack relock --quiet --for bot"
    ));
    let text = done.ok().text();
    assert!(text.starts_with("value\n"), "{done}");
    assert!(text.contains(&format!("\nbot: not in force: {name}: ")), "{done}");
    assert!(text.matches(state).count() >= 2, "{done}");
    assert!(text.contains(&format!("\n--\t{name}\t")), "{done}");
}

#[test]
fn what_a_kernel_lacks_is_named() {
    need!("python3");
    let rack = rack();
    rack.write("work/blocked.py", include_str!("../support/blocked.py"));
    for (call, name, state) in [
        ("landlock_create_ruleset", "landlock", "this kernel offers none"),
        ("seccomp", "seccomp", "Operation not permitted"),
        ("memfd_create", "start window", "open: no sealed copy could be executed"),
        ("keyctl", "own keyring", "Operation not permitted"),
    ] {
        lacking(&rack, &format!("python3 blocked.py {call}"), name, state);
    }
    // Without secret memory there is locked memory; without either it is said.
    let both = "prlimit --memlock=0 python3 blocked.py memfd_secret";
    lacking(&rack, both, "locked page", "ordinary memory: this machine locks none");
}

/// The setting is a process namespace's own.
#[test]
fn where_memory_may_not_be_executed_it_says_so() {
    need!(root);
    let rack = rack();
    let uid = rack.uid().expect("root made one");
    let set = "[ -e /proc/sys/vm/memfd_noexec ] && echo 2 >/proc/sys/vm/memfd_noexec";
    let inside = format!(
        "{UNLOCK}; keyrack get --for bot --key TOKEN; echo; keyrack status --for bot; keyrack relock --quiet --for bot"
    );
    rack.write("work/inside.sh", inside);
    let mut unshare = rack.command("true");
    let environment: Vec<_> = unshare
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    unshare = std::process::Command::new("unshare");
    let script = format!(
        "{set} || exit 77; exec setpriv --reuid={uid} --regid={uid} --clear-groups bash inside.sh"
    );
    unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", &script]);
    let out = unshare
        .env_clear()
        .envs(environment)
        .current_dir(rack.path("work"))
        .output()
        .expect("unshare runs");
    if out.status.code() == Some(77) {
        return keyrack_tests::skip::skip(
            "doctor.rs",
            keyrack_tests::skip::Missing::Here("this kernel has no vm.memfd_noexec"),
        );
    }
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.starts_with("value\n"), "{out:?}");
    assert!(
        text.contains("not in force: start window: open: no sealed copy could be executed"),
        "{out:?}"
    );
}

/// There uid 0 reads every program, so nothing starts closed; and whoever made it is master of it.
#[test]
fn root_of_a_user_namespace_is_told_that_its_start_window_is_open() {
    let rack = rack();
    let inside = format!(
        "{UNLOCK}; keyrack get --for bot --key TOKEN; echo; keyrack status --for bot; keyrack relock --quiet --for bot"
    );
    rack.write("work/inside.sh", inside);
    let done = rack.sh("unshare --user --map-root-user bash inside.sh");
    let text = done.ok().text();
    assert!(text.starts_with("value\n"), "{done}");
    assert!(
        text.contains("bot: not in force: start window: open: uid 0 can read every program")
            && text.contains("bot: not in force: user namespace: whoever made it can look into"),
        "{done}"
    );
}
