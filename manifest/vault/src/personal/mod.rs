//! A personal vault: one owner, one member.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use keyrack_manifest::atomic::Staged;
use keyrack_manifest::{EpochId, MemberId, Recipient, SigningKey, VaultId, VaultName, VaultRef};

use crate::error::VaultError;
use crate::keys::Compartment;
use crate::keys::Keys;
use crate::wrap;

mod check;
mod genesis;
mod layout;
mod record;
mod tidy;
mod vault;

use layout::Layout;
pub use record::OldMeta;
pub use tidy::GRACE;
pub use vault::{NewRecord, Personal};

/// Makes a vault at `dir` for one member, with new random keys. Returns its id and what
/// the member's manifest is to carry.
///
/// # Errors
/// [`VaultError::Seal`], [`VaultError::File`].
pub fn create(
    dir: &Path,
    recipients: &[Recipient],
    key: &SigningKey,
    member: MemberId,
    now: Timestamp,
) -> Result<(VaultId, VaultRef), VaultError> {
    let layout = Layout::at(dir);
    let name = VaultName::personal();
    let (id, link) = genesis::begin(name.as_str(), member, key, now)?;
    let keys = Keys::random(id, EpochId::first()?)?;
    let wrap = wrap::wrap(&keys, id, member, &compartments(), recipients)?;
    // A vault that a killed `init` began has no manifest that names it: it is written over.
    let write = |path: &Path, bytes: &[u8]| Staged::alone_in_directory(path, bytes)?.commit();
    write(&layout.marker(), format!("keyrack vault, format 1\n{id}\n").as_bytes())?;
    write(&layout.attributes(), b"* -text -merge\n")?;
    write(&layout.wrap(keys.epoch(), &wrap.digest), &wrap.bytes)?;
    write(&layout.genesis(), &link)?;
    let carried = VaultRef {
        name,
        location: None,
        epoch: *keys.epoch(),
        wrap: wrap.digest,
        keys: keys.expose(&compartments()),
        commitments: keys.commitments().ok_or(VaultError::OtherKeys)?,
        private_key: None,
    };
    Ok((id, carried))
}

/// An owner alone holds everything.
fn compartments() -> BTreeSet<Compartment> {
    BTreeSet::from([Compartment::Std, Compartment::Password])
}
