//! The management key: what a card wants to see before it makes a key. The yubikey crate
//! knows 3DES only; since firmware 5.7 the one that YubiKeys are sold with is for AES.

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use keyrack_piv::{Asked, Management, PivError};
use zeroize::Zeroizing;

use crate::card::Card;
use crate::metadata::{self, MANAGEMENT};
use crate::tlv;
use crate::wire::Wire;

/// The one that every YubiKey is sold with.
const FACTORY: [u8; 24] = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];

/// Where it says that the management key lies behind the PIN; and where it lies.
const ADMIN_DATA: u32 = 0x5f_ff00;
const BEHIND_PIN: u32 = 0x5f_c109;
/// The bit that says so.
const PROTECTED: u8 = 2;

/// How a management key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    TripleDes,
    Aes128,
    Aes192,
    Aes256,
}

type Key = Zeroizing<Vec<u8>>;

/// How the management key stands.
///
/// # Errors
/// As [`Card::send`].
pub fn standing(card: &mut Card) -> Result<Management, PivError> {
    let shown = metadata::read(card, MANAGEMENT)?;
    let algorithm = shown.algorithm.and_then(Algorithm::from_byte);
    Ok(Management {
        algorithm: algorithm.map(|algorithm| algorithm.name().to_owned()),
        factory: shown.factory,
        protected: is_protected(card)?,
    })
}

/// Shows the card its management key: the one behind the PIN, which was verified, else the
/// factory's, else what the person says.
///
/// # Errors
/// [`PivError::WrongManagementKey`]; what keeps a person from being asked.
pub fn authenticate(card: &mut Card, wire: &Wire) -> Result<(), PivError> {
    let serial = card.serial;
    let shown = metadata::read(card, MANAGEMENT)?;
    let algorithm = match shown.algorithm {
        Some(byte) => Algorithm::from_byte(byte).ok_or_else(|| PivError::Other {
            what: format!("YubiKey {serial} has a management key of an unknown kind"),
        })?,
        None => Algorithm::TripleDes,
    };
    if let Some(key) = behind_pin(card)?
        && prove(card, algorithm, &key)?
    {
        return Ok(());
    }
    if shown.factory != Some(false)
        && FACTORY.len() == algorithm.length()
        && prove(card, algorithm, &FACTORY)?
    {
        return Ok(());
    }
    let said = wire.ask(Asked::ManagementKey, serial, None, false)?;
    let key = hex::mixed::decode_vec(said.expose()).map(Zeroizing::new);
    match key.ok().filter(|key| key.len() == algorithm.length()) {
        Some(key) if prove(card, algorithm, &key)? => Ok(()),
        _ => Err(PivError::WrongManagementKey { serial }),
    }
}

/// Replaces the management key by a random one, behind the PIN. The PIN was verified and
/// the old key shown.
///
/// # Errors
/// When the card refuses; the old key is in force then.
pub fn protect(card: &mut Card) -> Result<(), PivError> {
    let shown = metadata::read(card, MANAGEMENT)?;
    let byte = shown.algorithm.unwrap_or(Algorithm::TripleDes.byte());
    let algorithm = Algorithm::from_byte(byte).unwrap_or(Algorithm::TripleDes);
    let mut key = Zeroizing::new(vec![0; algorithm.length()]);
    getrandom::fill(&mut key).map_err(|e| PivError::Other { what: format!("random: {e}") })?;

    // First where it can be found, then in force: a key that nobody knows would be final.
    let mut inner = Zeroizing::new(Vec::new());
    tlv::put(&mut inner, 0x89, &key);
    let mut object = Zeroizing::new(Vec::new());
    tlv::put(&mut object, 0x88, &inner);
    save(card, BEHIND_PIN, &mut object)?;

    let mut command = Zeroizing::new(vec![byte, MANAGEMENT, key.len() as u8]);
    command.extend_from_slice(&key);
    if !card.send([0xff, 0xff, 0xff], &command)?.is_yes() {
        let serial = card.serial;
        return Err(PivError::Other {
            what: format!("YubiKey {serial} did not take a new management key"),
        });
    }
    say_protected(card)
}

/// Whether the card says that the management key lies behind the PIN.
fn is_protected(card: &mut Card) -> Result<bool, PivError> {
    let object = card.object(ADMIN_DATA)?.unwrap_or_default();
    let flags = tlv::find(&object, 0x80).and_then(|data| tlv::find(data, 0x81));
    Ok(flags.and_then(<[u8]>::first).is_some_and(|flags| flags & PROTECTED != 0))
}

fn say_protected(card: &mut Card) -> Result<(), PivError> {
    let object = card.object(ADMIN_DATA)?.unwrap_or_default();
    let data = tlv::find(&object, 0x80).unwrap_or_default();
    let flags = tlv::find(data, 0x81).and_then(<[u8]>::first).unwrap_or(&0);
    let mut inner = Vec::new();
    tlv::put(&mut inner, 0x81, &[flags | PROTECTED]);
    // 82 is the salt of a key derived from the PIN, which this one is not.
    for (tag, value) in tlv::parse(data).filter(|(tag, _)| !matches!(tag, 0x81 | 0x82)) {
        tlv::put(&mut inner, tag, value);
    }
    let mut object = Vec::new();
    tlv::put(&mut object, 0x80, &inner);
    save(card, ADMIN_DATA, &mut object)
}

