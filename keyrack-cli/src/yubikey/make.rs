//! The key for an owner's new manifest: one that is on the YubiKey already, or a new one.

use keyrack_manifest::{OnYubikey, Recipient};
use keyrack_names::Owner;
use keyrack_piv::{Attestation, Device, Event, PinPolicy, PivError, PivKey, Request, TouchPolicy};

use crate::args::YubikeyFlags;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened;
use crate::person::prompt;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::yubikey::helper::Helper;
use crate::yubikey::words;

/// A key on a YubiKey, for an owner.
pub struct Made {
    /// The key.
    pub recipient: Recipient,
    /// What is remembered of it.
    pub on: OnYubikey,
    /// What its maker says of it.
    pub attestation: Option<Attestation>,
    device: Device,
    helper: Helper,
}

/// The key that `owner` is to have: the one it has, the one in the slot that was named, one
/// that was made for age files and no other owner here has, or a new one.
///
/// # Errors
/// [`Code::NoIdentity`], [`Code::Conflict`], [`Code::NeedsPerson`]: why there is none.
pub fn choose(owner: &Owner, flags: &YubikeyFlags, settings: &Settings, ui: &Ui) -> Outcome<Made> {
    let helper = Helper::new(settings, ui, Some(owner), flags.serial);
    let own = opened::pinned_recipients(settings, owner).into_iter().next();
    let is_own = |key: &PivKey| own.as_ref().and_then(Recipient::yubikey) == Some(key.point);
    let device = pick(list(&helper, &words::init(owner))?, flags.serial, owner, is_own)?;
    let serial = device.serial;
    let there = match device.keys.iter().find(|key| is_own(key)) {
        Some(key) => Some(key),
        None => suitable(&device, flags, owner, settings)?,
    };
    let key = match there {
        Some(key) => key.clone(),
        None => {
            let key = make(&helper, serial, owner, flags)?;
            ui.say(format!("{owner}: made a key in slot {} of YubiKey {serial}", key.slot));
            key
        }
    };
    let recipient = Recipient::of_yubikey(key.point)
        .map_err(|e| Failure::new(Code::NoIdentity, e.to_string()))?;
    let attestation = match helper.call(&Request::Attest { serial, slot: key.slot }) {
        Ok(Event::Attested { attestation }) => attestation,
        Ok(_) => None,
        Err(error) => return Err(words::of_init(error, owner)),
    };
    let on = OnYubikey { serial, pin_policy: key.pin_policy, touch_policy: key.touch_policy };
    Ok(Made { recipient, on, attestation, device, helper })
}

/// Every YubiKey that is plugged in, at least one, for `keyrack COMMAND`.
///
/// # Errors
/// Why there is none.
pub fn list(helper: &Helper, command: &str) -> Outcome<Vec<Device>> {
    let failed = |error| words::of_command(error, command);
    match helper.call(&Request::List).map_err(failed)? {
        Event::Devices { devices, faults } if devices.is_empty() => {
            let none = PivError::NoReader { others: Vec::new() };
            Err(failed(faults.into_iter().next().unwrap_or(none)))
        }
        Event::Devices { devices, .. } => Ok(devices),
        _ => Err(Failure::new(Code::Unexpected, "keyrack-yubikey answered something else")),
    }
}

/// The YubiKey that is meant: the one named, the one that has the owner's key, or the only
/// one.
fn pick(
    mut devices: Vec<Device>,
    serial: Option<u32>,
    owner: &Owner,
    is_own: impl Fn(&PivKey) -> bool,
) -> Outcome<Device> {
    let found: Vec<u32> = devices.iter().map(|device| device.serial).collect();
    let at = match serial {
        Some(wanted) => found
            .iter()
            .position(|serial| *serial == wanted)
            .ok_or_else(|| words::of_init(PivError::OtherSerial { wanted, found }, owner))?,
        None => match devices.iter().position(|device| device.keys.iter().any(&is_own)) {
            Some(at) => at,
            None if devices.len() == 1 => 0,
            None => return Err(several(&found, &words::init(owner))),
        },
    };
    Ok(devices.swap_remove(at))
}

/// Several are plugged in, and which is meant was not said.
pub fn several(serials: &[u32], command: &str) -> Failure {
    let texts: Vec<String> = serials.iter().map(u32::to_string).collect();
    let failure = Failure::new(
        Code::Conflict,
        format!("several YubiKeys are plugged in: {}", texts.join(", ")),
    );
    serials.iter().fold(failure, |failure, serial| {
        failure.hint(format!("keyrack {command} --serial {serial}"))
    })
}

