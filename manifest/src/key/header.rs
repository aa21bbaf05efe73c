//! The clear part of an age file: for whom it is, as far as the file shows it.
//!
//! SSH and PIV stanzas carry four bytes of a hash of the public key; X25519 stanzas are
//! anonymous. Format: age-encryption.org/v1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keyrack_piv::Tag;
use sha2::{Digest as _, Sha256};

use crate::Recipient;
use crate::key::piv;
use crate::key::recipient::Kind;

/// The first line of every age file.
pub(crate) const MAGIC: &[u8] = b"age-encryption.org/v1\n";

/// Longest header that is read, in bytes: room for 100 RSA recipients.
const LONGEST: usize = 128 << 10;

/// Most stanzas of a file that is opened: three times the recipients a file of ours has.
const MOST: usize = 64;

/// The stanzas of an age file, each a type and its arguments.
#[derive(Debug)]
pub struct Header<'a> {
    stanzas: Vec<Vec<&'a str>>,
}

impl<'a> Header<'a> {
    /// Reads the header of `sealed`. `None` if it is not an age file or its header is not
    /// whole.
    pub fn read(sealed: &'a [u8]) -> Option<Self> {
        let rest = sealed.strip_prefix(MAGIC)?;
        let mut stanzas = Vec::new();
        for line in rest[..rest.len().min(LONGEST)].split(|c| *c == b'\n') {
            if line.starts_with(b"--- ") {
                return Some(Self { stanzas });
            }
            if let Some(line) = line.strip_prefix(b"-> ") {
                stanzas.push(std::str::from_utf8(line).ok()?.split(' ').collect());
            }
        }
        None
    }

    /// Whether the file is sealed to `recipient`; `None` where the file does not show it.
    pub fn sealed_to(&self, recipient: &Recipient) -> Option<bool> {
        let shows = |kind: &str, key: &[u8]| {
            let tag = STANDARD_NO_PAD.encode(&Sha256::digest(key)[..4]);
            Some(self.of_kind(kind).any(|stanza| stanza.get(1) == Some(&tag.as_str())))
        };
        match recipient.kind() {
            Kind::Ssh { blob, .. } => shows(recipient.as_str().split(' ').next()?, blob),
            Kind::Age(_) => match self.of_kind("X25519").next() {
                Some(_) => None,
                None => Some(false),
            },
            Kind::Piv(key) => shows(piv::STANZA, key.point().as_bytes()),
            Kind::Plugin(_) => None,
        }
    }

    /// The keys on YubiKeys that it is sealed to, by tag.
    pub fn yubikey_tags(&self) -> Vec<Tag> {
        let offered = |stanza: &Vec<&str>| match stanza.as_slice() {
            [_, tag, point] => piv::offer_of(tag, point).map(|offer| offer.tag),
            _ => None,
        };
        self.of_kind(piv::STANZA).filter_map(offered).collect()
    }

    /// Whether opening `sealed` would take more time than any file of ours is worth: each
    /// stanza may cost the reader an operation with its private key.
    pub(crate) fn is_excessive(sealed: &[u8]) -> bool {
        match Header::read(sealed) {
            Some(header) => header.stanzas.len() > MOST,
            None => sealed.len() > LONGEST,
        }
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Vec<&'a str>> {
        self.stanzas.iter().filter(move |stanza| stanza.first() == Some(&kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::seal;

    #[test]
    fn a_header_that_would_take_minutes_is_excessive() {
        let stanza = "-> X25519 AAAA\nAAAA\n";
        let file = |stanzas| {
            let magic = std::str::from_utf8(MAGIC).unwrap();
            format!("{magic}{}--- AAAA\n", stanza.repeat(stanzas)).into_bytes()
        };
        assert!(!Header::is_excessive(&file(MOST)));
        assert!(Header::is_excessive(&file(MOST + 1)));
        assert!(Header::is_excessive(&file(100_000)));
        assert!(!Header::is_excessive(b"short"));
    }

    #[test]
    fn shows_ssh_recipients_and_hides_age_ones() {
        let ssh = Recipient::parse(crate::testing::ED25519).unwrap();
        let rsa = Recipient::parse(crate::testing::RSA).unwrap();
        let (_, age) = crate::key::generate::age_text().unwrap();
        let sealed = seal::seal(&[ssh.clone(), age.clone()], b"x").unwrap();
        let header = Header::read(&sealed).unwrap();
        assert_eq!(header.sealed_to(&ssh), Some(true));
        assert_eq!(header.sealed_to(&rsa), Some(false));
        assert_eq!(header.sealed_to(&age), None);
        let sealed = seal::seal(std::slice::from_ref(&rsa), b"x").unwrap();
        let header = Header::read(&sealed).unwrap();
        assert_eq!(header.sealed_to(&rsa), Some(true));
        assert_eq!(header.sealed_to(&age), Some(false));
    }

    /// The recipient of a real YubiKey and the tag age-plugin-yubikey printed for it,
    /// `1f5dda61`. Only the stanza around the tag is made up.
    #[test]
    fn shows_a_yubikey_by_its_tag() {
        let text = "age1yubikey1qgad8tvv2y97zflqndlnms0ajtk7my54u9299v6ep5jrgpm08rtdjt6sus7";
        let recipient = Recipient::parse(text).unwrap();
        for (tag, sealed_to) in [("H13aYQ", true), ("W6/4nQ", false)] {
            let sealed = format!("age-encryption.org/v1\n-> piv-p256 {tag} AAAA\nAAAA\n--- AAAA\n");
            let header = Header::read(sealed.as_bytes()).unwrap();
            assert_eq!(header.sealed_to(&recipient), Some(sealed_to));
        }
    }

    #[test]
    fn half_a_header_is_none() {
        let ssh = Recipient::parse(crate::testing::ED25519).unwrap();
        let sealed = seal::seal(&[ssh], b"x").unwrap();
        let end = sealed.windows(4).position(|w| w == b"--- ").unwrap();
        for cut in 0..end {
            assert!(Header::read(&sealed[..cut]).is_none());
        }
    }
}
