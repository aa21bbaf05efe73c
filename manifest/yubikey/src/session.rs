//! One command's requests, one after the other, on the YubiKeys it opened.

use keyrack_names::Secret;
use keyrack_piv::{Asked, Device, Event, Offer, PivError, PivKey, Point, Request, Tag, Tries};
use yubikey::YubiKey;

use crate::card::Card;
use crate::create::Wanted;
use crate::metadata::{self, PIN, PUK};
use crate::wire::Wire;
use crate::{admin, agree, attest, create, find, keys, pin};

/// The YubiKeys that were opened so far.
#[derive(Default)]
pub struct Session {
    cards: Vec<Card>,
}

impl Session {
    /// Does what is asked.
    pub fn answer(&mut self, request: Request, wire: &Wire) -> Event {
        // One that was reset or pulled out since is opened anew, if it is there again.
        self.cards.retain_mut(|card| card.listens().is_ok());
        self.try_answer(request, wire).unwrap_or_else(|error| Event::Failed { error })
    }

    fn try_answer(&mut self, request: Request, wire: &Wire) -> Result<Event, PivError> {
        match request {
            Request::List => self.list(),
            Request::Find { tags, serial } => {
                let (card, key) = self.holder(&tags, serial)?;
                Ok(Event::Found { serial: card.serial, tag: key.point.tag() })
            }
            Request::Agree { offers, serial } => self.agree(&offers, serial, wire),
            Request::Create { serial, slot, name, pin_policy, touch_policy } => {
                let wanted = Wanted { slot, name, pin_policy, touch_policy };
                let key = create::create(self.card(serial)?, &wanted, wire)?;
                Ok(Event::Created { key })
            }
            Request::Attest { serial, slot } => {
                let attestation = attest::attest(self.card(serial)?, slot)?;
                Ok(Event::Attested { attestation })
            }
            Request::ChangePin { serial } => change_pin(self.card(serial)?, wire),
            Request::ChangePuk { serial } => {
                by_puk(self.card(serial)?, wire, Asked::NewPuk, YubiKey::change_puk)
            }
            Request::Unblock { serial } => {
                by_puk(self.card(serial)?, wire, Asked::NewPin, YubiKey::unblock_pin)
            }
            Request::ProtectManagement { serial } => {
                let card = self.card(serial)?;
                pin::ask_and_verify(card, wire)?;
                admin::authenticate(card, wire)?;
                admin::protect(card)?;
                Ok(Event::Done)
            }
        }
    }

    fn list(&mut self) -> Result<Event, PivError> {
        let faults = find::look(&mut self.cards, |cards| Ok(!cards.is_empty()))?;
        let devices = self.cards.iter_mut().map(device).collect::<Result<_, _>>()?;
        Ok(Event::Devices { devices, faults })
    }

    /// A card that another program resets is opened anew, once: what the person said is
    /// asked for again if the card wants it.
    fn agree(
        &mut self,
        offers: &[Offer],
        serial: Option<u32>,
        wire: &Wire,
    ) -> Result<Event, PivError> {
        match self.agree_once(offers, serial, wire) {
            Err(PivError::Reset { serial: reset }) => {
                self.cards.retain(|card| card.serial != reset);
                self.agree_once(offers, serial, wire)
            }
            other => other,
        }
    }

    fn agree_once(
        &mut self,
        offers: &[Offer],
        serial: Option<u32>,
        wire: &Wire,
    ) -> Result<Event, PivError> {
        let tags: Vec<Tag> = offers.iter().map(|offer| offer.tag).collect();
        let (card, key) = self.holder(&tags, serial)?;
        let offer = offers.iter().find(|offer| offer.tag == key.point.tag());
        let point = offer.map(|offer| offer.point).ok_or(PivError::NoKey { found: Vec::new() })?;
        let secret = agree::agree(card, &key, &point, wire)?;
        Ok(Event::Agreed { serial: card.serial, key, secret })
    }

    /// The card that holds one of `tags`, and the key: on the one that should have it, if
    /// that is there.
    fn holder(
        &mut self,
        tags: &[Tag],
        serial: Option<u32>,
    ) -> Result<(&mut Card, PivKey), PivError> {
        let mut found: Option<(u32, PivKey)> = None;
        let is_meant = |point: &Point| tags.contains(&point.tag());
        let faults = find::look(&mut self.cards, |cards| {
            cards.sort_by_key(|card| Some(card.serial) != serial);
            for card in cards {
                if let Some(key) = keys::find(card, is_meant)? {
                    found = Some((card.serial, key));
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        let why = find::why_not(&self.cards, serial, faults);
        let (serial, key) = found.ok_or_else(|| why.clone())?;
        let card = self.cards.iter_mut().find(|card| card.serial == serial);
        card.map(|card| (card, key)).ok_or(why)
    }

    fn card(&mut self, serial: u32) -> Result<&mut Card, PivError> {
        let faults = find::look(&mut self.cards, |cards| {
            Ok(cards.iter().any(|card| card.serial == serial))
        })?;
        let why = find::why_not(&self.cards, Some(serial), faults);
        self.cards.iter_mut().find(|card| card.serial == serial).ok_or(why)
    }
}

fn device(card: &mut Card) -> Result<Device, PivError> {
    let tries = |shown: metadata::Metadata| Tries { left: shown.left, factory: shown.factory };
    Ok(Device {
        serial: card.serial,
        version: card.version.clone(),
        reader: card.reader.clone(),
        keys: keys::list(card)?,
        pin: tries(metadata::read(card, PIN)?),
        puk: tries(metadata::read(card, PUK)?),
        management: admin::standing(card)?,
    })
}

/// Changes the PIN by itself: it is shown first, so that a wrong one is told before a new one
/// is thought of.
fn change_pin(card: &mut Card, wire: &Wire) -> Result<Event, PivError> {
    let old = pin::ask_and_verify(card, wire)?;
    change(card, wire, (Asked::Pin, &old), Asked::NewPin, YubiKey::change_pin)
}

/// Changes the PUK, or the PIN by the PUK.
fn by_puk(card: &mut Card, wire: &Wire, new: Asked, by: Change) -> Result<Event, PivError> {
    let puk = pin::ask(card, wire, Asked::Puk)?;
    change(card, wire, (Asked::Puk, &puk), new, by)
}

/// A command that takes the code in force and the new one.
type Change = fn(&mut YubiKey, &[u8], &[u8]) -> Result<(), yubikey::Error>;

fn change(
    card: &mut Card,
    wire: &Wire,
    (what, old): (Asked, &Secret),
    new: Asked,
    by: Change,
) -> Result<Event, PivError> {
    let new = pin::ask_new(card, wire, new)?;
    let changed = card.with(|yubikey| by(yubikey, old.expose(), new.expose()));
    changed.map_err(|error| pin::refused(card, what, error))?;
    Ok(Event::Done)
}
