//! `keyrack yubikey`: what is plugged in, and the codes that guard it.

use keyrack_manifest::Recipient;
use keyrack_piv::{Device, Event, PivKey, Request};
use serde::Serialize;

use crate::args::{OneYubikey, YubikeyAct};
use crate::error::Outcome;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::yubikey::helper::Helper;
use crate::yubikey::make::{list, note_factory_codes, several, text};
use crate::yubikey::words;

/// Runs `keyrack yubikey`.
pub fn run(act: &YubikeyAct, settings: &Settings, ui: &Ui) -> Outcome {
    match act {
        YubikeyAct::List(_) => show(settings, ui),
        YubikeyAct::Pin(with) => {
            change(&with.own, "PIN", "pin", settings, ui, |serial| Request::ChangePin { serial })
        }
        YubikeyAct::Puk(with) => {
            change(&with.own, "PUK", "puk", settings, ui, |serial| Request::ChangePuk { serial })
        }
        YubikeyAct::Unblock(with) => {
            change(&with.own, "PIN", "unblock", settings, ui, |serial| Request::Unblock { serial })
        }
        YubikeyAct::Management(with) => {
            let request = |serial| Request::ProtectManagement { serial };
            change(&with.own, "management key", "management", settings, ui, request)
        }
    }
}

/// A YubiKey, as `--json` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    serial: u32,
    firmware: &'a str,
    reader: &'a str,
    pin: &'a keyrack_piv::Tries,
    puk: &'a keyrack_piv::Tries,
    management: &'a keyrack_piv::Management,
    keys: Vec<ShownKey>,
}

/// A key on it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownKey {
    slot: String,
    recipient: String,
    name: String,
    for_age: bool,
    pin_policy: Option<keyrack_piv::PinPolicy>,
    touch_policy: Option<keyrack_piv::TouchPolicy>,
}

fn show(settings: &Settings, ui: &Ui) -> Outcome {
    let devices = list(&Helper::new(settings, ui, None, None), "yubikey list")?;
    if ui.json {
        let shown: Vec<Shown> = devices.iter().map(shown).collect();
        return ui.object(&serde_json::json!({ "yubikeys": shown }));
    }
    let mut rows = Vec::new();
    for device in &devices {
        let row = |cells: [String; 5]| {
            let [slot, pin, touch, name, recipient] = cells;
            [device.serial.to_string(), device.version.clone(), slot, pin, touch, name, recipient]
        };
        if device.keys.is_empty() {
            rows.push(row(["-"; 5].map(str::to_owned)));
        }
        rows.extend(device.keys.iter().map(|key| {
            row([
                key.slot.to_string(),
                text(key.pin_policy),
                text(key.touch_policy),
                key.name.clone(),
                recipient(key),
            ])
        }));
    }
    ui.table(["SERIAL", "FIRMWARE", "SLOT", "PIN", "TOUCH", "NAME", "RECIPIENT"], &rows)?;
    devices.iter().for_each(|device| note(device, ui));
    Ok(())
}

/// What a person should know of it.
fn note(device: &Device, ui: &Ui) {
    let serial = device.serial;
    for (name, tries) in [("PIN", &device.pin), ("PUK", &device.puk)] {
        match tries.left {
            Some(0) => ui.say(format!("YubiKey {serial}: its {name} is blocked")),
            Some(left @ 1..=2) => {
                ui.say(format!("YubiKey {serial}: {left} more wrong {name} and it is blocked"));
            }
            _ => {}
        }
    }
    note_factory_codes(device, ui);
}

fn shown(device: &Device) -> Shown<'_> {
    let key = |key: &PivKey| ShownKey {
        slot: key.slot.to_string(),
        recipient: recipient(key),
        name: key.name.clone(),
        for_age: key.for_age,
        pin_policy: key.pin_policy,
        touch_policy: key.touch_policy,
    };
    Shown {
        serial: device.serial,
        firmware: &device.version,
        reader: &device.reader,
        pin: &device.pin,
        puk: &device.puk,
        management: &device.management,
        keys: device.keys.iter().map(key).collect(),
    }
}

fn recipient(key: &PivKey) -> String {
    Recipient::of_yubikey(key.point).map_or_else(|e| e.to_string(), |found| found.to_string())
}

/// Has one YubiKey change one of its codes.
fn change(
    which: &OneYubikey,
    what: &str,
    command: &str,
    settings: &Settings,
    ui: &Ui,
    request: impl FnOnce(u32) -> Request,
) -> Outcome {
    let helper = Helper::new(settings, ui, None, None);
    let command = format!("yubikey {command}");
    let serial = match which.serial {
        Some(serial) => serial,
        None => match list(&helper, &command)?.as_slice() {
            [one] => one.serial,
            devices => {
                let serials: Vec<u32> = devices.iter().map(|device| device.serial).collect();
                return Err(several(&serials, &command));
            }
        },
    };
    let object = serde_json::json!({ "serial": serial, "changed": what });
    if settings.dry_run {
        return ui.would(format!("YubiKey {serial}: its {what} would be changed"), object);
    }
    let again = format!("{command} --serial {serial}");
    match helper.call(&request(serial)).map_err(|error| words::of_command(error, &again))? {
        Event::Done => ui.done(format!("YubiKey {serial}: its {what} is changed"), object),
        _ => Ok(()),
    }
}
