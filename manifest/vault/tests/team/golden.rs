//! A team's vault that was written once and must open for ever. If this fails, a format
//! changed; what teams have does not change with it.

use std::fs;
use std::path::{Path, PathBuf};

use keyrack_manifest::{Identity, VaultId};
use keyrack_names::Secret;
use keyrack_vault::{Actor, FileStore, Role, Seen, Vault, VaultError};

use crate::rig::{get, slug_of};

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden-team").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(golden(path)).unwrap()
}

fn actor(name: &str) -> Actor {
    let key = serde_json::from_str(&text(&format!("{name}.seed"))).unwrap();
    let identity = Secret::from(text(&format!("{name}.txt")).as_bytes());
    Actor { key, identity: Some(Identity::from_text(&identity).unwrap()) }
}

#[test]
fn a_vault_of_several_members_opens() {
    let store = FileStore::at(&golden("vault"));
    let id: VaultId = text("vault.id").trim().parse().unwrap();
    let seen = Seen::read(&golden("bob.seen.json"), &id).unwrap().unwrap();
    let anns = Vault::open(&store, &id, None, None, actor("ann")).unwrap();
    let bobs = Vault::open(&store, &id, Some(&seen), None, actor("bob")).unwrap();
    // What a device has seen before names were remembered.
    let mut now_seen = bobs.seen();
    now_seen.records.values_mut().for_each(|seen| assert!(seen.name.take().is_some()));
    assert_eq!(now_seen, seen);
    assert_eq!((anns.role(), bobs.role()), (Role::Owner, Role::Member));
    assert_eq!(anns.state().policy.max_ttl, Some("8h".parse().unwrap()));
    assert_eq!((anns.chain().seq(), anns.state().invites.len()), (7, 1));
    let read = |vault: &Vault<'_>, name: &str| {
        let name = slug_of("acme.prod", name);
        let cred = vault.find(&name).next().unwrap().cred_id;
        get(vault, &cred)
    };
    for (name, value) in
        [("LOGIN", "p\u{e4}ss"), ("TOKEN", "value"), ("LATER", "later"), ("OWN", "granted")]
    {
        assert_eq!(read(&anns, name).unwrap(), value);
    }
    assert!(matches!(read(&bobs, "LOGIN"), Err(VaultError::NotHeld { .. })));
    assert_eq!(read(&bobs, "OWN").unwrap(), "granted");
    // Whom it was not readable to it is not exposed to.
    let exposed: Vec<String> =
        anns.needs_rotation().iter().map(|needs| needs.name.to_string()).collect();
    assert_eq!(exposed, ["acme.prod.TOKEN"]);
    assert_eq!((anns.quarantined().len(), anns.lost().count()), (0, 0));
}
