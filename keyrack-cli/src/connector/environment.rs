//! What a connector finds in its environment: what every program needs, and nothing that
//! the caller's may hold besides. Pure.

use std::ffi::OsString;

use crate::exec::environment::Environment;

/// What is passed on, where the caller has it. No proxy: its address may hold a password.
const PASSED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    // By which it finds the owner's daemon.
    "KEYRACK_HOME",
    "KEYRACK_STATE",
    "KEYRACK_SOCKET_DIR",
];

/// Of the caller's environment what is passed on: what the list has, and what is asked for
/// besides. It is built, not inherited: all else stays out, whatever it is.
pub fn built(callers: Environment, besides: &[OsString]) -> Environment {
    let is_usual = |name: &str| PASSED_ON.contains(&name) || name.starts_with("LC_");
    let is_passed_on =
        |name: &OsString| name.to_str().is_some_and(is_usual) || besides.contains(name);
    callers.into_iter().filter(|(name, _)| is_passed_on(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_on_the_list() {
        let of = |names: &[&str]| -> Environment {
            names.iter().map(|name| ((*name).into(), "x".into())).collect()
        };
        let callers = of(&[
            "PATH",
            "HOME",
            "LC_ALL",
            "AWS_SECRET_ACCESS_KEY",
            "KEYRACK_CAPABILITY",
            "SSH_AUTH_SOCK",
            "path",
        ]);
        assert_eq!(built(callers.clone(), &[]), of(&["PATH", "HOME", "LC_ALL"]));
        let besides = ["SSH_AUTH_SOCK".into(), "ABSENT".into()];
        assert_eq!(built(callers, &besides), of(&["PATH", "HOME", "LC_ALL", "SSH_AUTH_SOCK"]));
    }
}
