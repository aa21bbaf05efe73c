//! From inside of `exec --isolate`: what a robot cannot get at, however it tries. Each
//! attack is first shown to work without a sandbox, where it can.

use std::os::unix::net::UnixListener;

use keyrack_tests::skip::{Missing, skip};
use keyrack_tests::{Prison, Rack, need};

#[test]
fn private_keys_are_hidden_the_owners_own_too() {
    let prison = Prison::ordinary();
    let ssh = prison.rack().home().join(".ssh");
    for key in ["id_ed25519_eve", "id_ed25519_bot", "id_ed25519_eve.pub"] {
        prison.only_outside(&format!("read {}", ssh.join(key).display()));
    }
    prison.only_outside(&format!("list {}", ssh.display()));
}

#[test]
fn a_private_key_that_lies_elsewhere_is_hidden() {
    let prison = Prison::ordinary();
    let rack = prison.rack();
    let elsewhere = rack.path("elsewhere/eve.key");
    rack.write(
        "elsewhere/eve.key",
        std::fs::read(rack.home().join(".ssh/id_ed25519_eve")).expect("a key"),
    );
    rack.hand_over(&elsewhere);
    std::fs::set_permissions(&elsewhere, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("ours");
    // Known to keyrack: it opened the manifest with it.
    let here = elsewhere.display();
    let named = format!(
        "export KEYRACK_IDENTITY={here}; keyrack exec --quiet --for bot --key TOKEN --isolate -- cat {here}"
    );
    let done = rack.sh(&named);
    assert_eq!(done.ok().stdout, b"", "{done}");
}

#[test]
fn manifests_of_others_are_hidden() {
    let prison = Prison::ordinary();
    let rack = prison.rack();
    prison.only_outside(&format!("read {}", rack.manifest("eve").display()));
    prison.only_outside(&format!("list {}", rack.data().join("vaults/@eve").display()));
    prison.only_outside(&format!("read {}", rack.state().join("owners/eve.json").display()));
    prison.succeeds("", &format!("read {}", rack.manifest("bot").display()));
}

#[test]
fn daemons_of_others_cannot_be_reached() {
    let prison = Prison::ordinary();
    prison.only_outside(&format!("connect {}", prison.rack().socket("eve").display()));
    prison.succeeds("", &format!("connect {}", prison.rack().socket("bot").display()));
    prison
        .rack()
        .sh("keyrack exec --quiet --for bot --isolate -- keyrack get --for eve --key TOKEN")
        .code(4)
        .bytes(b"");
}

#[test]
fn an_abstract_socket_cannot_be_reached() {
    use std::os::linux::net::SocketAddrExt as _;
    let prison = Prison::ordinary();
    let name = format!("keyrack-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("a free name");
    prison.only_outside(&format!("abstract {name}"));
}

#[test]
fn sockets_that_agents_left_anywhere_are_hidden() {
    let prison = Prison::ordinary();
    for place in ["home/.ssh/agent.sock", "home/.cache/tool/agent.sock", "elsewhere/docker.sock"] {
        let (_listener, path) = prison.listener(place);
        prison.only_outside(&format!("connect {path}"));
    }
    // What lies in the working directory is the robot's own.
    let (_listener, path) = prison.listener("work/dev.sock");
    prison.succeeds("", &format!("connect {path}"));
}

#[test]
fn a_real_ssh_agent_cannot_be_asked() {
    need!("ssh-agent");
    let prison = Prison::ordinary();
    let script = "eval $(ssh-agent -a ~/agent.sock) >/dev/null; trap 'ssh-agent -k >/dev/null' EXIT; \
        ssh-add -q ~/.ssh/id_ed25519_eve; ssh-add -l | wc -l; \
        keyrack exec --quiet --for bot --isolate -- sh -c \"env -u X | grep -c SSH_AUTH_SOCK; SSH_AUTH_SOCK=$HOME/agent.sock ssh-add -l; true\"";
    let done = prison.rack().sh(script);
    done.ok().stdout("1\n0\n");
    assert!(
        done.errors().contains("onnection refused") || done.errors().contains("agent"),
        "{done}"
    );
}

#[test]
fn a_real_tmux_cannot_be_typed_into() {
    need!("tmux");
    let prison = Prison::ordinary();
    let script = "export TMUX_TMPDIR=$HOME; tmux -f /dev/null new-session -d 'exec sh'; trap 'tmux kill-server' EXIT; \
        socket=$(tmux display-message -p '#{socket_path}'); \
        keyrack exec --quiet --for bot -- tmux -S $socket send-keys x && echo outside; \
        keyrack exec --quiet --for bot --isolate -- tmux -S $socket send-keys x && echo inside; true";
    prison.rack().sh(script).ok().stdout("outside\n");
}

#[test]
fn a_real_bus_cannot_be_asked() {
    need!("dbus-daemon");
    need!("dbus-send");
    // A bus does not serve a user without a name.
    let prison = Prison::of_a_name();
    let ask = "dbus-send --bus=unix:path=$HOME/bus --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetId >reply 2>&1";
    let script = format!(
        "dbus-daemon --session --fork --address=unix:path=$HOME/bus --print-pid >bus.pid; trap 'kill $(cat bus.pid)' EXIT; \
         keyrack exec --quiet --for bot -- sh -c '{ask} && echo outside'; \
         keyrack exec --quiet --for bot --isolate -- sh -c '{ask} && echo inside'; true"
    );
    prison.rack().sh(&script).ok().stdout("outside\n");
}

#[test]
fn another_robot_cannot_be_looked_into() {
    let prison = Prison::ordinary();
    let pid = prison.robot().expect("it runs");
    for what in ["environ", "maps", "cwd/pid"] {
        prison.only_outside(&format!("read /proc/{pid}/{what}"));
    }
    prison.only_outside(&format!("follow /proc/{pid}/fd/0"));
    prison.only_outside(&format!("follow /proc/{pid}/exe"));
    prison.only_outside(&format!("list /proc/{pid}/root"));
}

#[test]
fn another_robot_cannot_be_traced_or_read() {
    let prison = Prison::ordinary();
    let pid = prison.robot().expect("it runs");
    for attack in ["trace", "vm_read", "take_descriptor"] {
        prison.only_outside(&format!("{attack} {pid}"));
    }
}

#[test]
fn another_robot_and_its_daemon_cannot_be_signalled() {
    let prison = Prison::ordinary();
    let pids = prison.robot().into_iter().chain(prison.rack().daemons());
    for pid in pids {
        prison.only_outside(&format!("signal {pid}"));
        prison.only_outside(&format!("limit {pid}"));
    }
    prison.succeeds("", "limit 0");
}

#[test]
fn nothing_is_written_beyond_the_working_directory() {
    let prison = Prison::ordinary();
    let rack = prison.rack();
    let elsewhere = rack.path("elsewhere");
    std::fs::create_dir_all(&elsewhere).expect("our sandbox");
    rack.hand_over(&elsewhere);
    rack.write("work/own", "");
    rack.hand_over(&rack.path("work/own"));
    for path in [rack.home().join(".profile"), rack.home().join(".bashrc"), elsewhere.join("x")] {
        prison.only_outside(&format!("write {}", path.display()));
    }
    prison.only_outside(&format!("through_a_link {}", elsewhere.display()));
    prison.succeeds("", "write own");
    prison.succeeds(
        &format!("--rw {}", elsewhere.display()),
        &format!("write {}/x", elsewhere.display()),
    );
    // The private /tmp is gone with the program.
    prison.succeeds("", "write /tmp/keyrack-left-behind");
    assert!(!std::path::Path::new("/tmp/keyrack-left-behind").exists());
}

/// What a person names may be a link by now: an earlier robot wrote in that directory.
#[test]
fn a_link_that_a_robot_left_leads_nowhere() {
    let prison = Prison::ordinary();
    let rack = prison.rack();
    let keys = rack.home().join(".ssh").display().to_string();
    let exec = "keyrack exec --quiet --for bot --isolate";
    rack.sh(&format!("{exec} -- ln -s {keys} cache")).ok();
    for flag in ["--rw cache", "--ro cache", "--ro cache/id_ed25519_eve"] {
        let done = rack.sh(&format!("{exec} {flag} -- ls {keys}"));
        assert!(done.code(2).bytes(b"").errors().contains(&keys), "{done}");
    }
    rack.sh(&format!("{exec} --ro {keys} --rw ../work -- ls {keys} | grep eve.pub")).ok();
    // Nor is it one by the time that a person has answered.
    rack.make_key("id_ed25519_slow", keyrack_tests::rack::KeyType::Ed25519, "open sesame");
    rack.sh("keyrack init --for slow; rm cache; mkdir cache").ok();
    let mut terminal = rack
        .terminal("keyrack exec --quiet --for slow --isolate --ro cache -- ls cache/; echo end $?");
    terminal.expect("passphrase for ");
    std::fs::remove_dir(rack.path("work/cache")).expect("ours");
    std::os::unix::fs::symlink(&keys, rack.path("work/cache")).expect("ours");
    terminal.type_hidden("open sesame").expect("end 13");
    let screen = terminal.finish().1;
    assert!(screen.contains("work/cache: Too many levels") && !screen.contains("_eve"), "{screen}");
}

#[test]
fn a_file_outside_cannot_be_linked_in() {
    let prison = Prison::ordinary();
    let rack = prison.rack();
    rack.write("elsewhere/file", "x");
    rack.hand_over(&rack.path("elsewhere/file"));
    prison.only_outside(&format!("hard_link {}", rack.path("elsewhere/file").display()));
}

#[test]
fn mounts_cannot_be_changed() {
    let prison = Prison::ordinary();
    let ssh = prison.rack().home().join(".ssh").display().to_string();
    for attack in ["mount_over", "unmount", "remount_writable"] {
        prison.refused(&format!("{attack} {ssh}"));
    }
    prison.refused("remount_writable /");
    prison.refused(&format!("uncover {}", prison.rack().home().display()));
}

#[test]
fn root_of_a_namespace_of_its_own_changes_no_mount_either() {
    let prison = Prison::ordinary();
    let ssh = prison.rack().home().join(".ssh").display().to_string();
    prison.only_outside(&format!("mount_over_as_root {ssh}"));
    prison.only_outside(&format!("uncover_as_root {}", prison.rack().home().display()));
    prison.refused(&format!("unmount_as_root {ssh}"));
}

#[test]
fn files_are_not_opened_by_handle() {
    let prison = Prison::ordinary();
    let manifest = prison.rack().manifest("bot").display().to_string();
    prison.refused(&format!("open_by_handle {manifest}"));
    prison.refused(&format!("open_by_handle_as_root {manifest}"));
}

#[test]
fn a_directory_left_open_leads_nowhere() {
    let prison = Prison::ordinary();
    let open = |flags: &str| {
        let attacker = prison.rack().path("attackers/attack.py");
        prison.rack().sh(&format!(
            "keyrack exec --quiet --for bot --key TOKEN {flags} -- python3 {} through_a_descriptor 9 9<~",
            attacker.display()
        ))
    };
    open("").code(99);
    open("--isolate").ok();
}

#[test]
fn the_terminal_cannot_be_typed_into() {
    let prison = Prison::ordinary();
    let attacker = prison.rack().path("attackers/attack.py");
    let run = |flags: &str, attack: &str| {
        let line = format!(
            "keyrack exec --quiet --for bot --key TOKEN {flags} -- python3 {} {attack}",
            attacker.display()
        );
        prison.rack().terminal(&line).finish().0
    };
    for attack in ["type_into_terminal", "type_into_terminal_in_64_bits"] {
        if std::fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti")
            .is_ok_and(|on| on.trim() == "1")
        {
            assert_eq!(run("", attack), 99, "{attack}");
        }
        assert_eq!(run("--isolate", attack), 0, "{attack}");
    }
    assert_eq!(run("--isolate", "console"), 0);
}

#[test]
fn other_terminals_are_not_there() {
    let prison = Prison::ordinary();
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    let path = nix::unistd::ttyname(&pty.slave).expect("it has a name");
    prison.rack().hand_over(&path);
    prison.only_outside(&format!("write {}", path.display()));
}

#[test]
fn there_is_no_second_way_to_make_system_calls() {
    let prison = Prison::ordinary();
    if std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
        .is_ok_and(|off| off.trim() == "0")
    {
        prison.only_outside("io_uring");
    }
    prison.refused("io_uring");
}

#[test]
fn the_shell_outside_is_given_no_key_ring() {
    let prison = Prison::ordinary();
    prison.only_outside("session_to_parent");
}

#[test]
fn shared_memory_is_not_shared() {
    let prison = Prison::ordinary();
    let path = format!("/dev/shm/keyrack-test-{}", std::process::id());
    std::fs::write(&path, "x").expect("memory");
    prison.rack().hand_over(path.as_ref());
    prison.only_outside(&format!("read {path}"));
    std::fs::remove_file(path).expect("ours");
}

#[test]
fn without_network_nothing_is_reached_and_get_still_works() {
    let prison = Prison::ordinary();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    prison.succeeds("", &format!("tcp {port}"));
    let done = prison.inside("--net none", &format!("tcp {port}"));
    assert!(done.ok().text().starts_with("refused: "), "{done}");
    // What runs a virtual machine is next door to it in every namespace.
    if prison.outside("vsock").code == 99 {
        let done = prison.inside("--net none", "vsock");
        assert!(done.ok().text().starts_with("refused: "), "{done}");
    }
    let get = "keyrack exec --quiet --for bot --key TOKEN --isolate --net none -- keyrack get --for bot --key TOKEN";
    prison.rack().sh(get).ok().bytes(b"bot-value");
}

#[test]
fn setuid_programs_give_nothing() {
    need!(root);
    let prison = Prison::ordinary();
    let id = prison.rack().path("attackers/id");
    std::fs::copy("/usr/bin/id", &id).expect("id");
    std::fs::set_permissions(&id, std::os::unix::fs::PermissionsExt::from_mode(0o4755))
        .expect("root may");
    prison.only_outside(&format!("regain {}", id.display()));
    prison.refused("become_root");
}

#[test]
fn root_in_a_sandbox_is_nobody_special() {
    need!(root);
    let prison = Prison::new(Rack::of_root_at_home());
    prison.only_outside("control /proc/sys/kernel/core_pattern");
    prison.only_outside(&format!(
        "read {}",
        prison.rack().home().join(".ssh/id_ed25519_eve").display()
    ));
    prison.only_outside(&format!("read /proc/{}/environ", prison.robot().expect("it runs")));
    prison.refused(&format!("mount_over {}", prison.rack().home().display()));
    prison.refused(&format!("unmount {}", prison.rack().home().join(".ssh").display()));
    prison.refused("remount_writable /proc");
    prison.refused("write /etc/hostname");
    let disk = std::fs::read_dir("/sys/block")
        .expect("Linux has it")
        .flatten()
        .map(|disk| format!("/dev/{}", disk.file_name().to_string_lossy()));
    for disk in disk.filter(|disk| std::fs::File::open(disk).is_ok()) {
        prison.refused(&format!("read {disk}"));
    }
    let status = "keyrack exec --quiet --for bot --isolate -- grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status";
    prison
        .rack()
        .sh(status)
        .ok()
        .stdout("CapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
}

/// Its system calls have other numbers, so no filter of ours would see them.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_program_for_i386_is_ended() {
    // A whole program of 32 bits: exit(0).
    let header = "7f454c4601010100000000000000000002000300010000005480040834000000000000000000000034002000010000000000000001000000\
        0000000000800408008004085c0000005c000000050000000010000031c0fec031dbcd80";
    let bytes: Vec<u8> = (0..header.len() / 2)
        .map(|at| u8::from_str_radix(&header[at * 2..at * 2 + 2], 16).expect("hex"))
        .collect();
    let prison = Prison::ordinary();
    let program = prison.rack().write("attackers/i386", bytes);
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("ours");
    let run = |flags: &str| {
        prison
            .rack()
            .sh(&format!("keyrack exec --quiet --for bot {flags} -- {}", program.display()))
    };
    if run("").code != 0 {
        return skip(
            "attacks_sandbox.rs::a_program_for_i386_is_ended",
            Missing::Here("this kernel runs none"),
        );
    }
    // 128 + SIGSYS
    run("--isolate").code(159);
}
