//! What became of a vault that was exchanged with its remote.

use keyrack_vault::git::Commit;

use super::Place;
use super::gits::who_did;
use crate::error::{Code, Failure, Outcome};

/// What became of it.
#[derive(Debug, Default)]
pub struct Exchanged {
    /// Whether something of ours was pushed.
    pub pushed: bool,
    /// Whether something of others is here now.
    pub pulled: bool,
    /// What of ours could not be made again, in words.
    pub aside: Vec<String>,
    /// How it is done anew by hand.
    pub anew: Vec<String>,
    /// What others had lost or changed that is whole here, and was put back.
    pub mended: Vec<String>,
    /// The commit that had it so.
    pub harmed_by: Option<Commit>,
    /// Where git keeps it.
    pub kept_as: Option<String>,
}

impl Exchanged {
    /// Whether all of ours is there, and nobody harmed anything.
    ///
    /// # Errors
    /// [`Code::Tampered`], with what was harmed; [`Code::Partly`], with what was set aside.
    pub fn is_whole(&self, place: &Place) -> Outcome {
        let mut failures = Vec::new();
        if let Some(commit) = &self.harmed_by {
            let message = format!(
                "{}: what was pushed had lost or changed {}; it is put back, and pushed again",
                place.name,
                self.mended.join(", ")
            );
            failures.push(Failure::new(Code::Tampered, message).hint(who_did(place, commit)));
        }
        if !self.aside.is_empty() {
            let kept = self.kept_as.as_deref().unwrap_or_default();
            let message = format!(
                "{}: others were faster; set aside, and kept as {kept}: {}",
                place.name,
                self.aside.join("; ")
            );
            let failure = Failure::new(Code::Partly, message);
            failures.push(self.anew.iter().fold(failure, |failure, anew| failure.hint(anew)));
        }
        let both = |first: Failure, second: Failure| Failure {
            message: format!("{}; {}", first.message, second.message),
            hints: [first.hints, second.hints].concat(),
            ..first
        };
        failures.into_iter().reduce(both).map_or(Ok(()), Err)
    }
}
