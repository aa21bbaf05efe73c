//! A recipient: a public key that a manifest can be sealed to. Parsed here and nowhere
//! else; sealing itself is in `seal`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bech32::{Bech32, Hrp};
use keyrack_piv::Point;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::key::piv;
use crate::key::ssh_line::{self, SshLine};

/// Longest text that is read as a recipient, in bytes: room for RSA with 16,384 bits.
const LONGEST: usize = 8 << 10;

/// What the text of a YubiKey's key begins with.
const YUBIKEY: &str = "age1yubikey";

/// By which kind of key an owner opens its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// An SSH key, Ed25519 or RSA.
    Ssh,
    /// A P-256 key in a YubiKey's PIV slot.
    Yubikey,
    /// An age identity (X25519).
    Age,
    /// Whatever an age plugin holds.
    Plugin,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ssh => "ssh",
            Self::Yubikey => "yubikey",
            Self::Age => "age",
            Self::Plugin => "plugin",
        })
    }
}

/// A public key to seal to: `ssh-ed25519`, `ssh-rsa` of 2048 to 4096 bits, `age1…`,
/// `age1yubikey1…` or any other age plugin's.
#[derive(Clone)]
pub struct Recipient {
    kind: Kind,
    text: String,
}

#[derive(Clone)]
pub(crate) enum Kind {
    Ssh { blob: Vec<u8>, key: age::ssh::Recipient },
    Age(age::x25519::Recipient),
    Piv(piv::Recipient),
    Plugin(age::plugin::Recipient),
}

/// Why a text is not a recipient. What was given is never shown: it may be a private key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// Nothing was given.
    #[error("no public key was given")]
    Empty,
    /// A private key stands where its public half belongs.
    #[error("this is a private key: give its public half (the .pub file, or the age1… line)")]
    PrivateKey,
    /// More than one key.
    #[error("{count} keys were given: a manifest has one owner's key; name others with --backup")]
    Several {
        /// How many.
        count: usize,
    },
    /// A key on hardware that can only sign.
    #[error(
        "a {kind} key can only sign, so nothing can be sealed to it: use ssh-ed25519, ssh-rsa, or --via yubikey"
    )]
    SecurityKey {
        /// The key's type, as OpenSSH names it.
        kind: String,
    },
    /// An SSH key type that age cannot seal to.
    #[error(
        "age cannot seal to keys of type {kind}: use ssh-ed25519 or ssh-rsa (2048 to 4096 bits), an age1… recipient, or --via yubikey"
    )]
    Unsupported {
        /// The key's type, as OpenSSH names it.
        kind: String,
    },
    /// RSA of less than 2048 bits.
    #[error("this RSA key is shorter than 2048 bits: use ssh-ed25519, or RSA of 2048 to 4096 bits")]
    RsaTooShort,
    /// RSA of more than 4096 bits.
    #[error(
        "this RSA key is longer than 4096 bits, more than age takes: use ssh-ed25519, or RSA of 2048 to 4096 bits"
    )]
    RsaTooLong,
    /// The right shape, and broken inside.
    #[error("this {kind} key is damaged or cut short")]
    Damaged {
        /// What it seemed to be.
        kind: &'static str,
    },
    /// Nothing known.
    #[error("not a public key: give an ssh-ed25519 or ssh-rsa line, age1…, or age1yubikey1…")]
    Unknown,
}

impl Recipient {
    /// Parses one public key: the line of a `.pub` or `authorized_keys` file (options are
    /// dropped, the comment is kept) or an age recipient. Blank lines and lines starting
    /// with `#` are passed over.
    ///
    /// # Errors
    /// [`RecipientError`], which names what would work.
    pub fn parse(text: &str) -> Result<Self, RecipientError> {
        if looks_private(text) {
            return Err(RecipientError::PrivateKey);
        }
        let mut lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let line = lines.next().ok_or(RecipientError::Empty)?;
        match lines.count() {
            0 if line.len() > LONGEST => Err(RecipientError::Unknown),
            0 if line.starts_with("age1") => parse_age(line),
            0 => parse_ssh(line),
            more => Err(RecipientError::Several { count: more + 1 }),
        }
    }

    /// The kind of key.
    pub fn via(&self) -> Via {
        match &self.kind {
            Kind::Ssh { .. } => Via::Ssh,
            Kind::Age(_) => Via::Age,
            Kind::Piv(_) => Via::Yubikey,
            Kind::Plugin(_) => Via::Plugin,
        }
    }

    /// The key as one line: no options, the comment kept.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether both are the same key, whatever their comments say.
    pub fn same_key(&self, other: &Self) -> bool {
        self.key_text() == other.key_text()
    }