/// A key that is there and may be the owner's.
fn suitable<'a>(
    device: &'a Device,
    flags: &YubikeyFlags,
    owner: &Owner,
    settings: &Settings,
) -> Outcome<Option<&'a PivKey>> {
    let has = |key: &PivKey| {
        flags.pin_policy.is_none_or(|policy| key.pin_policy == Some(policy))
            && flags.touch_policy.is_none_or(|policy| key.touch_policy == Some(policy))
    };
    if let Some(slot) = flags.slot {
        let Some(key) = device.keys.iter().find(|key| key.slot == slot) else { return Ok(None) };
        if !has(key) {
            let message = format!(
                "the key in slot {slot} of YubiKey {} has other policies, which cannot be changed: PIN {}, touch {}",
                device.serial,
                text(key.pin_policy),
                text(key.touch_policy)
            );
            return Err(Failure::new(Code::Conflict, message).hint("keyrack yubikey list"));
        }
        return Ok(Some(key));
    }
    let others = settings.places.owners().unwrap_or_default();
    let taken: Vec<Recipient> = others
        .iter()
        .filter(|other| *other != owner)
        .flat_map(|other| opened::pinned_recipients(settings, other))
        .collect();
    let is_taken = |key: &PivKey| taken.iter().any(|other| other.yubikey() == Some(key.point));
    Ok(device.keys.iter().find(|key| key.for_age && has(key) && !is_taken(key)))
}

fn make(helper: &Helper, serial: u32, owner: &Owner, flags: &YubikeyFlags) -> Outcome<PivKey> {
    let request = Request::Create {
        serial,
        slot: flags.slot,
        name: owner.to_string(),
        pin_policy: flags.pin_policy.unwrap_or(PinPolicy::Once),
        touch_policy: flags.touch_policy.unwrap_or(TouchPolicy::Cached),
    };
    match helper.call(&request).map_err(|error| words::of_init(error, owner))? {
        Event::Created { key } => Ok(key),
        _ => Err(Failure::new(Code::Unexpected, "keyrack-yubikey answered something else")),
    }
}

impl Made {
    /// Says which codes of this YubiKey anybody could know, and offers to change them.
    /// Nobody is forced to, least of all in the middle of something else.
    ///
    /// # Errors
    /// When a person is there and cannot be asked.
    pub fn offer_to_secure(&self, ui: &Ui) -> Outcome {
        let is_script = ui.asker.passphrase_fd.is_some() || ui.asker.yes || ui.json;
        let asks = prompt::has_terminal() && !ui.asker.no_input && !is_script;
        if !asks {
            note_factory_codes(&self.device, ui);
            return Ok(());
        }
        let serial = self.device.serial;
        for (what, _, request) in factory_codes(&self.device) {
            let question = format!("YubiKey {serial} still has its factory {what}. Change it now?");
            if !ui.asker.agrees(&question)? {
                continue;
            }
            match self.helper.call(&request) {
                Ok(_) => ui.say(format!("YubiKey {serial}: its {what} is changed")),
                // What was asked for is done; this was only offered.
                Err(error) => ui.warn(error.to_string()),
            }
        }
        Ok(())
    }
}

/// Says which codes of this YubiKey are the ones that all are sold with.
pub fn note_factory_codes(device: &Device, ui: &Ui) {
    let serial = device.serial;
    let codes = factory_codes(device);
    if codes.is_empty() {
        return;
    }
    let names: Vec<&str> = codes.iter().map(|(what, ..)| *what).collect();
    let names = names.join(", ");
    ui.say(format!("YubiKey {serial}: still as sold, and known to everybody: {names}"));
    for (_, command, _) in codes {
        ui.hint(format!("keyrack yubikey {command} --serial {serial}"));
    }
}

/// What was never changed since it was sold: its name, the command that changes it, and
/// what that command asks for.
fn factory_codes(device: &Device) -> Vec<(&'static str, &'static str, Request)> {
    let serial = device.serial;
    let all = [
        (device.pin.factory, ("PIN", "pin", Request::ChangePin { serial })),
        (device.puk.factory, ("PUK", "puk", Request::ChangePuk { serial })),
        (
            device.management.factory,
            ("management key", "management", Request::ProtectManagement { serial }),
        ),
    ];
    all.into_iter().filter(|(factory, _)| *factory == Some(true)).map(|(_, code)| code).collect()
}

/// A policy, or that it cannot be told.
pub fn text<T: std::fmt::Display>(policy: Option<T>) -> String {
    policy.map_or_else(|| "unknown".to_owned(), |policy| policy.to_string())
}
