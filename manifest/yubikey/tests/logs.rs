//! The yubikey crate traces what it sends to a card, PINs and secrets included, and prints
//! keys it refuses. No logger ever gets to see a line of it: logging is taken out of the
//! build, whatever the level is set to.

use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        SEEN.lock().expect("nobody panics here").push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
fn the_yubikey_crate_cannot_log() {
    log::set_logger(&Capture).unwrap();
    log::set_max_level(LevelFilter::Trace);
    // What is given to the logger by hand is seen: the capture works.
    let by_hand = format_args!("by hand").to_string();
    log::logger()
        .log(&Record::builder().level(Level::Error).args(format_args!("{by_hand}")).build());
    assert_eq!(*SEEN.lock().unwrap(), ["by hand"]);

    // A weak key, which the crate prints in full where it can.
    assert_eq!(yubikey::MgmKey::new([1; 24]).err(), Some(yubikey::Error::KeyError));
    log::error!("this line is not there");
    assert_eq!(*SEEN.lock().unwrap(), ["by hand"]);
    assert_eq!(log::STATIC_MAX_LEVEL, LevelFilter::Off);
}
