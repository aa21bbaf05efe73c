//! What pcscd says of its slots, asked over its own socket: whether it has seen a card
//! come and go, which a card cannot know. The messages are those of pcsc-lite 1.8 to 2.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

/// Where every program reaches pcscd.
pub(crate) const SOCKET: &str = "/run/pcscd/pcscd.comm";
/// Protocol 4.4: pcsc-lite since 1.8.24, and later ones go along.
const VERSION: [u32; 3] = [4, 4, 0];
const ASK_VERSION: u32 = 0x11;
const ASK_STATES: u32 = 0x12;
/// So many readers are described, whether or not they exist.
const READERS: usize = 16;
/// Of each: 128 bytes of name, a counter, its state, and more that is not read here.
const STATE: usize = 184;
const PRESENT: u32 = 4;
const POWERED_OR_MORE: u32 = 0x70;

/// Waits until a card came into `slot` or left it, after so many comings and goings; gives
/// their number. The number counts: of a card that fails in the middle of a command, pcscd
/// says that it left before it is ready for another. A card that was there first is none.
#[track_caller]
pub(crate) fn wait_for_card(slot: u16, present: bool, events: Option<u32>) -> u32 {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match state(slot) {
            Ok((now, counted))
                if now == present && events.is_none_or(|before| counted > before) =>
            {
                return counted;
            }
            seen => {
                let late = Instant::now() > deadline;
                assert!(!late, "slot {slot}: {seen:?} instead of {present} after {events:?}");
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether pcscd has a card in `slot` and has read what it is, and how many cards came and
/// went.
fn state(slot: u16) -> io::Result<(bool, u32)> {
    let mut stream = UnixStream::connect(SOCKET)?;
    let words: Vec<u8> = VERSION.iter().flat_map(|word| word.to_ne_bytes()).collect();
    ask(&mut stream, ASK_VERSION, &words)?;
    stream.read_exact(&mut [0; 12])?;
    ask(&mut stream, ASK_STATES, &[])?;
    let mut states = vec![0; READERS * STATE];
    stream.read_exact(&mut states)?;
    let ending = format!(" {slot:02}");
    let state = states.chunks(STATE).find(|state| name(state).ends_with(&ending));
    let state = state.ok_or(io::ErrorKind::NotFound)?;
    let word = |at: usize| u32::from_ne_bytes(*state[at..].first_chunk().expect("it is long"));
    let (events, flags) = (word(128), word(132));
    Ok((flags & PRESENT != 0 && flags & POWERED_OR_MORE != 0, events))
}

fn name(state: &[u8]) -> String {
    let end = state.iter().position(|b| *b == 0).unwrap_or(state.len());
    String::from_utf8_lossy(&state[..end]).into_owned()
}

fn ask(stream: &mut UnixStream, command: u32, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).expect("a short message");
    stream.write_all(&[&length.to_ne_bytes()[..], &command.to_ne_bytes(), body].concat())
}
