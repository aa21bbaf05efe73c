//! Connectors to be run: an owner `bot`, a repository that declares `github`, and its helpers.

use crate::rack::KeyType;
use crate::{Finished, Rack};

/// What `connectors/github.yml` says.
pub const GITHUB: &str = "\
connector: github
credentials_schema:
  PAT:      { class: long_lived_token, obtained_via: bootstrap_tool, rotation_hint: { every: 80d }, env: GITHUB_TOKEN }
  PASSWORD: { class: password, readable_by: [login] }
  COOKIES:  { class: session, refresh: login, as: file }
helpers:
  login:    { exec: [./bin/login], asks: [otp] }
rotate:     { exec: [./bin/rotate] }
verify:     { exec: [./bin/verify] }
revoke:     { exec: [./bin/revoke] }
";

/// Asks for a code, and takes the password for a session.
const LOGIN: &str = r#"
printf '%s\n' '{"ask":"otp","prompt":"code for octocat"}'
read -r answer
[ "$answer" = '{"answer":"123456"}' ] || exit 1
[ "$PASSWORD" = hunter2-password ] || exit 2
printf '%s\n' '{"set":"COOKIES","value":"session=1","expires":"9h"}'
"#;

/// An owner `bot` with a token, a password and something else.
pub fn rack() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    with_connector(&rack);
    let set = "printf hunter2-$2 | keyrack set --quiet --for bot --key $1 --class $3";
    rack.sh(&format!(
        "keyrack init --for bot; s() {{ {set}; }}; s GITHUB_TOKEN token long_lived_token; \
         s PASSWORD password password; s OTHER other long_lived_token"
    ))
    .ok();
    rack
}

/// The same, whose key needs a person; and what opens it.
pub fn passphrased() -> Rack {
    let rack = Rack::new();
    rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
    with_connector(&rack);
    rack.sh(&format!(
        "export KEYRACK_PASSPHRASE_FD=3; keyrack init --for bot {SESAME}; for k in GITHUB_TOKEN OTHER; do \
         printf hunter2-$k | keyrack set --for bot --key $k {SESAME}; done; \
         keyrack connector grant github --for bot --keys PAT {SESAME}"
    ))
    .ok();
    rack
}

/// The command, for who has [`SESAME`] behind it.
pub const OPEN: &str = "KEYRACK_PASSPHRASE_FD=3 keyrack";
/// What opens the key that needs a person.
pub const SESAME: &str = "3<<<'open sesame'";

/// Writes the declaration and its programs.
pub fn with_connector(rack: &Rack) {
    rack.write("work/connectors/github.yml", GITHUB);
    program(rack, "login", LOGIN);
    program(
        rack,
        "rotate",
        r#"printf '%s\n' "{\"set\":\"PAT\",\"value\":\"after-$GITHUB_TOKEN\"}""#,
    );
    program(rack, "verify", "echo verified $GITHUB_TOKEN >>seen");
    program(rack, "revoke", "echo revoked $GITHUB_TOKEN >>seen");
}

/// Writes one of them.
pub fn program(rack: &Rack, name: &str, body: &str) {
    let path = format!("work/bin/{name}");
    rack.write(&path, format!("#!/bin/sh\n{body}\n"));
    rack.sh(&format!("chmod +x bin/{name}")).ok();
}

/// Grants `github` these of `bot`'s.
pub fn grant(rack: &Rack, keys: &str) {
    rack.sh(&format!("keyrack connector grant github --for bot --keys {keys}")).ok();
}

/// Runs a script, whose helpers' questions somebody answers with `answer`.
pub fn answered(rack: &Rack, command: &str, answer: &str) -> Finished {
    let script = format!(
        r#"python3 - <<'END'
import socket, subprocess, sys
ours, theirs = socket.socketpair()
line = ["bash", "-c", {command:?}.replace("FD", str(theirs.fileno()))]
running = subprocess.Popen(line, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
theirs.close()
if asked := ours.recv(1000):
    print("asked", asked.decode().strip(), flush=True)
    ours.send({answer:?}.encode() + b"\n")
sys.exit(running.wait())
END"#
    );
    rack.sh(&script)
}