fn behind_pin(card: &mut Card) -> Result<Option<Key>, PivError> {
    if !is_protected(card)? {
        return Ok(None);
    }
    let object = card.object(BEHIND_PIN)?.unwrap_or_default();
    let key = tlv::find(&object, 0x88).and_then(|data| tlv::find(data, 0x89));
    Ok(key.map(|key| Zeroizing::new(key.to_vec())))
}

fn save(card: &mut Card, id: u32, object: &mut [u8]) -> Result<(), PivError> {
    card.with(|yubikey| yubikey.save_object(id, object)).map_err(|error| card.error(error))
}

/// Both sides show that they know the key. `false` if the card says that ours is another.
fn prove(card: &mut Card, algorithm: Algorithm, key: &[u8]) -> Result<bool, PivError> {
    if key.len() != algorithm.length() {
        return Ok(false);
    }
    let command = [0x87, algorithm.byte(), MANAGEMENT];
    let asked = card.send(command, &[0x7c, 2, 0x80, 0])?;
    let Some(witness) = inside(&asked.bytes, 0x80).filter(|_| asked.is_yes()) else {
        return Ok(false);
    };
    let mut challenge = vec![0; algorithm.block()];
    getrandom::fill(&mut challenge)
        .map_err(|e| PivError::Other { what: format!("random: {e}") })?;
    let (Some(answer), Some(expected)) =
        (algorithm.decrypt(key, witness), algorithm.encrypt(key, &challenge))
    else {
        return Ok(false);
    };
    let mut inner = Vec::new();
    tlv::put(&mut inner, 0x80, &answer);
    tlv::put(&mut inner, 0x81, &challenge);
    let mut data = Vec::new();
    tlv::put(&mut data, 0x7c, &inner);
    let proven = card.send(command, &data)?;
    Ok(proven.is_yes() && inside(&proven.bytes, 0x82) == Some(&expected))
}

fn inside(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    tlv::find(bytes, 0x7c).and_then(|inner| tlv::find(inner, tag))
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::TripleDes, Self::Aes128, Self::Aes192, Self::Aes256];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.byte() == byte)
    }

    fn byte(self) -> u8 {
        match self {
            Self::TripleDes => 0x03,
            Self::Aes128 => 0x08,
            Self::Aes192 => 0x0a,
            Self::Aes256 => 0x0c,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::TripleDes => "3des",
            Self::Aes128 => "aes128",
            Self::Aes192 => "aes192",
            Self::Aes256 => "aes256",
        }
    }

    /// The key's length, in bytes.
    fn length(self) -> usize {
        match self {
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }

    /// The block's length, in bytes.
    fn block(self) -> usize {
        if self == Self::TripleDes { 8 } else { 16 }
    }

    fn encrypt(self, key: &[u8], block: &[u8]) -> Option<Vec<u8>> {
        fn one<C: KeyInit + BlockEncrypt>(key: &[u8], block: &mut [u8]) -> Option<()> {
            C::new_from_slice(key).ok()?.encrypt_block(GenericArray::from_mut_slice(block));
            Some(())
        }
        self.on(block, |block| match self {
            Self::TripleDes => one::<des::TdesEde3>(key, block),
            Self::Aes128 => one::<aes::Aes128>(key, block),
            Self::Aes192 => one::<aes::Aes192>(key, block),
            Self::Aes256 => one::<aes::Aes256>(key, block),
        })
    }

    fn decrypt(self, key: &[u8], block: &[u8]) -> Option<Vec<u8>> {
        fn one<C: KeyInit + BlockDecrypt>(key: &[u8], block: &mut [u8]) -> Option<()> {
            C::new_from_slice(key).ok()?.decrypt_block(GenericArray::from_mut_slice(block));
            Some(())
        }
        self.on(block, |block| match self {
            Self::TripleDes => one::<des::TdesEde3>(key, block),
            Self::Aes128 => one::<aes::Aes128>(key, block),
            Self::Aes192 => one::<aes::Aes192>(key, block),
            Self::Aes256 => one::<aes::Aes256>(key, block),
        })
    }

    fn on(self, block: &[u8], act: impl FnOnce(&mut [u8]) -> Option<()>) -> Option<Vec<u8>> {
        let mut block = block.to_vec();
        (block.len() == self.block()).then(|| act(&mut block)).flatten()?;
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197, appendix C; for 3DES with one key thrice, the DES vector of NBS 500-20.
    #[test]
    fn the_ciphers_are_the_standards() {
        let hex = |text: &str| hex::lower::decode_vec(text).unwrap();
        let plain = hex("00112233445566778899aabbccddeeff");
        for (algorithm, expected) in [
            (Algorithm::Aes128, "69c4e0d86a7b0430d8cdb78070b4c55a"),
            (Algorithm::Aes192, "dda97ca4864cdfe06eaf70a0ec0d7191"),
            (Algorithm::Aes256, "8ea2b7ca516745bfeafc49904b496089"),
        ] {
            let key: Vec<u8> = (0..algorithm.length() as u8).collect();
            let sealed = algorithm.encrypt(&key, &plain).unwrap();
            assert_eq!(sealed, hex(expected));
            assert_eq!(algorithm.decrypt(&key, &sealed).unwrap(), plain);
        }
        let key = hex("0101010101010101").repeat(3);
        let sealed = Algorithm::TripleDes.encrypt(&key, &hex("8000000000000000")).unwrap();
        assert_eq!(sealed, hex("95f8a5e5dd31d900"));
        assert_eq!(Algorithm::TripleDes.encrypt(&key, &plain), None);
        assert_eq!(Algorithm::Aes128.encrypt(&key, &plain), None);
    }
}
