//! Names that the next program would run the value of, at every door that leads into an
//! environment: refused, and nothing of the value is shown on the way.

use keyrack_tests::Rack;

const NAMES: &[&str] = &[
    "PATH",
    "HOME",
    "IFS",
    "BASH_ENV",
    "LD_PRELOAD",
    "DYLD_INSERT_LIBRARIES",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "NODE_OPTIONS",
    "PERL5LIB",
    "RUBYOPT",
    "GIT_CONFIG_COUNT",
    "GIT_SSH_COMMAND",
    "GIT_EXTERNAL_DIFF",
    "PAGER",
    "JAVA_TOOL_OPTIONS",
    "RUSTC_WRAPPER",
    "GLIBC_TUNABLES",
    "KEYRACK_FOR",
];
const DOORS: &[&str] = &[
    "get --format export --key NAME",
    "get --format dotenv --key NAME",
    "get --format docker --key NAME",
    "get --format gha --key NAME",
    "get --format gha --key FINE --key NAME",
    "source --key NAME",
    "exec --key NAME -- touch ran",
    "exec --files --key NAME -- touch ran",
];

#[test]
fn dangerous_names_at_every_door() {
    let rack = Rack::new();
    rack.key("bot");
    let set = |name: &str| format!("printf the-value | keyrack set --for bot --key {name}; ");
    let all: String = NAMES.iter().chain(&["FINE"]).map(|name| set(name)).collect();
    rack.sh(&format!("keyrack init --for bot; {all} keyrack unlock --for bot")).ok();
    for name in NAMES {
        for door in DOORS {
            let line = door.replace("NAME", name);
            let done = rack.sh(&format!("GITHUB_ENV=$PWD/github keyrack --for bot {line}"));
            done.fails(
                5,
                &format!("keyrack: error: {name} is never delivered into an environment: the next program would run what it says\n"),
            );
        }
    }
    rack.sh("cat github ran 2>/dev/null; [ ! -s github ] && [ ! -e ran ]").ok().bytes(b"");
    // Nobody asked for them by name: they are left out, and the rest is given.
    let done = rack.sh("keyrack --for bot exec -- sh -c 'echo $FINE; env | grep -c the-value'");
    assert!(done.ok().stdout("the-value\n1\n").errors().contains("PATH is never delivered"));
}
