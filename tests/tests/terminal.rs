//! A person at a terminal: prompts, a wrong passphrase, a cancel, a newline at the end.

use keyrack_tests::Rack;
use keyrack_tests::rack::KeyType;

fn rack() -> Rack {
    let rack = Rack::new();
    rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
    rack.sh("keyrack init --for bot; printf value | keyrack set --for bot --key TOKEN").ok();
    rack
}

#[test]
fn unlock_asks_once_and_the_session_asks_no_more() {
    let rack = rack();
    let mut terminal = rack.terminal(
        "keyrack unlock --for bot --accept-drops; keyrack get --for bot --key TOKEN; \
         printf second | keyrack set --for bot --key TOKEN; keyrack get --for bot --key TOKEN",
    );
    terminal.expect("assphrase").type_line("open sesame");
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    assert_eq!(screen.to_lowercase().matches("passphrase").count(), 1, "{screen}");
    // A newline is added on a terminal, and only there.
    assert!(screen.contains("value\n") && screen.ends_with("second\n"), "{screen}");
}

#[test]
fn a_wrong_passphrase_is_said_and_is_exit_6() {
    let rack = rack();
    let mut terminal = rack.terminal("keyrack unlock --for bot");
    for _ in 0..3 {
        terminal.expect("passphrase for").type_hidden("a wrong one").expect("wrong passphrase");
    }
    let (code, screen) = terminal.finish();
    assert_eq!(code, 6, "{screen}");
    assert_eq!(screen.matches("wrong passphrase").count(), 3, "{screen}");
    assert!(!screen.contains("a wrong one"), "{screen}");
}

#[test]
fn a_slip_is_no_end() {
    let rack = rack();
    let mut terminal = rack.terminal("keyrack unlock --for bot --accept-drops");
    terminal.expect("passphrase for").type_hidden("open sesam").expect("wrong passphrase");
    terminal.expect("passphrase for").type_hidden("open sesame");
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
}

/// A terminal that edits lines takes 4,095 bytes and drops the rest.
#[test]
fn a_long_value_is_pasted_whole() {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot").ok();
    let value: String = ('!'..='~').cycle().take(100_000).collect();
    let mut terminal = rack.terminal("keyrack set --for bot --key TOKEN");
    terminal.expect("value of @all.all.TOKEN for bot").type_line(&value);
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    rack.sh("keyrack get --unlock --for bot --key TOKEN").ok().bytes(value.as_bytes());
}

/// What is beyond the limit is no end of it: a part of a value is another value.
#[test]
fn a_value_that_is_too_long_is_refused_and_not_cut() {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot").ok();
    let mut terminal = rack.terminal("keyrack set --for bot --key TOKEN");
    terminal.expect("value of @all.all.TOKEN for bot").type_line(&"x".repeat(1024 * 1024 + 1));
    let (code, screen) = terminal.finish();
    assert_eq!(code, 2, "{screen}");
    assert!(screen.contains("the answer has more than 1048576 bytes"), "{screen}");
    rack.sh("keyrack get --unlock --for bot --key TOKEN").code(4);
}

/// Whoever ends it from elsewhere does not leave the next program a terminal that shows nothing.
#[test]
fn a_prompt_that_is_ended_leaves_the_terminal_as_it_was() {
    let rack = rack();
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("QUIT", 131), ("INT", 130)] {
        let script = "before=$(stty -g); sh -c 'echo $$ >pid; exec keyrack unlock --for bot'; \
            echo \"end $?\"; [ \"$before\" = \"$(stty -g)\" ] && echo as before";
        let mut terminal = rack.terminal(script);
        terminal.expect("passphrase for");
        rack.sh(&format!("kill -{signal} $(cat pid)")).ok();
        terminal.expect(&format!("end {code}")).expect("as before");
        assert_eq!(terminal.finish().0, 0);
    }
    // One that it ignores is none.
    let script = "trap '' HUP; sh -c 'echo $$ >pid; exec keyrack unlock --quiet --accept-drops --for bot'; echo end $?";
    let mut terminal = rack.terminal(script);
    terminal.expect("passphrase for");
    rack.sh("kill -HUP $(cat pid); sleep 0.2").ok();
    terminal.type_hidden("open sesame").expect("end 0");
    assert_eq!(terminal.finish().0, 0);
}

