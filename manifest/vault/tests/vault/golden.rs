//! A home that was written once and must open for ever: manifest, vault, card, drop and pin.
//! If one of these fails, a format changed; what users have does not change with it.

use std::fs;
use std::path::{Path, PathBuf};

use keyrack_manifest::{
    Auth, Card, Identity, Manifest, OpenedDrop, Pin, Places, RecordRef, Store, drop as drops, seal,
};
use keyrack_names::{Owner, Secret, Slug};
use keyrack_vault::personal::{Founder, Personal, Renewed};
use keyrack_vault::{Actor, FileStore, Vault};

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

fn owner() -> Owner {
    "golden".parse().unwrap()
}

fn identity() -> Identity {
    Identity::from_text(&Secret::new(fs::read(golden("key.txt")).unwrap())).unwrap()
}

/// The home itself, and its state in a directory that may be written to.
fn places(state: &Path) -> Places {
    fs::create_dir(state.join("owners")).unwrap();
    fs::copy(golden("state/owners/golden.json"), state.join("owners/golden.json")).unwrap();
    Places { home: golden("home"), state: state.to_owned() }
}

fn manifest() -> Manifest {
    let state = tempfile::tempdir().unwrap();
    let places = places(state.path());
    let opened = Store::new(&places).open(&owner(), &identity()).unwrap();
    assert!(!opened.first_sight, "the pin is known");
    opened.manifest
}

#[test]
fn the_manifest_opens_and_is_written_the_same_way() {
    let manifest = manifest();
    let text = fs::read_to_string(golden("manifest.yml")).unwrap();
    let sealed = fs::read(golden("home/host.golden.yml.age")).unwrap();
    assert_eq!(seal::open(&identity(), &sealed, 1 << 20).unwrap().expose(), text.as_bytes());
    let (body, _) = text.split_at(text.rfind("signature: ").unwrap());
    assert_eq!(serde_yaml::to_string(&manifest).unwrap(), body);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A vault from before there were chains, and what becomes of it.
#[test]
fn the_vault_opens_and_is_made_anew() {
    let manifest = manifest();
    let (id, carried) = manifest.personal_vault().unwrap();
    let temp = tempfile::tempdir().unwrap();
    copy(&golden("home/vaults/@golden"), temp.path());
    let (key, member) = (&manifest.signing.key, manifest.signing.member);
    let open =
        |id, carried| Personal::open(temp.path(), id, carried, key.public(), member).unwrap();
    let old = open(id, carried);
    assert!(old.is_old());
    old.check().unwrap();
    let expected = ["", "p\u{e4}ss", "value"];
    let records: Vec<(Slug, RecordRef)> = manifest
        .keys
        .values()
        .filter_map(|entry| Some((entry.slug.clone(), entry.cred?)))
        .collect();
    let values = |vault: &Personal, records: &[(Slug, RecordRef)]| -> Vec<String> {
        let value = |(name, record): &(Slug, RecordRef)| vault.get(record, name).unwrap();
        let text = |value: Secret| String::from_utf8(value.expose().to_vec()).unwrap();
        records.iter().map(value).map(text).collect()
    };
    assert_eq!(values(&old, &records), expected);

    let now = jiff::Timestamp::UNIX_EPOCH;
    let handle = &manifest.owner.handle;
    let card = Card::issue(handle, key, &manifest.all_recipients(), now).unwrap();
    let founder = Founder { card: &card, key, member };
    let Renewed { id: new_id, carried: new_carried, moved } =
        old.renew(founder, &records, now).unwrap();
    // Until the manifest is written, and after it.
    assert_eq!(values(&old, &records), expected);
    old.check().unwrap();
    let new = open(&new_id, &new_carried);
    assert_eq!(values(&new, &moved), expected);
    new.tidy().unwrap();
    new.check().unwrap();
    assert_eq!(values(&new, &moved), expected);
    let links = fs::read_dir(temp.path().join("chain")).unwrap().count();
    let epochs = fs::read_dir(temp.path().join("epochs")).unwrap().count();
    assert_eq!((links, epochs), (2, 1), "nothing is left of the old one");

    // It is a vault like any other.
    let store = FileStore::at(temp.path());
    let actor = Actor { key: key.clone(), identity: Some(identity()) };
    let vault = Vault::open(&store, &new_id, None, None, actor).unwrap();
    assert_eq!((vault.records().count(), vault.quarantined().len()), (3, 0));
    assert!(vault.records().all(|record| vault.get(&record.cred_id).is_ok()));
}

#[test]
fn the_card_and_the_pin_read() {
    let manifest = manifest();
    let card = Card::read(&fs::read(golden("home/identities/golden.card")).unwrap()).unwrap();
    assert_eq!(card.card.sig_key, manifest.signing.key.public());
    assert_eq!(card.card.recipients, manifest.all_recipients());
    let state = tempfile::tempdir().unwrap();
    let pin = Pin::read(&places(state.path()), &owner()).unwrap().unwrap();
    assert_eq!(pin, Pin::of(&manifest, Some("/home/you/keys/golden.txt".into())));
}

#[test]
fn the_drop_opens() {
    let state = tempfile::tempdir().unwrap();
    let places = places(state.path());
    let ids = drops::pending(&places, &owner()).unwrap();
    let dropped = OpenedDrop::read(&places, &owner(), &ids[0], &identity()).unwrap().unwrap();
    assert_eq!(dropped.payload.value.expose(), b"dropped");
    assert_eq!(dropped.payload.slug, "@all.all.GIFT".parse::<Slug>().unwrap());
    assert_eq!(dropped.payload.copied_from, Some("other".parse().unwrap()));
    assert_eq!(dropped.auth, Auth::None);
}
