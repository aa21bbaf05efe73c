//! The file the log goes to. Daemons of one owner follow one another, and the one before may
//! still write its last lines while the next already listens: each waits until the file is
//! its own, and only then looks where the chain stands.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use keyrack_protocol::audit_chain;
use keyrack_protocol::message::AuditHead;

/// How long the last lines of the daemon before are waited for: longer than it may take to
/// write them.
const TURN: Duration = Duration::from_secs(1);

/// Where the chain in `log` goes on, which nobody else writes from now on; what a killed
/// daemon left behind the last whole line is cut off. `told` counts where there is no file
/// to read. What a person should know is added to `notes`.
pub(crate) fn take_over(log: &File, told: AuditHead, notes: &mut Vec<String>) -> AuditHead {
    if !log.metadata().is_ok_and(|found| found.is_file()) {
        return told;
    }
    // Written all the same: a broken chain shows, and a line that is missing does not.
    if let Err(why) = await_turn(log) {
        notes.push(format!("the audit log may be written by another process, too: {why}"));
    }
    match end(log) {
        Ok(head) => head,
        Err(why) => {
            notes.push(format!("where the audit log ends: {why}"));
            told
        }
    }
}

/// The lock is held while any copy of the descriptor is open: as long as this process lives.
fn await_turn(log: &File) -> io::Result<()> {
    let limit = Instant::now() + TURN;
    loop {
        match log.try_lock() {
            Ok(()) => return Ok(()),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() < limit => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(why) => return Err(why.into()),
        }
    }
}

fn end(log: &File) -> Result<AuditHead, audit_chain::Break> {
    let (head, whole) = audit_chain::tail(log)?;
    if log.metadata()?.len() > whole {
        log.set_len(whole)?;
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// As the golden lines of the protocol: `seq` 0 and 1.
    const LINES: &str = include_str!("../protocol/src/golden/audit.log");

    fn lines(count: usize) -> String {
        LINES.split_inclusive('\n').take(count).collect()
    }

    #[test]
    fn the_last_lines_of_the_daemon_before_are_waited_for() {
        let before = tempfile::NamedTempFile::new().unwrap();
        before.as_file().write_all(lines(1).as_bytes()).unwrap();
        before.as_file().lock().unwrap();
        let log = File::options().read(true).append(true).open(before.path()).unwrap();
        let mut notes = Vec::new();
        let head = std::thread::scope(|scope| {
            let next = scope.spawn(|| take_over(&log, AuditHead::default(), &mut notes));
            std::thread::sleep(Duration::from_millis(50));
            before.as_file().write_all(&LINES.as_bytes()[lines(1).len()..]).unwrap();
            before.as_file().unlock().unwrap();
            next.join().unwrap()
        });
        assert_eq!(head, audit_chain::tail(io::Cursor::new(LINES)).unwrap().0);
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn half_a_line_is_cut_off_and_a_whole_one_is_not() {
        let mut log = tempfile::tempfile().unwrap();
        log.write_all(format!("{}{{\"v\":1,", lines(2)).as_bytes()).unwrap();
        let mut notes = Vec::new();
        assert_eq!(take_over(&log, AuditHead::default(), &mut notes).seq, 2);
        assert_eq!(log.metadata().unwrap().len(), lines(2).len() as u64);
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn what_is_no_file_goes_on_where_it_is_said_to() {
        let null = File::options().write(true).open("/dev/null").unwrap();
        let told = AuditHead { seq: 7, mac: String::new() };
        assert_eq!(take_over(&null, told.clone(), &mut Vec::new()), told);
    }

    #[test]
    fn a_lock_that_is_not_let_go_of_is_told() {
        let held = tempfile::NamedTempFile::new().unwrap();
        held.as_file().lock().unwrap();
        let log = held.reopen().unwrap();
        let mut notes = Vec::new();
        assert_eq!(take_over(&log, AuditHead::default(), &mut notes), AuditHead::default());
        assert_eq!(notes.len(), 1, "{notes:?}");
    }
}
