//! The management key: what a card wants to see before it makes a key. The yubikey crate
//! knows 3DES only; since firmware 5.7 the one that YubiKeys are sold with is for AES.

use keyrack_piv::{Asked, Management, PivError};
use zeroize::Zeroizing;

use crate::algorithm::Algorithm;
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
