//! A real pcscd with a reader that does not exist: two slots for virtual YubiKeys. Only in
//! a namespace of its own.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::card::Card;
use crate::device::Device;
use crate::vpcd::PORT;
use crate::{namespace, pcscd};

const PATIENCE: Duration = Duration::from_secs(10);
const CONFIGURATION: &str = "/run/virtual-reader";
const SLOTS: u16 = 2;

/// A pcscd that runs until this is dropped.
#[derive(Debug)]
pub struct Reader {
    pcscd: Child,
    taken: u16,
}

impl Reader {
    /// Starts pcscd with a reader that calls itself what a YubiKey does, and waits until it
    /// can be reached.
    pub fn start() -> Self {
        Self::start_as(Some("Yubico YubiKey OTP+FIDO+CCID"))
    }

    /// The same with a reader of another name, or with none.
    pub fn start_as(name: Option<&str>) -> Self {
        assert!(namespace::is_inside(), "the machine's own pcscd is not to be touched");
        // What a pcscd that was killed left behind would mislead the next.
        let _ = fs::remove_dir_all("/run/pcscd");
        let _ = fs::remove_dir_all(CONFIGURATION);
        fs::create_dir_all(CONFIGURATION).expect("/run is ours");
        if let Some(name) = name {
            let reader = format!(
                "FRIENDLYNAME \"{name}\"\nDEVICENAME /dev/null:{PORT:#X}\nLIBPATH {}\n\
                 CHANNELID {PORT:#X}\n",
                namespace::DRIVER
            );
            fs::write(Path::new(CONFIGURATION).join("vpcd"), reader).expect("/run is ours");
        }
        // setpriv: it must not outlive this process, however that ends.
        let pcscd = Command::new("setpriv")
            .args(["--pdeathsig=KILL", "/usr/sbin/pcscd", "--foreground", "--config"])
            .arg(CONFIGURATION)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pcscd and setpriv are installed");
        let reader = Self { pcscd, taken: 0 };
        let deadline = Instant::now() + PATIENCE;
        while !Path::new(pcscd::SOCKET).exists() {
            assert!(Instant::now() < deadline, "pcscd does not listen at {}", pcscd::SOCKET);
            thread::sleep(Duration::from_millis(1));
        }
        reader
    }

    /// A YubiKey in the next slot, plugged in.
    pub fn plug_in(&mut self, card: Card) -> Device {
        let mut device = self.slot_for(card);
        device.plug_in();
        device
    }

    /// A YubiKey for the next slot, not plugged in.
    pub fn slot_for(&mut self, card: Card) -> Device {
        assert!(self.taken < SLOTS, "the reader has {SLOTS} slots");
        self.taken += 1;
        Device::new(card, self.taken - 1)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.pcscd.kill();
        let _ = self.pcscd.wait();
        let _ = fs::remove_dir_all("/run/pcscd");
    }
}
