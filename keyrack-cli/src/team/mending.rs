//! What was pushed and lacks credentials that were exchanged before does not take their place:
//! they are put back, for everybody.

use keyrack_vault::git::Commit;
use keyrack_vault::{Memory, harm, seen_of};

use super::exchange::Exchange;
use super::exchanged::Exchanged;
use super::gits::{failed, in_the_way, who_did};
use super::words;
use crate::error::{Code, Failure, Outcome};

impl Exchange<'_> {
    /// What was pushed, and what is lost or changed in it put back from what is here: as a
    /// commit on top of it, and the files of that.
    ///
    /// # Errors
    /// [`Code::Tampered`], with what cannot be put back: nothing is taken over then.
    pub(super) fn mended(
        &mut self,
        news: &Commit,
        ours: &Memory,
        base: &Memory,
        done: &mut Exchanged,
    ) -> Outcome<(Commit, Memory)> {
        let place = self.place().clone();
        let failed = |error| failed(error, &place);
        let theirs = self.repository.snapshot(news).map_err(failed)?;
        let seen = match place.pushed_seen(self.settings)? {
            None => seen_of(base, &place.id).ok(),
            seen => seen,
        };
        let Some(seen) = seen else {
            self.verify(&theirs)?;
            return Ok((news.clone(), theirs));
        };
        let mut whole = ours.objects();
        whole.extend(base.objects());
        let harm = harm(&theirs, &whole, &place.id, &seen)
            .map_err(|error| words::vault(error, &place).hint(who_did(&place, news)))?;
        if !harm.gone.is_empty() {
            let message = format!(
                "{}: what was pushed has lost {}, and new keys: who made them has it, and puts \
                 it back with `vault sync`",
                place.name,
                harm.gone.join(", ")
            );
            return Err(Failure::new(Code::Tampered, message).hint(who_did(&place, news)));
        }
        let mut all = theirs.objects();
        all.extend(harm.objects.clone());
        theirs.restore(all);
        self.verify(&theirs)?;
        if harm.objects.is_empty() {
            return Ok((news.clone(), theirs));
        }
        done.mended.extend(harm.mended);
        done.mended.dedup();
        done.harmed_by = Some(news.clone());
        let who = self.opened.manifest.owner.handle.clone();
        let mended = self.repository.mend(news, &harm.objects, who.as_str()).map_err(failed)?;
        Ok((mended, theirs))
    }

    /// Puts back what was lost in what is checked out, as by a `git pull`, if what was last
    /// exchanged has it. Says whether there was anything.
    pub(super) fn mend_here(&mut self, done: &mut Exchanged) -> Outcome<bool> {
        let place = self.place().clone();
        let failed = |error| failed(error, &place);
        let (Some(head), Some(base)) = (self.repository.head(), self.repository.exchanged()) else {
            return Ok(false);
        };
        let ours = self.repository.snapshot(&head).map_err(failed)?;
        let base = self.repository.snapshot(&base).map_err(failed)?;
        let (mended, _) = self.mended(&head, &ours, &base, done)?;
        self.repository.fast_forward(&mended).map_err(|error| in_the_way(error, &place))?;
        Ok(mended != head)
    }
}
