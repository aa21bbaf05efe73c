//! The audit log: lines are chained and appended by a thread of their own, so that
//! nothing, least of all a lock, waits for a disk. The first line after a silence is
//! written at once; those right behind it are written together.
//!
//! Where the log cannot be written, an owner's own reads go on; the lines are counted,
//! the next one that can be written says how many are missing, and `status` says why.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyrack_protocol::audit_chain::{Line, chain};
use keyrack_protocol::message::{AuditHead, Protection};
use keyrack_protocol::names::Slug;

use crate::arena::Arena;
use crate::harden;
use crate::queue::Queue;
use crate::scrub::scrub;
use crate::sealed::Sealed;

/// The name the audit key is sealed under.
pub(crate) const KEY: &str = "audit key";
/// How many lines may wait for the disk: tens of milliseconds of a daemon that does nothing
/// but answer.
const WAITING: usize = 4096;
/// What they may take together, in bytes: one caller can have a line name thousands of
/// credentials.
const LARGEST: usize = 4 << 20;
/// How long lines are collected that follow one another.
const LINGER: Duration = Duration::from_micros(500);
/// What a line may take before its memory goes back to the system.
const LONG: usize = 16 * 1024;
/// The writer's stack, in bytes.
const STACK: usize = 128 * 1024;

/// The way to the writer.
pub(crate) struct Audit(Arc<State>);

struct State {
    waiting: Queue<Line>,
    /// What the lines take that are not on disk.
    bytes: AtomicUsize,
    lost: AtomicU64,
    errno: AtomicI32,
    head: Mutex<AuditHead>,
}

