//! A daemon that another keyrack started, before an upgrade or after one was taken back. It
//! serves on until its grants end; the next start is of the keyrack that is installed.

use keyrack_protocol::VERSIONS;
use keyrack_protocol::message::BareStatus;

/// What is to be said of a daemon that is not of this keyrack; `None` for one that is.
pub fn of(daemon: &BareStatus) -> Option<String> {
    compare(&daemon.version, &daemon.versions, env!("CARGO_PKG_VERSION"), VERSIONS)
}

fn compare(theirs: &str, they_speak: &[u16], ours: &str, we_speak: &[u16]) -> Option<String> {
    if theirs == ours && they_speak.first() == we_speak.first() {
        return None;
    }
    let best = |versions: &[u16]| versions.first().copied().unwrap_or_default();
    let serves = match we_speak.iter().any(|version| they_speak.contains(version)) {
        true => "it serves on until its grants end",
        false => "they do not understand each other",
    };
    Some(format!(
        "its daemon is of keyrack {theirs} (protocol {}), this is {ours} (protocol {}): {serves}",
        best(they_speak),
        best(we_speak)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        assert_eq!(compare("0.2.0", &[2, 1], "0.2.0", &[2, 1]), None);
        let older = compare("0.1.0", &[1], "0.2.0", &[2, 1]).unwrap();
        assert!(older.contains("protocol 1") && older.ends_with("until its grants end"), "{older}");
        assert!(compare("0.3.0", &[2, 1], "0.2.0", &[2, 1]).is_some());
        let strange = compare("9.0.0", &[9, 8], "0.2.0", &[2, 1]).unwrap();
        assert!(strange.ends_with("do not understand each other"), "{strange}");
    }
}
