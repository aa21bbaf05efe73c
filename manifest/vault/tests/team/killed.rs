//! A writer that is killed at every step of what it does: the vault is as before, or as
//! after, and never in between.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use keyrack_manifest::FileError;
use keyrack_vault::{GRACE, Guard, Memory, Role, Vault, VaultStore, Visibility};

use crate::rig::{Team, get, now, put, set};

/// A store that dies after so many changes: that one is left half done.
struct Dying<'a> {
    store: &'a Memory,
    left: AtomicUsize,
}

impl Dying<'_> {
    fn step(&self) -> Result<(), FileError> {
        let dead = |_| FileError::new("write", "x".as_ref(), std::io::ErrorKind::Other.into());
        let less = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).map(drop).map_err(dead)
    }
}

impl VaultStore for Dying<'_> {
    fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
        self.store.get(name, limit)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, FileError> {
        self.store.list(prefix)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, FileError> {
        self.step()?;
        self.store.create(name, bytes)
    }

    fn stage(&self, objects: &[(String, Vec<u8>)]) -> Result<(), FileError> {
        for (name, bytes) in objects {
            if let Err(dead) = self.step() {
                // Half a file, as a batch that was not synced leaves it.
                let half = bytes[..bytes.len() / 2].to_vec();
                self.store.stage(&[(name.clone(), half)])?;
                return Err(dead);
            }
            self.store.stage(&[(name.clone(), bytes.clone())])?;
        }
        self.step()
    }

    fn remove(&self, name: &str) -> Result<(), FileError> {
        self.step()?;
        self.store.remove(name)
    }

    fn written(&self, name: &str) -> Result<Option<SystemTime>, FileError> {
        self.store.written(name)
    }

    fn lock(&self) -> Result<Guard, FileError> {
        Ok(Box::new(()))
    }
}

/// Runs `act` on a vault that dies after each number of steps in turn, and `check` on what
/// is left; says how many steps there were.
fn at_every_step(
    team: &Team,
    act: impl Fn(&mut Vault<'_>) -> bool,
    check: impl Fn(&Vault<'_>),
) -> usize {
    let before = team.store.objects();
    for steps in 0.. {
        team.store.restore(before.clone());
        let dying = Dying { store: &team.store, left: AtomicUsize::new(steps) };
        let mut vault = Vault::open(&dying, &team.id, None, None, team.ann.actor()).unwrap();
        let seen = vault.seen();
        let done = act(&mut vault);
        drop(vault);
        for opened in [team.owner(), team.ann.reopen(&team.store, &team.id, &seen).unwrap()] {
            check(&opened);
            assert_eq!((opened.lost().count(), opened.quarantined().len()), (0, 0), "{steps}");
        }
        // Whoever comes next is not held up, and leaves nothing of it behind.
        let mut next = team.owner();
        next.rotate(now()).unwrap();
        check(&next);
        next.sweep(SystemTime::now() + GRACE * 2).unwrap();
        let epochs = team.store.list("epochs").unwrap();
        assert_eq!(epochs.len(), 1, "{steps}: {epochs:?}");
        if done && dying.left.load(Ordering::SeqCst) > 0 {
            return steps;
        }
    }
    0
}

#[test]
fn a_rotation_leaves_the_old_or_the_new() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let creds = [team.share("A", "a"), team.share("B", "b")];
    let own = put(&mut team.open(&bob), "OWN", "mine", Visibility::Private).unwrap();
    let check = |vault: &Vault<'_>| {
        assert_eq!(get(vault, &creds[0]).unwrap(), "a");
        assert_eq!(get(vault, &creds[1]).unwrap(), "b");
        assert_eq!(get(&team.open(&bob), &own).unwrap(), "mine");
        assert_eq!(get(&team.open(&bob), &creds[0]).unwrap(), "a");
    };
    let steps = at_every_step(&team, |vault| vault.rotate(now()).is_ok(), check);
    assert!(steps > 5, "{steps}");
}

#[test]
fn a_removal_leaves_the_member_in_or_out() {
    let team = Team::new();
    let bob = team.join("bob", Role::Member);
    let cred = team.share("A", "a");
    let check = |vault: &Vault<'_>| {
        assert_eq!(get(vault, &cred).unwrap(), "a");
        let is_in = vault.state().active(&bob.id()).is_some();
        let exposed = vault.needs_rotation().len();
        assert_eq!(exposed, usize::from(!is_in));
        assert_eq!(bob.open(&team.store, &team.id).is_ok(), is_in);
    };
    at_every_step(&team, |vault| vault.remove(&bob.id(), now()).is_ok(), check);
}

#[test]
fn a_set_leaves_the_old_value_or_the_new() {
    let team = Team::new();
    let (cred, own) = (team.share("A", "old"), "OWN");
    let own = put(&mut team.owner(), own, "old", Visibility::Private).unwrap();
    let check = |vault: &Vault<'_>| {
        for cred in [cred, own] {
            let value = get(vault, &cred).unwrap();
            assert!(value == "old" || value == "new", "{value}");
        }
    };
    let act =
        |vault: &mut Vault<'_>| set(vault, cred, "new").is_ok() && set(vault, own, "new").is_ok();
    at_every_step(&team, act, check);
    let act = |vault: &mut Vault<'_>| {
        vault.share(&own, now()).is_ok() && vault.unshare(&cred, now()).is_ok()
    };
    at_every_step(&team, act, check);
}

#[test]
fn a_new_credential_is_there_or_not() {
    let team = Team::new();
    let check = |vault: &Vault<'_>| {
        for record in vault.records() {
            assert_eq!(get(vault, &record.cred_id).unwrap(), "new");
        }
    };
    let act = |vault: &mut Vault<'_>| {
        put(vault, "A", "new", Visibility::Shared).is_ok()
            && put(vault, "OWN", "new", Visibility::Private).is_ok()
    };
    at_every_step(&team, act, check);
}

#[test]
fn a_new_signing_key_is_there_or_not() {
    let team = Team::new();
    let cred = team.share("A", "a");
    let own = put(&mut team.owner(), "OWN", "mine", Visibility::Private).unwrap();
    let new = crate::rig::Person::new("ann");
    let before = team.store.objects();
    for steps in 0.. {
        team.store.restore(before.clone());
        let dying = Dying { store: &team.store, left: AtomicUsize::new(steps) };
        let mut vault = Vault::open(&dying, &team.id, None, None, team.ann.actor()).unwrap();
        let done = vault.rekey(new.actor(), &new.card, now()).is_ok();
        drop(vault);
        let opened: Vec<_> = [&team.ann, &new]
            .into_iter()
            .filter_map(|person| person.open(&team.store, &team.id).ok())
            .collect();
        assert_eq!(opened.len(), 1, "{steps}: one of the two keys");
        assert_eq!(get(&opened[0], &cred).unwrap(), "a");
        assert_eq!(get(&opened[0], &own).unwrap(), "mine");
        if done && dying.left.load(Ordering::SeqCst) > 0 {
            assert!(steps > 5);
            return;
        }
    }
}