impl Audit {
    /// Starts the writer.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(crate) fn start(log: File, key: Sealed, arena: Arena, head: AuditHead) -> io::Result<Self> {
        let state = Arc::new(State {
            waiting: Queue::new(WAITING, LINGER),
            bytes: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            errno: AtomicI32::new(0),
            head: Mutex::new(head),
        });
        let writer = Writer { log, key, arena, state: Arc::clone(&state) };
        let thread = std::thread::Builder::new().name("audit".to_owned()).stack_size(STACK);
        thread.spawn(move || writer.state.waiting.work(|lines| writer.write(lines)))?;
        // What a thread needs to begin, a sealed process does not allow any more.
        state.waiting.await_worker();
        Ok(Self(state))
    }

    /// Hands a line to the writer, or counts it as lost where the disk is too far behind.
    pub(crate) fn write(&self, line: Line) {
        let size = size(&line);
        let before = self.0.bytes.fetch_add(size, Ordering::Relaxed);
        if before + size > LARGEST || !self.0.waiting.push(line) {
            self.0.bytes.fetch_sub(size, Ordering::Relaxed);
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Where the log on disk ends.
    pub(crate) fn head(&self) -> AuditHead {
        self.0.head.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the log is being written.
    pub(crate) fn protection(&self) -> Protection {
        let lost = self.0.lost.load(Ordering::Relaxed);
        let errno = self.0.errno.load(Ordering::Relaxed);
        let state = match (lost, errno) {
            (0, _) => "written".to_owned(),
            (lost, 0) => format!("{lost} lines lost: the disk was too slow"),
            (lost, errno) => format!("{lost} lines lost: {}", io::Error::from_raw_os_error(errno)),
        };
        Protection { name: "audit log".to_owned(), state, on: lost == 0 }
    }

    /// Waits until what was handed over is written, but not longer than `limit`: where the
    /// disk hangs, the lines are lost. The values are gone already.
    pub(crate) fn finish(&self, limit: Duration) {
        self.0.waiting.close(limit);
    }
}

struct Writer {
    log: File,
    key: Sealed,
    arena: Arena,
    state: Arc<State>,
}

impl Writer {
    fn write(&self, lines: Vec<Line>) {
        let bytes = lines.iter().map(size).sum();
        let longest = self.chain_and_append(lines);
        self.state.bytes.fetch_sub(bytes, Ordering::Relaxed);
        scrub();
        if longest > LONG {
            harden::trim_heap();
        }
    }

    /// Returns how long the longest is. In a frame of its own, which is scrubbed: it sees
    /// the log's key.
    #[inline(never)]
    fn chain_and_append(&self, lines: Vec<Line>) -> usize {
        let lost = self.state.lost.load(Ordering::Relaxed);
        let mut head = self.state.head.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let count = lines.len() as u64;
        let Ok(key) = self.key.open_key(&self.arena, KEY) else {
            self.state.lost.fetch_add(count, Ordering::Relaxed);
            return 0;
        };
        let (mut text, mut longest) = (Vec::new(), 0);
        for (n, mut line) in lines.into_iter().enumerate() {
            line.lost = if n == 0 { lost } else { 0 };
            let chained = chain(&key, &mut head, line);
            longest = longest.max(chained.len());
            text.extend_from_slice(&chained);
        }
        match append(&self.log, &text) {
            Ok(()) => {
                *self.state.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
                self.state.lost.fetch_sub(lost, Ordering::Relaxed);
                self.state.errno.store(0, Ordering::Relaxed);
            }
            Err(error) => {
                self.state.errno.store(error.raw_os_error().unwrap_or(0), Ordering::Relaxed);
                self.state.lost.fetch_add(count, Ordering::Relaxed);
            }
        }
        longest
    }
}

/// About what a line takes in memory.
fn size(line: &Line) -> usize {
    let names =
        |slug: &Slug| slug.org.as_str().len() + slug.env.as_str().len() + slug.key.as_str().len();
    let slugs = line.slugs.iter().map(|slug| size_of::<Slug>() + names(slug)).sum::<usize>();
    size_of::<Line>() + slugs + line.caller.len() + line.channel.len()
}

/// Appends the whole of `text` or nothing: half a line would end the chain.
fn append(mut log: &File, text: &[u8]) -> io::Result<()> {
    let mut written = 0;
    while written < text.len() {
        match log.write(&text[written..]) {
            Ok(0) => return undo(log, written, io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return undo(log, written, error),
        }
    }
    Ok(())
}

fn undo(log: &File, written: usize, error: io::Error) -> io::Result<()> {
    if written > 0 {
        let length = log.metadata()?.len();
        log.set_len(length.saturating_sub(written as u64))?;
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use keyrack_protocol::audit_chain::verify;
    use keyrack_protocol::keys::Key;

    use super::*;

    fn line(action: &str) -> Line {
        Line {
            v: 1,
            seq: 0,
            boot_ms: 0,
            ts_ms: 0,
            action: action.to_owned(),
            slugs: Vec::new(),
            outcome: "ok".to_owned(),
            uid: 0,
            pid: 1,
            session: None,
            exited: false,
            caller: String::new(),
            channel: "attach".to_owned(),
            lost: 0,
        }
    }

    fn start(log: File) -> Audit {
        let arena = Arena::new().unwrap();
        let key = Sealed::key(&arena, KEY, &Key::new([4; 32])).unwrap();
        Audit::start(log, key, arena, AuditHead::default()).unwrap()
    }

    fn read(path: &std::path::Path) -> (AuditHead, Vec<(String, u64)>) {
        let mut seen = Vec::new();
        let log = BufReader::new(File::open(path).unwrap());
        let each = |line: &Line| seen.push((line.action.clone(), line.lost));
        (verify(&Key::new([4; 32]), log, AuditHead::default(), each).unwrap(), seen)
    }

    #[test]
    fn lines_reach_the_disk_chained_and_in_order() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let audit = start(file.reopen().unwrap());
        for action in ["start", "get", "lock"] {
            audit.write(line(action));
        }
        audit.finish(Duration::from_secs(10));
        let (head, seen) = read(file.path());
        assert_eq!(seen, [("start".to_owned(), 0), ("get".to_owned(), 0), ("lock".to_owned(), 0)]);
        assert_eq!(audit.head(), head);
    }

    /// Calls `done` until it says so.
    fn eventually(mut done: impl FnMut() -> bool) {
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while !done() {
            assert!(std::time::Instant::now() < end, "it never came");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_full_disk_is_told_and_stops_nothing() {
        let full = std::fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
        let audit = start(full);
        assert!(audit.protection().on);
        audit.write(line("get"));
        eventually(|| !audit.protection().on);
        assert_eq!(audit.head(), AuditHead::default());
        let state = audit.protection().state;
        assert!(state.starts_with("1 lines lost: No space left"), "{state}");
    }

    /// A pipe that nobody reads from stands for a disk that hangs.
    #[test]
    fn a_disk_that_hangs_is_waited_for_with_little_memory() {
        let (from, to) = std::io::pipe().unwrap();
        let audit = start(File::from(std::os::fd::OwnedFd::from(to)));
        let slug: Slug = "@all.all.TOKEN".parse().unwrap();
        let long = || Line { slugs: vec![slug.clone(); 5000], ..line("get") };
        for _ in 0..100 {
            audit.write(long());
        }
        assert!(audit.0.bytes.load(Ordering::Relaxed) <= LARGEST);
        let lost = audit.0.lost.load(Ordering::Relaxed);
        assert!(lost > 50, "{lost} lost");
        drop(from);
    }

    #[test]
    fn the_next_line_says_how_many_are_missing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let audit = start(file.reopen().unwrap());
        audit.0.lost.store(3, Ordering::Relaxed);
        audit.write(line("get"));
        eventually(|| audit.protection().on);
        audit.write(line("lock"));
        audit.finish(Duration::from_secs(10));
        assert_eq!(read(file.path()).1, [("get".to_owned(), 3), ("lock".to_owned(), 0)]);
    }

    #[test]
    fn half_a_line_is_taken_back() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"whole\nha").unwrap();
        let error = undo(&file, 2, io::ErrorKind::StorageFull.into()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.metadata().unwrap().len(), 6);
    }
}
