//! Random acts of several members beside a model that says who may do what, and who can
//! read what: members × credentials × epochs.
//!
//! The acts are the same in every run of the tests, so that nothing is red by chance.
//! `KEYRACK_EXPLORE=500` looks at so many new ones in each test instead.

use std::cell::Cell;
use std::collections::BTreeSet;

use keyrack_manifest::Class;
use keyrack_vault::{Role, Vault, VaultError, Visibility};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::acts::{Act, acts};
use crate::rig::{Person, Team, get, now, put_as, set};
use crate::rules::{Model, ModelCred, ModelMember};

/// Acts of one run, and runs of each of the four tests.
const ACTS: usize = 150;
const RUNS: u32 = 21;
/// Acts that were done, or rightly refused, in each: more than ten thousand together.
const DONE: usize = 2_500;

impl Model {
    /// Does it, and says whether it should have been done and whether it was; nothing where
    /// there is no such credential.
    fn act(&mut self, actor: usize, act: &Act) -> Option<(bool, Result<(), VaultError>)> {
        let before: Vec<BTreeSet<usize>> =
            self.creds.iter().map(|cred| self.readers(cred)).collect();
        let role = self.members[actor].role;
        let owners = self.owners();
        self.count += 1;
        let count = self.count;
        let mut vault = self.open(actor).unwrap();
        let cred_of = |n: usize, creds: &[ModelCred]| (!creds.is_empty()).then(|| n % creds.len());
        Some(match act {
            Act::Admit { role: new, password } => {
                let may = role == Role::Owner || (role == Role::Admin && *new == Role::Member);
                let person = Person::new(&format!("m{}", count));
                let invited = vault.invite(&person.card, *new, *password, now());
                let result = invited.and_then(|invitation| {
                    Vault::accept(&self.team.store, &invitation, person.actor(), now()).map(drop)
                });
                drop(vault);
                if may {
                    let password = *password || new.writes_shared();
                    self.members.push(ModelMember {
                        person,
                        role: *new,
                        password,
                        active: true,
                        remembered: None,
                    });
                }
                (may, result)
            }
            Act::Remove { who } => {
                let who = who % self.members.len();
                let target = &self.members[who];
                let may = target.active
                    && who != actor
                    && (role == Role::Owner
                        || (role == Role::Admin && target.role == Role::Member));
                let result = vault.remove(&target.person.id(), now());
                drop(vault);
                if may {
                    self.members[who].active = false;
                    self.expose(&before);
                }
                (may, result)
            }
            Act::Role { who, role: new, password } => {
                let who = who % self.members.len();
                let target = &self.members[who];
                let password = *password || new.writes_shared();
                let last = target.role == Role::Owner && *new != Role::Owner && owners == 1;
                let same = (target.role, target.password) == (*new, password);
                let steps_down = who == actor && *new == Role::Member;
                let may = role == Role::Owner && target.active && !last && !same && !steps_down;
                let result = vault.set_role(&target.person.id(), *new, password, now());
                // A role that goes up waits for new keys that are due.
                drop(vault);
                let due = matches!(
                    &result,
                    Err(VaultError::Refused { why: keyrack_vault::Refusal::RotationDue, .. })
                );
                if may && !due {
                    (self.members[who].role, self.members[who].password) = (*new, password);
                    self.expose(&before);
                }
                (may && !due, result)
            }
            Act::Leave => {
                let may = role != Role::Owner || owners > 1;
                let result = vault.leave(now());
                drop(vault);
                if may {
                    self.members[actor].active = false;
                    self.expose(&before);
                }
                (may, result)
            }
            Act::Rotate => (role.writes_shared(), vault.rotate(now())),
            Act::Put { visibility, password } => {
                let shared = *visibility == Visibility::Shared;
                let may = !shared || role.writes_shared();
                let may = may && (!shared || !*password || self.members[actor].password);
                let class = if *password { Class::Password } else { Class::Session };
                let value = format!("v{}", count);
                let name = format!("K{}", count);
                let put = put_as(&mut vault, class, None, &name, &value, *visibility);
                drop(vault);
                let (owner, password) = (actor, *password);
                let (grantees, exposed) = (BTreeSet::new(), BTreeSet::new());
                match put {
                    Ok(id) => {
                        self.creds.push(ModelCred {
                            id,
                            owner,
                            password,
                            shared,
                            grantees,
                            offered: None,
                            value,
                            exposed,
                        });
                        (may, Ok(()))
                    }
                    Err(error) => (may, Err(error)),
                }
            }
            Act::Set { cred } => {
                let at = cred_of(*cred, &self.creds)?;
                let may = self.writes(actor, &self.creds[at]);
                let value = format!("v{}", count);
                let result = set(&mut vault, self.creds[at].id, &value);
                drop(vault);
                if may {
                    self.prune(at);
                    self.creds[at].value = value;
                    self.creds[at].exposed.clear();
                }
                (may, result)
            }
            Act::Delete { cred } => {
                let at = cred_of(*cred, &self.creds)?;
                let may = self.writes(actor, &self.creds[at]);
                let result = vault.delete(&self.creds[at].id, now());
                drop(vault);
                if may {
                    self.creds.remove(at);
                }
                (may, result)
            }
            Act::Share { cred } | Act::Unshare { cred } => {
                let at = cred_of(*cred, &self.creds)?;
                let shares = matches!(act, Act::Share { .. });
                let (cred, is_owner) = (&self.creds[at], self.creds[at].owner == actor);
                let may = is_owner && (!shares || role.writes_shared()) && self.reads(actor, cred);
                let result = match shares {
                    true => vault.share(&cred.id, now()),
                    false => vault.unshare(&cred.id, now()),
                };
                drop(vault);
                if may {
                    self.prune(at);
                    self.creds[at].shared = shares;
                    self.creds[at].grantees.clear();
                    self.creds[at].offered = None;
                    self.expose(&before);
                }
                (may, result)
            }
            Act::Grant { cred, who } | Act::TakeBack { cred, who } => {
                let at = cred_of(*cred, &self.creds)?;
                let (grants, who) = (matches!(act, Act::Grant { .. }), who % self.members.len());
                let (cred, target) = (&self.creds[at], &self.members[who]);
                let holds = target.active && (target.password || !cred.password);
                let readable = self.reads(actor, cred);
                let writes = self.writes(actor, cred);
                let may = cred.owner == actor && readable && writes;
                let may = may && (!grants || (holds && !cred.shared && who != cred.owner));
                let result = match grants {
                    true => vault.grant(&cred.id, &target.person.id(), now()),
                    false => vault.take_back(&cred.id, &target.person.id(), now()),
                };
                drop(vault);
                if may {
                    self.prune(at);
                    match grants {
                        true => self.creds[at].grantees.insert(who),
                        false => self.creds[at].grantees.remove(&who),
                    };
                    self.keep_offer(at);
                    self.expose(&before);
                }
                (may, result)
            }
            Act::Transfer { cred, who } => {
                let (at, who) = (cred_of(*cred, &self.creds)?, who % self.members.len());
                let (cred, target) = (&self.creds[at], &self.members[who]);
                let holds = target.active && (cred.shared || target.password || !cred.password);
                let may = cred.owner == actor
                    && self.reads(actor, cred)
                    && self.writes(actor, cred)
                    && holds
                    && who != actor;
                let result = vault.transfer(&cred.id, &target.person.id(), now());
                drop(vault);
                if may && cred.shared {
                    self.creds[at].owner = who;
                } else if may {
                    self.prune(at);
                    self.creds[at].grantees.insert(who);
                    self.creds[at].offered = Some(who);
                }
                (may, result)
            }
            Act::Claim { cred } => {
                let at = cred_of(*cred, &self.creds)?;
                let cred = &self.creds[at];
                let may = cred.offered == Some(actor) && self.reads(actor, cred);
                let result = vault.claim(&cred.id, now());
                drop(vault);
                if may {
                    let cred = &mut self.creds[at];
                    (cred.owner, cred.offered) = (actor, None);
                    cred.grantees.clear();
                    self.expose(&before);
                }
                (may, result)
            }
        })
    }

