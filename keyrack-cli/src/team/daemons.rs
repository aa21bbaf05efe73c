//! What running daemons of this machine hold of a vault, and that they forget it when its
//! member may no longer read it.

use keyrack_manifest::{PublicKey, VaultId};
use keyrack_names::Owner;
use keyrack_protocol::message::{Forget, Request};

use crate::owner::opened;
use crate::settings::Settings;

/// Has `owner`'s daemon forget what came from a vault: of that vault alone where the owner's
/// manifest opens without a person; else all it holds, for which no key is needed. Best
/// effort: a daemon that does not run holds nothing.
pub fn drop_vault(owner: &Owner, vault: &VaultId, settings: &Settings) {
    let Some(manifest) = opened::manifest_without_person(settings, owner) else {
        let _ = crate::cmd::relock::in_silence(owner, settings);
        return;
    };
    let Some(carried) = manifest.vaults.get(vault) else { return };
    if let Ok(mut session) = opened::rack(owner, &manifest).attach(settings) {
        let forget = Forget { vaults: vec![carried.name.to_string()], ..Forget::default() };
        let _ = session.call(&Request::Forget(forget));
    }
}

/// The owners of this home that sign with `key`.
pub fn owners_of(key: &PublicKey, settings: &Settings) -> Vec<Owner> {
    let owners = settings.places.owners().unwrap_or_default();
    let signs = |owner: &Owner| {
        let pin = opened::pin(settings, owner).ok().flatten();
        pin.is_some_and(|pin| pin.signer == *key)
    };
    owners.into_iter().filter(signs).collect()
}
