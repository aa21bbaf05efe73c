//! A vault and its git remote. What comes is verified before a file of it is here; of two that
//! wrote, whoever pushed first is right, and the other writes its part anew.

use jiff::Timestamp;
use keyrack_manifest::{InviteId, MemberId};
use keyrack_names::Owner;
use keyrack_vault::git::{Commit, Pushed, Repository};
use keyrack_vault::{
    Chain, Invitation, LinkKind, Memory, Seen, Status, Uncarried, Vault, VaultStore, Why, names,
    seen_of,
};

use super::exchanged::Exchanged;
use super::gits::{failed, in_the_way};
use super::redo::{self, Lost};
use super::{Place, Shelf, daemons, place, words};
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::Opened;
use crate::person::typed::path;
use crate::person::ui::Ui;
use crate::settings::Settings;

/// How often somebody else may be faster before we give up.
pub const TRIES: usize = 8;

/// A vault that is being exchanged.
pub struct Exchange<'a> {
    /// The vault's place and files.
    pub shelf: &'a Shelf,
    /// The member's manifest.
    pub opened: &'a mut Opened,
    /// The work tree.
    pub repository: Repository,
    /// What this run was told.
    pub settings: &'a Settings,
    /// How this run talks.
    pub ui: &'a Ui,
}

