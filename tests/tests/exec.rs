//! `keyrack exec`: what a program is given, how it ends, and that its terminal stays its.

use keyrack_tests::rack::KeyType;
use keyrack_tests::{Rack, need};

/// An owner whose key needs a person: what its programs read, they read by capability.
fn passphrased() -> Rack {
    let rack = Rack::new();
    rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
    let set = "for k in ONE TWO; do printf $k-value | KEYRACK_PASSPHRASE_FD=3 keyrack set --for bot --key $k 3<<<'open sesame'; done";
    rack.sh(&format!("keyrack init --for bot; {set}")).ok();
    rack
}

fn plain() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; for k in ONE TWO; do printf $k-value | keyrack set --for bot --key $k; done").ok();
    rack
}

const OPEN: &str = "KEYRACK_PASSPHRASE_FD=3 keyrack";
const SESAME: &str = "3<<<'open sesame'";

#[test]
fn it_unlocks_first_what_is_locked() {
    let rack = passphrased();
    let exec = "exec --quiet --for bot --key ONE -- sh -c 'printf \"$ONE $TWO $KEYRACK_FOR\"'";
    rack.sh(&format!("{OPEN} {exec} {SESAME}")).ok().bytes(b"ONE-value  bot");
    // Nobody is here to open it again, and the caller was given nothing.
    rack.sh(&format!("keyrack --no-input {exec} </dev/null")).code(8).bytes(b"");
    rack.sh("keyrack get --for bot --key ONE").code(5).bytes(b"");
}

#[test]
fn a_prompt_is_asked_once_also_in_a_sandbox() {
    let rack = passphrased();
    for flags in ["", "--files", "--isolate"] {
        let line = format!(
            "keyrack relock --for bot; keyrack exec --for bot --key ONE {flags} -- sh -c 'echo \"<$ONE>\"'"
        );
        let mut terminal = rack.terminal(&line);
        terminal.expect("assphrase").type_line("open sesame");
        let (code, screen) = terminal.finish();
        assert_eq!(code, 0, "{flags}\n{screen}");
        assert_eq!(screen.to_lowercase().matches("passphrase").count(), 1, "{flags}\n{screen}");
    }
}

#[test]
fn by_the_trees_capability_it_needs_no_person() {
    let rack = passphrased();
    let script = format!(
        "{OPEN} unlock --quiet --for bot --accept-drops {SESAME}; \
         keyrack --no-input exec --quiet --for bot -- sh -c 'printf \"$ONE $TWO\"' </dev/null"
    );
    rack.sh(&script).ok().bytes(b"ONE-value TWO-value");
}

#[test]
fn the_program_reads_what_was_declared_and_nothing_else() {
    let rack = passphrased();
    let program = "keyrack get --for bot --key ONE; echo; keyrack get --for bot --key TWO; echo $?";
    let exec = format!("{OPEN} exec --quiet --for bot --key ONE -- sh -c '{program}' {SESAME}");
    // What is not declared is not even unlocked; and what is unlocked is not given.
    rack.sh(&exec).ok().stdout("ONE-value\n3\n");
    rack.sh(&format!("{OPEN} unlock --quiet --for bot {SESAME}; {exec}"))
        .ok()
        .stdout("ONE-value\n5\n");
}

#[test]
fn other_values_of_the_owner_are_taken_out_of_the_environment() {
    let rack = plain();
    let script = "export ONE=of-the-caller TWO=of-the-caller THREE=mine KEYRACK_CAPABILITY=00; \
        keyrack exec --quiet --for bot --key ONE -- sh -c 'echo \"$ONE/$TWO/$THREE/$KEYRACK_CAPABILITY\"'";
    rack.sh(script).ok().stdout("ONE-value//mine/\n");
}

#[test]
fn a_passphrase_is_not_left_to_the_program() {
    let rack = passphrased();
    let script = format!(
        "{OPEN} exec --quiet --for bot --key ONE -- sh -c 'echo \"<$KEYRACK_PASSPHRASE_FD>\"; cat <&3' {SESAME}"
    );
    let done = rack.sh(&script);
    assert_ne!(done.code, 0, "{done}");
    done.stdout("<>\n");
    // Nor has it no standard input: the first file it opens would be that.
    let program = "readlink /proc/self/fd/0; cat; echo $ONE";
    let exec = format!("keyrack exec --quiet --for bot --key ONE -- sh -c '{program}'");
    let pass = "printf 'open sesame\\nmore\\n'";
    rack.sh(&format!("{pass} | KEYRACK_PASSPHRASE_FD=0 {exec}"))
        .ok()
        .stdout("/dev/null\nONE-value\n");
    let done = rack.sh(&format!("KEYRACK_PASSPHRASE_FD=1 {exec}"));
    assert!(done.code(2).errors().contains("descriptor 1, which is written to"), "{done}");
}

