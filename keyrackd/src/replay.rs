//! First messages seen lately. A replayed one would get an answer that only its first
//! sender can read; while it is remembered here it gets none.

use std::collections::VecDeque;

/// How many are remembered.
const REMEMBERED: usize = 1024;

/// The latest first messages, by the start of their ephemeral keys.
#[derive(Debug, Default)]
pub(crate) struct Replays(VecDeque<u64>);

impl Replays {
    /// Whether `message`, a first message that proved itself, was seen before. If not, it
    /// has been now.
    pub(crate) fn seen(&mut self, message: &[u8]) -> bool {
        // It begins with a public key that is new each time: eight bytes tell them apart.
        let Some(start) = message.first_chunk().map(|start| u64::from_ne_bytes(*start)) else {
            return true;
        };
        if self.0.contains(&start) {
            return true;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(start);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_time_is_told_until_long_after() {
        let message = |n: u64| [&n.to_be_bytes()[..], b"rest"].concat();
        let mut replays = Replays::default();
        assert!(replays.seen(b"short"));
        for n in 0..=REMEMBERED as u64 {
            assert!(!replays.seen(&message(n)));
        }
        assert!(replays.seen(&message(1)));
        assert!(!replays.seen(&message(0)));
    }
}
