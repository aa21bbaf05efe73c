//! What the objects of a vault are called. The same names are paths in a directory, keys in
//! a bucket and files in a repository.

use keyrack_manifest::{CredId, DeviceId, Digest, EpochId, InviteId, MemberId};

/// Says what this is, for people; trust comes from the chain.
pub const MARKER: &str = "KEYRACK-VAULT";
/// Keeps git from touching line ends and from merging what is signed.
pub const ATTRIBUTES: &str = ".gitattributes";
/// Every link.
pub const CHAIN: &str = "chain";
/// Every epoch.
pub const EPOCHS: &str = "epochs";
/// Every owner's private records.
pub const PRIVATE: &str = "private";
/// Requests to join.
pub const INVITES: &str = "invites";

/// A link of the chain.
pub fn link(seq: u64) -> String {
    format!("{CHAIN}/{seq:010}.link")
}

/// The number in a link's name.
pub fn parse_link(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".link")?;
    let seq = digits.parse().ok()?;
    (format!("{seq:010}") == digits).then_some(seq)
}

/// The folder of an epoch's wraps.
pub fn wraps(epoch: &EpochId) -> String {
    format!("{EPOCHS}/{epoch}/keys")
}

/// A wrap, named by its content.
pub fn wrap(epoch: &EpochId, digest: &Digest) -> String {
    format!("{EPOCHS}/{epoch}/keys/{digest}.age")
}

/// The list of the records an epoch began with, named by its content.
pub fn roll(epoch: &EpochId, digest: &Digest) -> String {
    format!("{EPOCHS}/{epoch}/{digest}.roll")
}

/// The folder of an epoch's records.
pub fn shared(epoch: &EpochId) -> String {
    format!("{EPOCHS}/{epoch}/creds")
}

/// The folder of an owner's private records.
pub fn private(owner: &MemberId) -> String {
    format!("{PRIVATE}/{owner}")
}

/// An owner's private key of one generation.
pub fn private_key(owner: &MemberId, generation: u64) -> String {
    format!("{PRIVATE}/{owner}/key-{generation}.age")
}

/// The generation in such a name.
pub fn parse_key(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("key-")?.strip_suffix(".age")?;
    let generation: u64 = digits.parse().ok()?;
    (generation.to_string() == digits).then_some(generation)
}

/// One version of a record.
pub fn record(cred: &CredId, version: u64) -> String {
    format!("{cred}.{version}.cred")
}

/// Credential and version in a record's name.
pub fn parse_record(name: &str) -> Option<(CredId, u64)> {
    let (cred, version) = name.strip_suffix(".cred")?.split_once('.')?;
    let (cred, version): (CredId, u64) = (cred.parse().ok()?, version.parse().ok()?);
    // `007` and `+7` are not how versions are written.
    (record(&cred, version) == name).then_some((cred, version))
}

/// A request to join.
pub fn request(invite: &InviteId) -> String {
    format!("{INVITES}/{invite}.req")
}

/// One device's audit log of one member.
pub fn audit(member: &MemberId, device: &DeviceId) -> String {
    format!("audit/{member}/{device}.log")
}

/// Whether a path is one of a vault's that are shared. Logs are their device's.
pub fn is_shared(path: &str) -> bool {
    let is_id = |id: &str| id.parse::<MemberId>().is_ok();
    let is_epoch = |id: &str| id.parse::<EpochId>().is_ok();
    match path.split('/').collect::<Vec<_>>()[..] {
        [MARKER | ATTRIBUTES] => true,
        [CHAIN, link] => parse_link(link).is_some(),
        [EPOCHS, epoch, "keys", file] => is_epoch(epoch) && is_digest(file, ".age"),
        [EPOCHS, epoch, "creds", file] => is_epoch(epoch) && parse_record(file).is_some(),
        [EPOCHS, epoch, file] => is_epoch(epoch) && is_digest(file, ".roll"),
        [PRIVATE, owner, file] => {
            let number = file.strip_prefix("key-").and_then(|file| file.strip_suffix(".age"));
            let is_key = number.is_some_and(|number| number.parse::<u64>().is_ok());
            is_id(owner) && (is_key || parse_record(file).is_some())
        }
        [INVITES, file] => {
            file.strip_suffix(".req").is_some_and(|id| id.parse::<InviteId>().is_ok())
        }
        _ => false,
    }
}

fn is_digest(file: &str, ending: &str) -> bool {
    file.strip_suffix(ending).is_some_and(|digest| digest.parse::<Digest>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_of_a_vault_is_what_it_is_made_of() {
        let id = "ab".repeat(16);
        let digest = "cd".repeat(32);
        let (cred, member, epoch) = (&id, &id, format!("0000000003-{}", "ef".repeat(8)));
        for ours in [
            "KEYRACK-VAULT".to_owned(),
            ".gitattributes".to_owned(),
            link(7),
            format!("epochs/{epoch}/keys/{digest}.age"),
            format!("epochs/{epoch}/{digest}.roll"),
            format!("epochs/{epoch}/creds/{cred}.1.cred"),
            format!("private/{member}/{cred}.12.cred"),
            format!("private/{member}/key-0.age"),
            format!("invites/{id}.req"),
        ] {
            assert!(is_shared(&ours), "{ours}");
        }
        for foreign in [
            ".env".to_owned(),
            "chain/.0000000007.link.tmp".to_owned(),
            "chain/notes.txt".to_owned(),
            format!("audit/{member}/{id}.log"),
            format!("private/{member}/notes.age"),
            format!("sub/{}", link(7)),
        ] {
            assert!(!is_shared(&foreign), "{foreign}");
        }
    }

    #[test]
    fn names_are_read_back_exactly() {
        let cred = CredId::from_bytes([0xab; 16]);
        let name = |version: &str| format!("{cred}.{version}.cred");
        assert_eq!(parse_record(&name("7")), Some((cred, 7)));
        for bad in
            [name("07"), name("+7"), name(""), name("x"), format!("{cred}.cred"), "x.1.cred".into()]
        {
            assert_eq!(parse_record(&bad), None, "{bad}");
        }
        assert_eq!(parse_link("0000000012.link"), Some(12));
        for bad in ["12.link", "+000000012.link", "000000000x.link", "0000000012"] {
            assert_eq!(parse_link(bad), None, "{bad}");
        }
    }
}
