//! The ciphers that a management key may be for: one block at a time, as the card proves
//! itself and is proven to (NIST SP 800-73-4, part 2, 3.2.4; AES is Yubico's addition).

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};

/// What a management key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Three keys for DES.
    TripleDes,
    /// AES with 16 bytes.
    Aes128,
    /// AES with 24 bytes.
    Aes192,
    /// AES with 32 bytes.
    Aes256,
}

/// Which way a block goes.
#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::TripleDes, Self::Aes128, Self::Aes192, Self::Aes256];

    /// The one that a card calls so.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.byte() == byte)
    }

    /// What a card calls it.
    pub fn byte(self) -> u8 {
        match self {
            Self::TripleDes => 0x03,
            Self::Aes128 => 0x08,
            Self::Aes192 => 0x0a,
            Self::Aes256 => 0x0c,
        }
    }

    /// What a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TripleDes => "3des",
            Self::Aes128 => "aes128",
            Self::Aes192 => "aes192",
            Self::Aes256 => "aes256",
        }
    }

    /// The key's length, in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }

    /// The block's length, in bytes.
    pub fn block(self) -> usize {
        if self == Self::TripleDes { 8 } else { 16 }
    }

    /// One block, encrypted. `None` where key or block are of another length.
    pub fn encrypt(self, key: &[u8], block: &[u8]) -> Option<Vec<u8>> {
        self.pass(Way::In, key, block)
    }

    /// One block, decrypted. `None` where key or block are of another length.
    pub fn decrypt(self, key: &[u8], block: &[u8]) -> Option<Vec<u8>> {
        self.pass(Way::Out, key, block)
    }

    fn pass(self, way: Way, key: &[u8], block: &[u8]) -> Option<Vec<u8>> {
        fn one<C>(way: Way, key: &[u8], block: &mut [u8]) -> Option<()>
        where
            C: KeyInit + BlockEncrypt + BlockDecrypt,
        {
            let (cipher, block) =
                (C::new_from_slice(key).ok()?, GenericArray::from_mut_slice(block));
            match way {
                Way::In => cipher.encrypt_block(block),
                Way::Out => cipher.decrypt_block(block),
            }
            Some(())
        }
        let mut block = block.to_vec();
        let pass = match self {
            _ if block.len() != self.block() => return None,
            Self::TripleDes => one::<des::TdesEde3>,
            Self::Aes128 => one::<aes::Aes128>,
            Self::Aes192 => one::<aes::Aes192>,
            Self::Aes256 => one::<aes::Aes256>,
        };
        pass(way, key, &mut block)?;
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
