//! Connectors: what they are handed, what they are not, and what becomes of it. The owner's
//! key needs a person, so what a connector reads it reads by capability; for helpers, which
//! need a person anyway, it is opened without one.

use keyrack_tests::connector::{
    GITHUB, OPEN, SESAME, answered, grant, passphrased, program, rack, with_connector,
};

#[test]
fn it_is_handed_what_was_granted_and_nothing_else() {
    let rack = passphrased();
    let done = rack.sh(&format!(
        "export AWS_SECRET_ACCESS_KEY=of-the-caller OTHER=x GITHUB_TOKEN=of-the-caller MINE=1; \
         {OPEN} unlock --quiet --for bot {SESAME}; \
         keyrack connector run github --for bot --pass MINE -- sh -c 'env | cut -d= -f1 | sort | tr \"\\n\" \" \"; \
         echo $GITHUB_TOKEN; keyrack get --key GITHUB_TOKEN; echo; keyrack get --key OTHER; echo $?'"
    ));
    done.ok();
    let shown = done.text();
    let (variables, rest) = shown.split_once("hunter2-GITHUB_TOKEN\n").expect("the token");
    for name in ["GITHUB_TOKEN", "KEYRACK_FOR", "HOME", "PATH", "MINE"] {
        assert!(variables.contains(name), "{name}: {variables}");
    }
    for name in ["AWS", "OTHER", "PASSWORD"] {
        assert!(!variables.contains(name), "{name}: {variables}");
    }
    assert_eq!(rest.trim_end(), "hunter2-GITHUB_TOKEN\n5");
}

