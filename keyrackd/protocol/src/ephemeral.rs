//! X25519 for the handshake, in two halves: a side can draw its key pair before it writes
//! the message that carries it, and work on the other side's public key before it has read
//! the message that carried that. So both sides do their half of a `get` at once, not one
//! after the other.

use std::sync::{Arc, OnceLock};

use curve25519_dalek::MontgomeryPoint;
use snow::types::{Dh, Random};
use zeroize::Zeroizing;

use crate::random::{self, NoRandom};

/// Bytes of a public key.
pub(crate) const PUBLIC: usize = 32;

type Private = Zeroizing<[u8; 32]>;
type Public = [u8; PUBLIC];

/// One side's key pair for one handshake, and what it came to with the other side's. Shared
/// with the state machine, which asks for both when it is their turn.
#[derive(Clone, Default)]
pub(crate) struct Ephemeral(Arc<Halves>);

#[derive(Default)]
struct Halves {
    pair: OnceLock<(Private, Public)>,
    met: OnceLock<(Public, Private)>,
}

impl Ephemeral {
    /// The public key, drawn now if it was not yet.
    ///
    /// # Errors
    /// When no random numbers can be had.
    pub(crate) fn public(&self) -> Result<Public, NoRandom> {
        if let Some((_, public)) = self.0.pair.get() {
            return Ok(*public);
        }
        let mut private = Private::default();
        random::fill(&mut *private)?;
        Ok(self.have(private))
    }

    /// Does this side's half of the exchange with `public`.
    pub(crate) fn meet(&self, public: Public) {
        if let Some((private, _)) = self.0.pair.get() {
            self.0.met.get_or_init(|| (public, exchange(private, public)));
        }
    }

    fn have(&self, private: Private) -> Public {
        let public = MontgomeryPoint::mul_base_clamped(*private).to_bytes();
        self.0.pair.get_or_init(|| (private, public)).1
    }
}

fn exchange(private: &Private, public: Public) -> Private {
    Zeroizing::new(MontgomeryPoint(public).mul_clamped(**private).to_bytes())
}

impl Dh for Ephemeral {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        PUBLIC
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        if let Ok(private) = private.try_into() {
            self.have(Zeroizing::new(private));
        }
    }

    fn generate(&mut self, _: &mut dyn Random) -> Result<(), snow::Error> {
        self.public().map(drop).map_err(|_| snow::Error::Rng)
    }

    fn pubkey(&self) -> &[u8] {
        self.0.pair.get().map_or(&[], |(_, public)| public)
    }

    fn privkey(&self) -> &[u8] {
        self.0.pair.get().map_or(&[], |(private, _)| &private[..])
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        let public = public.first_chunk::<PUBLIC>().ok_or(snow::Error::Dh)?;
        let out = out.first_chunk_mut::<32>().ok_or(snow::Error::Dh)?;
        match (self.0.met.get(), self.0.pair.get()) {
            (Some((met, shared)), _) if met == public => out.copy_from_slice(&shared[..]),
            (_, Some((private, _))) => out.copy_from_slice(&exchange(private, *public)[..]),
            _ => return Err(snow::Error::Dh),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The iterated test of RFC 7748, section 5.2, after its first step.
    #[test]
    fn the_published_exchange() {
        let mut nine = [0; 32];
        nine[0] = 9;
        let mut expected = [0; 32];
        let text = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079";
        hex::lower::decode(text, &mut expected).unwrap();
        let mut one = Ephemeral::default();
        one.set(&nine);
        let mut shared = [0; 32];
        one.dh(&nine, &mut shared).unwrap();
        assert_eq!(shared, expected);
        assert_eq!(one.pubkey(), expected, "the public key is the exchange with the base point");
    }

    #[test]
    fn what_was_met_before_is_what_is_met_then() {
        let (one, other) = (Ephemeral::default(), Ephemeral::default());
        let (public, theirs) = (one.public().unwrap(), other.public().unwrap());
        assert_eq!(one.public().unwrap(), public, "drawn once");
        let dh = |of: &Ephemeral, with: &[u8]| {
            let mut shared = [0; 32];
            of.dh(with, &mut shared).unwrap();
            shared
        };
        let (before, another) = (dh(&one, &theirs), dh(&one, &[9; 32]));
        one.meet(theirs);
        assert_eq!(dh(&one, &theirs), before);
        assert_eq!(dh(&one, &[9; 32]), another, "another key is another exchange");
        assert_eq!(dh(&other, &public), before);
    }

    #[test]
    fn without_a_pair_there_is_no_exchange() {
        assert!(Ephemeral::default().dh(&[9; 32], &mut [0; 32]).is_err());
    }
}
