//! What an ssh-agent holds, to say that it cannot help: an agent signs, and opening a
//! manifest needs decryption. Speaks one message of the agent protocol
//! (draft-ietf-sshm-ssh-agent, `SSH_AGENTC_REQUEST_IDENTITIES`).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyrack_manifest::Recipient;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const LONGEST: u32 = 256 * 1024;
const DEADLINE: Duration = Duration::from_secs(1);

/// Those of `recipients` whose key the agent at `socket` holds.
pub fn holds(socket: &Path, recipients: &[Recipient]) -> Vec<Recipient> {
    let keys = ask(socket).as_deref().and_then(parse).unwrap_or_default();
    let is_held = |recipient: &&Recipient| {
        let blob = recipient.as_str().split(' ').nth(1).and_then(|blob| STANDARD.decode(blob).ok());
        blob.is_some_and(|blob| keys.contains(&blob))
    };
    recipients.iter().filter(is_held).cloned().collect()
}

fn ask(socket: &Path) -> Option<Vec<u8>> {
    let mut agent = UnixStream::connect(socket).ok()?;
    agent.set_read_timeout(Some(DEADLINE)).ok()?;
    agent.set_write_timeout(Some(DEADLINE)).ok()?;
    agent.write_all(&[0, 0, 0, 1, REQUEST_IDENTITIES]).ok()?;
    let mut length = [0; 4];
    agent.read_exact(&mut length).ok()?;
    let length = u32::from_be_bytes(length);
    let mut answer = vec![0; usize::try_from(length).ok().filter(|_| length <= LONGEST)?];
    agent.read_exact(&mut answer).ok()?;
    Some(answer)
}

/// The keys of an answer: a count, then each key and its comment behind their lengths.
fn parse(answer: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = answer.strip_prefix(&[IDENTITIES_ANSWER])?;
    let count = number(&mut rest)?;
    (0..count)
        .map(|_| {
            let key = text(&mut rest)?.to_vec();
            text(&mut rest)?;
            Some(key)
        })
        .collect()
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (head, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_be_bytes(*head))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (head, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_a_cut_one_is_not() {
        let answer =
            [&[12, 0, 0, 0, 2][..], b"\0\0\0\x02ab", b"\0\0\0\x01c", b"\0\0\0\x01d", b"\0\0\0\0"]
                .concat();
        assert_eq!(parse(&answer).unwrap(), [b"ab".to_vec(), b"d".to_vec()]);
        for end in 0..answer.len() {
            assert_eq!(parse(&answer[..end]), None, "cut at {end}");
        }
        assert_eq!(parse(&[12, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
