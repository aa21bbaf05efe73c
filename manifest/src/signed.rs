//! A signed object: two lines. The first is the exact payload, JSON; the second says who
//! vouches for it. What is verified is bytes: there is no canonical form to get wrong.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{BadSignature, Digest, Namespace, PublicKey, SigningKey};

/// Why bytes are not a signed object, or not one to trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Not two lines of JSON.
    #[error("it is not a signed object")]
    Shape,
    /// Two lines, but the payload has fields missing, unknown, doubled or malformed.
    #[error("its payload does not read")]
    Payload,
    /// The signature is missing or does not hold.
    #[error("its signature does not hold")]
    Signature,
}

impl From<BadSignature> for SignedError {
    fn from(_: BadSignature) -> Self {
        Self::Signature
    }
}

/// The second line: who vouches for the first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// An SSHSIG in base64, over the payload without its newline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sig: Option<String>,
    /// HMAC-SHA256 of the payload's SHA-256, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// A signed object taken apart. Nothing in the payload is to be believed before the
/// proof was checked.
#[derive(Debug, Clone)]
pub struct Signed<'a> {
    payload: &'a [u8],
    proof: Proof,
}

/// The payload of `content`: one line of JSON, without the newline.
///
/// # Errors
/// [`SignedError::Payload`] when it cannot be written as JSON.
pub fn payload(content: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, SignedError> {
    serde_json::to_vec(content).map(Zeroizing::new).map_err(|_| SignedError::Payload)
}

/// Puts a payload and its proof together.
pub fn join(payload: &[u8], proof: &Proof) -> Zeroizing<Vec<u8>> {
    let proof = serde_json::to_string(proof).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(payload.len() + proof.len() + 2));
    for part in [payload, b"\n", proof.as_bytes(), b"\n"] {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Signs `payload` and puts both together.
pub fn sign(payload: &[u8], namespace: Namespace, key: &SigningKey) -> Zeroizing<Vec<u8>> {
    join(payload, &Proof { sig: Some(key.sign(namespace, payload)), mac: None })
}

impl<'a> Signed<'a> {
    /// Takes a signed object apart.
    ///
    /// # Errors
    /// [`SignedError::Shape`].
    pub fn split(bytes: &'a [u8]) -> Result<Self, SignedError> {
        let mut lines = bytes.strip_suffix(b"\n").ok_or(SignedError::Shape)?.split(|c| *c == b'\n');
        let (Some(payload), Some(proof), None) = (lines.next(), lines.next(), lines.next()) else {
            return Err(SignedError::Shape);
        };
        // A carriage return is a checkout that changed line ends: JSON would pass over it.
        if payload.ends_with(b"\r") || proof.ends_with(b"\r") {
            return Err(SignedError::Shape);
        }
        let proof = serde_json::from_slice(proof).map_err(|_| SignedError::Shape)?;
        Ok(Self { payload, proof })
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`SignedError::Signature`].
    pub fn verify(&self, namespace: Namespace, key: &PublicKey) -> Result<(), SignedError> {
        let signature = self.proof.sig.as_deref().ok_or(SignedError::Signature)?;
        Ok(key.verify(namespace, self.payload, signature)?)
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// [`SignedError::Payload`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, SignedError> {
        serde_json::from_slice(self.payload).map_err(|_| SignedError::Payload)
    }

    /// The payload's bytes.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// SHA-256 of the payload.
    pub fn digest(&self) -> Digest {
        Digest::of(self.payload)
    }

    /// What the second line says.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_two_lines_are_a_signed_object() {
        let key = SigningKey::generate().unwrap();
        let good = sign(b"{}", Namespace::Cred, &key);
        Signed::split(&good).unwrap().verify(Namespace::Cred, &key.public()).unwrap();
        let text = String::from_utf8(good.to_vec()).unwrap();
        for bad in [
            "".to_owned(),
            "{}\n".to_owned(),
            text.trim_end().to_owned(),
            format!("{text}\n"),
            format!("\n{text}"),
            text.replace('\n', "\r\n"),
            text.replace("{\"sig\"", "{\"sig\":\"\",\"sig\""),
            text.replace("{\"sig\"", "{\"x\":1,\"sig\""),
        ] {
            assert_eq!(Signed::split(bad.as_bytes()).unwrap_err(), SignedError::Shape, "{bad:?}");
        }
        let unsigned = join(b"{}", &Proof::default());
        let unsigned = Signed::split(&unsigned).unwrap();
        assert_eq!(unsigned.verify(Namespace::Cred, &key.public()), Err(SignedError::Signature));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_split_without_panic(bytes: Vec<u8>) {
            let _ = Signed::split(&bytes);
        }
    }
}
