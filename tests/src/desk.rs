//! A rack with a virtual YubiKey beside it, and a person who knows its PIN. Only inside
//! [`crate::need_virtual_reader`].

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use keyrack_virtual_yubikey::{Card, Device, Firmware, Reader};

use crate::{Finished, Rack, Terminal};

/// The PIN that every YubiKey is sold with.
pub const PIN: &str = "123456";
/// What is on the back of the YubiKey.
pub const SERIAL: u32 = 11_223_344;
/// What is on the back of another.
pub const OTHER: u32 = 55_667_788;

/// A rack, a YubiKey, and the reader it is in.
#[derive(Debug)]
pub struct Desk {
    /// The home.
    pub rack: Rack,
    /// The YubiKey, plugged in.
    pub key: Device,
    /// Another slot is empty.
    pub reader: Reader,
}

impl Default for Desk {
    fn default() -> Self {
        Self::new(Firmware::V5_7)
    }
}

impl Desk {
    /// A YubiKey as it is sold.
    pub fn new(firmware: Firmware) -> Self {
        let mut reader = Reader::start();
        let key = reader.plug_in(Card::new(SERIAL, firmware));
        // Without a pinentry, rage asks on the terminal, as age does.
        Self { rack: Rack::new().with_env("PINENTRY_PROGRAM", ""), key, reader }
    }

    /// The same, and an owner `mechanic` whose key is on it, made with more `flags`, and
    /// who has `TOKEN`.
    pub fn with_owner(firmware: Firmware, flags: &str) -> Self {
        let desk = Self::new(firmware);
        desk.init(flags).ok();
        desk.set(PIN, "mechanic", "TOKEN", "value");
        desk
    }

    /// `keyrack init --for mechanic --via yubikey`, with more flags and the PIN.
    pub fn init(&self, flags: &str) -> Finished {
        self.with_pin(PIN, &format!("keyrack init --for mechanic --via yubikey {flags}"))
    }

    /// Sets a value by an owner whose key is on a YubiKey.
    #[track_caller]
    pub fn set(&self, pin: &str, owner: &str, key: &str, value: &str) {
        self.rack.write("work/value", value);
        let set = format!("keyrack set --for {owner} --key {key} --from-file value && rm value");
        self.with_pin(pin, &set).ok();
    }

    /// Runs a script that reads a PIN where it is asked for one.
    pub fn with_pin(&self, pin: &str, script: &str) -> Finished {
        self.rack.script(script).env("KEYRACK_PASSPHRASE_FD", "0").stdin(format!("{pin}\n")).run()
    }

    /// `keyrack unlock --for mechanic` and a `get`, with the PIN.
    pub fn unlock(&self) -> Finished {
        self.with_pin(
            PIN,
            "keyrack unlock --for mechanic && keyrack get --for mechanic --key TOKEN",
        )
    }

    /// `keyrack unlock --for mechanic` on a terminal.
    pub fn unlock_on_terminal(&self) -> Terminal {
        self.rack.terminal("keyrack unlock --for mechanic")
    }

    /// What another program does to the card: see `tests/support/card.py`.
    pub fn another_program(&self, act: &str) -> String {
        format!("python3 {}/tests/support/card.py {act}", crate::binaries::repository().display())
    }

    /// Another program that keeps the card until it is told to let go.
    pub fn hold(&self, act: &str) -> Holder {
        let mut program = self.rack.command("sh");
        program.args(["-c", &format!("exec {}", self.another_program(act))]);
        let program = program.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = program.spawn().expect("python3");
        let mut said = String::new();
        let out = program.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut said).expect("it speaks");
        assert_eq!(said, "held\n");
        Holder(program)
    }
}

/// A program that keeps the card.
#[derive(Debug)]
pub struct Holder(Child);

impl Holder {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Lets go of the card, which it can only where nobody has harmed it.
    #[track_caller]
    pub fn let_go(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().expect("our child").success());
    }
}
