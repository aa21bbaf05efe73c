//! The operating system's random numbers, by the system call alone: a sealed daemon can
//! open no `/dev/urandom`, and `get` opens no file but the socket.

use rustix::rand::{GetRandomFlags, getrandom};

/// The operating system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random numbers ({0})")]
pub struct NoRandom(rustix::io::Errno);

/// Fills `bytes` with random numbers.
///
/// # Errors
/// When the operating system gives none.
pub fn fill(bytes: &mut [u8]) -> Result<(), NoRandom> {
    let mut filled = 0;
    while filled < bytes.len() {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(NoRandom(errno)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn fills_all_of_it() {
        let mut bytes = [0; 1024];
        super::fill(&mut bytes).unwrap();
        assert!(bytes.chunks(32).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
    }
}
