//! What vpcd, the driver of a reader that does not exist, says over TCP: two bytes of
//! length, then a command for the card or one byte for its power.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::linux::net::TcpStreamExt as _;
use std::sync::Mutex;
use std::time::Instant;

use crate::act::Act;
use crate::apdu::{Command, Status};
use crate::card::Card;
use crate::hand::{Hand, Seen};

/// Where vpcd waits for the card of its first slot; the second slot's is the next.
pub(crate) const PORT: u16 = 35963;
/// Answers until the reader goes away or the card is pulled out.
pub(crate) fn serve(stream: &mut TcpStream, card: &Mutex<Card>, hand: &Hand) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let message = receive(stream)?;
        let card = || card.lock().expect("no command makes the card panic");
        match message.as_slice() {
            [0..=2] => card().reset(),
            [4] => send(stream, card().greeting())?,
            apdu => {
                let act = Command::parse(apdu).map_or(Act::Unknown, |command| Act::of(&command));
                if hand.pulls_now(act) {
                    hand.plugged(false);
                    return Ok(());
                }
                let answer = card().transmit(apdu, Instant::now(), hand);
                if hand.is_out() {
                    return Ok(());
                }
                let status = answer.last_chunk().expect("every answer ends with a status");
                hand.saw(Seen { act, status: Status(u16::from_be_bytes(*status)) });
                send(stream, &answer)?;
            }
        }
    }
}

fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    // vpcd writes length and data apart: an acknowledgement that waits for company would
    // cost 40 ms each time. The kernel forgets this setting, so it is set for every read.
    stream.set_quickack(true)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    stream.set_quickack(true)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn send(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).expect("a card's answer is short");
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}