impl Exchange<'_> {
    /// Exchanges until both sides have the same.
    ///
    /// # Errors
    /// [`Code::Tampered`] when either side does not hold, and then nothing was taken over or
    /// pushed; [`Code::Denied`] when the member was removed.
    pub fn run(mut self) -> Outcome<Exchanged> {
        let place = self.place().clone();
        let failed = |error| failed(error, &place);
        if self.repository.is_merging() {
            let message = format!("{}: a merge was begun here and is not finished", place.name);
            return Err(Failure::new(Code::Conflict, message)
                .hint(format!("git -C {} merge --abort", path(&place.dir))));
        }
        self.repository.configure("keyrack").map_err(failed)?;
        let branch = self.repository.branch().map_err(failed)?;
        let mut done = Exchanged::default();
        for _ in 0..TRIES {
            let holds = self.shelf.open(self.opened, self.settings);
            let damage = holds.as_ref().ok().and_then(|vault| damage(vault, self.shelf));
            let who = self.opened.manifest.owner.handle.clone();
            let changed =
                self.repository.commit_all("keyrack vault", who.as_str()).map_err(failed)?;
            // What the remote still has whole is taken from there, and never pushed over it.
            let holds = match damage {
                Some(failure) if changed && !done.pulled => Err(failure),
                Some(_) if !changed && self.mend_here(&mut done)? => continue,
                _ => holds,
            };
            let news = self.repository.fetch(&branch).map_err(failed)?;
            let head = self.repository.head();
            match (holds, head, news) {
                (Ok(vault), Some(head), Some(news)) if head == news => {
                    let seen = vault.seen();
                    drop(vault);
                    return self.settled(&seen, done);
                }
                (Ok(vault), Some(head), news)
                    if news.as_ref().is_none_or(|n| self.repository.is_ancestor(n, &head)) =>
                {
                    let seen = vault.seen();
                    drop(vault);
                    if self.repository.push(&branch).map_err(failed)? == Pushed::Done {
                        done.pushed = true;
                        return self.settled(&seen, done);
                    }
                }
                (holds, head, Some(news)) => {
                    let holds = holds.map(drop);
                    self.take_over(holds, head, &news, &mut done)?;
                    done.pulled = true;
                }
                (Err(failure), _, None) => return Err(failure),
                (Ok(_), _, None) => {
                    let message = format!("{}: there is nothing to push", place.name);
                    return Err(Failure::new(Code::Absent, message));
                }
            }
        }
        Err(others_push(&place, "sync"))
    }

    pub(super) fn place(&self) -> &Place {
        &self.shelf.place
    }

    /// Both sides have the same: that is what is not to be rolled back from now on.
    fn settled(self, seen: &Seen, done: Exchanged) -> Outcome<Exchanged> {
        if let Some(head) = self.repository.head() {
            let noted = self.repository.note_exchanged(&head);
            noted.map_err(|error| failed(error, self.place()))?;
        }
        let path = self.place().pushed(self.settings);
        seen.write(&path).map_err(|error| Failure::new(Code::Unexpected, error.to_string()))?;
        Ok(done)
    }

    /// Takes over what the remote has, and makes again what of ours it has not.
    fn take_over(
        &mut self,
        holds: Outcome,
        head: Option<Commit>,
        news: &Commit,
        done: &mut Exchanged,
    ) -> Outcome {
        let place = self.place().clone();
        let failed = |error| failed(error, &place);
        let ours = match &head {
            Some(head) => self.repository.snapshot(head).map_err(failed)?,
            None => Memory::default(),
        };
        let base = head.as_ref().and_then(|head| self.repository.common(head, news));
        let base = base.or_else(|| self.repository.exchanged());
        let base = base.map(|base| self.repository.snapshot(&base)).transpose().map_err(failed)?;
        let base = base.unwrap_or_default();
        let (news, theirs) = &self.mended(news, &ours, &base, done)?;
        let behind = head.as_ref().is_none_or(|head| self.repository.is_ancestor(head, news));
        if behind && holds.is_ok() {
            self.repository.fast_forward(news).map_err(|error| in_the_way(error, &place))?;
            self.tell_daemons();
            return Ok(());
        }
        if !self.repository.is_whole() {
            let message = format!(
                "{}: both sides changed, and the work tree holds more than the vault",
                place.name
            );
            return Err(Failure::new(Code::Conflict, message)
                .hint(format!("git -C {} pull --rebase", path(&place.dir))));
        }
        if let Some(head) = &head {
            done.kept_as = Some(self.repository.keep(head).map_err(failed)?);
        }
        if let Err(failure) = holds {
            self.ui.warn(format!("what was here did not hold: {}", failure.message));
        }
        let lost = redo::lost(&ours, theirs, &place.id);
        self.repository.become_of(news).map_err(|error| in_the_way(error, &place))?;
        forget_unpushed(&place, self.settings)?;
        self.make_again(&ours, &base, lost, done)
    }

    /// Whether what the remote has is our vault, follows from what was exchanged before, and
    /// has this member in it.
    pub(super) fn verify(&mut self, theirs: &Memory) -> Outcome {
        let place = self.place().clone();
        let there = theirs.list(names::CHAIN).unwrap_or_default();
        if there.is_empty() {
            let message =
                format!("{}: the remote has no vault, and not nothing either", place.name);
            return Err(Failure::new(Code::Conflict, message)
                .hint("use an empty repository, or clone it and create the vault in the clone"));
        }
        let seen = place.pushed_seen(self.settings)?;
        let chain = Chain::verify(theirs, &place.id, seen.as_ref())
            .map_err(|error| words::vault(error, &place))?;
        let key = self.opened.manifest.signing.key.public();
        let me = chain.state().members.iter().find(|member| member.sig_key == key);
        // Who was invited and accepted here has not been heard of there yet.
        if me.is_some_and(|me| matches!(me.status, Status::Removed | Status::Left)) {
            daemons::drop_vault(&place.owner, &place.id, self.settings);
            let message = format!("{}: {} is no member any more", place.name, place.owner);
            return Err(Failure::new(Code::Denied, message).hint(place.command("leave")));
        }
        let carried = self.opened.manifest.vaults.get(&place.id);
        match Vault::open(theirs, &place.id, seen.as_ref(), carried, place::actor(self.opened)) {
            Err(keyrack_vault::VaultError::NotMember { .. }) => Ok(()),
            other => other.map(drop).map_err(|error| words::vault(error, &place)),
        }
    }

    /// Makes our part of the history again, on top of theirs.
    fn make_again(
        &mut self,
        ours: &Memory,
        base: &Memory,
        lost: Vec<Lost>,
        done: &mut Exchanged,
    ) -> Outcome {
        let place = self.place().clone();
        if let Some(accepted) = lost.iter().find(|lost| lost.kind == LinkKind::Accept) {
            self.accept_again(&accepted.author)?;
        }
        let mut vault = self.shelf.open(self.opened, self.settings)?;
        let now = Timestamp::now();
        for link in lost.into_iter().filter(|lost| lost.kind != LinkKind::Accept) {
            if link.author != *vault.me() {
                continue;
            }
            if let Err(why) = redo::again(&mut vault, &link, now) {
                let who = link.handle.clone().unwrap_or_default();
                done.aside.push(format!("{} {who} ({why})", link.kind).replace("  ", " "));
                done.anew.extend(link.anew(&place));
            }
        }
        let base = seen_of(base, &place.id).map(|seen| seen.records).unwrap_or_default();
        let carried = self.opened.manifest.vaults.get(&place.id);
        let actor = place::actor(self.opened);
        // What does not hold has nothing to carry over that could be believed.
        if let Ok(older) = Vault::open(ours, &place.id, None, carried, actor) {
            let left = vault.carry_over(&older, &base, now);
            for Uncarried { name, deleted, why } in
                left.map_err(|error| words::vault(error, &place))?
            {
                let act = if deleted { "del" } else { "set" };
                let why = match why {
                    Why::Later => "others wrote it first".to_owned(),
                    Why::Refused(why) => why.to_string(),
                };
                done.aside.push(format!("{act} {name} ({why})"));
                done.anew.push(format!(
                    "keyrack {act} --for {} --vault {} --key {name}",
                    place.owner, place.name
                ));
            }
        }
        self.shelf.keep(&vault, self.opened, self.settings)
    }

    fn accept_again(&mut self, me: &MemberId) -> Outcome {
        let place = self.place();
        let failed = |error| words::vault(error, place);
        let chain = Chain::verify(&self.shelf.store, &place.id, None).map_err(failed)?;
        let inviter = chain.state().members.iter().find(|member| member.role.writes_shared());
        let invitation = Invitation {
            vault_id: place.id,
            location: None,
            invite_id: InviteId::from_bytes(*me.as_bytes()),
            inviter: inviter.map(|member| member.fingerprint()).unwrap_or_default(),
            one_time: None,
        };
        let actor = place::actor(self.opened);
        let vault = Vault::accept(&self.shelf.store, &invitation, actor, Timestamp::now());
        let vault = vault.map_err(failed)?;
        self.shelf.keep(&vault, self.opened, self.settings)
    }

    /// Has daemons of this machine forget what their owners may no longer read.
    fn tell_daemons(&mut self) {
        let place = self.shelf.place.clone();
        let Ok(vault) = self.shelf.open(self.opened, self.settings) else { return };
        let gone = vault.state().members.iter().filter(|member| !member.status.has_wrap());
        for owner in gone.flat_map(|member| daemons::owners_of(&member.sig_key, self.settings)) {
            daemons::drop_vault(&owner, &place.id, self.settings);
        }
    }
}

