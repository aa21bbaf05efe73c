//! The management key, by which objects and keys are changed: Triple-DES in firmware
//! before 5.7, AES from then on. Whoever does not know which fails here.

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncrypt as _, KeyInit as _};
use aes::{Aes128, Aes192, Aes256};
use des::TdesEde3;

use crate::Status;
use crate::tlv::{Tlv, tlv};

/// The key every YubiKey comes with.
const FACTORY: [u8; 24] = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];

/// The key, and how far someone has come in proving that they know it.
#[derive(Debug, Clone)]
pub(crate) struct Management {
    algorithm: u8,
    key: Vec<u8>,
    pending: Option<Pending>,
    proven: bool,
}

#[derive(Debug, Clone)]
enum Pending {
    /// The other side decrypts this, and has a challenge of its own.
    Witness(Vec<u8>),
    /// The other side encrypts this.
    Challenge(Vec<u8>),
}

impl Management {
    /// With Triple-DES, or with AES-192.
    pub(crate) fn new(aes: bool) -> Self {
        let algorithm = if aes { 0x0a } else { 0x03 };
        Self { algorithm, key: FACTORY.to_vec(), pending: None, proven: false }
    }

    /// Power is gone, and with it what was proven.
    pub(crate) fn forget(&mut self) {
        self.pending = None;
        self.proven = false;
    }

    /// Refuses whoever has not proven to know the key.
    pub(crate) fn required(&self) -> Result<(), Status> {
        if self.proven { Ok(()) } else { Err(Status::SECURITY) }
    }

    pub(crate) fn metadata(&self) -> Vec<u8> {
        let default = u8::from(self.key == FACTORY);
        [tlv(1, &[self.algorithm]), tlv(2, &[0, 1]), tlv(5, &[default])].concat()
    }

    /// One step of the proof, in either of the two forms there are.
    pub(crate) fn authenticate(&mut self, algorithm: u8, data: &[u8]) -> Result<Vec<u8>, Status> {
        if algorithm != self.algorithm {
            return Err(Status::WRONG_DATA);
        }
        let parts = Tlv::find(data, 0x7c).and_then(Tlv::all).ok_or(Status::WRONG_DATA)?;
        let part = |tag| parts.iter().find(|part| part.tag == tag).map(|part| part.value);
        let pending = self.pending.take();
        self.proven = false;
        let answer = match (part(0x80), part(0x81), part(0x82), pending) {
            (Some([]), ..) => {
                let witness = crate::keys::random(self.block());
                let sealed = self.encrypt(&witness)?;
                self.pending = Some(Pending::Witness(witness));
                tlv(0x80, &sealed)
            }
            (None, Some([]), ..) => {
                let challenge = crate::keys::random(self.block());
                self.pending = Some(Pending::Challenge(challenge.clone()));
                tlv(0x81, &challenge)
            }
            (Some(opened), Some(challenge), _, Some(Pending::Witness(witness))) => {
                let answer = self.encrypt(challenge)?;
                self.prove(opened == witness)?;
                tlv(0x82, &answer)
            }
            (None, None, Some(answer), Some(Pending::Challenge(challenge))) => {
                self.prove(answer == self.encrypt(&challenge)?)?;
                return Ok(Vec::new());
            }
            _ => return Err(Status::WRONG_DATA),
        };
        Ok(tlv(0x7c, &answer))
    }

    fn prove(&mut self, knows: bool) -> Result<(), Status> {
        self.proven = knows;
        self.required()
    }

    /// A new key, to be used without a touch.
    pub(crate) fn set(&mut self, p2: u8, data: &[u8]) -> Result<(), Status> {
        self.required()?;
        let [algorithm, crate::act::MANAGEMENT, length, key @ ..] = data else {
            return Err(Status::WRONG_DATA);
        };
        let fits = matches!((algorithm, length), (3 | 0x0a, 24) | (8, 16) | (0x0c, 32));
        if !fits || key.len() != usize::from(*length) || p2 != 0xff {
            return Err(Status::WRONG_DATA);
        }
        (self.algorithm, self.key) = (*algorithm, key.to_vec());
        Ok(())
    }

    fn block(&self) -> usize {
        if self.algorithm == 3 { 8 } else { 16 }
    }

    fn encrypt(&self, block: &[u8]) -> Result<Vec<u8>, Status> {
        if block.len() != self.block() {
            return Err(Status::WRONG_DATA);
        }
        let mut bytes = block.to_vec();
        let key = &self.key;
        macro_rules! with {
            ($cipher:ty) => {
                <$cipher>::new(GenericArray::from_slice(key))
                    .encrypt_block(GenericArray::from_mut_slice(&mut bytes))
            };
        }
        match self.algorithm {
            0x03 => with!(TdesEde3),
            0x08 => with!(Aes128),
            0x0a => with!(Aes192),
            _ => with!(Aes256),
        }
        Ok(bytes)
    }
}