    /// Whether everybody reads exactly what the model says.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let mut remembered = Vec::new();
        for (who, member) in self.members.iter().enumerate() {
            let vault = match self.open(who) {
                Ok(vault) if member.active => vault,
                Err(VaultError::NotMember { .. }) if !member.active => continue,
                other => return Err(TestCaseError::fail(format!("{who}: {other:?}"))),
            };
            prop_assert_eq!((vault.lost().count(), vault.quarantined().len()), (0, 0));
            for cred in &self.creds {
                match get(&vault, &cred.id) {
                    Ok(value) => {
                        prop_assert!(self.reads(who, cred), "{who} reads what it should not");
                        prop_assert_eq!(&value, &cred.value);
                    }
                    Err(VaultError::NotHeld { .. }) => {
                        prop_assert!(!self.reads(who, cred), "{who} cannot read its own");
                    }
                    Err(other) => return Err(TestCaseError::fail(other.to_string())),
                }
            }
            remembered.push((who, vault.carried(None).unwrap(), vault.seen()));
        }
        for (who, carried, seen) in remembered {
            self.members[who].remembered = Some((carried, seen));
        }
        Ok(())
    }
}

/// Does all of it, and counts what there was to do.
fn run(acts: &[(usize, Act)]) -> Result<usize, TestCaseError> {
    let mut count = 0;
    let mut team = Team::new();
    let person = std::mem::replace(&mut team.ann, Person::new("nobody"));
    let (role, remembered) = (Role::Owner, None);
    let first = ModelMember { person, role, password: true, active: true, remembered };
    let mut model = Model { team, members: vec![first], creds: Vec::new(), count: 0 };
    for (n, (actor, act)) in acts.iter().enumerate() {
        let active: Vec<usize> =
            (0..model.members.len()).filter(|who| model.members[*who].active).collect();
        let actor = active[actor % active.len()];
        // More of either says nothing new, and takes long.
        let is_enough = match act {
            Act::Admit { .. } => model.members.len() > 9,
            Act::Put { .. } => model.creds.len() > 9,
            _ => false,
        };
        if is_enough {
            continue;
        }
        let Some((may, done)) = model.act(actor, act) else { continue };
        count += 1;
        prop_assert_eq!(may, done.is_ok(), "{}: {:?} by {}: {:?}", n, act, actor, done);
        if n % 25 == 24 {
            model.check()?;
        }
    }
    model.check()?;
    Ok(count)
}

/// The acts that begin with `seed`, or new ones where that is asked for.
fn explore(seed: u8) {
    let new: Option<u32> = std::env::var("KEYRACK_EXPLORE").ok().map(|runs| runs.parse().unwrap());
    let config = ProptestConfig {
        cases: new.unwrap_or(RUNS),
        failure_persistence: None,
        max_shrink_iters: if new.is_some() { 4096 } else { 16 },
        ..ProptestConfig::default()
    };
    let mut runner = match new {
        Some(_) => TestRunner::new(config),
        None => {
            let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
            TestRunner::new_with_rng(config, seed)
        }
    };
    let done = Cell::new(0);
    let outcome = runner.run(&acts(ACTS), |acts| {
        done.set(done.get() + run(&acts)?);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(done.get() >= DONE || new.is_some(), "only {} acts", done.get());
}

// Four, so that they run beside each other.
#[test]
fn everybody_reads_what_the_model_says() {
    explore(1);
}

#[test]
fn and_once_more() {
    explore(2);
}

#[test]
fn and_again() {
    explore(3);
}

#[test]
fn and_for_the_last_time() {
    explore(4);
}