/// Links of ours that nobody took were never there.
///
/// # Errors
/// When this device's state cannot be read or written.
pub fn forget_unpushed(place: &Place, settings: &Settings) -> Outcome {
    let path = settings.places.seen(&place.owner, &place.id);
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(Code::Unexpected, format!("{}: {error}", path.display()))
    };
    match place.pushed_seen(settings)? {
        Some(seen) => seen.write(&path).map_err(|error| failed(&error)),
        None => keyrack_manifest::atomic::remove(&path).map_err(|error| failed(&error)),
    }
}

/// Commits what is here and pushes it, as an addition to what the remote has.
///
/// # Errors
/// What git says.
pub fn push(repository: &Repository, who: &Owner, place: &Place) -> Outcome<Pushed> {
    let failed = |error| failed(error, place);
    let branch = repository.branch().map_err(failed)?;
    repository.commit_all("keyrack vault", who.as_str()).map_err(failed)?;
    repository.push(&branch).map_err(failed)
}

/// Somebody else was always faster; `command` is to be tried again.
pub fn others_push(place: &Place, command: &str) -> Failure {
    let message = format!("{}: others push all the time", place.name);
    Failure::new(Code::TimedOut, message).hint(place.command(command))
}

/// What is damaged here of what this device has seen whole: opening believes old links
/// unread, and sets records aside.
fn damage(vault: &Vault<'_>, shelf: &Shelf) -> Option<Failure> {
    let chain = Chain::verify(&shelf.store, &shelf.place.id, None).err();
    let error = chain.or_else(|| vault.lost().next().map(|(_, why)| why))?;
    Some(words::vault(error, &shelf.place))
}
