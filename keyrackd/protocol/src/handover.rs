//! A frame that a descriptor may come with (`SCM_RIGHTS`): how a daemon that is about to
//! give up opening anything is handed the process it ends with.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use zeroize::Zeroizing;

use crate::frame;

/// Writes `payload` as one frame, `descriptor` with its first byte.
///
/// # Errors
/// When writing fails.
pub fn send(to: &UnixStream, payload: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let bytes = Zeroizing::new(frame::encode(payload));
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    let sent = sendmsg(to, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    let mut rest = to;
    io::Write::write_all(&mut rest, &bytes[sent..])
}

/// Reads one frame, and the descriptor that came with it, which nothing started from here
/// inherits.
///
/// # Errors
/// As [`frame::read`].
pub fn receive(from: &UnixStream) -> io::Result<(Zeroizing<Vec<u8>>, Option<OwnedFd>)> {
    let mut reader = Reader { from, descriptor: None };
    let payload = frame::read(&mut reader)?;
    Ok((payload, reader.descriptor))
}

struct Reader<'a> {
    from: &'a UnixStream,
    descriptor: Option<OwnedFd>,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(buffer)];
        let came = recvmsg(self.from.as_fd(), &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptor = descriptors.last().or(self.descriptor.take());
            }
        }
        Ok(came.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_descriptor_comes_with_its_frame() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut far, near) = UnixStream::pair().unwrap();
        send(&one, b"start", Some(near.as_fd())).unwrap();
        drop(near);
        let (payload, descriptor) = receive(&other).unwrap();
        assert_eq!(*payload, b"start");
        far.write_all(b"x").unwrap();
        let mut came = [0];
        UnixStream::from(descriptor.unwrap()).read_exact(&mut came).unwrap();
        assert_eq!(came, *b"x");
    }

    #[test]
    fn a_frame_may_come_alone_and_in_pieces() {
        let (mut one, other) = UnixStream::pair().unwrap();
        send(&one, &[7; 3000], None).unwrap();
        let (payload, descriptor) = receive(&other).unwrap();
        assert_eq!((payload.len(), descriptor.is_none()), (3000, true));
        let bytes = frame::encode(b"later");
        let written = std::thread::spawn(move || {
            for byte in bytes {
                one.write_all(&[byte]).unwrap();
            }
        });
        assert_eq!(*receive(&other).unwrap().0, b"later");
        written.join().unwrap();
    }

    #[test]
    fn a_cut_frame_is_an_error() {
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(&frame::encode(b"start")[..6]).unwrap();
        drop(one);
        assert!(receive(&other).is_err());
    }
}
