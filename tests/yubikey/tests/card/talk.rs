//! A card on the table, and what the tests say to it.

use std::time::{Duration, Instant};

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt as _, BlockEncrypt as _, KeyInit as _};
use keyrack_virtual_yubikey::{Card, Command, Finger, Firmware, Status, Tlv, tlv};

/// The factory's codes, as a reader sends them.
pub const PIN: &[u8] = b"123456\xff\xff";
pub const PUK: &[u8] = b"12345678";
pub const FACTORY: [u8; 24] =
    [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];
/// The first retired slot.
pub const R1: u8 = 0x82;

/// A finger that touches at once, or never.
struct Touches(bool);

impl Finger for Touches {
    fn touch(&self) -> Option<Instant> {
        self.0.then(Instant::now)
    }
}

/// A card with the PIV application chosen.
pub struct Talk {
    pub card: Card,
    pub now: Instant,
    pub touches: bool,
}

impl Talk {
    pub fn with(firmware: Firmware) -> Self {
        let card = Card::new(11_223_344, firmware);
        let mut talk = Self { card, now: Instant::now(), touches: true };
        talk.select();
        talk
    }

    pub fn new() -> Self {
        Self::with(Firmware::V5_4)
    }

    /// A card whose management key was proven.
    pub fn managed() -> Self {
        let mut talk = Self::new();
        talk.prove(0x03, &FACTORY).expect("the factory's key");
        talk
    }

    pub fn select(&mut self) {
        self.ok(0xa4, 4, 0, &[0xa0, 0, 0, 3, 8]);
    }

    /// Bytes in, bytes and status out.
    pub fn raw(&mut self, bytes: &[u8]) -> (Vec<u8>, Status) {
        let mut answer = self.card.transmit(bytes, self.now, &Touches(self.touches));
        let status = answer.split_off(answer.len() - 2);
        (answer, Status(u16::from_be_bytes([status[0], status[1]])))
    }

    /// One command, in as many pieces as it takes, and all pieces of its answer.
    pub fn say(&mut self, ins: u8, p1: u8, p2: u8, data: &[u8]) -> Result<Vec<u8>, Status> {
        let mut pieces: Vec<&[u8]> = data.chunks(255).collect();
        let last = pieces.pop().unwrap_or_default();
        for piece in pieces {
            let mut bytes = Command::bytes(ins, p1, p2, piece);
            bytes[0] = 0x10;
            assert_eq!(self.raw(&bytes), (Vec::new(), Status::OK));
        }
        let (mut answer, mut status) = self.raw(&Command::bytes(ins, p1, p2, last));
        while status.0 >> 8 == 0x61 {
            let (more, next) = self.raw(&[0, 0xc0, 0, 0, 0]);
            answer.extend(more);
            status = next;
        }
        if status == Status::OK { Ok(answer) } else { Err(status) }
    }

    #[track_caller]
    pub fn ok(&mut self, ins: u8, p1: u8, p2: u8, data: &[u8]) -> Vec<u8> {
        self.say(ins, p1, p2, data).expect("the card does it")
    }

    pub fn verify(&mut self, pin: &[u8]) -> Result<(), Status> {
        self.say(0x20, 0, 0x80, pin).map(|_| ())
    }

    pub fn generate(&mut self, slot: u8, policies: &[u8]) -> Result<Vec<u8>, Status> {
        let template = [tlv(0x80, &[0x11]), policies.to_vec()].concat();
        let answer = self.say(0x47, 0, slot, &tlv(0xac, &template))?;
        assert_eq!(answer[..2], [0x7f, 0x49]);
        Ok(Tlv::find(&answer[1..], 0x49).and_then(|a| Tlv::find(a, 0x86)).expect("a key").to_vec())
    }

    pub fn agree(&mut self, slot: u8, point: &[u8]) -> Result<Vec<u8>, Status> {
        self.use_key(slot, 0x85, point)
    }

    pub fn sign(&mut self, slot: u8, digest: &[u8]) -> Result<Vec<u8>, Status> {
        self.use_key(slot, 0x81, digest)
    }

    fn use_key(&mut self, slot: u8, tag: u8, input: &[u8]) -> Result<Vec<u8>, Status> {
        let ask = tlv(0x7c, &[tlv(0x82, &[]), tlv(tag, input)].concat());
        let answer = self.say(0x87, 0x11, slot, &ask)?;
        Ok(Tlv::find(&answer, 0x7c).and_then(|a| Tlv::find(a, 0x82)).expect("a result").to_vec())
    }

    pub fn metadata(&mut self, slot: u8, tag: u8) -> Result<Vec<u8>, Status> {
        let all = self.say(0xf7, 0, slot, &[])?;
        Ok(Tlv::find(&all, tag).expect("this field").to_vec())
    }

    /// Proves a management key both ways, as `yubico-piv-tool` and the `yubikey` crate do.
    pub fn prove(&mut self, algorithm: u8, key: &[u8]) -> Result<(), Status> {
        let ask = tlv(0x7c, &tlv(0x80, &[]));
        let answer = self.say(0x87, algorithm, 0x9b, &ask)?;
        let witness = Tlv::find(&answer, 0x7c).and_then(|a| Tlv::find(a, 0x80)).expect("a witness");
        let opened = cipher(algorithm, key, witness, false);
        let challenge = vec![9; opened.len()];
        let parts = [tlv(0x80, &opened), tlv(0x81, &challenge)].concat();
        let answer = self.say(0x87, algorithm, 0x9b, &tlv(0x7c, &parts))?;
        let proof = Tlv::find(&answer, 0x7c).and_then(|a| Tlv::find(a, 0x82)).expect("a proof");
        assert_eq!(proof, cipher(algorithm, key, &challenge, true), "the card knows it, too");
        Ok(())
    }

    pub fn later(&mut self, by: Duration) {
        self.now += by;
    }
}

/// One block, in or out.
pub fn cipher(algorithm: u8, key: &[u8], block: &[u8], encrypt: bool) -> Vec<u8> {
    let mut bytes = block.to_vec();
    macro_rules! with {
        ($cipher:ty) => {{
            let cipher = <$cipher>::new(GenericArray::from_slice(key));
            let block = GenericArray::from_mut_slice(&mut bytes);
            if encrypt { cipher.encrypt_block(block) } else { cipher.decrypt_block(block) }
        }};
    }
    match algorithm {
        0x03 => with!(des::TdesEde3),
        0x08 => with!(aes::Aes128),
        0x0a => with!(aes::Aes192),
        _ => with!(aes::Aes256),
    }
    bytes
}