#[test]
fn a_broker_hands_over_nothing_and_answers_what_is_granted() {
    let rack = passphrased();
    let run = |script: &str| {
        rack.sh(&format!(
            "{OPEN} unlock --quiet --for bot {SESAME}; \
             keyrack connector run github --for bot --broker -- sh -c '{script}'"
        ))
    };
    run("echo \"<$GITHUB_TOKEN>\"; keyrack get --key GITHUB_TOKEN")
        .ok()
        .stdout("<>\nhunter2-GITHUB_TOKEN");
    run("keyrack get --key OTHER").code(5).bytes(b"");
    let log = rack.sh("keyrack log --for bot | tail -n 4").ok().text();
    assert!(
        log.contains(r#""outcome":"granted 1""#) && log.contains(r#""outcome":"denied 1""#),
        "{log}"
    );
}

#[test]
fn a_grant_is_read_without_the_owners_key() {
    let rack = passphrased();
    let run = "keyrack --no-input connector run github --for bot -- sh -c 'echo $GITHUB_TOKEN' </dev/null";
    rack.sh(run).code(8).bytes(b"");
    rack.sh(&format!("{OPEN} unlock --quiet --for bot {SESAME}; {run}"))
        .ok()
        .stdout("hunter2-GITHUB_TOKEN\n");
}

#[test]
fn a_password_is_for_helpers_alone_and_is_never_held() {
    let rack = rack();
    grant(&rack, "PAT,PASSWORD,COOKIES");
    let run = "keyrack connector run github --for bot --interaction-fd FD -- sh -c 'echo \"<$PASSWORD>\"; cat $COOKIES'";
    let done = answered(&rack, run, r#"{"answer":"123456"}"#);
    done.ok().stdout("asked {\"ask\":\"otp\",\"prompt\":\"code for octocat\"}\n<>\nsession=1");
    let held = rack.sh("keyrack status --for bot --json").ok().text();
    assert!(held.contains("COOKIES") && !held.contains("PASSWORD"), "{held}");
    rack.write("work/connectors/github.yml", GITHUB.replace(", readable_by: [login]", ""));
    let refused = rack.sh("keyrack connector disclose github");
    refused.code(2);
    assert!(refused.errors().contains("a password is for helpers only"), "{refused}");
}

#[test]
fn a_session_that_the_connector_changed_is_kept() {
    let rack = rack();
    grant(&rack, "COOKIES");
    rack.sh("printf before | keyrack set --for bot --key COOKIES --class session --expires 9h")
        .ok();
    let run = |flags: &str, script: &str| {
        rack.sh(&format!("keyrack connector run github --for bot {flags} -- sh -c '{script}'"))
    };
    let stored = || {
        rack.sh("keyrack unlock --quiet --for bot; keyrack get --for bot --key COOKIES").ok().text()
    };
    run("", "cat $COOKIES; printf after >$COOKIES; exit 7").code(7).stdout("before");
    assert_eq!(stored(), "after");
    // Its end stays, too.
    let listed = rack.sh("keyrack list --for bot --json").ok().json();
    let keys = listed["keys"].as_array().expect("keys").clone();
    let kept = keys.iter().find(|key| key["slug"] == "@all.all.COOKIES").expect("it is there");
    assert!(kept["expiresAt"].is_string(), "{listed}");
    run("", ":").ok();
    run("", ": >$COOKIES").ok();
    assert_eq!(stored(), "after");
}

#[test]
fn a_grant_is_for_one_text_of_one_owner_and_ends() {
    let rack = rack();
    rack.key("eve");
    rack.sh("keyrack init --for eve").ok();
    let run = |owner: &str| rack.sh(&format!("keyrack connector run github --for {owner} -- true"));
    run("bot").code(4);
    grant(&rack, "PAT");
    run("bot").ok();
    let grants = rack.path("home/.local/share/keyrack/grants");
    let file = grants.join("bot/github/default.grant");
    let signed = std::fs::read_to_string(&file).expect("a grant");
    assert!(!signed.contains("hunter2"), "{signed}");
    // Another owner's file is no grant of this one.
    std::fs::create_dir_all(grants.join("eve/github")).expect("our directory");
    std::fs::copy(&file, grants.join("eve/github/default.grant")).expect("a copy");
    run("eve").code(12);
    for (from, to) in
        [("GITHUB_TOKEN", "OTHER"), ("\"connector\":\"github\"", "\"connector\":\"gitlab\"")]
    {
        std::fs::write(&file, signed.replace(from, to)).expect("our file");
        run("bot").code(12);
    }
    std::fs::write(&file, &signed).expect("our file");
    // Under another name it is not what was granted there.
    std::fs::copy(&file, grants.join("bot/github/more.grant")).expect("a copy");
    rack.sh("keyrack connector run github --for bot --grant more -- true").code(12);
    rack.sh("keyrack connector grant github --for bot --grant more --keys PAT").ok();
    rack.write("work/connectors/github.yml", GITHUB.replace("./bin/login", "./bin/evil"));
    let changed = run("bot");
    changed.code(11);
    assert!(changed.errors().contains("says something else than when bot granted it"), "{changed}");
    let named = rack.sh("keyrack connector run github --for bot --grant more -- true");
    named.code(11);
    assert!(named.errors().contains("connector grant github --for bot --grant more\n"), "{named}");
    rack.write("work/connectors/github.yml", GITHUB);
    // A helper of the repository is the one that was there, too.
    program(&rack, "login", "echo $PASSWORD >stolen");
    let changed = run("bot");
    changed.code(11);
    assert!(
        changed.errors().contains("./bin/login of github is another file than when bot granted it"),
        "{changed}"
    );
    with_connector(&rack);
    run("bot").ok();
    rack.sh("keyrack connector revoke github --for bot").ok();
    run("bot").code(4);
    rack.sh("keyrack connector revoke github --for bot").code(4);
    rack.sh("keyrack connector grant github --for bot --keys PAT --until 1s; sleep 1.1").ok();
    run("bot").code(3);
    rack.sh("keyrack connector grant github --for bot --keys PAT --until 2020-01-01").code(2);
}

#[test]
fn what_is_granted_has_the_class_that_is_declared() {
    let rack = rack();
    let other = rack.sh("keyrack connector grant github --for bot --keys PAT=@all.all.PASSWORD");
    other.code(11);
    assert!(
        other.errors().contains(
            "@all.all.PASSWORD is a password, and github declares PAT as a long_lived_token"
        ),
        "{other}"
    );
    let absent = rack.sh("keyrack connector grant github --for bot --keys PAT=acme.prod.PAT");
    absent.code(4);
    assert!(
        absent
            .errors()
            .contains("keyrack set --for bot --key acme.prod.PAT --class long_lived_token"),
        "{absent}"
    );
    rack.sh("keyrack connector grant github --for bot --keys NOTHING").code(4);
    rack.sh(
        "keyrack connector grant github --for bot --keys PAT=@all.all.OTHER,COOKIES=@all.all.OTHER",
    )
    .code(11);
    // Set anew with another class since: the connector is not handed it.
    grant(&rack, "PAT");
    rack.sh("printf x | keyrack set --for bot --key GITHUB_TOKEN --class session").ok();
    rack.sh("keyrack connector run github --for bot -- true").code(11);
}

#[test]
fn a_helper_that_fails_or_oversteps_changes_nothing() {
    let rack = rack();
    grant(&rack, "PAT,PASSWORD,COOKIES");
    let said = |line: &str| format!("printf '%s\\n' '{line}'");
    let cookies = said(r#"{"set":"COOKIES","value":"hunter2-new"}"#);
    for (body, code, why) in [
        (format!("{cookies}; exit 3"), 1, "login of github ended with exit status: 3"),
        (format!("{cookies}; kill -9 $$"), 1, "login of github ended with signal: 9"),
        (
            format!("{cookies}; {}", said(r#"{"set":"PAT","value":"x"}"#)),
            5,
            "handed in PAT, which is not its to make",
        ),
        (format!("{cookies}; {}", said(r#"{"set":"OTHER","value":"x"}"#)), 5, "handed in OTHER"),
        (
            said(r#"{"ask":"password","prompt":"give it"}"#),
            5,
            "asks for password, which it did not declare",
        ),
        (format!("{cookies}; echo garbage hunter2"), 1, "neither a question nor a value"),
        (":".to_owned(), 1, "handed in nothing"),
        (said(r#"{"set":"COOKIES","value":""}"#), 1, "handed in COOKIES without a value"),
        (
            said(r#"{"set":"COOKIES","value":"x","expires":"2020-01-01"}"#),
            1,
            "which is over already",
        ),
        (format!("{cookies}; {cookies}"), 1, "handed in COOKIES twice"),
        (
            said(r#"{"ask":"otp","prompt":"code"}"#),
            8,
            "login of github asks for otp: a person is needed",
        ),
    ] {
        program(&rack, "login", &body);
        grant(&rack, "PAT,PASSWORD,COOKIES");
        let done = rack.sh("keyrack connector run github --for bot -- true </dev/null");
        done.code(code).bytes(b"");
        let said = done.errors();
        assert!(said.contains(why) && !said.contains("hunter2"), "{body}: {said}");
        rack.sh("keyrack list --for bot | grep -c COOKIES").code(1);
    }
    let cancelled = answered(
        &rack,
        "keyrack connector run github --for bot --interaction-fd FD -- true",
        r#"{"cancelled":true}"#,
    );
    assert_ne!(cancelled.code, 0, "{cancelled}");
}

#[test]
fn a_rotation_is_tried_before_it_counts_and_the_old_value_is_taken_back() {
    let rack = rack();
    grant(&rack, "PAT");
    rack.sh("keyrack unlock --quiet --for bot; keyrack rotate github --for bot; keyrack get --for bot --key GITHUB_TOKEN; cat seen")
        .ok()
        .stdout("after-hunter2-tokenverified after-hunter2-token\nrevoked hunter2-token\n");
    let get = "keyrack unlock --quiet --for bot; keyrack get --for bot --key GITHUB_TOKEN";
    let failing = [("verify", "exit 1"), ("rotate", "exit 1"), ("rotate", ":")];
    for (name, body) in failing {
        with_connector(&rack);
        program(&rack, name, body);
        grant(&rack, "PAT");
        let done = rack.sh("rm seen; keyrack rotate github --for bot");
        assert_ne!(done.code, 0, "{name}: {done}");
        rack.sh(get).ok().stdout("after-hunter2-token");
        assert_ne!(rack.sh("grep -s revoked seen").code, 0, "{name}");
    }
    // What cannot be taken back is said, and the new value counts.
    with_connector(&rack);
    program(&rack, "revoke", "exit 1");
    grant(&rack, "PAT");
    let done = rack.sh("keyrack rotate github --for bot");
    done.code(10);
    assert!(done.errors().contains("the new value counts, and the old one still does"), "{done}");
    rack.sh(get).ok().stdout("after-after-hunter2-token");
}

#[test]
fn only_what_is_due_is_rotated() {
    let rack = rack();
    grant(&rack, "PAT");
    let due = rack.sh("keyrack rotate --due --for bot");
    due.ok();
    assert!(due.errors().contains("nothing is due"), "{due}");
    rack.sh("keyrack expiring --for bot").ok().stdout("");
    let soon = rack.sh("keyrack expiring --for bot --within 81d").ok().text();
    assert!(soon.starts_with("@all.all.GITHUB_TOKEN\tlong_lived_token\t-\tin 79d"), "{soon}");
    rack.write("work/connectors/github.yml", GITHUB.replace("every: 80d", "every: 1s"));
    grant(&rack, "PAT");
    rack.sh("sleep 1.1; keyrack rotate --due --for bot --dry-run; test ! -e seen").ok();
    rack.sh("keyrack expiring --for bot")
        .ok()
        .stdout("@all.all.GITHUB_TOKEN\tlong_lived_token\t-\tnow\n");
    rack.sh("keyrack rotate --due --for bot; cat seen")
        .ok()
        .stdout("verified after-hunter2-token\nrevoked hunter2-token\n");
    rack.sh("keyrack rotate --for bot").code(2);
}

#[test]
fn a_declaration_of_the_home_names_programs_by_whole_paths() {
    let rack = rack();
    rack.sh("mv connectors/github.yml ../github.yml; rmdir connectors").ok();
    let refused = rack.sh("keyrack connector add ../github.yml");
    refused.code(2);
    assert!(refused.errors().contains("name programs by whole paths"), "{refused}");
    let bin = rack.path("work/bin").display().to_string();
    rack.write("github.yml", GITHUB.replace("./bin", &bin));
    rack.sh("keyrack connector add ../github.yml").ok();
    grant(&rack, "PAT");
    rack.sh("keyrack rotate github --for bot; cd /; keyrack connector run github --for bot -- sh -c 'echo $GITHUB_TOKEN'")
        .ok()
        .stdout("after-hunter2-token\n");
    rack.sh("keyrack destroy --for bot --yes").ok();
    assert!(!rack.path("home/.local/share/keyrack/grants/bot").exists());
}

#[test]
fn in_a_sandbox_it_is_handed_the_same() {
    let rack = rack();
    grant(&rack, "PAT,COOKIES");
    rack.sh("printf before | keyrack set --for bot --key COOKIES --class session").ok();
    let run = "keyrack connector run github --for bot --isolate=best-effort -- sh -c";
    let done = rack.sh(&format!(
        "{run} 'echo $GITHUB_TOKEN; cat $COOKIES; printf after >$COOKIES; ls ../home/.ssh'"
    ));
    assert_eq!(done.text(), "hunter2-token\nbefore", "{done}");
    rack.sh("keyrack unlock --quiet --for bot; keyrack get --for bot --key COOKIES")
        .ok()
        .stdout("after");
}

#[test]
fn a_class_that_is_forbidden_is_neither_kept_nor_waited_for() {
    let rack = rack();
    grant(&rack, "PAT,PASSWORD,COOKIES");
    let policy = rack.data().join("policy.yml");
    std::fs::write(&policy, "forbid: [password, session]\n").expect("our home");
    let forbidden = "forbids to keep a password here";
    for keep in [
        "printf x | keyrack set --for bot --key NEW --class password",
        "printf x | keyrack --no-input set --for bot --pubkey ~/.ssh/id_ed25519_bot.pub --key NEW --class password",
        "printf 'NEW_PASSWORD=x' >.env; keyrack import dotenv .env --for bot --yes",
    ] {
        let refused = rack.sh(keep);
        refused.code(5);
        assert!(refused.errors().contains(forbidden), "{keep}: {refused}");
    }
    let run = rack.sh("keyrack connector run github --for bot -- true </dev/null");
    run.code(8);
    assert!(run.errors().contains("forbids to keep a session here"), "{run}");
    std::fs::write(&policy, "forbid: [password]\n").expect("our home");
    let run = rack.sh("keyrack connector run github --for bot -- true </dev/null");
    run.code(8);
    assert!(run.errors().contains(forbidden), "{run}");
    // What it says has to be known, or nothing is kept.
    std::fs::write(&policy, "forbid: [secret]\n").expect("our home");
    rack.sh("printf x | keyrack set --for bot --key OTHER").code(2);
    std::fs::remove_file(&policy).expect("ours");
    rack.sh("printf x | keyrack set --for bot --key NEW --class password").ok();
}