#[test]
fn an_interrupted_prompt_leaves_the_terminal_as_it_was() {
    let rack = rack();
    let mut terminal = rack.terminal("trap : INT; stty -a | grep -c ' echo '; keyrack unlock --for bot; echo \"exit $?\"; stty -a | grep -c ' echo '");
    terminal.expect("assphrase").interrupt();
    let (_, screen) = terminal.finish();
    let lines: Vec<&str> = screen.lines().map(str::trim).collect();
    assert_eq!((lines.first(), lines.last()), (Some(&"1"), Some(&"1")), "{screen}");
    assert!(screen.contains("exit 130") || screen.contains("exit 8"), "{screen}");
}

/// At once, each would get some of what is typed, and the second passphrase would be shown.
#[test]
fn two_prompts_on_one_terminal_take_turns() {
    let rack = rack();
    rack.make_key("id_ed25519_owl", KeyType::Ed25519, "open sesame");
    rack.sh("keyrack init --for owl").ok();
    let mut terminal = rack.terminal(
        "keyrack list --for bot & a=$!; keyrack list --for owl & b=$!; wait $a && wait $b \
         && stty -a | grep -c ' echo '",
    );
    for _ in 0..2 {
        terminal.expect("assphrase").type_hidden("open sesame");
    }
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.ends_with("1\n") && !screen.contains("sesame"), "{screen}");
}

#[test]
fn a_prompt_ends_with_its_terminal() {
    let rack = rack();
    let mut terminal = rack.terminal("keyrack unlock --for bot");
    terminal.expect("assphrase");
    // The terminal goes away. The rack's end asserts that nothing waits on.
    drop(terminal);
}

#[test]
fn no_input_never_waits_even_on_a_terminal() {
    let rack = rack();
    let terminal = rack.terminal("keyrack unlock --for bot --no-input");
    let (code, screen) = terminal.finish();
    assert_eq!(code, 8, "{screen}");
    let terminal = rack.terminal("KEYRACK_NO_INPUT=1 keyrack unlock --for bot");
    assert_eq!(terminal.finish().0, 8);
}

#[test]
fn get_never_prompts() {
    let rack = rack();
    let terminal = rack.terminal("keyrack get --for bot --key TOKEN");
    let (code, screen) = terminal.finish();
    assert_eq!(code, 3, "{screen}");
    assert!(!screen.to_lowercase().contains("passphrase:"), "{screen}");
}

#[test]
fn destroy_asks_for_the_name() {
    let rack = rack();
    let mut terminal = rack.terminal("keyrack destroy --for bot");
    terminal.expect("bot").type_line("no");
    assert_ne!(terminal.finish().0, 0);
    assert!(rack.manifest("bot").exists());
}

#[test]
fn an_askpass_program_serves_where_there_is_no_terminal() {
    let rack = rack();
    let askpass = rack
        .write("work/askpass", "#!/bin/sh\nprintf '%s\\n' \"$1\" >> asked\necho 'open sesame'\n");
    std::fs::set_permissions(&askpass, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("ours");
    let with = format!(
        "export KEYRACK_ASKPASS={}; keyrack unlock --for bot --accept-drops && keyrack get --for bot --key TOKEN",
        askpass.display()
    );
    rack.sh(&with).ok().bytes(b"value");
    assert_eq!(rack.sh("wc -l <asked").text().trim(), "1");
}

/// GnuPG's dialog, as far as the protocol goes: this one types by itself.
#[test]
fn pinentry_serves_where_there_is_a_display_and_no_terminal() {
    let rack = rack();
    let dialog = "#!/bin/sh\necho OK\nwhile read -r line; do echo \"$line\" >>../said; \
        case $line in GETPIN) echo 'D open%20sesame'; echo OK;; *) echo OK;; esac; done\n";
    let dialog = rack.write("work/dialogs/pinentry", dialog);
    std::fs::set_permissions(&dialog, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("ours");
    let with = "export PATH=$PWD/dialogs:$PATH; keyrack unlock --for bot --accept-drops && keyrack get --for bot --key TOKEN";
    rack.sh(&format!("export DISPLAY=:0; {with}")).ok().bytes(b"value");
    let said = rack.sh("cat ../said").text();
    assert!(said.contains("SETDESC ") && said.contains("id_ed25519_bot"), "{said}");
    rack.sh("keyrack relock --for bot").ok();
    // Without a display nobody would see it.
    rack.sh(with).code(8);
    rack.sh(&format!("export DISPLAY=:0 KEYRACK_NO_INPUT=1; {with}")).code(8);
}
