//! The card: which application is chosen, who has proven what, and one line for every
//! command. It knows no socket and no clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::act::Act;
use crate::apdu::{Command, Status};
use crate::attestation;
use crate::code::Code;
use crate::firmware::Firmware;
use crate::hand::Finger;
use crate::keys::{Key, P256, PinPolicy, TouchPolicy, is_slot};
use crate::management::Management;
use crate::objects::Objects;
use crate::tlv::{Tlv, tlv};

/// The applications of a YubiKey, by the front of their names: PIV, and those that matter
/// only because they are chosen instead; the first is for one-time passwords.
const PIV: &[u8] = &[0xa0, 0, 0, 3, 8];
const OTHERS: [&[u8]; 3] = [
    &[0xa0, 0, 0, 5, 0x27, 0x20, 1],
    &[0xa0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17],
    &[0xa0, 0, 0, 6, 0x47, 0x2f, 0, 1],
];
/// The first firmware that tells its number to PIV.
const SERIES_5: Firmware = Firmware(5, 0, 0);
/// The slot of the key that attests.
const ATTESTING: u8 = 0xf9;
const PIN: u8 = 0x80;
const PUK: u8 = 0x81;
/// What is to be done with a key, by what it is given.
const SIGN: u8 = 0x81;
const AGREE: u8 = 0x85;
/// What a YubiKey 5 says when it gets power: in the end, its name.
const GREETING: &[u8] = &[
    0x3b, 0xfd, 0x13, 0x00, 0x00, 0x81, 0x31, 0xfe, 0x15, 0x80, 0x73, 0xc0, 0x21, 0xc0, 0x57, 0x59,
    0x75, 0x62, 0x69, 0x4b, 0x65, 0x79, 0x40,
];
/// What another card says.
const STRANGER: &[u8] = &[0x3b, 0x80, 0x01, 0x81];
/// What fits into one answer.
const PIECE: usize = 256;
/// How long a touch lasts where a key says so.
const CACHED: Duration = Duration::from_secs(15);

/// A YubiKey's PIV application, as it came from the factory or later.
#[derive(Debug, Clone)]
pub struct Card {
    greeting: &'static [u8],
    serial: u32,
    firmware: Firmware,
    pin: Code,
    puk: Code,
    management: Management,
    keys: BTreeMap<u8, Key>,
    objects: Objects,
    power: Power,
    agreed: Vec<Vec<u8>>,
}

/// What a card knows only while it has power.
#[derive(Debug, Clone, Default)]
struct Power {
    selected: bool,
    /// The application for one-time passwords is chosen.
    otp: bool,
    /// The PIN was right, and no other application was chosen since.
    verified: bool,
    /// The PIN was right, and no key was used since.
    fresh: bool,
    touched: Option<Instant>,
    /// The front of a command whose end is still to come.
    incoming: Vec<u8>,
    /// The end of an answer that did not fit.
    outgoing: Vec<u8>,
}

type Answer = Result<Vec<u8>, Status>;

impl Card {
    /// A new card: PIN 123456, PUK 12345678, the factory's management key, no keys.
    pub fn new(serial: u32, firmware: Firmware) -> Self {
        let attesting = attestation::key();
        let mut objects = Objects::default();
        let own = attestation::own(&attesting).expect("a key of ours signs");
        objects.store(attestation::OBJECT, &own);
        Self {
            greeting: GREETING,
            serial,
            firmware,
            pin: Code::pin(),
            puk: Code::puk(),
            management: Management::new(firmware >= Firmware(5, 7, 0)),
            keys: BTreeMap::from([(ATTESTING, attesting)]),
            objects,
            power: Power::default(),
            agreed: Vec::new(),
        }
    }

    /// A card of somebody else's, which says so when it gets power.
    #[must_use]
    pub fn of_another_maker(self) -> Self {
        Self { greeting: STRANGER, ..self }
    }