#[test]
fn a_program_of_a_program_gets_values_and_no_capability() {
    let rack = passphrased();
    let inner = "keyrack exec --quiet --for bot --key ONE -- sh -c \"printf \\$ONE; keyrack get --for bot --key ONE; echo \\$?\"";
    let script = format!("{OPEN} exec --quiet --for bot --key ONE -- sh -c '{inner}' {SESAME}");
    rack.sh(&script).ok().stdout("ONE-value5\n");
}

#[test]
fn a_programs_tree_reads_however_it_is_shaped() {
    need!("node");
    let rack = passphrased();
    rack.write("work/Makefile", "get:\n\t@keyrack get --for bot --key ONE\n");
    let get = "keyrack get --for bot --key ONE";
    for child in [
        get.to_owned(),
        "env -i \"$(command -v keyrack)\" get --for bot --key ONE".to_owned(),
        format!("setsid --wait {get}"),
        format!("nohup {get} 2>/dev/null"),
        "make -s get".to_owned(),
        format!("python3 -c 'import os; os.execvp(\"keyrack\", \"{get}\".split())'"),
        format!("node -e 'process.stdout.write(require(\"child_process\").execSync(\"{get}\"))'"),
        format!("({get} &) ; wait; sleep 1"),
    ] {
        rack.write("work/child.sh", format!("{child}\n"));
        let script = format!("{OPEN} exec --quiet --for bot --key ONE -- bash child.sh {SESAME}");
        rack.sh(&script).ok().bytes(b"ONE-value");
    }
}

/// `unlock` cannot hand a capability to node, which has threads; `exec` starts node with it.
#[test]
fn a_robot_in_node_is_started_with_its_capability() {
    need!("node");
    let rack = passphrased();
    rack.write("work/robot.js", "const {execSync} = require('child_process');\nprocess.stdout.write(execSync('keyrack get --for bot --key ONE'))\n");
    rack.sh(&format!("{OPEN} exec --quiet --for bot -- node robot.js {SESAME}"))
        .ok()
        .bytes(b"ONE-value");
}

#[test]
fn sudo_is_given_only_by_name() {
    let rack = plain();
    rack.sh("printf root | keyrack set --for bot --key ROOT --env sudo").ok();
    rack.sh("keyrack exec --quiet --for bot -- sh -c 'echo \"<$ROOT>\"'").ok().stdout("<>\n");
    rack.sh("keyrack exec --quiet --for bot --env sudo -- sh -c 'echo \"<$ROOT>\"'").code(2);
    rack.sh("keyrack exec --quiet --for bot --env sudo --key ROOT -- sh -c 'echo \"<$ROOT>\"'")
        .ok()
        .stdout("<root>\n");
}

#[test]
fn what_no_environment_holds_is_refused_and_files_are_named() {
    let rack = plain();
    rack.sh("printf x | keyrack set --for bot --key LD_PRELOAD; printf 'a\\0b' | keyrack set --for bot --key NUL; \
        head -c 200000 /dev/zero | tr '\\0' x | keyrack set --for bot --key LONG").ok();
    rack.sh("keyrack exec --quiet --for bot --key LD_PRELOAD -- true").code(5);
    for key in ["NUL", "LONG"] {
        let done = rack.sh(&format!("keyrack exec --quiet --for bot --key {key} -- true"));
        assert!(done.code(2).errors().contains("--files"), "{done}");
        rack.sh(&format!("keyrack get --for bot --key {key} >plain; keyrack exec --quiet --for bot --key {key} --files -- sh -c 'cmp ${key} plain'")).ok();
    }
    // Of all, it is left out.
    rack.sh("keyrack del --for bot --key NUL; keyrack del --for bot --key LONG; keyrack exec --quiet --for bot -- sh -c 'echo \"$ONE$LD_PRELOAD\"'").ok().stdout("ONE-value\n");
}

