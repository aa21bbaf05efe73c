//! From inside of `exec --isolate`, at what is no file: key rings, shared memory, sockets
//! bound in odd ways, and the terminal. Each attack is first shown to work without a sandbox.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use keyrack_tests::skip::{Missing, skip};
use keyrack_tests::{Prison, Rack, User, binaries, need};

/// What any process of the user may have without asking, a robot in a sandbox has not.
#[test]
fn places_for_credentials_are_hidden() {
    let prison = Prison::ordinary();
    for name in [
        ".netrc",
        ".npmrc",
        ".bash_history",
        ".aws/credentials",
        ".cargo/credentials.toml",
        ".m2/settings.xml",
        ".mozilla/firefox/logins.json",
        ".config/google-chrome/Default/Cookies",
    ] {
        let path = prison.rack().write(&format!("home/{name}"), "secret");
        path.ancestors()
            .take_while(|at| *at != prison.rack().home())
            .for_each(|at| prison.rack().hand_over(at));
        prison.only_outside(&format!("read {}", path.display()));
    }
}

#[test]
fn the_users_ring_outside_is_not_changed() {
    let prison = Prison::ordinary();
    // There is one once somebody asked for it.
    prison.rack().sh("keyctl link @u @p; keyctl show @u").ok();
    let done = prison.inside("", "change_users_ring");
    done.ok().stdout("refused: Operation not permitted\n");
    prison.only_outside("change_users_ring");
}

#[test]
fn the_users_ring_is_out_of_reach() {
    need!("keyctl");
    let prison = Prison::ordinary();
    prison
        .rack()
        .sh("keyctl add user ticket secret @u; keyrack unlock --quiet --for eve --scope user")
        .ok();
    for name in ["ticket", "keyrack:user"] {
        prison.only_outside(&format!("users_ring {name}"));
    }
    // Nor by the number of a key, which it sees. Outside, that is not enough either.
    for run in [Prison::outside, |prison: &Prison, attack: &str| prison.inside("", attack)] {
        let done = run(&prison, "read_key_by_number keyrack:user");
        assert!(done.ok().text().starts_with("refused: "), "{done}");
    }
    prison.rack().sh("keyrack get --for eve --key TOKEN; keyctl clear @u").ok().bytes(b"eve-value");
}

#[test]
fn the_ring_that_outlives_sessions_is_out_of_reach() {
    let prison = Prison::ordinary();
    if prison.outside("persistent_ring").code == 0 {
        return skip("attacks_shared.rs", Missing::Here("this kernel has no persistent key rings"));
    }
    prison.only_outside("persistent_ring");
}

#[test]
fn shared_memory_queues_and_semaphores_of_others_are_not_there() {
    need!("ipcmk");
    let prison = Prison::ordinary();
    for (flag, attack) in
        [("-M 64", "shared_memory"), ("-Q", "message_queue"), ("-S 1", "semaphores")]
    {
        let made = prison.rack().sh(&format!("ipcmk {flag} | sed 's/.*: //'"));
        let number = made.ok().text().trim().to_owned();
        prison.only_outside(&format!("{attack} {number}"));
        let remove = flag.split(' ').next().expect("a letter").to_lowercase();
        prison.rack().sh(&format!("ipcrm {remove} {number}")).ok();
    }
}

/// The kernel's table of sockets is a text, and what is in it may hold spaces, or be no
/// whole path.
#[test]
fn sockets_with_odd_paths_are_hidden() {
    let prison = Prison::ordinary();
    let (_listener, path) = prison.listener("elsewhere/my agent.sock");
    let hidden = |path: &str| {
        let attacker = prison.rack().path("attackers/attack.py");
        let run = |flags: &str| {
            prison.rack().sh(&format!(
                "keyrack exec --quiet --for bot {flags} -- python3 {} connect '{path}'",
                attacker.display()
            ))
        };
        run("").code(99);
        assert!(run("--isolate").ok().text().starts_with("refused: "), "{path}");
    };
    hidden(&path);
    let path = prison.rack().home().join("relative.sock").display().to_string();
    let bind = "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('relative.sock'); s.listen(); print('up', flush=True); time.sleep(60)";
    for space in ["", "unshare -rn"] {
        let bound = prison.rack().path("work/bound");
        let script = format!(
            "cd ~; rm -f relative.sock; exec {space} python3 -c \"{bind}\" >{}",
            bound.display()
        );
        let running = prison.rack().script(&script).start();
        keyrack_tests::daemons::until(|| std::fs::read(&bound).is_ok_and(|said| said == b"up\n"));
        hidden(&path);
        let group = nix::unistd::Pid::from_raw(running.pid() as i32);
        nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).expect("our script");
        running.finish();
        std::fs::remove_file(bound).expect("ours");
    }
}