    /// `SHA256:…` as `ssh-keygen -l` prints it for an SSH key; for others the same over
    /// the recipient's text.
    pub fn fingerprint(&self) -> String {
        let digest = match &self.kind {
            Kind::Ssh { blob, .. } => Sha256::digest(blob),
            _ => Sha256::digest(self.text.as_bytes()),
        };
        format!("SHA256:{}", STANDARD_NO_PAD.encode(digest))
    }

    /// The recipient of a P-256 key on a YubiKey.
    ///
    /// # Errors
    /// [`RecipientError::Damaged`] if no point of the curve has these coordinates.
    pub fn of_yubikey(point: Point) -> Result<Self, RecipientError> {
        let damaged = RecipientError::Damaged { kind: "YubiKey" };
        let text = Hrp::parse(YUBIKEY)
            .ok()
            .and_then(|hrp| bech32::encode_lower::<Bech32>(hrp, point.as_bytes()).ok());
        Self::parse(&text.ok_or(damaged)?)
    }

    /// The public key, where it is one on a YubiKey.
    pub fn yubikey(&self) -> Option<Point> {
        match &self.kind {
            Kind::Piv(key) => Some(*key.point()),
            _ => None,
        }
    }

    /// The plugin that is needed to open what is sealed to this, if one is.
    pub fn plugin(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plugin(plugin) => Some(plugin.plugin()),
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Type and key, without the comment.
    fn key_text(&self) -> &str {
        match &self.kind {
            Kind::Ssh { .. } => match self.text.match_indices(' ').nth(1) {
                Some((end, _)) => &self.text[..end],
                None => &self.text,
            },
            _ => &self.text,
        }
    }
}

fn looks_private(text: &str) -> bool {
    let upper = |prefix| text.lines().any(|line| line.trim().starts_with(prefix));
    upper("-----BEGIN") || upper("AGE-SECRET-KEY-") || upper("AGE-PLUGIN-")
}

fn parse_age(text: &str) -> Result<Recipient, RecipientError> {
    let damaged = RecipientError::Damaged { kind: "age" };
    if text.split_whitespace().count() != 1 {
        return Err(damaged);
    }
    if let Ok(key) = text.parse::<age::x25519::Recipient>() {
        return Ok(Recipient { kind: Kind::Age(key), text: text.to_owned() });
    }
    let plugin = text.parse::<age::plugin::Recipient>().map_err(|_| damaged)?;
    if plugin.plugin() == "yubikey" {
        return parse_yubikey(text).ok_or(RecipientError::Damaged { kind: "YubiKey" });
    }
    Ok(Recipient { kind: Kind::Plugin(plugin), text: text.to_owned() })
}

fn parse_yubikey(text: &str) -> Option<Recipient> {
    let (hrp, bytes) = bech32::decode(text).ok()?;
    let key = piv::Recipient::new(Point::new(&bytes).ok()?)?;
    (hrp.as_str() == YUBIKEY).then(|| Recipient { kind: Kind::Piv(key), text: text.to_owned() })
}

fn parse_ssh(line: &str) -> Result<Recipient, RecipientError> {
    use age::ssh::ParseRecipientKeyError as Refused;

    let SshLine { kind, key, comment } = ssh_line::split(line).ok_or(RecipientError::Unknown)?;
    if kind.starts_with("sk-") {
        return Err(RecipientError::SecurityKey { kind: kind.to_owned() });
    }
    let name = match kind {
        "ssh-ed25519" => "ssh-ed25519",
        "ssh-rsa" => "ssh-rsa",
        _ => return Err(RecipientError::Unsupported { kind: kind.to_owned() }),
    };
    let damaged = || RecipientError::Damaged { kind: name };
    let blob = STANDARD.decode(key).map_err(|_| damaged())?;
    // The space ends what age's streaming parser would otherwise wait for more of.
    let parsed =
        format!("{name} {key} ").parse::<age::ssh::Recipient>().map_err(|why| match why {
            Refused::RsaModulusTooSmall => RecipientError::RsaTooShort,
            Refused::RsaModulusTooLarge => RecipientError::RsaTooLong,
            _ => damaged(),
        })?;
    // age passes over bytes after the key and spellings of base64; one key has one text.
    let text = parsed.to_string();
    if text != format!("{name} {key}") || !ssh_line::is_whole(&blob) {
        return Err(damaged());
    }
    let text = if comment.is_empty() { text } else { format!("{text} {comment}") };
    Ok(Recipient { kind: Kind::Ssh { blob, key: parsed }, text })
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        Self::parse(text)
    }
}

/// Two recipients are equal when they are the same key.
impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.same_key(other)
    }
}

impl Eq for Recipient {}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.text)
    }
}

impl Serialize for Recipient {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Recipient {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