#[test]
fn files_are_private_and_gone_afterwards() {
    let rack = Rack::ordinary();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf value | keyrack set --for bot --key ONE").ok();
    for flags in ["", "--isolate"] {
        let script = format!(
            "keyrack exec --quiet --for bot --files {flags} -- sh -c 'echo $ONE >path; stat -c %a $ONE; cat $ONE; echo; stat -f -c %T $ONE; env | grep -c value'; \
             ls $(dirname $(cat path)) | wc -l"
        );
        rack.sh(&script).ok().stdout("600\nvalue\ntmpfs\n0\n0\n");
    }
}

#[test]
fn where_there_are_no_namespaces_files_are_removed_afterwards() {
    let rack = Rack::ordinary();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf value | keyrack set --for bot --key ONE").ok();
    let line = "keyrack exec --for bot --files --key ONE -- sh -c \"cat \\$ONE; echo; echo \\$ONE >path; exit 7\"";
    let done = rack.sh(&format!("unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all {line}'"));
    done.code(7).stdout("value\n");
    assert!(done.errors().contains("other programs of this user can read"), "{done}");
    rack.sh("! ls $(cat path) 2>/dev/null").ok();
}

#[test]
fn values_are_redacted_in_all_that_is_printed() {
    let rack = plain();
    rack.sh("printf short | keyrack set --for bot --key SHORT").ok();
    let program =
        "echo \"a $ONE b\"; echo \"$TWO\" >&2; printf ONE-; sleep 0.2; echo value; exit 3";
    let done = rack.sh(&format!("keyrack exec --quiet --for bot --redact -- sh -c '{program}'"));
    done.code(3).stdout("a *** b\n***\n");
    assert!(done.errors().contains("***") && !done.errors().contains("TWO-value"), "{done}");
    assert!(done.errors().contains("SHORT is too short to be redacted"), "{done}");
    let terminal = rack.terminal(&format!("keyrack exec --quiet --for bot --redact -- sh -c 'test -t 0 && test -t 1 && test -t 2 && {program}'"));
    let (code, screen) = terminal.finish();
    assert_eq!(code, 3, "{screen}");
    assert!(screen.contains("a *** b\n") && !screen.contains("-value"), "{screen}");
}

#[test]
fn what_was_not_passed_on_is_a_failure() {
    let rack = plain();
    let exec = "keyrack exec --quiet --for bot --redact -- sh -c";
    let done = rack.sh(&format!("{exec} 'echo much' >/dev/full"));
    assert!(done.code(1).errors().contains("what it printed: No space left"), "{done}");
    rack.sh(&format!("{exec} 'echo much; exit 3' >/dev/full")).code(3);
    rack.sh(&format!("{exec} 'echo much' | true")).ok();
}

#[test]
fn the_status_is_the_programs() {
    let rack = plain();
    rack.sh("keyrack unlock --for bot").ok();
    for flags in ["", "--redact", "--isolate", "--isolate --redact"] {
        let run = |program: &str| {
            rack.sh(&format!("keyrack exec --quiet --for bot {flags} -- {program}"))
        };
        run("sh -c 'exit 42'").code(42);
        run("sh -c 'kill -TERM $$'").code(143);
        run("/nowhere/at/all").code(127).bytes(b"");
        run("no-such-program").code(127).bytes(b"");
        run("/etc/passwd").code(126).bytes(b"");
    }
    // Without anything to do afterwards, the program is this very process.
    rack.sh("sh -c 'echo $$; exec keyrack exec --quiet --for bot -- sh -c \"echo \\$\\$\"' | uniq | wc -l").ok().stdout("1\n");
}

#[test]
fn signals_reach_the_program() {
    let rack = plain();
    rack.sh("keyrack unlock --for bot").ok();
    let program =
        "trap \"echo caught; exit 5\" TERM INT HUP USR1; touch ready; while :; do sleep 0.05; done";
    for flags in ["", "--redact"] {
        for signal in ["TERM", "HUP", "USR1", "INT"] {
            // A shell without job control would have a background program ignore INT.
            let script = format!(
                "set -m; rm -f ready; keyrack exec --quiet --for bot {flags} -- bash -c '{program}' & \
                 until [ -e ready ]; do sleep 0.02; done; kill -{signal} $!; wait $!; echo $?"
            );
            rack.sh(&script).ok().stdout("caught\n5\n");
        }
    }
}

