//! An open YubiKey. However it ends, the card is left as it is for others, and a PIN that
//! was verified here is no longer.

use std::ffi::CString;

use keyrack_piv::PivError;
use pcsc::Disposition;
use yubikey::YubiKey;
use yubikey::reader::Reader;
use zeroize::Zeroizing;

use crate::apdu::{self, Reply};
use crate::{holders, tlv};

/// The PIV application, and the one that YubiKeys are set up by.
const PIV: &[u8] = &[0xa0, 0, 0, 3, 8];
const MANAGEMENT: &[u8] = &[0xa0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17];
/// A command that PIV knows, and changes nothing.
const VERSION: [u8; 3] = [0xfd, 0, 0];

/// An open YubiKey.
pub struct Card {
    /// Its serial number.
    pub serial: u32,
    /// Its firmware.
    pub version: String,
    /// The reader it is in.
    pub reader: String,
    yubikey: Option<YubiKey>,
    raw: Option<pcsc::Card>,
    /// Whether the PIN was verified here.
    pub verified: bool,
}

impl Card {
    /// Opens what is in `reader`.
    ///
    /// # Errors
    /// [`PivError::NoCard`], [`PivError::Held`], [`PivError::NotPiv`].
    pub fn open(reader: &Reader<'_>) -> Result<Self, PivError> {
        let name = reader.name().into_owned();
        let yubikey = reader.open().map_err(|error| unopened(error, &name))?;
        Ok(Self {
            serial: yubikey.serial().0,
            version: yubikey.version().to_string(),
            reader: name,
            yubikey: Some(yubikey),
            raw: None,
            verified: false,
        })
    }

    /// Does something with it.
    ///
    /// # Errors
    /// The yubikey crate's, where it means something to the caller.
    pub fn with<T>(
        &mut self,
        act: impl FnOnce(&mut YubiKey) -> Result<T, yubikey::Error>,
    ) -> Result<T, yubikey::Error> {
        match &mut self.yubikey {
            Some(yubikey) => act(yubikey),
            None => Err(yubikey::Error::NotFound),
        }
    }

    /// Sends a command that the yubikey crate does not know.
    ///
    /// # Errors
    /// [`PivError::Reset`], [`PivError::Removed`]; never because the card says no.
    pub fn send(&mut self, command: [u8; 3], data: &[u8]) -> Result<Reply, PivError> {
        let sent = self.raw().and_then(|card| apdu::send(card, command, data));
        sent.map_err(|error| self.lost(error))
    }

    /// An object that lies on it. `None` where there is none, or an empty one.
    ///
    /// # Errors
    /// As [`Card::send`].
    pub fn object(&mut self, id: u32) -> Result<Option<Zeroizing<Vec<u8>>>, PivError> {
        match self.with(|yubikey| yubikey.fetch_object(id)) {
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
            Err(error @ yubikey::Error::PcscError { .. }) => Err(self.error(error)),
            Err(_) => Ok(None),
        }
    }

    /// A certificate that lies on it, in DER.
    ///
    /// # Errors
    /// As [`Card::send`].
    pub fn certificate(&mut self, id: u32) -> Result<Option<Vec<u8>>, PivError> {
        const COMPRESSED: u8 = 1;
        let object = self.object(id)?.unwrap_or_default();
        let is_plain = tlv::find(&object, 0x71).and_then(<[u8]>::first) != Some(&COMPRESSED);
        let certificate = tlv::find(&object, 0x70).filter(|der| is_plain && !der.is_empty());
        Ok(certificate.map(<[u8]>::to_vec))
    }

    /// Makes sure that it listens to PIV commands: another program may have had it do
    /// something else since.
    ///
    /// # Errors
    /// As [`Card::send`].
    pub fn listens(&mut self) -> Result<(), PivError> {
        if !self.send(VERSION, &[])?.is_yes() {
            self.send([apdu::SELECT, 4, 0], PIV)?;
            self.verified = false;
        }
        Ok(())
    }

    /// What an error of the service or the crate means here.
    pub fn error(&mut self, error: yubikey::Error) -> PivError {
        let serial = self.serial;
        match error {
            yubikey::Error::PcscError { inner: Some(inner) } => self.lost(inner),
            // A card that is pulled out under way answers nothing, which the crate takes for
            // a no.
            other => match self.raw().and_then(|card| apdu::send(card, VERSION, &[])) {
                Err(inner) => self.lost(inner),
                Ok(_) => PivError::Other { what: format!("YubiKey {serial} refused: {other}") },
            },
        }
    }

    fn lost(&self, error: pcsc::Error) -> PivError {
        use pcsc::Error as E;
        let serial = self.serial;
        match error {
            E::ResetCard => PivError::Reset { serial },
            E::RemovedCard
            | E::NoSmartcard
            | E::ReaderUnavailable
            | E::UnknownReader
            | E::UnpoweredCard
            | E::UnresponsiveCard
            | E::CommError
            | E::CommDataLost
            | E::InvalidHandle
            | E::NotTransacted => PivError::Removed { serial },
            E::SharingViolation => held(&self.reader),
            E::NoService | E::ServiceStopped => {
                PivError::NoService { why: "pcscd ended meanwhile".to_owned() }
            }
            other => PivError::Other { what: format!("YubiKey {serial}: {other}") },
        }
    }

    /// A second way to the same card: the first lets nobody say what it does not know.
    fn raw(&mut self) -> Result<&mut pcsc::Card, pcsc::Error> {
        let card = match self.raw.take() {
            Some(card) => card,
            None => {
                let name =
                    CString::new(self.reader.as_str()).map_err(|_| pcsc::Error::UnknownReader)?;
                pcsc::Context::establish(pcsc::Scope::System)?.connect(
                    &name,
                    pcsc::ShareMode::Shared,
                    pcsc::Protocols::T1,
                )?
            }
        };
        Ok(self.raw.insert(card))
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        if self.verified {
            // Another application in between is what takes the PIN back.
            let _ = self.raw().and_then(|card| apdu::select_both(card, MANAGEMENT, PIV));
        }
        if let Some(raw) = self.raw.take() {
            let _ = raw.disconnect(Disposition::LeaveCard);
        }
        if let Some(yubikey) = self.yubikey.take() {
            let _ = yubikey.disconnect(Disposition::LeaveCard);
        }
    }
}

fn unopened(error: yubikey::Error, reader: &str) -> PivError {
    use pcsc::Error as E;
    let reader = reader.to_owned();
    match error {
        yubikey::Error::PcscError { inner: Some(E::SharingViolation) } => held(&reader),
        yubikey::Error::PcscError {
            inner: Some(E::NoSmartcard | E::RemovedCard | E::ReaderUnavailable | E::UnknownReader),
        } => PivError::NoCard { reader },
        _ => PivError::NotPiv { reader },
    }
}

fn held(reader: &str) -> PivError {
    PivError::Held { reader: reader.to_owned(), holders: holders::list() }
}
