//! A file that holds a private key: OpenSSH's (plain or with a passphrase), an age
//! identity file, or the handle of an age plugin.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use crate::disk::atomic::FileError;
use crate::key::identity::AgeIdentity;
use crate::key::plugin::Plugin;
use crate::key::prompter::passphrase_text;
use crate::key::remember::Remembering;
use crate::key::stub::Stub;
use crate::{Header, Identity, IdentityError, Means, Prompter, Recipient, RecipientError};

/// Largest file that is read as a private key, in bytes.
const LARGEST: u64 = 256 << 10;
/// How often a passphrase is asked for, where somebody types it: as often as ssh asks.
const TRIES: usize = 3;

/// A private key file as read, before anything secret in it was asked for.
pub struct IdentityFile {
    path: PathBuf,
    parsed: Parsed,
    publics: Vec<Recipient>,
}

pub(crate) enum Parsed {
    Ssh(age::ssh::Identity),
    Age(Vec<age::x25519::Identity>),
    Yubikey(Vec<Stub>),
    Plugin(Vec<age::plugin::Identity>),
}

impl IdentityFile {
    /// Reads a private key file. A file of this user that others may read is refused, as
    /// ssh refuses it.
    ///
    /// # Errors
    /// [`IdentityError`]: unreadable, too open, not a key, unsupported, a public half.
    pub fn read(path: &Path) -> Result<Self, IdentityError> {
        let failed = |error| FileError::new("read", path, error);
        // A fifo would hold the reader for ever.
        let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
        let file = file.map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        let mode = about.permissions().mode() & 0o7777;
        let own = about.uid() == nix::unistd::getuid().as_raw();
        if !about.is_file() {
            return Err(IdentityError::NotAKey { path: path.to_owned() });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(about.len().min(LARGEST) as usize + 1));
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
        let (parsed, publics) = match bytes.len() as u64 {
            ..=LARGEST => parse(path, &bytes)?,
            _ => return Err(IdentityError::NotAKey { path: path.to_owned() }),
        };
        // Asked last, so that a public key given by mistake is named as such.
        if own && mode & 0o077 != 0 {
            return Err(IdentityError::TooOpen { path: path.to_owned(), mode });
        }
        Ok(Self { path: path.to_owned(), parsed, publics })
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The public half, where the file shows it without a passphrase; of several, the
    /// first.
    pub fn public(&self) -> Option<&Recipient> {
        self.publics.first()
    }

    /// Every public half the file shows.
    pub fn publics(&self) -> &[Recipient] {
        &self.publics
    }

    /// Whether using it takes a person: a passphrase, a PIN, a touch.
    pub fn needs_person(&self) -> bool {
        !matches!(&self.parsed, Parsed::Ssh(age::ssh::Identity::Unencrypted(_)) | Parsed::Age(_))
    }

    /// Whether it is the stub of `recipient`'s plugin: whether of the same key, only the
    /// plugin knows.
    pub(crate) fn may_be_plugin_of(&self, recipient: &Recipient) -> bool {
        match &self.parsed {
            Parsed::Plugin(keys) => keys.iter().any(|key| recipient.plugin() == Some(key.plugin())),
            _ => false,
        }
    }

    /// Whether it is the stub of a key on a YubiKey that one of these names: recipients
    /// that are known, or a file that is to be opened.
    pub(crate) fn is_stub_of(&self, recipients: &[Recipient], header: Option<&Header<'_>>) -> bool {
        let Parsed::Yubikey(stubs) = &self.parsed else { return false };
        let known = recipients.iter().filter_map(|recipient| Some(recipient.yubikey()?.tag()));
        let tags: Vec<_> =
            known.chain(header.map(Header::yubikey_tags).unwrap_or_default()).collect();
        stubs.iter().any(|stub| tags.contains(&stub.tag))
    }

    /// The YubiKey it is a stub for.
    pub fn yubikey_serial(&self) -> Option<u32> {
        match &self.parsed {
            Parsed::Yubikey(stubs) => stubs.first().map(|stub| stub.serial),
            _ => None,
        }
    }

    /// Makes it ready for use, asking for the passphrase if it has one: again after a wrong
    /// one, where somebody types it.
    ///
    /// # Errors
    /// [`IdentityError::WrongPassphrase`], [`IdentityError::Declined`],
    /// [`IdentityError::Prompt`], [`IdentityError::Hardware`],
    /// [`IdentityError::PluginMissing`].
    pub fn unlock(&self, means: &Means) -> Result<Identity, IdentityError> {
        use age::ssh::Identity as Ssh;

        let identity = |keys| Identity::new(keys, self.publics.clone()).read_from(&self.path);
        match &self.parsed {
            Parsed::Ssh(Ssh::Encrypted(key)) => {
                let key = self.decrypt(key, &*means.prompter)?;
                Ok(identity(vec![Arc::new(key)]).after_asking())
            }
            Parsed::Ssh(key) => Ok(identity(vec![Arc::new(key.clone())])),
            Parsed::Age(keys) => {
                let shared = |key: &age::x25519::Identity| Arc::new(key.clone()) as AgeIdentity;
                Ok(identity(keys.iter().map(shared).collect()))
            }
            Parsed::Yubikey(_) => {
                let yubikeys = means.hardware.clone().ok_or_else(|| self.is_hardware())?;
                let publics = self.publics.clone();
                Ok(Identity::on_yubikeys(yubikeys, publics).read_from(&self.path))
            }
            Parsed::Plugin(_) if means.hardware.is_none() => Err(self.is_hardware()),
            Parsed::Plugin(keys) => {
                let keys = keys.iter().map(|key| self.connect(key, &means.prompter));
                Ok(identity(keys.collect::<Result<_, _>>()?).asking_again())
            }
        }
    }

    fn is_hardware(&self) -> IdentityError {
        IdentityError::Hardware { path: self.path.clone() }
    }

    fn decrypt(
        &self,
        key: &age::ssh::EncryptedKey,
        prompter: &dyn Prompter,
    ) -> Result<age::ssh::Identity, IdentityError> {
        let path = || self.path.clone();
        let question = format!("passphrase for {}", self.path.display());
        let wrong = IdentityError::WrongPassphrase { path: path() };
        for tries_left in (0..if prompter.has_typist() { TRIES } else { 1 }).rev() {
            let passphrase = prompter
                .passphrase(&question)
                .map_err(|source| IdentityError::Prompt { path: path(), source })?
                .ok_or_else(|| IdentityError::Declined { path: path() })?;
            let opened = passphrase_text(&passphrase).and_then(|text| key.decrypt(text).ok());
            match opened {
                Some(key) => return Ok(key.into()),
                None if tries_left > 0 => prompter.notice(&wrong.to_string()),
                None => {}
            }
        }
        Err(wrong)
    }

    fn connect(
        &self,
        key: &age::plugin::Identity,
        prompter: &Arc<dyn Prompter>,
    ) -> Result<AgeIdentity, IdentityError> {
        match Plugin::find(key, prompter.clone()) {
            Some(plugin) => Ok(Arc::new(Remembering::new(plugin))),
            None => Err(IdentityError::PluginMissing {
                path: self.path.clone(),
                program: format!("age-plugin-{}", key.plugin()),
            }),
        }
    }
}

/// Parses the bytes of a private key file; `path` is for errors only.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<(Parsed, Vec<Recipient>), IdentityError> {
    let not_a_key = || IdentityError::NotAKey { path: path.to_owned() };
    let text = std::str::from_utf8(bytes).map_err(|_| not_a_key())?;
    if text.trim_start().starts_with("-----BEGIN") {
        return parse_ssh(path, text);
    }
    if Recipient::parse(text).is_ok() {
        return Err(IdentityError::PublicHalf { path: path.to_owned() });
    }
    let (mut keys, mut stubs, mut plugins) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        match (line.parse(), Stub::parse(line)) {
            (Ok(key), _) => keys.push(key),
            (_, Some(stub)) => stubs.push(stub),
            _ => plugins.push(line.parse().map_err(|_| not_a_key())?),
        }
    }
    match (keys.is_empty(), stubs.is_empty(), plugins.is_empty()) {
        (false, true, true) => {
            let publics = publics(&keys)
                .map_err(|source| IdentityError::Recipient { path: path.to_owned(), source })?;
            Ok((Parsed::Age(keys), publics))
        }
        (true, false, true) => {
            let is_its = |public: &Recipient| {
                let tag = public.yubikey().map(|point| point.tag());
                stubs.iter().any(|stub| Some(stub.tag) == tag)
            };
            let publics = noted(text).filter(is_its).collect();
            Ok((Parsed::Yubikey(stubs), publics))
        }
        (true, true, false) => {
            let is_its = |public: &Recipient| {
                let plugin = |key: &age::plugin::Identity| public.plugin() == Some(key.plugin());
                plugins.iter().any(plugin)
            };
            let publics = noted(text).filter(is_its).collect();
            Ok((Parsed::Plugin(plugins), publics))
        }
        (true, true, true) => Err(not_a_key()),
        _ => Err(IdentityError::Unsupported {
            path: path.to_owned(),
            why: "it mixes keys of several kinds; keep them in files of their own".into(),
        }),
    }
}

