//! Random operations on a vault beside a model that says what each credential's value is.

use std::collections::BTreeMap;

use keyrack_manifest::RecordRef;
use keyrack_names::Slug;
use proptest::prelude::*;

use crate::owner::{Owner, now, slug};

#[derive(Debug, Clone)]
enum Step {
    /// Sets a credential; `kept` is whether the manifest was committed after it.
    Put {
        name: u8,
        value: String,
        kept: bool,
    },
    /// Forgets a credential and discards its record.
    Delete {
        name: u8,
    },
    Rotate {
        kept: bool,
    },
    Rewrap,
    Tidy,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..4u8, ".{0,20}", prop::bool::weighted(0.8))
            .prop_map(|(name, value, kept)| Step::Put { name, value, kept }),
        2 => (0..4u8).prop_map(|name| Step::Delete { name }),
        1 => prop::bool::ANY.prop_map(|kept| Step::Rotate { kept }),
        1 => Just(Step::Rewrap),
        2 => Just(Step::Tidy),
    ];
    prop::collection::vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn a_vault_holds_what_was_committed_to_it(steps in steps()) {
        let mut owner = Owner::new();
        let mut named: BTreeMap<Slug, (RecordRef, String)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put { name, value, kept } => {
                    let name = format!("K{name}");
                    let previous = named.get(&slug(&name)).map(|(record, _)| *record);
                    let record = owner.put(&name, &value, previous.as_ref());
                    if kept {
                        named.insert(slug(&name), (record, value));
                        owner.vault().discard(previous).unwrap();
                    }
                }
                Step::Delete { name } => {
                    let gone = named.remove(&slug(&format!("K{name}")));
                    owner.vault().discard(gone.map(|(record, _)| record)).unwrap();
                }
                Step::Rotate { kept } => {
                    let old = (owner.id, owner.carried.clone());
                    let records: Vec<_> =
                        named.iter().map(|(name, (record, _))| (name.clone(), *record)).collect();
                    let moved = owner.renew(&records);
                    if kept {
                        owner.vault().discard(records.iter().map(|(_, record)| *record)).unwrap();
                        for (name, record) in moved {
                            named.get_mut(&name).unwrap().0 = record;
                        }
                    } else {
                        (owner.id, owner.carried) = old;
                    }
                }
                Step::Rewrap => {
                    let card = owner.card(&[owner.recipient.clone()]);
                    owner.carried = owner.vault().rewrap(&card, &owner.key, now()).unwrap();
                }
                Step::Tidy => owner.vault().tidy().unwrap(),
            }
            owner.vault().check().unwrap();
            for (name, (record, value)) in &named {
                let got = owner.vault().get(record, name).unwrap();
                prop_assert_eq!(got.expose(), value.as_bytes());
            }
        }
        // Nothing but what is named is left, once it is old and nobody replaced it.
        owner.vault().tidy().unwrap();
        let later = std::time::SystemTime::now() + keyrack_vault::GRACE * 2;
        owner.vault().sweep(named.values().map(|(record, _)| *record), later).unwrap();
        let ids: std::collections::BTreeSet<_> = owner
            .files()
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_str()?.strip_suffix(".cred")?.split_once('.')?.0.to_owned()))
            .collect();
        let expected: std::collections::BTreeSet<_> =
            named.values().map(|(record, _)| record.id.to_string()).collect();
        prop_assert_eq!(ids, expected);
    }
}
