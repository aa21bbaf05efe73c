//! What the guide for YubiKeys shows is what happens, with a virtual one plugged in and a
//! person who types its PIN.

use keyrack_tests::desk::{PIN, SERIAL};
use keyrack_tests::{Rack, binaries, need_virtual_reader, session};
use keyrack_virtual_yubikey::{Card, Firmware, Reader};

#[test]
fn the_guide_happens_as_shown() {
    need_virtual_reader!();
    let mut reader = Reader::start();
    let _key = reader.plug_in(Card::new(SERIAL, Firmware::V5_7));
    session::run(&binaries::repository().join("docs/guides/yubikey.md"), || {
        let rack = Rack::new();
        let askpass = rack.write("askpass", format!("#!/bin/sh\necho {PIN}\n"));
        rack.sh("chmod 700 ../askpass").ok();
        let askpass = askpass.display().to_string();
        rack.with_env("KEYRACK_ASKPASS", &askpass)
    });
}