/// What a person types after a robot has ended, or to another program while it runs, is not
/// for the robot.
#[test]
fn what_is_typed_later_is_not_overheard() {
    let prison = Prison::ordinary();
    let attacker = prison.rack().path("attackers/attack.py");
    let heard = |flags: &str, how: &str| {
        let script = format!(
            "rm -f listening overheard; keyrack exec --quiet --for bot {flags} -- python3 {} overhear {how}; \
             echo go; until [ -e overheard ]; do sleep 0.02; done; cat overheard",
            attacker.display()
        );
        let mut terminal = prison.rack().terminal(&script);
        terminal.expect("go").type_line("open sesame");
        let (_, screen) = terminal.finish();
        screen.lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(heard("", ""), "open sesame");
    // Its terminal ended with it. What follows is what was typed, for the script.
    let refused = heard("--isolate", "");
    assert!(refused.starts_with("refused: Input/output error"), "{refused}");
    // Where it is lent no terminal it opens the session's.
    let no_stream = "/dev/tty </dev/null >log 2>&1";
    assert_eq!(heard("", no_stream), "open sesame");
    let refused = heard("--isolate", no_stream);
    assert!(refused.starts_with("refused: Bad file descriptor"), "{refused}");
}

/// Root, with an owner of its own and one under another user, and an attacker that both can run.
struct Operator {
    root: Rack,
    attacker: String,
    // Removed last.
    user: User,
}

impl Operator {
    fn new() -> Self {
        let root = Rack::of_user(0);
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(root.root(), open).expect("ours");
        let program = binaries::repository().join("tests/attackers/attack.py");
        let program =
            root.write("attackers/attack.py", std::fs::read(program).expect("it is there"));
        let user = User::with_home("t");
        root.key("human");
        let make = format!("keyrack init --for human; keyrack init --for bot --user {}", user.name);
        root.sh(&make).ok();
        Self { root, attacker: format!("python3 {}", program.display()), user }
    }
}

/// An operator's terminal is not lent to the user of an owner: it types into no shell of root's.
#[test]
fn roots_terminal_is_not_lent_to_another_user() {
    need!(root);
    let operator = Operator::new();
    let typed = |owner: &str| {
        let script = format!(
            "cd /; keyrack exec --quiet --for {owner} -- {} type_into_terminal ; \
             echo; read -r -t 1 -n 1 key; echo \"key: $key.\"; keyrack relock --quiet --for {owner}",
            operator.attacker
        );
        let (_, screen) = operator.root.terminal(&script).finish();
        screen.lines().find(|line| line.starts_with("key: ")).unwrap_or_default().to_owned()
    };
    if std::fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").is_ok_and(|on| on.trim() == "1")
    {
        assert_eq!(typed("human"), "key: #.", "a program of root's own may");
    }
    assert_eq!(typed("bot"), "key: .");
    // Nor where no stream is a terminal, and the session has one all the same.
    let opened = |owner: &str| {
        let script = format!(
            "cd /; keyrack exec --quiet --for {owner} -- {} open_only /dev/tty </dev/null >{} 2>&1; \
             code=$?; keyrack relock --quiet --for {owner}; exit $code",
            operator.attacker,
            operator.root.path("work/log").display()
        );
        operator.root.terminal(&script).finish().0
    };
    assert_eq!((opened("human"), opened("bot")), (99, 0));
}

/// Nor to our own command, which the user's other processes may catch while it starts.
#[test]
fn roots_terminal_is_not_lent_to_a_command_for_another_user() {
    need!(root);
    let operator = Operator::new();
    let mut terminal =
        operator.root.terminal("echo on $(tty) now; keyrack set --for bot --key TOKEN");
    terminal.expect("value");
    let processes = std::fs::read_dir("/proc").expect("Linux has it").flatten();
    let of_user: Vec<_> = processes
        .map(|process| process.path())
        .filter(|path| path.metadata().is_ok_and(|found| found.uid() == operator.user.uid))
        .collect();
    assert_eq!(of_user.len(), 1, "the command waits");
    let theirs: Vec<_> = std::fs::read_dir(of_user[0].join("fd"))
        .expect("root may")
        .flatten()
        .filter_map(|fd| fd.path().read_link().ok())
        .filter(|to| to.starts_with("/dev/pts"))
        .collect();
    assert!(!theirs.is_empty(), "it is on a terminal");
    terminal.type_hidden("a value");
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    let roots = screen.split("on ").nth(1).and_then(|rest| rest.split(' ').next());
    let roots = std::path::PathBuf::from(roots.expect("it said so"));
    assert!(roots.starts_with("/dev/pts") && !theirs.contains(&roots), "{theirs:?} {screen}");
}

#[test]
fn roots_shell_is_given_nothing_by_another_user() {
    need!(root);
    let operator = Operator::new();
    let secret = operator.root.write("secret", "of root's").display().to_string();
    let run = |owner: &str, attack: &str| {
        operator.root.sh(&format!(
            "cd /; exec 7<{secret} 8< <(:); keyrack exec --quiet --for {owner} -- {} {attack} 9</; code=$?; keyrack relock --quiet --for {owner}; exit $code",
            operator.attacker
        ))
    };
    for attack in
        ["session_to_parent", "list /proc/self/fd/9/", "read_open_file 7", "follow /proc/self/fd/8"]
    {
        run("human", attack).code(99);
        assert!(run("bot", attack).ok().text().starts_with("refused: "), "{attack}");
    }
}

/// And yet it is a terminal of a program, with all that belongs to one.
#[test]
fn a_terminal_of_its_own_is_a_terminal() {
    let prison = Prison::ordinary();
    let script = "stty rows 33 cols 101; before=$(stty -g); \
        keyrack exec --quiet --for bot --isolate -- sh -c 'stty size; tty; read -r line; echo \"got $line\"; test -t 1 && exit 7'; \
        echo \"end $?\"; [ \"$before\" = \"$(stty -g)\" ] && echo as before; \
        echo piped | keyrack exec --quiet --for bot --isolate -- cat | sed s/^/through-/";
    let mut terminal = prison.rack().terminal(script);
    terminal.expect("33 101").expect("/dev/pts/").type_line("a line");
    terminal.expect("got a line").expect("end 7").expect("as before").expect("through-piped");
    assert_eq!(terminal.finish().0, 0);
}

/// What is behind the pipe may be what a person types for.
#[test]
fn in_front_of_a_pipe_it_has_no_terminal() {
    let prison = Prison::ordinary();
    let program = "import os, sys\n\
        try:\n os.open('/dev/tty', os.O_RDWR); print('a terminal')\n\
        except OSError as error:\n print('none:', error.strerror)\n\
        print('read', repr(sys.stdin.read()), 'on', sys.stderr.isatty())\n";
    prison.rack().write("work/program.py", program);
    let script = "keyrack exec --quiet --for bot --isolate -- python3 program.py | (read -r first; echo \"$first\"; cat; \
        read -r typed </dev/tty; echo \"typed $typed\")";
    let mut terminal = prison.rack().terminal(script);
    terminal.expect("none: No such device or address").expect("read '' on True").type_line("keys");
    terminal.expect("typed keys");
    assert_eq!(terminal.finish().0, 0);
    // Behind one, it has.
    let script = "echo piped | keyrack exec --quiet --for bot --isolate -- bash -c 'read -r a; echo up; read -r b </dev/tty; echo \"$a and $b\"'";
    let mut terminal = prison.rack().terminal(script);
    terminal.expect("up").type_line("keys");
    terminal.expect("piped and keys");
    assert_eq!(terminal.finish().0, 0);
}

/// And a person who is asked by root's command can answer, whatever its input is.
#[test]
fn root_is_asked_for_another_users_passphrase() {
    need!(root);
    let operator = Operator::new();
    let user = &operator.user;
    let key = user.home.join(".ssh/id_ed25519_bot");
    operator
        .root
        .sh(&format!(
            "ssh-keygen -q -p -N 'open sesame' -P '' -f {0}; chown {1}: {0}",
            key.display(),
            user.name
        ))
        .ok();
    let set = "printf value | keyrack set --quiet --for bot --key TOKEN";
    let mut terminal = operator.root.terminal(set);
    terminal.expect("passphrase for ").type_hidden("open sesame");
    assert_eq!(terminal.finish().0, 0);
    let exec = "cd /; keyrack relock --quiet --for bot; echo in | keyrack exec --quiet --for bot -- sh -c 'cat; echo $TOKEN'; keyrack relock --quiet --for bot";
    let mut terminal = operator.root.terminal(exec);
    terminal.expect("passphrase for ").type_hidden("open sesame");
    terminal.expect("in").expect("value");
    assert_eq!(terminal.finish().0, 0);
}
