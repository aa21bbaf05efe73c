//! The unit files: systemd understands them, and a systemd of a user's own runs them. An
//! owner's daemon is the service for as long as it lives.

use std::path::Path;

use keyrack_tests::skip::{Missing, skip};
use keyrack_tests::{Finished, Rack, binaries, need};

const UNITS: &str = "keyrack-cli/packaging/systemd/user";
const MANAGER: &str = include_str!("../support/user_manager.sh");

/// Copies the units to where the rack's systemd looks, with the binary that is tested.
fn install(rack: &Rack) -> Vec<String> {
    let units = std::fs::read_dir(binaries::repository().join(UNITS)).expect("the units");
    let keyrack = binaries::dir().join("keyrack").display().to_string();
    units
        .map(|unit| {
            let unit = unit.expect("a unit");
            let name = unit.file_name().into_string().expect("ASCII");
            let text = std::fs::read_to_string(unit.path()).expect("a text");
            let text = text.replace("=keyrack ", &format!("={keyrack} "));
            rack.write(&format!("home/.config/systemd/user/{name}"), text);
            name.replace('@', "@bot")
        })
        .collect()
}

#[test]
fn systemd_understands_the_units() {
    need!("systemd-analyze");
    let rack = Rack::new();
    let names = install(&rack);
    assert_eq!(names.len(), 7, "{names:?}");
    let names = names.join(" ");
    let verify = format!(
        "mkdir -m 0700 ../runtime; export XDG_RUNTIME_DIR=$PWD/../runtime
         cd ~/.config/systemd/user && systemd-analyze verify --user --man=no {names}"
    );
    let done = rack.sh(&verify);
    // It reads the machine's own units, too, and may have something to say of them.
    assert!(!done.ok().errors().contains("keyrack"), "{done}");
    let broken = "sed -i s/^Type=/Tipe=/ ~/.config/systemd/user/keyrack@.service";
    let told = rack.sh(&format!("{broken}; {}", verify.replace("mkdir -m 0700 ../runtime;", "")));
    assert!(told.errors().contains("keyrack@.service:"), "{told}");
}

/// What `script` does beside a systemd of its own; nothing where there can be none.
fn managed(rack: &Rack, script: &str) -> Option<Finished> {
    let (test, missing) = ("services.rs: a systemd of a user's own", |why| {
        skip("services.rs: a systemd of a user's own", Missing::Here(why));
    });
    if !Path::new("/lib/systemd/systemd").exists() {
        skip(test, Missing::Program("systemd"));
        return None;
    }
    if !keyrack_tests::skip::is_root() {
        missing("it needs namespaces and control groups that root may make");
        return None;
    }
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf sesame | keyrack set --for bot --key TOKEN").ok();
    install(rack);
    rack.write("work/user_manager.sh", MANAGER);
    let managed = rack.script("export TMPDIR=$PWD; bash user_manager.sh \"$INSIDE\"");
    let done = managed.env("INSIDE", script).run();
    if done.code != 0 && !rack.path("work/systemd.log").exists() {
        missing("no namespaces or control groups can be made here");
        return None;
    }
    Some(done)
}

#[test]
fn the_daemon_is_the_service_until_it_ends() {
    let rack = Rack::new();
    let script = "
        main() { systemctl --user show -P MainPID keyrack@bot; }
        state() { systemctl --user is-active keyrack@bot || true; }
        systemctl --user start keyrack@bot
        state; cat /proc/$(main)/comm
        keyrack get --for bot --key TOKEN; echo
        systemctl --user show -P StatusText keyrack@bot
        keyrack daemon list --json | grep -o \"\\\"pid\\\":$(main),\" | tr 0-9 N | tr -s N
        keyrack relock --quiet --for bot
        for _ in $(seq 100); do [ $(state) = inactive ] && break; sleep 0.05; done
        state; main
        # A renewal needs the service, and leaves its daemon where it is.
        systemctl --user start keyrack-renew@bot; before=$(main)
        systemctl --user start keyrack-renew@bot; [ $before = $(main) ]; state
        systemctl --user start keyrack-relock@bot
        for _ in $(seq 100); do [ $(state) = inactive ] && break; sleep 0.05; done
        state
        systemctl --user start keyrack@bot
        systemctl --user stop keyrack@bot
        state; keyrack daemon list";
    let Some(done) = managed(&rack, script) else { return };
    let expected = "active\nkeyrackd\nsesame\nbot is unlocked\n\"pid\":N,\n\
                    inactive\n0\nactive\ninactive\ninactive\n";
    done.ok().stdout(expected);
    rack.no_daemon();
}

#[test]
fn a_service_loses_no_protection_and_fails_where_a_person_is_needed() {
    let rack = Rack::new();
    let script = "
        protections() { keyrack status --for bot --json | grep -o '\"protections\":[^]]*'; }
        keyrack unlock --quiet --for bot --no-keyring; protections >outside; keyrack relock --quiet --for bot
        systemctl --user start keyrack@bot; protections >inside; systemctl --user stop keyrack@bot
        diff outside inside && grep -c . inside
        ssh-keygen -q -p -P '' -N 'a passphrase' -f ~/.ssh/id_ed25519_bot >/dev/null
        systemctl --user start keyrack@bot || systemctl --user show -P ExecMainStatus keyrack@bot";
    let Some(done) = managed(&rack, script) else { return };
    done.ok().stdout("1\n8\n");
}