fn publics(keys: &[age::x25519::Identity]) -> Result<Vec<Recipient>, RecipientError> {
    keys.iter().map(|key| Recipient::parse(&key.to_public().to_string())).collect()
}

/// The recipients that comments name: what stands for a key on hardware does not show it.
fn noted(text: &str) -> impl Iterator<Item = Recipient> {
    text.lines()
        .filter(|line| line.trim_start().starts_with('#'))
        .filter_map(|line| Recipient::parse(line.split_whitespace().next_back()?).ok())
}

fn parse_ssh(path: &Path, text: &str) -> Result<(Parsed, Vec<Recipient>), IdentityError> {
    use age::ssh::{Identity as Ssh, UnsupportedKey};

    let unsupported = |why: String| IdentityError::Unsupported { path: path.to_owned(), why };
    let convert = format!("rewrite it with: ssh-keygen -p -f {}", path.display());
    let key = Ssh::from_buffer(text.trim_start().as_bytes(), None).map_err(|_| {
        if text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
            IdentityError::NotAKey { path: path.to_owned() }
        } else {
            unsupported(format!("this form of private key is not read; {convert}"))
        }
    })?;
    match &key {
        Ssh::Unsupported(UnsupportedKey::EncryptedPem) => {
            return Err(unsupported(format!("its old encrypted form is not read; {convert}")));
        }
        Ssh::Unsupported(UnsupportedKey::EncryptedSsh(cipher)) => {
            return Err(unsupported(format!(
                "its cipher {cipher} is not read; {convert} -Z aes256-ctr"
            )));
        }
        Ssh::Unsupported(UnsupportedKey::Hardware(kind)) => {
            return Err(unsupported(format!(
                "a {kind} key can only sign; use ssh-ed25519, ssh-rsa, or --via yubikey"
            )));
        }
        Ssh::Unsupported(UnsupportedKey::Type(kind)) => {
            return Err(unsupported(format!(
                "age cannot use a {kind} key; use ssh-ed25519 or ssh-rsa"
            )));
        }
        Ssh::Unencrypted(_) | Ssh::Encrypted(_) => {}
    }
    let public = age::ssh::Recipient::try_from(key.clone())
        .map_err(|_| IdentityError::NotAKey { path: path.to_owned() })?;
    let public = Recipient::parse(&public.to_string())
        .map_err(|source| IdentityError::Recipient { path: path.to_owned(), source })?;
    Ok((Parsed::Ssh(key), vec![public]))
}