#[test]
fn ctrl_c_and_ctrl_z_are_the_programs() {
    let rack = plain();
    // No shell: while it starts something, it neither stops nor hears.
    let program = "import sys, time\n\
        try:\n print('up', flush=True)\n time.sleep(float(sys.argv[1]))\n print('on')\n\
        except KeyboardInterrupt:\n print('caught')\n sys.exit(5)\n";
    rack.write("work/program.py", program);
    rack.sh("keyrack unlock --for bot").ok();
    for flags in ["", "--redact", "--isolate"] {
        let exec = format!("set -m; keyrack exec --quiet --for bot {flags} -- python3 program.py");
        let mut terminal = rack.terminal(&format!("{exec} 20; echo end $?"));
        terminal.expect("up").interrupt();
        terminal.expect("caught").expect("end 5");
        assert_eq!(terminal.finish().0, 0);
        let mut terminal = rack.terminal(&format!("{exec} 0.5; echo stopped $?; fg; echo end $?"));
        terminal.expect("up").press(b"\x1a");
        terminal.expect("stopped 148").expect("on").expect("end 0");
        assert_eq!(terminal.finish().0, 0);
    }
}

#[test]
fn a_pipe_that_is_closed_ends_the_program() {
    let rack = plain();
    rack.sh("keyrack unlock --for bot").ok();
    for flags in ["", "--redact"] {
        rack.sh(&format!(
            "keyrack exec --quiet --for bot {flags} -- yes | head -1; echo ${{PIPESTATUS[0]}}"
        ))
        .ok()
        .stdout("y\n141\n");
    }
}

/// Nobody reads, and it ends all the same when it is told to: while it runs, and where it has
/// ended and what it said last is still to be passed on.
#[test]
fn a_reader_that_stalls_keeps_it_from_no_end() {
    let rack = plain();
    rack.sh("keyrack unlock --for bot; mkfifo stalled").ok();
    for program in ["yes", "sh -c \"yes | head -c 200000; touch said\""] {
        let script = format!(
            "keyrack exec --quiet --for bot --redact -- {program} >stalled & exec 3<stalled; \
             read -r line <&3; sleep 0.3; kill -TERM $!; wait $!; echo $?"
        );
        rack.sh(&script).ok().stdout("143\n");
    }
    // Who only takes time gets all of it.
    let slow = "(sleep 0.3; wc -c)";
    rack.sh(&format!(
        "keyrack exec --quiet --for bot --redact -- head -c 300000 /dev/zero | {slow}"
    ))
    .ok()
    .stdout("300000\n");
}

#[test]
fn a_child_in_the_background_freezes_nobody() {
    let rack = plain();
    rack.sh("keyrack unlock --for bot").ok();
    let begun = std::time::Instant::now();
    rack.sh("keyrack exec --quiet --for bot --redact -- sh -c 'sleep 20 & echo $! >pid'").ok();
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    rack.sh("kill $(cat pid)").ok();
}

#[test]
fn a_core_file_would_hold_values_so_there_is_none() {
    let rack = plain();
    rack.sh("ulimit -S -c unlimited 2>/dev/null; keyrack exec --quiet --for bot -- sh -c 'ulimit -S -c; ulimit -H -c'")
        .ok()
        .stdout("0\n0\n");
}

#[test]
fn several_credentials_of_one_name_are_a_conflict() {
    let rack = plain();
    rack.sh("printf dev | keyrack set --for bot --key ONE --env dev").ok();
    rack.sh("keyrack exec --quiet --for bot --key @all.dev.ONE --key @all.all.ONE -- true")
        .code(11);
    rack.sh("keyrack exec --quiet --for bot --env dev -- sh -c 'echo $ONE'").ok().stdout("dev\n");
}

#[test]
fn a_dry_run_runs_nothing() {
    let rack = plain();
    let done = rack.sh("keyrack --dry-run exec --for bot --key ONE -- touch ran; test ! -e ran");
    assert!(done.ok().errors().contains("touch would be run with ONE"), "{done}");
}

#[test]
fn other_values_are_taken_out_where_nothing_is_unlocked_either() {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf x | keyrack set --for bot --key ONE --env dev").ok();
    rack.sh(
        "ONE=of-the-caller keyrack exec --quiet --for bot --env prod -- sh -c 'echo \"<$ONE>\"'",
    )
    .ok()
    .stdout("<>\n");
    rack.no_daemon();
}
