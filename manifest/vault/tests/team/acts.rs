//! Acts as members come up with them.

use keyrack_vault::{Role, Visibility};
use proptest::prelude::*;

#[derive(Debug, Clone)]
pub enum Act {
    Admit { role: Role, password: bool },
    Remove { who: usize },
    Role { who: usize, role: Role, password: bool },
    Leave,
    Rotate,
    Put { visibility: Visibility, password: bool },
    Set { cred: usize },
    Delete { cred: usize },
    Share { cred: usize },
    Unshare { cred: usize },
    Grant { cred: usize, who: usize },
    TakeBack { cred: usize, who: usize },
    Transfer { cred: usize, who: usize },
    Claim { cred: usize },
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![3 => Just(Role::Member), 2 => Just(Role::Admin), 1 => Just(Role::Owner)]
}

fn visibility() -> impl Strategy<Value = Visibility> {
    prop_oneof![Just(Visibility::Shared), Just(Visibility::Private)]
}

/// So many acts: who does it, and what.
pub fn acts(count: usize) -> impl Strategy<Value = Vec<(usize, Act)>> {
    let (who, cred) = (0..6usize, 0..8usize);
    let act = prop_oneof![
        3 => (role(), any::<bool>()).prop_map(|(role, password)| Act::Admit { role, password }),
        1 => who.clone().prop_map(|who| Act::Remove { who }),
        2 => (who.clone(), role(), any::<bool>())
            .prop_map(|(who, role, password)| Act::Role { who, role, password }),
        1 => Just(Act::Leave),
        1 => Just(Act::Rotate),
        6 => (visibility(), any::<bool>())
            .prop_map(|(visibility, password)| Act::Put { visibility, password }),
        5 => cred.clone().prop_map(|cred| Act::Set { cred }),
        1 => cred.clone().prop_map(|cred| Act::Delete { cred }),
        3 => cred.clone().prop_map(|cred| Act::Share { cred }),
        2 => cred.clone().prop_map(|cred| Act::Unshare { cred }),
        4 => (cred.clone(), who.clone()).prop_map(|(cred, who)| Act::Grant { cred, who }),
        2 => (cred.clone(), who.clone()).prop_map(|(cred, who)| Act::TakeBack { cred, who }),
        3 => (cred.clone(), who.clone()).prop_map(|(cred, who)| Act::Transfer { cred, who }),
        4 => cred.prop_map(|cred| Act::Claim { cred }),
    ];
    prop::collection::vec((who, act), count)
}
