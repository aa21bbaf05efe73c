//! The audit log stays one chain whatever is done at once, and who looks at it meanwhile is
//! told no tampering.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use keyrack_tests::{Rack, daemons};

fn rack() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf value | keyrack set --for bot --key TOKEN").ok();
    rack
}

fn log(rack: &Rack) -> PathBuf {
    rack.data().join("audit/bot.log")
}

/// The log without its last `bytes`, and those.
fn cut(log: &Path, bytes: usize) -> (File, Vec<u8>) {
    let whole = fs::read(log).expect("a log");
    let (kept, later) = whole.split_at(whole.len() - bytes);
    fs::write(log, kept).expect("our file");
    (File::options().append(true).open(log).expect("our file"), later.to_vec())
}

/// A daemon that was locked writes its last lines while the next one starts. Here they come
/// when that one listens already.
#[test]
fn the_next_daemon_goes_on_behind_the_last_lines_of_the_one_before() {
    let rack = rack();
    rack.sh("keyrack unlock -q --for bot; keyrack get --for bot --key TOKEN >/dev/null").ok();
    rack.sh("keyrack relock -q --for bot").ok();
    rack.no_daemon();
    let last = fs::read_to_string(log(&rack)).unwrap().lines().last().unwrap().len() + 1;
    let (mut before, later) = cut(&log(&rack), last);
    before.lock().unwrap();
    let next = rack.script("keyrack unlock --for bot").start();
    daemons::until(|| !daemons::sockets(|path| path.starts_with(rack.root())).is_empty());
    before.write_all(&later).unwrap();
    drop(before);
    next.finish().ok();
    rack.sh("keyrack log verify --for bot").ok();
}

/// Without a line that comes between a look at the log and one at the daemon, which is what
/// nearly every second try meets.
#[test]
fn a_log_that_grows_is_not_taken_for_one_that_was_cut() {
    let rack = rack();
    rack.sh("keyrack unlock -q --for bot; touch reading; failed=0
             while [ -e reading ]; do keyrack get --for bot --key TOKEN; done >/dev/null &
             for i in $(seq 20); do keyrack log verify -q --for bot || failed=1; done
             rm reading; wait; exit $failed")
        .ok();
}

#[test]
fn half_a_line_that_is_being_written_is_waited_for() {
    let rack = rack();
    rack.sh("keyrack unlock -q --for bot; keyrack relock -q --for bot").ok();
    rack.no_daemon();
    let (mut writer, later) = cut(&log(&rack), 9);
    let verified = rack.script("keyrack log verify --for bot").start();
    std::thread::sleep(std::time::Duration::from_millis(300));
    writer.write_all(&later).unwrap();
    verified.finish().ok();
}
