//! What is wrong with a YubiKey, for a person: the exit code, and what to type next.

use keyrack_names::Owner;
use keyrack_piv::PivError;

use crate::error::{Code, Failure};

/// A YubiKey did not do what `owner` needed of it.
pub fn of_owner(error: PivError, owner: &Owner) -> Failure {
    about(owner, of_command(error, &format!("unlock --for {owner}")))
}

/// A YubiKey did not do what a new `owner` needs of it.
pub fn of_init(error: PivError, owner: &Owner) -> Failure {
    about(owner, of_command(error, &init(owner)))
}

/// What makes an owner, as it is typed after `keyrack`.
pub fn init(owner: &Owner) -> String {
    format!("init --for {owner} --via yubikey")
}

fn about(owner: &Owner, failure: Failure) -> Failure {
    Failure { message: format!("{owner}: {}", failure.message), ..failure }
}

/// The same for `keyrack COMMAND`, which is what to try again.
pub fn of_command(error: PivError, command: &str) -> Failure {
    let code = code(&error);
    Failure::new(code, error.to_string()).hint(hint(&error, format!("keyrack {command}")))
}

fn code(error: &PivError) -> Code {
    match error {
        PivError::Nobody { .. } | PivError::Declined { .. } => Code::NeedsPerson,
        PivError::NoTouch { .. } => Code::TimedOut,
        PivError::Held { .. }
        | PivError::Reset { .. }
        | PivError::SlotTaken { .. }
        | PivError::Full { .. } => Code::Conflict,
        PivError::Other { .. } => Code::Unexpected,
        _ => Code::NoIdentity,
    }
}

fn hint(error: &PivError, again: String) -> String {
    match error {
        PivError::NoService { why } if why.contains("not installed") => {
            "apt install pcscd libpcsclite1, or what your system calls them".to_owned()
        }
        PivError::NoService { .. } => "systemctl start pcscd.socket".to_owned(),
        PivError::NoReader { .. }
        | PivError::NoCard { .. }
        | PivError::NotPiv { .. }
        | PivError::OtherSerial { .. }
        | PivError::NoKey { .. }
        | PivError::SlotTaken { .. }
        | PivError::Full { .. } => "keyrack yubikey list".to_owned(),
        PivError::Held { holders, .. } if holders.iter().any(|who| who.starts_with("scdaemon")) => {
            "gpgconf --kill scdaemon, if nothing of GnuPG's needs it now".to_owned()
        }
        PivError::Held { .. } => format!("{again}, when that program is done with it"),
        PivError::PinBlocked { serial } => format!("keyrack yubikey unblock --serial {serial}"),
        PivError::PukBlocked { .. } => {
            "ykman piv reset, which destroys every PIV key on it".to_owned()
        }
        PivError::Nobody { what, .. } if what == "PIN" => {
            "run it in a terminal, or give the PIN by KEYRACK_PASSPHRASE_FD or KEYRACK_ASKPASS"
                .to_owned()
        }
        PivError::Nobody { .. } => "run it in a terminal, without --no-input".to_owned(),
        PivError::Reset { .. }
        | PivError::Removed { .. }
        | PivError::WrongPin { .. }
        | PivError::WrongPuk { .. }
        | PivError::WrongManagementKey { .. }
        | PivError::BadLength { .. }
        | PivError::Typed { .. }
        | PivError::Declined { .. }
        | PivError::NoTouch { .. }
        | PivError::Other { .. } => again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_try_again_is_what_was_tried() {
        let owner: Owner = "mechanic".parse().unwrap();
        let wrong = || PivError::WrongPin { serial: 7, left: 2 };
        assert_eq!(of_owner(wrong(), &owner).hints, ["keyrack unlock --for mechanic"]);
        assert_eq!(of_init(wrong(), &owner).hints, ["keyrack init --for mechanic --via yubikey"]);
        let failure = of_command(wrong(), "yubikey pin --serial 7");
        assert_eq!((failure.code, failure.hints.len()), (Code::NoIdentity, 1));
        assert_eq!(failure.hints, ["keyrack yubikey pin --serial 7"]);
    }
}
