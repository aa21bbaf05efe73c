//! When a credential is due for a new value, by what its connector declares. Pure.

use jiff::Timestamp;
use keyrack_manifest::Entry;

use super::declaration::{Declaration, Hint, Origin};
use keyrack_names::KeyName;

/// Since when a new value of `entry` is due, or from when on it will be.
pub fn due(hint: Hint, entry: &Entry) -> Option<Timestamp> {
    let by_age = hint.every.and_then(|every| entry.updated_at.checked_add(every.duration()).ok());
    let before = |end: Timestamp| end.checked_sub(hint.before_expiry?.duration()).ok();
    let by_end = entry.expires_at.and_then(before);
    by_age.into_iter().chain(by_end).min()
}

/// The program that makes a new value of it, if one does.
pub fn maker<'a>(declaration: &'a Declaration, name: &KeyName) -> Option<&'a str> {
    let credential = declaration.credentials.get(name)?;
    let rotates = credential.obtained_via == Origin::BootstrapTool && declaration.rotate.is_some();
    let helper = credential.refresh.as_ref().map(keyrack_manifest::Word::as_str);
    helper.or(rotates.then_some("rotate"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyrack_manifest::VaultName;

    #[test]
    fn whichever_comes_first() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let mut entry = Entry::new(
            "acme.all.PAT".parse().unwrap(),
            VaultName::personal(),
            at("2026-01-01T00:00:00Z"),
        );
        let hint = |every: Option<&str>, before: Option<&str>| Hint {
            every: every.map(|span| span.parse().unwrap()),
            before_expiry: before.map(|span| span.parse().unwrap()),
        };
        assert_eq!(due(hint(None, None), &entry), None);
        assert_eq!(due(hint(None, Some("7d")), &entry), None);
        assert_eq!(due(hint(Some("80d"), Some("7d")), &entry), Some(at("2026-03-22T00:00:00Z")));
        entry.expires_at = Some(at("2026-02-08T00:00:00Z"));
        assert_eq!(due(hint(Some("80d"), Some("7d")), &entry), Some(at("2026-02-01T00:00:00Z")));
        assert_eq!(due(hint(Some("10d"), Some("7d")), &entry), Some(at("2026-01-11T00:00:00Z")));
    }
}
