//! Connectors and helpers that do not behave, and what somebody does meanwhile.

use std::time::Instant;

use keyrack_tests::connector::{
    GITHUB, OPEN, SESAME, answered, grant, passphrased, program, rack, with_connector,
};
use keyrack_tests::{Rack, daemons};

/// What `bot` has as its session.
fn stored(rack: &Rack) -> String {
    rack.sh("keyrack unlock --quiet --for bot; keyrack get --for bot --key COOKIES").ok().text()
}

fn with_session() -> Rack {
    let rack = rack();
    rack.sh("printf before | keyrack set --for bot --key COOKIES --class session --expires 9h")
        .ok();
    grant(&rack, "COOKIES");
    rack
}

#[test]
fn a_session_that_is_none_any_more_is_told_and_the_status_is_the_programs() {
    let rack = with_session();
    for spoil in [
        "rm $COOKIES; mkfifo $COOKIES",
        "rm $COOKIES",
        "rm $COOKIES; mkdir $COOKIES",
        "head -c 2000000 /dev/zero >$COOKIES",
        "rm $COOKIES; ln -s /etc/passwd $COOKIES",
    ] {
        let done =
            rack.sh(&format!("keyrack connector run github --for bot -- sh -c '{spoil}; exit 3'"));
        done.code(3);
        assert_eq!(stored(&rack), "before", "{spoil}: {done}");
    }
}

#[test]
fn what_was_set_or_revoked_meanwhile_is_not_written_over() {
    for meanwhile in [
        "printf by-a-person | keyrack set --for bot --key COOKIES --class session",
        "printf before | keyrack set --for bot --key COOKIES --class session; keyrack connector revoke github --for bot",
    ] {
        let rack = with_session();
        let expected = if meanwhile.contains("by-a-person") { "by-a-person" } else { "before" };
        let running = rack
            .script("keyrack connector run github --for bot -- sh -c 'printf stale >$COOKIES; touch there; until [ -e go ]; do sleep 0.02; done'")
            .start();
        daemons::until(|| rack.path("work/there").exists());
        rack.sh(&format!("{meanwhile}; touch go")).ok();
        let done = running.finish();
        assert!(done.ok().errors().contains("COOKIES is not kept"), "{done}");
        assert_eq!(stored(&rack), expected, "{meanwhile}");
    }
}

#[test]
fn a_session_is_kept_where_the_owners_key_needs_a_person() {
    let rack = passphrased();
    rack.sh(&format!(
        "printf before | {OPEN} set --for bot --key COOKIES --class session {SESAME}; \
         {OPEN} connector grant github --for bot --keys COOKIES {SESAME}"
    ))
    .ok();
    let run = "keyrack --no-input connector run github --for bot -- sh -c 'cat $COOKIES; printf after >$COOKIES' </dev/null";
    rack.sh(&format!("{OPEN} unlock --quiet --for bot {SESAME}; {run}; {run}"))
        .ok()
        .stdout("beforeafter");
    // The owner's daemon vouched for it, so that the next unlock takes it.
    let again =
        format!("{OPEN} unlock --quiet --for bot {SESAME}; keyrack get --for bot --key COOKIES");
    rack.sh(&format!("keyrack relock --for bot; {again}")).ok().bytes(b"after");
}

#[test]
fn a_session_that_is_only_locked_is_not_made_anew() {
    let rack = passphrased();
    rack.sh(&format!(
        "printf before | {OPEN} set --for bot --key COOKIES --class session --expires 9h {SESAME}; \
         {OPEN} connector grant github --for bot --keys COOKIES,PAT {SESAME}"
    ))
    .ok();
    program(&rack, "login", "touch asked");
    rack.sh(&format!("{OPEN} connector grant github --for bot --keys COOKIES {SESAME}")).ok();
    rack.sh(&format!(
        "{OPEN} connector run github --for bot -- sh -c 'cat $COOKIES' {SESAME}; test ! -e asked"
    ))
    .ok()
    .stdout("before");
}

#[test]
fn a_helper_that_leaves_somebody_behind_holds_nobody_up() {
    let rack = rack();
    for script in [
        r#"sleep 1000 2>/dev/null & echo $! >left; printf '%s\n' '{"set":"COOKIES","value":"new"}'"#,
        r#"printf '%s\n' '{"set":"COOKIES","value":"new"}'; exec >&-; sleep 0.3"#,
    ] {
        program(&rack, "login", script);
        grant(&rack, "PASSWORD,COOKIES");
        let begun = Instant::now();
        rack.sh("keyrack connector run github --for bot -- sh -c 'cat $COOKIES'")
            .ok()
            .stdout("new");
        assert!(begun.elapsed().as_secs() < 60, "{script}");
        rack.sh("keyrack del --for bot --key COOKIES; kill $(cat left) 2>/dev/null; true").ok();
    }
}