    pub(crate) fn greeting(&self) -> &'static [u8] {
        self.greeting
    }

    /// The number on its back.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// How many tries the PIN has left.
    pub fn pin_tries(&self) -> u8 {
        self.pin.left
    }

    /// How many tries the PUK has left.
    pub fn puk_tries(&self) -> u8 {
        self.puk.left
    }

    /// Whether the PIN is verified now.
    pub fn is_verified(&self) -> bool {
        self.power.verified
    }

    /// The secrets it has agreed on so far, for tests that look for them elsewhere.
    pub fn agreed(&self) -> &[Vec<u8>] {
        &self.agreed
    }

    /// Stores an object as no command would, also one of no length.
    pub fn store(&mut self, tag: &[u8], value: &[u8]) {
        self.objects.store(tag, value);
    }

    /// What happens when power comes, goes, or is interrupted.
    pub fn reset(&mut self) {
        self.power = Power::default();
        self.management.forget();
    }

    /// Answers one command. A key that wants a touch waits for `finger`.
    pub fn transmit(&mut self, bytes: &[u8], now: Instant, finger: &dyn Finger) -> Vec<u8> {
        let answer = self.answer(bytes, now, finger);
        let (mut data, status) = match answer {
            Ok((data, extended)) => self.piece(data, extended),
            Err(status) => (Vec::new(), status),
        };
        data.extend(status.0.to_be_bytes());
        data
    }

    /// As much of an answer as fits, the rest being kept.
    fn piece(&mut self, mut data: Vec<u8>, extended: bool) -> (Vec<u8>, Status) {
        if extended || data.len() <= PIECE {
            return (data, Status::OK);
        }
        self.power.outgoing = data.split_off(PIECE);
        (data, Status::more(self.power.outgoing.len()))
    }

    fn answer(
        &mut self,
        bytes: &[u8],
        now: Instant,
        finger: &dyn Finger,
    ) -> Result<(Vec<u8>, bool), Status> {
        let mut command = Command::parse(bytes).ok_or(Status::WRONG_LENGTH)?;
        let mut data = std::mem::take(&mut self.power.incoming);
        data.append(&mut command.data);
        if command.chained {
            self.power.incoming = data;
            return Ok((Vec::new(), false));
        }
        command.data = data;
        let rest = std::mem::take(&mut self.power.outgoing);
        let extended = command.extended;
        let data = match Act::of(&command) {
            Act::Select => self.select(&command.data)?,
            Act::GetResponse => rest,
            _ if self.power.otp => self.one_time_password(&command)?,
            _ if !self.power.selected => return Err(Status::UNKNOWN),
            act => self.perform(act, &command, now, finger)?,
        };
        Ok((data, extended))
    }

    fn select(&mut self, name: &[u8]) -> Answer {
        if name.starts_with(PIV) {
            // Choosing again what is chosen changes nothing, and a verified PIN stays; but
            // series 4 forgets it.
            if !self.power.selected || self.firmware < SERIES_5 {
                self.reset();
            }
            self.power.selected = true;
            let name = tlv(0x4f, &[0, 0, 0x10, 0, 1, 0]);
            let authority = tlv(0x79, &tlv(0x4f, PIV));
            return Ok(tlv(0x61, &[name, authority].concat()));
        }
        if OTHERS.iter().any(|other| name.starts_with(other)) {
            self.reset();
            self.power.otp = name.starts_with(OTHERS[0]);
            return Ok(Vec::new());
        }
        Err(Status::NOT_FOUND)
    }

    /// The one thing that is asked of it here: where series 4 has its number.
    fn one_time_password(&self, c: &Command) -> Answer {
        match (c.instruction, c.p1) {
            (0x01, 0x10) => Ok(self.serial.to_be_bytes().to_vec()),
            _ => Err(Status::UNKNOWN),
        }
    }

    fn perform(&mut self, act: Act, c: &Command, now: Instant, finger: &dyn Finger) -> Answer {
        let nothing = |()| Vec::new();
        match act {
            Act::Version => Ok(self.firmware.bytes().to_vec()),
            Act::Serial if self.firmware < SERIES_5 => Err(Status::UNKNOWN),
            Act::Serial => Ok(self.serial.to_be_bytes().to_vec()),
            Act::GetData => self.objects.get(&c.data, self.power.verified),
            Act::Verify => self.verify(c).map(nothing),
            Act::ChangeReference => self.change_reference(c).map(nothing),
            Act::ResetRetry => self.reset_retry(c).map(nothing),
            Act::SetTries => self.set_tries(c).map(nothing),
            Act::Authenticate => self.management.authenticate(c.p1, &c.data),
            Act::SetManagement => self.management.set(c.p2, &c.data).map(nothing),
            Act::PutData => self.put_data(c).map(nothing),
            Act::Generate => self.generate(c),
            Act::Import => self.import(c).map(nothing),
            Act::Sign => self.with_key(c, SIGN, now, finger, Key::sign),
            Act::Ecdh => self.with_key(c, AGREE, now, finger, Key::agree),
            Act::Metadata if self.firmware < Firmware(5, 3, 0) => Err(Status::UNKNOWN),
            Act::Metadata => self.metadata(c.p2),
            Act::Attest => self.attest(c.p1),
            Act::Reset => self.factory().map(nothing),
            Act::Select | Act::GetResponse | Act::Unknown => Err(Status::UNKNOWN),
        }
    }

    fn verify(&mut self, c: &Command) -> Result<(), Status> {
        if c.p2 != PIN {
            return Err(Status::NO_REFERENCE);
        }
        if c.p1 == 0xff {
            (self.power.verified, self.power.fresh) = (false, false);
            return Ok(());
        }
        if c.data.is_empty() {
            return if self.power.verified { Ok(()) } else { Err(self.pin.left()) };
        }
        (self.power.verified, self.power.fresh) = (false, false);
        self.pin.check(&c.data)?;
        (self.power.verified, self.power.fresh) = (true, true);
        Ok(())
    }

    fn change_reference(&mut self, c: &Command) -> Result<(), Status> {
        let (old, new) = c.data.split_at_checked(8).ok_or(Status::WRONG_LENGTH)?;
        let which = match c.p2 {
            PIN => &mut self.pin,
            PUK => &mut self.puk,
            _ => return Err(Status::NO_REFERENCE),
        };
        which.check(old)?;
        which.set(new)
    }

    fn reset_retry(&mut self, c: &Command) -> Result<(), Status> {
        let (puk, new) = c.data.split_at_checked(8).ok_or(Status::WRONG_LENGTH)?;
        self.puk.check(puk)?;
        self.pin.set(new)
    }

    fn set_tries(&mut self, c: &Command) -> Result<(), Status> {
        self.management.required()?;
        if !self.power.verified {
            return Err(Status::SECURITY);
        }
        if c.p1 == 0 || c.p2 == 0 {
            return Err(Status::WRONG_PARAMETERS);
        }
        (self.pin, self.puk) = (self.pin.renewed(c.p1), self.puk.renewed(c.p2));
        Ok(())
    }

    fn put_data(&mut self, c: &Command) -> Result<(), Status> {
        self.management.required()?;
        self.objects.put(&c.data)
    }

    fn generate(&mut self, c: &Command) -> Answer {
        self.management.required()?;
        if !is_slot(c.p2) {
            return Err(Status::WRONG_PARAMETERS);
        }
        let template = Tlv::find(&c.data, 0xac).ok_or(Status::WRONG_DATA)?;
        if Tlv::find(template, 0x80) != Some(&[P256]) {
            return Err(Status::WRONG_DATA);
        }
        let key = Key::with_policies(c.p2, template)?;
        let public = tlv(0x86, &key.point());
        self.keys.insert(c.p2, key);
        // The tag has two bytes.
        Ok([vec![0x7f], tlv(0x49, &public)].concat())
    }

    fn import(&mut self, c: &Command) -> Result<(), Status> {
        self.management.required()?;
        if !is_slot(c.p2) {
            return Err(Status::WRONG_PARAMETERS);
        }
        if c.p1 != P256 {
            return Err(Status::WRONG_DATA);
        }
        let key = Key::with_policies(c.p2, &c.data)?.with_secret(&c.data)?;
        self.keys.insert(c.p2, key);
        Ok(())
    }

    /// Uses a key: what it asks for comes first, the PIN before the touch.
    fn with_key(
        &mut self,
        c: &Command,
        tag: u8,
        now: Instant,
        finger: &dyn Finger,
        operation: impl Fn(&Key, &[u8]) -> Answer,
    ) -> Answer {
        let key = self.keys.get(&c.p2).filter(|_| c.p1 == P256).ok_or(Status::WRONG_DATA)?;
        let input = Tlv::find(&c.data, 0x7c).and_then(|inner| Tlv::find(inner, tag));
        let input = input.ok_or(Status::WRONG_DATA)?;
        let allowed = match key.pin {
            PinPolicy::Never => true,
            PinPolicy::Once => self.power.verified,
            PinPolicy::Always => std::mem::take(&mut self.power.fresh),
        };
        if !allowed {
            return Err(Status::SECURITY);
        }
        self.power.fresh = false;
        let touched = self.power.touched.is_some_and(|at| now < at + CACHED);
        if key.touch == TouchPolicy::Always || key.touch == TouchPolicy::Cached && !touched {
            // Nobody touched it in time: the same words as for a PIN.
            self.power.touched = Some(finger.touch().ok_or(Status::SECURITY)?);
        }
        let result = operation(key, input)?;
        if tag == AGREE {
            self.agreed.push(result.clone());
        }
        Ok(tlv(0x7c, &tlv(0x82, &result)))
    }

    fn metadata(&self, slot: u8) -> Answer {
        let of_pin = |pin: &Code| {
            let default = u8::from(pin.is_default());
            [tlv(1, &[0xff]), tlv(5, &[default]), tlv(6, &[pin.tries, pin.left])].concat()
        };
        match slot {
            PIN => Ok(of_pin(&self.pin)),
            PUK => Ok(of_pin(&self.puk)),
            crate::act::MANAGEMENT => Ok(self.management.metadata()),
            _ => self.keys.get(&slot).map(Key::metadata).ok_or(Status::NO_REFERENCE),
        }
    }

    fn attest(&self, slot: u8) -> Answer {
        let attesting = self.keys.get(&ATTESTING).ok_or(Status::NO_REFERENCE)?;
        let key = self.keys.get(&slot).ok_or(Status::NO_REFERENCE)?;
        if !key.generated {
            return Err(Status::WRONG_DATA);
        }
        attestation::attest(attesting, (slot, key), self.firmware, self.serial)
    }

    /// Everything gone, for whoever has neither PIN nor PUK any more.
    fn factory(&mut self) -> Result<(), Status> {
        if !self.pin.is_blocked() || !self.puk.is_blocked() {
            return Err(Status::CONDITIONS);
        }
        *self = Self::new(self.serial, self.firmware);
        self.power.selected = true;
        Ok(())
    }
}
