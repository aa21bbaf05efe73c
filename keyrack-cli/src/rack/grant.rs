//! Letting a caller read: a capability registered with the daemon, and its secret kept
//! where that caller finds it.

use keyrack_names::Owner;
use keyrack_protocol::RackId;
use keyrack_protocol::client::Session;
use keyrack_protocol::keys::{Key, TreeSecret};
use keyrack_protocol::message::{CapabilityStatus, Registration, Reply, Request, Rights, Scope};
use zeroize::Zeroizing;

use crate::args::{Reach, ScopeArg};
use crate::error::{Code, Failure, Outcome};
use crate::person::ui::Ui;
use crate::rack::daemon::Rack;
use crate::rack::sleeping;
use crate::settings::Settings;
use crate::tree::parent::Parent;
use crate::tree::{Entry, Minted, TreeError};

/// A capability on its way to whoever may use it.
#[derive(Debug)]
pub struct Capability {
    scope: ScopeArg,
    holder: Holder,
}

#[derive(Debug)]
enum Holder {
    /// Nobody: `--no-keyring`.
    Nobody,
    /// A tree that has it already: `--tree`.
    Tree(Registration),
    /// A kernel key ring keeps it.
    Ring(Minted),
    /// An environment variable carries it.
    Variable(TreeSecret),
    /// The kernel refused before anything was done.
    Refused(TreeError),
}

impl Capability {
    /// A new capability, the one this tree has, or that of the tree named.
    ///
    /// # Errors
    /// When no random numbers can be had, or the daemon knows no such tree.
    pub fn new(
        reach: &Reach,
        session: &mut Session,
        rack: &Rack,
        settings: &Settings,
    ) -> Outcome<Self> {
        let scope = reach.scope.or(settings.scope).unwrap_or(ScopeArg::Tree);
        if let Some(id) = &reach.tree {
            return Ok(Self { scope, holder: Holder::Tree(tree(id, session, rack, settings)?) });
        }
        let minted = match scope {
            _ if reach.no_keyring => return Ok(Self { scope, holder: Holder::Nobody }),
            ScopeArg::Tree => Minted::for_tree(),
            ScopeArg::Session => Minted::for_session(),
            ScopeArg::User => Minted::for_user(),
            ScopeArg::Env => {
                let key =
                    Key::random().map_err(|e| Failure::new(Code::Unexpected, e.to_string()))?;
                return Ok(Self { scope, holder: Holder::Variable(TreeSecret::new(key)) });
            }
        };
        Ok(Self { scope, holder: minted.map_or_else(Holder::Refused, Holder::Ring) })
    }

    /// What to tell the daemon. `None` where nobody is to have it.
    pub fn registration(&self, owner: &Owner, rack: RackId) -> Option<Registration> {
        let secret = match &self.holder {
            Holder::Ring(minted) => minted.secret(),
            Holder::Variable(secret) => secret,
            Holder::Tree(registration) => return Some(registration.clone()),
            Holder::Nobody | Holder::Refused(_) => return None,
        };
        let (scope, label) = match self.scope {
            ScopeArg::Tree => (Scope::Tree, Parent::look().label),
            ScopeArg::Session => (Scope::Session, "login session".to_owned()),
            ScopeArg::User => (Scope::User, "every process of the user (weak)".to_owned()),
            ScopeArg::Env => (Scope::Env, "whoever has KEYRACK_CAPABILITY (weak)".to_owned()),
        };
        Some(Registration {
            id: secret.capability_id(owner, &rack),
            key: Some(secret.capability_key(owner, &rack)),
            rights: Rights::TREE,
            label,
            scope,
        })
    }

    /// Keeps the secret where its holder finds it, after the daemon knows it, and takes the
    /// capability back where nobody can have it. Returns whether anybody has it now.
    /// `otherwise` says whether the owner's user may read without.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn hand_over(
        self,
        entry: Entry,
        session: &mut Session,
        otherwise: impl FnOnce() -> bool,
        ui: &Ui,
    ) -> Outcome<bool> {
        let owner = entry.owner.clone();
        let parent = Parent::look();
        let had_one = matches!(&self.holder, Holder::Ring(minted) if minted.is_kept());
        let new = self.registration(&owner, entry.rack).filter(|_| !had_one);
        let given = match self.holder {
            Holder::Nobody => return Ok(false),
            Holder::Tree(tree) => {
                ui.say(format!("{owner}: given to tree {} of {}", tree.id.short(), tree.label));
                return Ok(true);
            }
            Holder::Refused(error) => Err(error),
            Holder::Ring(minted) => minted.keep(entry),
            Holder::Variable(secret) => {
                let hex = Zeroizing::new(hex::lower::encode_string(secret.expose()));
                ui.lines([Zeroizing::new(format!("export KEYRACK_CAPABILITY={}", *hex)).as_str()])?;
                Ok(())
            }
        };
        if let (Err(_), Some(new)) = (&given, new) {
            // Best effort: it ends with the daemon at the latest.
            let _ = session.call(&Request::Revoke { capability: new.id });
        }
        match (given, self.scope) {
            (Ok(()), ScopeArg::Tree) if had_one => {
                ui.say(format!(
                    "{owner}: given to this process tree, which had a capability already"
                ));
            }
            (Ok(()), ScopeArg::Tree) => match parent.passing {
                None => ui.say(format!("{owner}: given to {} and what it starts", parent.label)),
                Some(why) => {
                    ui.warn(format!(
                        "{owner}: given to {}, and {why}: nobody else can read",
                        parent.label
                    ));
                    return Ok(false);
                }
            },
            (Ok(()), ScopeArg::Session) => ui.say(format!("{owner}: given to this login session")),
            (Ok(()), _) => ui.warn(format!(
                "{owner}: this scope is weak: it is no isolation between programs of one user"
            )),
            // Root's shell, for an owner under a user of its own: what root asks is asked as
            // that user, who has the key.
            (Err(TreeError::Parent(_)), ScopeArg::Tree) if parent.is_anothers && otherwise() => {
                return Ok(false);
            }
            (Err(error), _) => {
                ui.warn(format!("{owner}: no capability was given to {}: {error}", parent.label));
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The capability whose id begins with `id`, as `status` shows it: one that the daemon
/// knows, or one of a tree that outlived the daemon before.
fn tree(
    id: &str,
    session: &mut Session,
    rack: &Rack,
    settings: &Settings,
) -> Outcome<Registration> {
    let unknown =
        || Failure::new(Code::Absent, "there is no such tree: status shows those there are");
    let Ok(Reply::Status(status)) = session.call(&Request::Status) else { return Err(unknown()) };
    let mut fitting = status
        .capabilities
        .into_iter()
        .filter(|tree| !id.is_empty() && tree.id.to_string().starts_with(id));
    match (fitting.next(), fitting.next()) {
        (Some(CapabilityStatus { id, label, scope, rights, .. }), None) => {
            Ok(Registration { id, key: None, rights, label, scope })
        }
        (None, _) if !id.is_empty() => sleeping::find(settings, rack, id).ok_or_else(unknown),
        _ => Err(unknown()),
    }
}
