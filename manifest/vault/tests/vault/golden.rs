//! A home that was written once and must open for ever: manifest, vault, card, drop and pin.
//! If one of these fails, a format changed; what users have does not change with it.

use std::fs;
use std::path::{Path, PathBuf};

use keyrack_manifest::{
    Auth, Card, Identity, Manifest, OpenedDrop, Pin, Places, Store, drop, seal,
};
use keyrack_names::{Owner, Secret, Slug};
use keyrack_vault::personal::Personal;

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

#[test]
fn the_vault_opens() {
    let manifest = manifest();
    let (id, carried) = manifest.personal_vault().unwrap();
    let dir = golden("home/vaults/@golden");
    let key = manifest.signing.key.public();
    let vault = Personal::open(&dir, id, carried, key, manifest.signing.member).unwrap();
    vault.check().unwrap();
    let values = manifest.keys.values().filter_map(|entry| {
        let value = vault.get(&entry.cred?, &entry.slug).unwrap();
        Some((entry.slug.to_string(), String::from_utf8(value.expose().to_vec()).unwrap()))
    });
    let expected =
        [("@all.all.EMPTY", ""), ("@all.all.LOGIN", "päss"), ("acme.prod.TOKEN", "value")];
    let expected = expected.map(|(slug, value)| (slug.to_owned(), value.to_owned()));
    assert_eq!(values.collect::<Vec<_>>(), expected);
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
    let ids = drop::pending(&places, &owner()).unwrap();
    let dropped = OpenedDrop::read(&places, &owner(), &ids[0], &identity()).unwrap().unwrap();
    assert_eq!(dropped.payload.value.expose(), b"dropped");
    assert_eq!(dropped.payload.slug, "@all.all.GIFT".parse::<Slug>().unwrap());
    assert_eq!(dropped.payload.copied_from, Some("other".parse().unwrap()));
    assert_eq!(dropped.auth, Auth::None);
}
