//! A command to the card and its answer, for what the yubikey crate does not say. Never
//! logged.

use pcsc::Card;
use zeroize::Zeroizing;

/// Chooses an application.
pub const SELECT: u8 = 0xa4;

/// What the card answered: its bytes, and its status word.
pub struct Reply {
    /// The bytes.
    pub bytes: Zeroizing<Vec<u8>>,
    /// 9000 is yes.
    pub status: u16,
}

impl Reply {
    /// Whether the card did what it was told.
    pub fn is_yes(&self) -> bool {
        self.status == 0x9000
    }
}

/// Sends one command, in as many pieces as it takes, and collects the answer.
///
/// # Errors
/// When the service or the reader fails; a card that says no is a [`Reply`].
pub fn send(
    card: &mut Card,
    [instruction, p1, p2]: [u8; 3],
    data: &[u8],
) -> Result<Reply, pcsc::Error> {
    let transaction = card.transaction()?;
    let mut pieces = data.chunks(0xff).peekable();
    let mut reply = loop {
        let piece = pieces.next().unwrap_or_default();
        let class = if pieces.peek().is_some() { 0x10 } else { 0 };
        let mut command = Zeroizing::new(Vec::with_capacity(piece.len() + 6));
        // Where there is no data, the zero says that an answer of any length is welcome.
        command.extend([class, instruction, p1, p2, piece.len() as u8]);
        command.extend_from_slice(piece);
        let reply = transmit(&transaction, &command)?;
        if class == 0 || !reply.is_yes() {
            break reply;
        }
    };
    while reply.status >> 8 == 0x61 {
        let more = transmit(&transaction, &[0, 0xc0, 0, 0, 0])?;
        reply.bytes.extend_from_slice(&more.bytes);
        reply.status = more.status;
    }
    Ok(reply)
}

/// Has the card select `first`, then `second`, with nobody in between.
///
/// # Errors
/// As [`send`].
pub fn select_both(card: &mut Card, first: &[u8], second: &[u8]) -> Result<(), pcsc::Error> {
    let transaction = card.transaction()?;
    for application in [first, second] {
        let mut command = vec![0, SELECT, 4, 0, application.len() as u8];
        command.extend_from_slice(application);
        transmit(&transaction, &command)?;
    }
    Ok(())
}

fn transmit(card: &pcsc::Transaction<'_>, command: &[u8]) -> Result<Reply, pcsc::Error> {
    let mut buffer = Zeroizing::new(vec![0; 258]);
    let answer = card.transmit(command, &mut buffer)?;
    let Some((bytes, [high, low])) = answer.split_last_chunk() else {
        return Err(pcsc::Error::CommDataLost);
    };
    let status = u16::from(*high) << 8 | u16::from(*low);
    Ok(Reply { bytes: Zeroizing::new(bytes.to_vec()), status })
}
