//! PIN, PUK and management key: known to all at first, changed when a person wants it,
//! unblocked, and shared with the tools of others. And what the maker says of a key.

use keyrack_tests::desk::{Desk, PIN, SERIAL};
use keyrack_tests::{Terminal, need, need_virtual_reader};
use keyrack_virtual_yubikey::{Act, Firmware};

const PUK: &str = "12345678";
const NEW: &str = "271828";

/// Types what a command asks for, in order; gives its exit code and the screen.
fn answer(mut terminal: Terminal, answers: &[(&str, &str)]) -> (i32, String) {
    for (question, answer) in answers {
        terminal.expect(question).type_hidden(answer);
    }
    terminal.finish()
}

fn yubikey(desk: &Desk, act: &str, answers: &[(&str, &str)]) -> (i32, String) {
    answer(desk.rack.terminal(&format!("keyrack yubikey {act}")), answers)
}

/// A new PIN or PUK, typed twice.
fn new_code(code: &str) -> [(&str, &str); 2] {
    [("6 to 8 characters", code), ("again", code)]
}

#[test]
fn what_every_yubikey_is_sold_with_is_named_until_it_is_changed() {
    need_virtual_reader!();
    let desk = Desk::new(Firmware::V5_7);
    let said = |desk: &Desk| desk.rack.sh("keyrack yubikey list").ok().errors();
    let all = format!(
        "YubiKey {SERIAL}: still as sold, and known to everybody: PIN, PUK, management key"
    );
    assert!(said(&desk).contains(&all), "{}", said(&desk));
    let [new, again] = new_code(NEW);
    let (code, screen) = yubikey(&desk, "pin", &[("PIN of", PIN), new, again]);
    assert_eq!(code, 0, "{screen}");
    let [new, again] = new_code("31415926");
    let (code, screen) = yubikey(&desk, "puk", &[("PUK of", PUK), new, again]);
    assert_eq!(code, 0, "{screen}");
    let (code, screen) = yubikey(&desk, "management", &[("PIN of", NEW)]);
    assert_eq!(code, 0, "{screen}");
    assert_eq!(said(&desk), "");
    let shown = desk.rack.sh("keyrack yubikey list --json").ok().json();
    assert_eq!(shown["yubikeys"][0]["management"]["protected"], true);
    // A key is made by it as before, once the PIN is right.
    desk.with_pin(NEW, "keyrack init --for mechanic --via yubikey").ok();
    assert_eq!(desk.key.count(Act::Generate), 1);
}

#[test]
fn a_new_code_is_typed_twice_and_of_the_right_length() {
    need_virtual_reader!();
    let desk = Desk::new(Firmware::V5_7);
    let (code, screen) =
        yubikey(&desk, "pin", &[("PIN of", PIN), ("characters", NEW), ("again", "271829")]);
    assert!(code == 8 && screen.contains("not the same"), "{screen}");
    for malformed in ["12345", "123456789"] {
        let [new, again] = new_code(malformed);
        let (code, screen) = yubikey(&desk, "pin", &[("PIN of", PIN), new, again]);
        assert!(code == 6 && screen.contains("6 to 8 characters"), "{screen}");
    }
    assert_eq!(desk.key.count(Act::ChangeReference), 0, "nothing was sent");
    assert_eq!((desk.key.card().pin_tries(), desk.key.card().puk_tries()), (3, 3));
}

#[test]
fn a_blocked_pin_is_unblocked_by_the_puk_until_that_is_blocked_too() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    for _ in 0..3 {
        desk.with_pin("999999", "keyrack unlock --for mechanic").code(6);
    }
    let blocked = desk.with_pin(PIN, "keyrack unlock --for mechanic");
    let hint = format!("keyrack yubikey unblock --serial {SERIAL}");
    assert!(blocked.errors().contains(&hint), "{blocked}");
    let said = desk.rack.sh("keyrack yubikey list").ok().errors();
    assert!(said.contains("its PIN is blocked"), "{said}");
    let [new, again] = new_code(NEW);
    let (code, screen) = yubikey(&desk, "unblock", &[("PUK of", PUK), new, again]);
    assert_eq!(code, 0, "{screen}");
    desk.with_pin(NEW, "keyrack unlock --for mechanic").ok();
    // A wrong one is asked for again, and the last try is used only if the person says so.
    let mut terminal = desk.rack.terminal("keyrack yubikey unblock");
    for told in ["2 tries are left", "1 try is left", "is blocked"] {
        if told == "is blocked" {
            terminal.expect("a reset helps").expect("Try it?").type_line("y");
        }
        terminal.expect("PUK of").type_hidden("00000000");
        let [(question, new), (again, _)] = new_code(PIN);
        terminal.expect(question).type_hidden(new);
        terminal.expect(again).type_hidden(new).expect(told);
    }
    let (code, screen) = terminal.finish();
    assert_eq!(code, 6, "{screen}");
    let (code, screen) = yubikey(&desk, "puk", &[]);
    assert!(code == 6 && screen.contains("the PUK of"), "{screen}");
    // The keys still serve whoever knows the PIN.
    desk.with_pin(NEW, "keyrack relock --for mechanic; keyrack unlock --for mechanic").ok();
}

/// Where keyrack puts a management key behind the PIN, the plugin finds it, and the other
/// way round.
#[test]
fn a_protected_management_key_is_shared_with_the_plugin() {
    need!("age-plugin-yubikey");
    need_virtual_reader!();
    let desk = Desk::new(Firmware::V5_4);
    let [new, again] = new_code(NEW);
    assert_eq!(yubikey(&desk, "pin", &[("PIN of", PIN), new, again]).0, 0);
    assert_eq!(yubikey(&desk, "management", &[("PIN of", NEW)]).0, 0);
    let make = desk.rack.terminal("age-plugin-yubikey --generate --slot 2 --touch-policy never");
    let (code, screen) = answer(make, &[("default is 123456", NEW)]);
    assert_eq!(code, 0, "{screen}");
    assert_eq!(desk.key.count(Act::Generate), 1);
    let init = "keyrack init --for mechanic --via yubikey --slot R5";
    desk.with_pin(NEW, init).ok();
    assert_eq!(desk.key.count(Act::Generate), 2);
}

#[test]
fn the_maker_says_that_the_key_was_made_there() {
    need!("openssl");
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "--pin-policy always --touch-policy cached");
    let file = "$(find ~/.local/share/keyrack ~/.local/state/keyrack -name '*.attestation.pem')";
    // The key's own certificate comes first, then the one that signed it.
    desk.rack
        .sh(&format!(
            "csplit -s -f part {file} '/BEGIN/' '{{1}}' &&
             openssl verify -CAfile part02 part01 &&
             openssl x509 -in part01 -noout -text > shown && grep -q 'YubiKey PIV Attestation 82' shown"
        ))
        .ok();
}
