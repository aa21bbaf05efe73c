//! Frames: a big-endian `u32` length, then that many bytes. The length is checked
//! against a cap before anything is allocated.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

/// What a frame may hold at most: one Noise message and the clear bytes before it.
pub const MAX_FRAME: usize = 65_535 + 256;

/// Bytes of a frame's length field.
pub const HEADER: usize = 4;

/// A frame announced more than [`MAX_FRAME`] bytes, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes was announced; 1 to {MAX_FRAME} are allowed")]
pub struct FrameError(pub u32);

/// The length that a frame's header announces.
///
/// # Errors
/// When it is zero or over the cap.
pub fn announced(header: [u8; HEADER]) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(header);
    match length as usize {
        1..=MAX_FRAME => Ok(length as usize),
        _ => Err(FrameError(length)),
    }
}

/// `payload` as a frame, in one buffer so that it leaves in one write.
pub fn encode(payload: &[u8]) -> Vec<u8> {
    debug_assert!(announced((payload.len() as u32).to_be_bytes()).is_ok());
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Writes `payload` as one frame.
///
/// # Errors
/// When writing fails.
pub fn write(to: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    to.write_all(&encode(payload))
}

/// Reads one frame.
///
/// # Errors
/// When reading fails or the announced length is not allowed (`InvalidData`).
pub fn read(from: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header)?;
    let length = announced(header).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    let mut payload = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut payload)?;
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back() {
        for length in [1, 2, 1000, MAX_FRAME] {
            let payload = vec![7; length];
            assert_eq!(*read(&mut &encode(&payload)[..]).unwrap(), payload);
        }
    }

    #[test]
    fn lengths_are_checked_before_allocation() {
        for length in [0u32, MAX_FRAME as u32 + 1, u32::MAX] {
            assert_eq!(announced(length.to_be_bytes()), Err(FrameError(length)));
        }
    }

    #[test]
    fn a_cut_frame_is_an_error() {
        let frame = encode(b"hello");
        for end in 0..frame.len() {
            assert!(read(&mut &frame[..end]).is_err());
        }
    }
}
