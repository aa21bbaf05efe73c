//! Which private key opens an owner's manifest, or its backup: a file's, or one on a YubiKey;
//! without a person where that is possible, else with one.

use std::sync::Arc;

use keyrack_manifest::{Identity, IdentityFile, Means, Pin, Recipient, Target, unlock_for};
use keyrack_names::Owner;
use keyrack_piv::{PinPolicy, TouchPolicy};

use crate::error::{Code, Outcome};
use crate::owner::{opened, ssh_agent};
use crate::person::asker::Asker;
use crate::person::pending::{self, Waiting};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::words;
use crate::yubikey::helper::Helper;
use crate::yubikey::owner::Keys;

/// Means that reach neither a person nor what a person carries.
pub fn no_means() -> Means {
    Means { prompter: Arc::new(Asker::for_nobody()), hardware: None }
}

/// The identity that opens what is `sealed` to `owner`, where that asks nobody and waits for
/// no hardware.
///
/// # Errors
/// [`Code::NeedsPerson`] where a person could; [`Code::NoIdentity`].
pub fn silently(settings: &Settings, owner: &Owner, sealed: Option<&[u8]>) -> Outcome<Identity> {
    let known = Known::of(settings, owner, sealed)?;
    match (known.file(&no_means()), &known.keys) {
        (Err(failure), Some(keys)) if failure.code == Code::NoIdentity && known.may_look() => {
            Err(keys.needs_person())
        }
        (found, _) => found,
    }
}

/// The same, with a person: asked for a passphrase, a PIN or a touch.
///
/// # Errors
/// As [`silently`]; and why a YubiKey does not open it.
pub fn asking(
    settings: &Settings,
    ui: &Ui,
    owner: &Owner,
    sealed: Option<&[u8]>,
) -> Outcome<Identity> {
    let known = Known::of(settings, owner, sealed)?;
    for other in pending::list(settings, owner) {
        ui.say(format!("{owner}: {other}, too"));
    }
    let helper = (ui.asker.reaches_hardware || known.asks_nobody())
        .then(|| Arc::new(Helper::new(settings, ui, Some(owner), known.serial())));
    let keys = known.keys.as_ref().filter(|_| known.may_look());
    let (Some(helper), keys) = (helper, keys) else {
        let prompter = ui.asker.clone();
        let found = known.file(&Means { prompter, hardware: None });
        return match (found, keys) {
            (Err(failure), Some(keys)) if failure.code == Code::NoIdentity => {
                Err(keys.needs_person())
            }
            (found, _) => found,
        };
    };
    // The owner's own key is asked first, whatever kind it is.
    let own = keys.filter(|keys| keys.is_own).map(|keys| keys.plugged_in(helper.clone()));
    if let Some(Ok(identity)) = own {
        return Ok(identity);
    }
    let means = Means { prompter: ui.asker.clone(), hardware: Some(helper.clone()) };
    let found = {
        let _waiting = Waiting::begin(settings, owner, "passphrase");
        known.file(&means)
    };
    match (found, own, keys) {
        (Err(failure), Some(Err(absent)), _) if failure.code == Code::NoIdentity => Err(absent),
        (Err(failure), None, Some(keys)) if failure.code == Code::NoIdentity => {
            keys.plugged_in(helper).map_err(|absent| failure.hint(absent.message))
        }
        (found, ..) => found,
    }
}

/// What is known of a manifest before it is opened.
struct Known<'a> {
    settings: &'a Settings,
    owner: &'a Owner,
    pin: Option<Pin>,
    sealed: Option<&'a [u8]>,
    keys: Option<Keys>,
}

impl<'a> Known<'a> {
    fn of(settings: &'a Settings, owner: &'a Owner, sealed: Option<&'a [u8]>) -> Outcome<Self> {
        let pin = opened::pin(settings, owner)?;
        let keys = Keys::of(owner, pin.as_ref(), sealed);
        Ok(Self { settings, owner, pin, sealed, keys })
    }

    /// Whether anything but the file that was named is looked at.
    fn may_look(&self) -> bool {
        self.settings.search.flag.is_none()
    }

    /// Whether the owner's key is on a YubiKey and wants neither PIN nor touch.
    fn asks_nobody(&self) -> bool {
        self.pin.as_ref().is_some_and(|pin| {
            pin.pin_policy == Some(PinPolicy::Never) && pin.touch_policy == Some(TouchPolicy::Never)
        })
    }

    /// The YubiKey that should have the key.
    fn serial(&self) -> Option<u32> {
        match &self.settings.search.flag {
            Some(file) => IdentityFile::read(file).ok()?.yubikey_serial(),
            None => self.keys.as_ref()?.serial,
        }
    }

    /// The key in a file.
    fn file(&self, means: &Means) -> Outcome<Identity> {
        let (settings, owner) = (self.settings, self.owner);
        let candidates = settings.search.candidates(owner, self.pin.as_ref(), &settings.places);
        let recipients: &[Recipient] =
            self.pin.as_ref().map(|pin| pin.recipients.as_slice()).unwrap_or_default();
        let target = Target { recipients, sealed: self.sealed };
        let unlocked = unlock_for(&target, &candidates, means);
        settings.log(|| match &unlocked {
            Ok(identity) => {
                let file = identity.path().map(|path| path.display().to_string());
                format!("{owner}: {} opens the manifest", file.unwrap_or_default())
            }
            Err(error) => format!("{owner}: {error}"),
        });
        unlocked.map_err(|error| {
            let failure = words::identity(error, owner);
            match &settings.ssh_agent {
                Some(agent) if failure.code == Code::NoIdentity => {
                    ssh_agent::holds(agent, recipients).iter().fold(failure, |failure, held| {
                        failure.hint(format!(
                            "the ssh-agent holds {}, but an agent cannot decrypt: the private key file is needed",
                            held.fingerprint()
                        ))
                    })
                }
                _ => failure,
            }
        })
    }
}
