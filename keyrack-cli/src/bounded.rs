//! What somebody hands us, read up to a length: a pipe may never end, and what is too long
//! is refused, never cut off.

use std::io::Read;

use zeroize::Zeroizing;

use crate::error::{Code, Context, Failure, Outcome};

/// All of `from`, which an error calls `name`.
///
/// # Errors
/// [`Code::Usage`] when it has more than `longest` bytes.
pub fn bytes(from: impl Read, longest: u64, name: &str) -> Outcome<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    from.take(longest + 1).read_to_end(&mut bytes).context(|| name.to_owned())?;
    match bytes.len() as u64 {
        length if length > longest => {
            Err(Failure::new(Code::Usage, format!("{name} holds more than {longest} bytes")))
        }
        _ => Ok(bytes),
    }
}

/// As [`bytes`], for text.
///
/// # Errors
/// As [`bytes`]; [`Code::Usage`] when it is not UTF-8.
pub fn text(from: impl Read, longest: u64, name: &str) -> Outcome<Zeroizing<String>> {
    let mut bytes = bytes(from, longest, name)?;
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(Failure::new(Code::Usage, format!("{name} is not UTF-8")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_refused_and_never_cut_off() {
        assert_eq!(text(&b"four"[..], 4, "stdin").unwrap().as_str(), "four");
        let failure = text(&b"fives"[..], 4, "stdin").unwrap_err();
        assert_eq!(failure.code, Code::Usage);
        assert_eq!(failure.message, "stdin holds more than 4 bytes");
        assert!(bytes(std::io::repeat(0), 4, "stdin").is_err());
    }

    #[test]
    fn what_is_no_text_is_named_without_it() {
        let failure = text(&b"hunter\xff"[..], 10, "stdin").unwrap_err();
        assert_eq!(failure.message, "stdin is not UTF-8");
    }
}
