//! A file for a P-256 key on a YubiKey: the stanza `piv-p256`, as age-plugin-yubikey has it.
//! Sealing needs no YubiKey; opening needs one that agrees on a secret.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{aead_decrypt, aead_encrypt, hkdf};
use age_core::secrecy::ExposeSecret as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keyrack_names::Secret;
use keyrack_piv::{Offer, PivError, Point, Tag};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use zeroize::Zeroizing;

use crate::OnYubikey;

/// The type of the stanza, and what the key that wraps is derived for.
pub(crate) const STANZA: &str = "piv-p256";

/// The YubiKeys that are plugged in. What is behind it is the command's affair.
pub trait Yubikeys: Send + Sync {
    /// Has the first of `offers` that a YubiKey can take up agree on a secret: ECDH. A
    /// person may be asked for a PIN and a touch.
    ///
    /// # Errors
    /// [`PivError`].
    fn agree(&self, offers: &[Offer]) -> Result<Agreed, PivError>;

    /// On which YubiKey `key` is, if it agreed on something here.
    fn has_used(&self, key: Point) -> Option<OnYubikey>;
}

/// What a YubiKey agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The public half of the key that did it.
    pub key: Point,
    /// 32 bytes.
    pub secret: Secret,
}

/// A public key to seal to.
#[derive(Clone)]
pub(crate) struct Recipient {
    point: Point,
    key: p256::PublicKey,
}

impl Recipient {
    /// `None` if there is no such point.
    pub(crate) fn new(point: Point) -> Option<Self> {
        let key = p256::PublicKey::from_sec1_bytes(point.as_bytes()).ok()?;
        Some(Self { point, key })
    }

    pub(crate) fn point(&self) -> &Point {
        &self.point
    }

    fn wrap(&self, file_key: &FileKey, ephemeral: &p256::SecretKey) -> Option<Stanza> {
        let public = ephemeral.public_key().to_encoded_point(true);
        let point = Point::new(public.as_bytes()).ok()?;
        let secret =
            p256::ecdh::diffie_hellman(ephemeral.to_nonzero_scalar(), self.key.as_affine());
        let key = wrapping_key(&point, &self.point, secret.raw_secret_bytes());
        Some(Stanza {
            tag: STANZA.to_owned(),
            args: vec![
                STANDARD_NO_PAD.encode(self.point.tag().0),
                STANDARD_NO_PAD.encode(point.as_bytes()),
            ],
            body: aead_encrypt(&key, file_key.expose_secret()),
        })
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let failed = |why: String| age::EncryptError::Io(io::Error::other(why));
        let ephemeral = fresh().map_err(|e| failed(e.to_string()))?;
        let stanza = self.wrap(file_key, &ephemeral);
        let stanza = stanza.ok_or_else(|| failed("P-256 failed".to_owned()))?;
        Ok((vec![stanza], HashSet::new()))
    }
}

/// Whatever key of whatever YubiKey is plugged in.
pub(crate) struct Identity(pub(crate) Arc<dyn Yubikeys>);

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, age::DecryptError>> {
        let ours: Vec<(Offer, &[u8])> =
            stanzas.iter().filter_map(|stanza| Some((offer(stanza)?, &*stanza.body))).collect();
        if ours.is_empty() {
            return None;
        }
        Some(self.unwrap(&ours))
    }
}

impl Identity {
    fn unwrap(&self, ours: &[(Offer, &[u8])]) -> Result<FileKey, age::DecryptError> {
        let offers: Vec<Offer> = ours.iter().map(|(offer, _)| *offer).collect();
        let agreed = self.0.agree(&offers).map_err(refused)?;
        let taken = ours.iter().find(|(offer, _)| offer.tag == agreed.key.tag());
        let (offer, body) = taken.ok_or(age::DecryptError::NoMatchingKeys)?;
        let key = wrapping_key(&offer.point, &agreed.key, agreed.secret.expose());
        let plain = aead_decrypt(&key, FILE_KEY_BYTES, body).map(Zeroizing::new)?;
        FileKey::try_init_with_mut(|file_key| {
            let plain: &[u8; FILE_KEY_BYTES] = plain.as_slice().try_into().map_err(|_| ())?;
            file_key.copy_from_slice(plain);
            Ok(())
        })
        .map_err(|()| age::DecryptError::DecryptionFailed)
    }
}

/// The YubiKey's own words, through the age library and out again.
fn refused(error: PivError) -> age::DecryptError {
    age::DecryptError::Io(io::Error::other(error))
}

/// What [`refused`] put in.
pub(crate) fn refusal(error: &io::Error) -> Option<&PivError> {
    error.get_ref()?.downcast_ref()
}

/// What a stanza offers, if it is one of ours and whole.
pub(crate) fn offer(stanza: &Stanza) -> Option<Offer> {
    if stanza.tag != STANZA {
        return None;
    }
    let [tag, point] = stanza.args.as_slice() else { return None };
    offer_of(tag, point)
}

