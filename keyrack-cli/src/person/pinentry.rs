//! Asking a person through pinentry, the dialog of GnuPG: a protocol of lines on its
//! standard streams, which ends with this process.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use keyrack_names::Secret;
use zeroize::Zeroizing;

use crate::settings::SECRET_VARIABLES;

/// A line of the protocol is no longer than that.
const LONGEST: u64 = 64 * 1024;

/// What the person typed; `None` when the dialog was cancelled or cannot be shown.
pub fn ask(program: &Path, question: &str) -> Option<Secret> {
    let mut command = Command::new(program);
    for name in SECRET_VARIABLES {
        command.env_remove(name);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let (mut to, from) = (child.stdin.take()?, child.stdout.take()?);
    let typed = converse(&mut to, &mut BufReader::new(from), question);
    // It ends with its input.
    drop(to);
    child.wait().ok()?;
    typed
}

fn converse(to: &mut impl Write, from: &mut impl BufRead, question: &str) -> Option<Secret> {
    answer(from)?;
    let question = question.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    for line in ["SETTITLE keyrack", &format!("SETDESC {question}"), "SETPROMPT keyrack"] {
        writeln!(to, "{line}").ok()?;
        answer(from)?;
    }
    writeln!(to, "GETPIN").ok()?;
    to.flush().ok()?;
    let typed = answer(from)?;
    Some(Secret::from(typed.as_slice()))
}

/// The data before an `OK`; `None` for an error.
fn answer(from: &mut impl BufRead) -> Option<Zeroizing<Vec<u8>>> {
    let mut data = Zeroizing::new(Vec::new());
    loop {
        let mut line = Zeroizing::new(Vec::with_capacity(1024));
        from.by_ref().take(LONGEST).read_until(b'\n', &mut line).ok()?;
        let line = line.strip_suffix(b"\n")?;
        match line.split(|byte| *byte == b' ').next()? {
            b"OK" => return Some(data),
            b"D" => data.extend_from_slice(&plain(line.get(2..)?)),
            b"ERR" => return None,
            // A comment, or how far it is.
            _ => {}
        }
    }
}

/// `%0A` and its like as the bytes they stand for.
fn plain(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let byte = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        plain.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    plain
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(said: &str) -> (Option<Vec<u8>>, String) {
        let mut to = Vec::new();
        let typed = converse(&mut to, &mut said.as_bytes(), "100% sure?\nreally");
        (typed.map(|secret| secret.expose().to_vec()), String::from_utf8(to).unwrap())
    }

    #[test]
    fn what_was_typed_is_read_as_it_was() {
        let (secret, asked) = typed(
            "OK hello\n# x\nOK\nOK\nOK\nS PASSWORD_FROM_CACHE\nD open %25 se\nD same%0A\nOK\n",
        );
        assert_eq!(secret.as_deref(), Some(&b"open % sesame\n"[..]));
        assert_eq!(
            asked,
            "SETTITLE keyrack\nSETDESC 100%25 sure?%0Areally\nSETPROMPT keyrack\nGETPIN\n"
        );
        assert_eq!(typed("OK\nOK\nOK\nOK\nOK\n").0.as_deref(), Some(&b""[..]), "nothing was typed");
    }

    #[test]
    fn a_cancel_or_a_garbled_end_is_no_answer() {
        for said in
            ["OK\nOK\nOK\nOK\nERR 83886179 cancelled\n", "OK\nOK\n", "", "OK\nOK\nOK\nOK\nD half"]
        {
            assert_eq!(typed(said).0, None, "{said:?}");
        }
        assert_eq!(plain(b"%4").as_slice(), b"%4");
        assert_eq!(plain(b"%zz%41").as_slice(), b"%zzA");
    }
}
