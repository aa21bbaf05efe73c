//! Frames: a big-endian `u32` length, then that many bytes. The length is checked
//! against a cap before anything is allocated.

use std::io::{self, IoSliceMut, Read, Write};

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
    begun(payload.len(), payload)
}

/// The beginning of a frame of `length` bytes.
pub fn begun(length: usize, first: &[u8]) -> Vec<u8> {
    debug_assert!(announced((length as u32).to_be_bytes()).is_ok() && first.len() <= length);
    let mut frame = Vec::with_capacity(HEADER + first.len());
    frame.extend_from_slice(&(length as u32).to_be_bytes());
    frame.extend_from_slice(first);
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
    read_begun::<0>(from, |_| {})
}

/// Reads one frame, and shows its first `N` bytes as soon as they are there.
///
/// # Errors
/// As [`read`]; and when more than a frame shorter than that came.
pub fn read_begun<const N: usize>(
    from: &mut impl Read,
    begun: impl FnOnce([u8; N]),
) -> io::Result<Zeroizing<Vec<u8>>> {
    let invalid = |e| io::Error::new(io::ErrorKind::InvalidData, e);
    let (mut header, mut first) = ([0; HEADER], [0; N]);
    let mut there = 0;
    let mut length = None;
    // All of it in one call, where it came in one piece.
    while there < HEADER + length.unwrap_or(N).min(N) {
        let mut slices = [IoSliceMut::new(&mut header), IoSliceMut::new(&mut first)];
        let mut slices = &mut slices[..];
        IoSliceMut::advance_slices(&mut slices, there);
        match from.read_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(more) => there += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        if there >= HEADER {
            length = Some(announced(header).map_err(|e| invalid(e.to_string()))?);
        }
    }
    let length = length.unwrap_or_default();
    if there > HEADER + length {
        return Err(invalid("more than a frame came".to_owned()));
    }
    if length >= N {
        begun(first);
    }
    let mut payload = Zeroizing::new(vec![0; length]);
    payload[..there - HEADER].copy_from_slice(&first[..there - HEADER]);
    from.read_exact(&mut payload[there - HEADER..])?;
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
            let mut seen = Vec::new();
            let begun = read_begun::<2>(&mut &encode(&payload)[..], |two| seen.push(two));
            assert_eq!(*begun.unwrap(), payload);
            assert_eq!(seen, [[7; 2]][..usize::from(length >= 2)]);
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
            assert!(read_begun::<3>(&mut &frame[..end], |_| {}).is_err());
        }
    }
}