/// The same from a stanza's two arguments.
pub(crate) fn offer_of(tag: &str, point: &str) -> Option<Offer> {
    let tag = STANDARD_NO_PAD.decode(tag).ok()?.try_into().ok()?;
    let point = STANDARD_NO_PAD.decode(point).ok()?;
    Some(Offer { tag: Tag(tag), point: Point::new(&point).ok()? })
}

fn wrapping_key(ephemeral: &Point, recipient: &Point, secret: &[u8]) -> Zeroizing<[u8; 32]> {
    let salt = [&ephemeral.as_bytes()[..], recipient.as_bytes()].concat();
    Zeroizing::new(hkdf(&salt, STANZA.as_bytes(), secret))
}

/// A key for one stanza.
fn fresh() -> Result<p256::SecretKey, getrandom::Error> {
    loop {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes)?;
        // One in 2^32 is no scalar.
        if let Ok(key) = p256::SecretKey::from_slice(&*bytes) {
            return Ok(key);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Recipient as Any;
    use crate::key::seal;

    /// A YubiKey of software: its key is the one of `golden/piv-p256.txt`.
    pub(crate) struct Soft;

    impl Soft {
        fn key() -> p256::SecretKey {
            p256::SecretKey::from_slice(&[1; 32]).unwrap()
        }
    }

    impl Yubikeys for Soft {
        fn agree(&self, offers: &[Offer]) -> Result<Agreed, PivError> {
            let public = Self::key().public_key().to_encoded_point(true);
            let key = Point::new(public.as_bytes()).unwrap();
            let offer = offers.iter().find(|offer| offer.tag == key.tag());
            let offer = offer.ok_or(PivError::NoKey { found: vec![7] })?;
            let other = p256::PublicKey::from_sec1_bytes(offer.point.as_bytes()).unwrap();
            let secret =
                p256::ecdh::diffie_hellman(Self::key().to_nonzero_scalar(), other.as_affine());
            Ok(Agreed { key, secret: Secret::from(secret.raw_secret_bytes().as_slice()) })
        }

        fn has_used(&self, _: Point) -> Option<OnYubikey> {
            None
        }
    }

    fn golden(name: &str) -> &'static str {
        let lines = include_str!("golden/piv-p256.txt").lines();
        lines.filter_map(|line| line.split_once(' ')).find(|(found, _)| *found == name).unwrap().1
    }

    /// The recipient and the ephemeral key of the vectors are 01…01 and 02…02, the file's
    /// key 03…03. Another implementation made them.
    #[test]
    fn the_stanza_is_what_the_format_says() {
        let recipient = Any::parse(golden("recipient")).unwrap();
        let crate::key::recipient::Kind::Piv(piv) = recipient.kind() else { panic!("not P-256") };
        assert_eq!(format!("{:?}", piv.point()), golden("public"));
        let file_key = FileKey::new(Box::new([3; 16]));
        let stanza = piv.wrap(&file_key, &p256::SecretKey::from_slice(&[2; 32]).unwrap()).unwrap();
        let line = format!("{} {}", stanza.tag, stanza.args.join(" "));
        assert_eq!(line, golden("stanza"));
        assert_eq!(STANDARD_NO_PAD.encode(&stanza.body), golden("body"));

        let opened = age::Identity::unwrap_stanza(&Identity(Arc::new(Soft)), &stanza);
        assert_eq!(opened.unwrap().unwrap().expose_secret(), &[3; 16]);
        let secret = Soft.agree(&[offer(&stanza).unwrap()]).unwrap().secret;
        assert_eq!(hex::lower::encode_string(secret.expose()), golden("secret"));
    }

    #[test]
    fn opens_what_is_sealed_to_it_and_says_why_not() {
        let recipient = Any::parse(golden("recipient")).unwrap();
        let sealed = seal::seal(&[recipient], b"x").unwrap();
        let identity = crate::Identity::on_yubikeys(Arc::new(Soft), Vec::new());
        assert_eq!(seal::open(&identity, &sealed, 10).unwrap().expose(), b"x");

        let other = "age1yubikey1qgad8tvv2y97zflqndlnms0ajtk7my54u9299v6ep5jrgpm08rtdjt6sus7";
        let sealed = seal::seal(&[Any::parse(other).unwrap()], b"x").unwrap();
        let refused = seal::open(&identity, &sealed, 10).unwrap_err();
        assert_eq!(refused, seal::OpenError::Yubikey(PivError::NoKey { found: vec![7] }));

        let ssh = Any::parse(crate::testing::ED25519).unwrap();
        let sealed = seal::seal(&[ssh], b"x").unwrap();
        assert_eq!(seal::open(&identity, &sealed, 10), Err(seal::OpenError::OtherKey));
    }

    #[test]
    fn a_broken_stanza_is_no_offer() {
        let good: Vec<&str> = golden("stanza").split(' ').skip(1).collect();
        assert!(offer_of(good[0], good[1]).is_some());
        for (tag, point) in [
            ("29uZ", good[1]),
            (good[0], "AlUP"),
            ("", ""),
            (good[0], &good[1][1..]),
            ("!", good[1]),
        ] {
            assert!(offer_of(tag, point).is_none(), "{tag} {point}");
        }
    }
}
