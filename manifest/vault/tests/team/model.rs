//! Random acts of several members beside a model that says who may do what, and who can
//! read what: members × credentials × epochs.

use std::collections::BTreeSet;

use keyrack_manifest::{Class, CredId, VaultRef};
use keyrack_vault::{Role, Seen, Vault, VaultError, Visibility};
use proptest::prelude::*;

use crate::rig::{Person, Team, get, now, put_as, set};

/// Acts of one run, and runs of each test: more than ten thousand acts together.
const ACTS: usize = 125;
const RUNS: u32 = 21;

#[derive(Debug, Clone)]
enum Act {
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
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![3 => Just(Role::Member), 2 => Just(Role::Admin), 1 => Just(Role::Owner)]
}

fn visibility() -> impl Strategy<Value = Visibility> {
    prop_oneof![Just(Visibility::Shared), Just(Visibility::Private)]
}

/// Who does it, and what.
fn acts() -> impl Strategy<Value = Vec<(usize, Act)>> {
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
        2 => (cred, who.clone()).prop_map(|(cred, who)| Act::TakeBack { cred, who }),
    ];
    prop::collection::vec((who, act), ACTS)
}

struct ModelMember {
    person: Person,
    role: Role,
    password: bool,
    active: bool,
    /// What its manifest and its device remember.
    remembered: Option<(VaultRef, Seen)>,
}

struct ModelCred {
    id: CredId,
    owner: usize,
    password: bool,
    shared: bool,
    grantees: BTreeSet<usize>,
    value: String,
    /// Who could read the value that is there and cannot any more.
    exposed: BTreeSet<usize>,
}

struct Model {
    team: Team,
    members: Vec<ModelMember>,
    creds: Vec<ModelCred>,
    count: usize,
}

impl Model {
    fn reads(&self, who: usize, cred: &ModelCred) -> bool {
        let member = &self.members[who];
        let compartment = !cred.password || member.password;
        if !member.active {
            return false;
        }
        if cred.shared {
            return compartment;
        }
        cred.owner == who || (cred.grantees.contains(&who) && compartment)
    }

    fn writes(&self, who: usize, cred: &ModelCred) -> bool {
        if cred.shared { self.members[who].role.writes_shared() } else { cred.owner == who }
    }

    /// Whose reading ended with what was just done: they know the value.
    fn expose(&mut self, before: &[BTreeSet<usize>]) {
        let now: Vec<BTreeSet<usize>> = self.creds.iter().map(|cred| self.readers(cred)).collect();
        for ((cred, before), now) in self.creds.iter_mut().zip(before).zip(&now) {
            cred.exposed.extend(before.difference(now));
        }
    }

    fn readers(&self, cred: &ModelCred) -> BTreeSet<usize> {
        (0..self.members.len()).filter(|who| self.reads(*who, cred)).collect()
    }

    /// A new version is wrapped for those who may have it now.
    fn prune(&mut self, at: usize) {
        let may = |who: &usize| {
            let member = &self.members[*who];
            member.active && (member.password || !self.creds[at].password)
        };
        let grantees = self.creds[at].grantees.iter().copied().filter(may).collect();
        self.creds[at].grantees = grantees;
    }

    fn owners(&self) -> usize {
        self.members.iter().filter(|m| m.active && m.role == Role::Owner).count()
    }

    fn open(&self, who: usize) -> Result<Vault<'_>, VaultError> {
        let member = &self.members[who];
        let (carried, seen) = member.remembered.as_ref().map(|(c, s)| (c, s)).unzip();
        Vault::open(&self.team.store, &self.team.id, seen, carried, member.person.actor())
    }

    /// Does it, and says whether it should have been done and whether it was.
    fn act(&mut self, actor: usize, act: &Act) -> (bool, Result<(), VaultError>) {
        let before: Vec<BTreeSet<usize>> =
            self.creds.iter().map(|cred| self.readers(cred)).collect();
        let role = self.members[actor].role;
        let owners = self.owners();
        self.count += 1;
        let count = self.count;
        let mut vault = self.open(actor).unwrap();
        let cred_of = |n: usize, creds: &[ModelCred]| (!creds.is_empty()).then(|| n % creds.len());
        match act {
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
                            value,
                            exposed,
                        });
                        (may, Ok(()))
                    }
                    Err(error) => (may, Err(error)),
                }
            }
            Act::Set { cred } => {
                let Some(at) = cred_of(*cred, &self.creds) else { return (true, Ok(())) };
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
                let Some(at) = cred_of(*cred, &self.creds) else { return (true, Ok(())) };
                let may = self.writes(actor, &self.creds[at]);
                let result = vault.delete(&self.creds[at].id, now());
                drop(vault);
                if may {
                    self.creds.remove(at);
                }
                (may, result)
            }
            Act::Share { cred } | Act::Unshare { cred } => {
                let Some(at) = cred_of(*cred, &self.creds) else { return (true, Ok(())) };
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
                    if shares {
                        self.creds[at].grantees.clear();
                    }
                    self.expose(&before);
                }
                (may, result)
            }
            Act::Grant { cred, who } | Act::TakeBack { cred, who } => {
                let Some(at) = cred_of(*cred, &self.creds) else { return (true, Ok(())) };
                let (grants, who) = (matches!(act, Act::Grant { .. }), who % self.members.len());
                let (cred, target) = (&self.creds[at], &self.members[who]);
                let holds = target.active && (target.password || !cred.password);
                let readable = self.reads(actor, cred);
                let writes = self.writes(actor, cred);
                let may = cred.owner == actor && readable && writes;
                let may = may && (!grants || (holds && !cred.shared));
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
                    self.expose(&before);
                }
                (may, result)
            }
        }
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

fn run(acts: &[(usize, Act)]) -> Result<(), TestCaseError> {
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
        let (may, done) = model.act(actor, act);
        prop_assert_eq!(may, done.is_ok(), "{}: {:?} by {}: {:?}", n, act, actor, done);
        if n % 25 == 24 {
            model.check()?;
        }
    }
    model.check()
}

// The same in several tests, so that they run beside each other.
proptest! {
    #![proptest_config(ProptestConfig {
        cases: RUNS,
        failure_persistence: None,
        max_shrink_iters: 16,
        ..ProptestConfig::default()
    })]
    #[test]
    fn everybody_reads_what_the_model_says(acts in acts()) {
        run(&acts)?;
    }

    #[test]
    fn and_once_more(acts in acts()) {
        run(&acts)?;
    }

    #[test]
    fn and_again(acts in acts()) {
        run(&acts)?;
    }

    #[test]
    fn and_for_the_last_time(acts in acts()) {
        run(&acts)?;
    }
}