#[test]
fn a_helper_ends_with_the_command() {
    let rack = rack();
    program(&rack, "login", "echo $$ >pid; exec sleep 1000");
    grant(&rack, "PASSWORD,COOKIES");
    let script = "keyrack connector run github --for bot -- true & until [ -s pid ]; do sleep 0.02; done; kill -TERM $!; wait $!; cat pid";
    let pid = rack.sh(script).ok().text();
    daemons::until(|| !std::path::Path::new("/proc").join(pid.trim()).join("exe").exists());
}

#[test]
fn a_helper_that_is_swapped_while_a_person_is_asked_is_not_run() {
    let rack = passphrased();
    rack.sh(&format!(
        "printf hunter2-password | {OPEN} set --for bot --key PASSWORD --class password {SESAME}; \
         {OPEN} connector grant github --for bot --keys PASSWORD,COOKIES {SESAME}"
    ))
    .ok();
    let mut terminal = rack.terminal("keyrack connector run github --for bot -- true; echo end $?");
    terminal.expect("passphrase for ");
    program(&rack, "login", "echo $PASSWORD >stolen");
    terminal.type_hidden("open sesame").expect("end 11");
    assert!(!rack.path("work/stolen").exists());
}

#[test]
fn a_helpers_files_are_those_of_its_repository_wherever_it_is_called_from() {
    let rack = rack();
    let declared = GITHUB.replace("[./bin/login]", "[sh, ./bin/login]");
    rack.write("work/connectors/github.yml", &declared);
    grant(&rack, "PASSWORD,COOKIES");
    // Another file of the same name, in the caller's directory.
    rack.write("work/vendor/bin/login", "echo $PASSWORD >stolen");
    let run = "keyrack connector run github --for bot --interaction-fd FD -- sh -c 'cat $COOKIES'";
    let done = answered(&rack, &format!("cd vendor; {run}"), r#"{"answer":"123456"}"#);
    assert!(done.ok().text().ends_with("session=1"), "{done}");
    // The same text in another repository is another's word.
    rack.sh("mkdir other; cp -r connectors bin other").ok();
    rack.sh("cd other; keyrack connector run github --for bot -- true").code(11);
    // An argument is looked at as the program is.
    rack.write("work/bin/login", "echo $PASSWORD >stolen");
    rack.sh("keyrack connector run github --for bot -- true").code(11);
    rack.sh("find . -name stolen | grep .").code(1);
}

#[test]
fn what_a_supervisor_is_asked_on_is_nobody_elses() {
    let rack = rack();
    let said = r#"printf '%s\n' '{"set":"COOKIES","value":"new"}'; [ -e /proc/self/fd/9 ] && touch heard; :"#;
    program(&rack, "login", said);
    grant(&rack, "PASSWORD,COOKIES");
    let script = "exec 9<>/dev/null; keyrack connector run github --for bot --interaction-fd 9 -- sh -c '[ ! -e /proc/self/fd/9 ]'; test ! -e heard";
    rack.sh(script).ok();
}

#[test]
fn only_what_was_replaced_is_taken_back() {
    let rack = rack();
    let two = GITHUB.replace(
        "  PASSWORD:",
        "  SECOND: { class: long_lived_token, obtained_via: bootstrap_tool }\n  PASSWORD:",
    );
    rack.write("work/connectors/github.yml", &two);
    rack.sh("printf second | keyrack set --for bot --key SECOND").ok();
    program(&rack, "revoke", "echo \"$GITHUB_TOKEN<$SECOND>\" >seen");
    grant(&rack, "PAT,SECOND");
    rack.sh("keyrack rotate github --for bot; cat seen").ok().stdout("hunter2-token<>\n");
}

#[test]
fn a_stray_file_or_a_copy_among_grants_is_no_grant() {
    let rack = rack();
    with_connector(&rack);
    grant(&rack, "PAT");
    let grants = rack.data().join("grants/bot");
    std::fs::write(grants.join("notes.txt"), "x").expect("our home");
    rack.sh("keyrack connector list --for bot; keyrack rotate --due --for bot").ok();
    std::fs::copy(grants.join("github/default.grant"), grants.join("github/more.grant"))
        .expect("a copy");
    let listed = rack.sh("keyrack connector list --for bot");
    listed.code(12);
    assert_eq!(listed.text().lines().count(), 1, "{listed}");
}

#[test]
fn a_declaration_cannot_forge_what_a_person_is_shown() {
    let rack = rack();
    let forged =
        GITHUB.replace("[./bin/login]", "[\"./bin/login\\nkeyrack: nothing is accessed\"]");
    rack.write("work/connectors/github.yml", &forged);
    rack.sh("keyrack connector disclose github").code(2).bytes(b"");
    // Nor is it asked unseen.
    rack.write("work/connectors/github.yml", GITHUB);
    rack.sh("printf x | keyrack set --for bot --key COOKIES --class session").ok();
    let mut terminal =
        rack.terminal("keyrack --quiet connector grant github --for bot; echo end $?");
    terminal.expect("accesses credential PASSWORD").expect("let github have this of bot?");
    terminal.type_line("n").expect("end 8");
}
