//! What is wrong with a YubiKey, for a person: the exit code, and what to type next.

use keyrack_names::Owner;
use keyrack_piv::PivError;

use crate::error::{Code, Failure};

/// A YubiKey did not do what `owner` needed of it.
pub fn of_owner(error: PivError, owner: &Owner) -> Failure {
    let again = format!("keyrack unlock --for {owner}");
    let hint = match &error {
        PivError::Reset { .. } | PivError::NoTouch { .. } | PivError::Removed { .. } => Some(again),
        _ => None,
    };
    let failure = plain(error);
    let failure = Failure { message: format!("{owner}: {}", failure.message), ..failure };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The same where no owner is concerned.
pub fn plain(error: PivError) -> Failure {
    let code = code(&error);
    let hints = hints(&error);
    hints.into_iter().fold(Failure::new(code, error.to_string()), Failure::hint)
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

fn hints(error: &PivError) -> Vec<String> {
    let list = || "keyrack yubikey list".to_owned();
    match error {
        PivError::NoService { why } if why.contains("not installed") => {
            vec!["apt install pcscd libpcsclite1, or what your system calls them".to_owned()]
        }
        PivError::NoService { .. } => vec!["systemctl start pcscd.socket".to_owned()],
        PivError::NoReader { .. }
        | PivError::NoCard { .. }
        | PivError::NotPiv { .. }
        | PivError::OtherSerial { .. }
        | PivError::NoKey { .. }
        | PivError::SlotTaken { .. }
        | PivError::Full { .. } => vec![list()],
        PivError::Held { holders, .. } if holders.iter().any(|who| who.starts_with("scdaemon")) => {
            vec!["gpgconf --kill scdaemon, if nothing of GnuPG's needs it now".to_owned()]
        }
        PivError::PinBlocked { serial } => {
            vec![format!("keyrack yubikey unblock --serial {serial}")]
        }
        PivError::PukBlocked { .. } => {
            vec!["ykman piv reset, which destroys every PIV key on it".to_owned()]
        }
        PivError::Nobody { what, .. } if what == "PIN" => {
            vec![
                "run it in a terminal, or give the PIN by KEYRACK_PASSPHRASE_FD or KEYRACK_ASKPASS"
                    .to_owned(),
            ]
        }
        PivError::Nobody { .. } => vec!["run it in a terminal, without --no-input".to_owned()],
        _ => Vec::new(),
    }
}
