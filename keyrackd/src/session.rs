//! One request, one reply: the dispatch. Every caller here has proved itself; what it may
//! do is the rack's to say.

use std::fmt::Write as _;

use keyrack_protocol::channel::{Bytes, MAX_REPLY};
use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::keys::drop_mac;
use keyrack_protocol::message::{
    Answer, Process, Push, Refusal, Registration, Reply, Request, Status, decode, encode,
};
use keyrack_protocol::names::{Ask, Env, Secret, Slug};
use keyrack_protocol::peer::Seen;

use crate::clock;
use crate::daemon::{Act, Daemon, channel_name};
use crate::harden;
use crate::rack::{Denial, NewGrant, Pushed, Verdict, set};
use crate::sealed::{Broken, Sealed};

/// What a caller says it is, cut to this many characters.
const MAX_CALLER: usize = 120;

/// A proven caller's side of the daemon.
pub(crate) struct Session<'a> {
    pub(crate) daemon: &'a Daemon,
    pub(crate) asker: KeyKind,
    pub(crate) seat: u64,
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Denied(#[from] Denial),
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error("the reply would be over {MAX_REPLY} bytes; ask for fewer keys at a time")]
    TooMuch,
    #[error("a digest is 64 hex digits")]
    Digest,
    #[error("this daemon does not end with {0}")]
    Unbound(Process),
}

impl Fault {
    fn code(&self) -> Refusal {
        match self {
            Self::Denied(denial) => denial.code(),
            Self::Broken(_) => Refusal::Failed,
            Self::TooMuch | Self::Digest => Refusal::Malformed,
            Self::Unbound(_) => Refusal::Unbound,
        }
    }
}

/// What the audit line will say.
struct Note {
    by: Seen,
    action: &'static str,
    slugs: Vec<Slug>,
    caller: String,
}

impl Session<'_> {
    /// Answers what rode in a first message: nothing that changes anything, for it may be
    /// a replay.
    #[inline(never)]
    pub(crate) fn early(&self, request: &[u8], by: Seen) -> Bytes {
        let reply = match decode::<Request>(request) {
            Ok(request) if request.only_reads() => self.answer(request, by, clock::now()),
            Ok(_) => refused(Refusal::Malformed, "only reading requests ride in the first message"),
            Err(e) => refused(Refusal::Malformed, &e.to_string()),
        };
        encode(&reply)
    }

    /// Answers a request on an open channel, and says whether the channel goes on.
    #[inline(never)]
    pub(crate) fn turn(&self, request: &[u8], by: Seen) -> (Bytes, bool) {
        let is_known = self.daemon.rack.borrow().is_known(self.asker);
        let (reply, goes_on) = match decode::<Request>(request) {
            Ok(request) if is_known => (self.answer(request, by, clock::now()), true),
            Ok(_) => (refused(Refusal::Key, "this capability was revoked"), false),
            Err(e) => (refused(Refusal::Malformed, &e.to_string()), false),
        };
        (encode(&reply), goes_on)
    }

    /// Answers `request` at `now`.
    fn answer(&self, request: Request, by: Seen, now: u64) -> Reply {
        let held_until = self.daemon.rack.borrow().next_deadline();
        let mut note = Note { by, action: "", slugs: Vec::new(), caller: String::new() };
        let done = match request {
            Request::Get { asks, caller } => {
                note.is("get", &caller);
                self.get(&asks, now, &mut note)
            }
            Request::GetAll { env, caller } => {
                note.is("get-all", &caller);
                self.get_all(env.as_ref(), now, &mut note)
            }
            Request::Status => return self.status(now),
            Request::Push(push) => {
                note.is("push", "");
                self.push(push, now, &mut note)
            }
            Request::Mint { capability, slugs } => {
                note.is("mint", "");
                self.mint(capability, slugs, now, &mut note)
            }
            Request::Forget(forget) => {
                note.is("forget", "");
                note.slugs.clone_from(&forget.slugs);
                let count = self.daemon.rack.borrow_mut().forget(self.asker, &forget);
                harden::trim_heap();
                count.map(|count| Reply::Done { count }).map_err(Fault::from)
            }
            Request::Revoke { capability } => {
                note.is("revoke", &capability.to_string());
                let ended = self.daemon.rack.borrow_mut().revoke(self.asker, &capability);
                ended.map_err(Fault::from).map(|ended| {
                    self.daemon.seats.close_ended(&ended, self.seat);
                    Reply::Done { count: ended.len() }
                })
            }
            Request::SealDrop { digest } => {
                note.is("seal-drop", "");
                self.seal_drop(&digest)
            }
        };
        let reply = done.unwrap_or_else(|fault| refused(fault.code(), &fault.to_string()));
        self.log(note, &reply);
        if self.daemon.rack.borrow().next_deadline() != held_until {
            self.daemon.changed.notify_one();
        }
        reply
    }

    fn get(&self, asks: &[Ask], now: u64, note: &mut Note) -> Result<Reply, Fault> {
        let rack = self.daemon.rack.borrow();
        let verdicts = asks.iter().map(|ask| rack.look_up(self.asker, ask, now)).collect();
        drop(rack);
        self.values(verdicts, now, note)
    }

    fn get_all(&self, env: Option<&Env>, now: u64, note: &mut Note) -> Result<Reply, Fault> {
        let slugs = self.daemon.rack.borrow().readable(self.asker, env, now);
        self.values(slugs.into_iter().map(Verdict::Granted).collect(), now, note)
    }

    fn values(&self, verdicts: Vec<Verdict>, now: u64, note: &mut Note) -> Result<Reply, Fault> {
        let mut rack = self.daemon.rack.borrow_mut();
        let held = |verdict: &Verdict| match verdict {
            Verdict::Granted(slug) => rack.held(slug, now).map_or(0, |held| held.value.len()),
            _ => 0,
        };
        // In base64, and 300 bytes for the names around each.
        let size: usize = verdicts.iter().map(|verdict| held(verdict) / 3 * 4 + 300).sum();
        if size > MAX_REPLY {
            return Err(Fault::TooMuch);
        }
        let reader = note.by.and_says(&note.caller);
        let mut answers = Vec::with_capacity(verdicts.len());
        for verdict in verdicts {
            note.slugs.extend(verdict.slug().cloned());
            answers.push(match verdict {
                Verdict::Granted(slug) => {
                    let held = rack.held(&slug, now).ok_or(Broken)?;
                    let mut value = held.value.open(&self.daemon.arena, &slug.to_string())?;
                    let value = Secret::new(std::mem::take(&mut *value));
                    let expires_in_ms = held.expires_at - now;
                    rack.read_by(&slug, &reader);
                    Answer::Granted { slug, value, expires_in_ms }
                }
                Verdict::Locked(slug) => Answer::Locked { slug },
                Verdict::Expired(slug) => Answer::Expired { slug },
                Verdict::Absent => Answer::Absent,
                Verdict::Denied(slug) => Answer::Denied { slug },
                Verdict::Ambiguous(slugs) => Answer::Ambiguous { slugs },
            });
        }
        Ok(Reply::Values { answers })
    }

    fn status(&self, now: u64) -> Reply {
        let bare = self.daemon.bare_status(now);
        let rack = self.daemon.rack.borrow();
        Reply::Status(Box::new(Status {
            generation: bare.generation,
            bare,
            grants: rack.grants_seen(self.asker, now),
            capabilities: rack.capabilities_seen(self.asker, now),
            audit_head: self.daemon.audit.head(),
        }))
    }

    fn push(&self, push: Push, now: u64, note: &mut Note) -> Result<Reply, Fault> {
        note.slugs = push.grants.iter().map(|grant| grant.slug.clone()).collect();
        if let Some(process) = push.ends_with
            && !self.daemon.ends_with.as_ref().is_some_and(|own| own.is(&process))
        {
            return Err(Fault::Unbound(process));
        }
        let arena = &self.daemon.arena;
        let seal = |grant: keyrack_protocol::message::Grant| -> Result<_, Broken> {
            Ok(NewGrant {
                value: Sealed::new(arena, &grant.slug.to_string(), grant.value.expose())?,
                slug: grant.slug,
                ttl_ms: grant.ttl_ms,
                self_proof: grant.self_proof,
                vault: grant.vault,
                class: grant.class,
            })
        };
        let pushed = Pushed {
            generation: push.generation,
            grants: push.grants.into_iter().map(seal).collect::<Result<_, _>>()?,
            replace: push.replace,
            known: push.known,
            capability: push.capability.map(|about| self.sealed_key(about)).transpose()?,
        };
        let count = self.daemon.rack.borrow_mut().push(self.asker, pushed, now)?;
        Ok(Reply::Done { count })
    }

    fn mint(
        &self,
        about: Registration,
        slugs: Option<Vec<Slug>>,
        now: u64,
        note: &mut Note,
    ) -> Result<Reply, Fault> {
        note.slugs = slugs.clone().unwrap_or_default();
        let (about, key) = self.sealed_key(about)?;
        note.caller.clone_from(&about.label);
        let slugs = slugs.map(set);
        let count = self.daemon.rack.borrow_mut().mint(self.asker, about, key, slugs, now)?;
        Ok(Reply::Done { count })
    }

    fn seal_drop(&self, digest: &str) -> Result<Reply, Fault> {
        self.daemon.rack.borrow().may_seal(self.asker)?;
        let mut bytes = [0; 32];
        match hex::lower::decode(digest, &mut bytes) {
            Ok(decoded) if decoded.len() == 32 => {}
            _ => return Err(Fault::Digest),
        }
        let mac = drop_mac(&self.daemon.drop_key()?, &bytes);
        Ok(Reply::Sealed { mac: hex::lower::encode_string(&mac) })
    }

    /// A registration with its key taken out and sealed, and a label fit to be shown.
    fn sealed_key(
        &self,
        mut about: Registration,
    ) -> Result<(Registration, Option<Sealed>), Broken> {
        let name = about.id.to_string();
        about.label = tidy(&about.label);
        let key = about.key.take();
        let sealed = key.map(|key| Sealed::key(&self.daemon.arena, &name, &key)).transpose()?;
        Ok((about, sealed))
    }

    fn log(&self, note: Note, reply: &Reply) {
        let Note { by, action, slugs, caller } = note;
        let act = Act { action, slugs, outcome: outcome(reply), caller };
        self.daemon.note(act, by, channel_name(self.asker));
    }
}

impl Note {
    fn is(&mut self, action: &'static str, caller: &str) {
        self.action = action;
        self.caller = tidy(caller);
    }
}

/// What a caller says of itself, fit to be shown and logged.
fn tidy(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_CALLER).collect()
}

fn refused(code: Refusal, message: &str) -> Reply {
    Reply::Refused { code, message: message.to_owned() }
}

/// A reply in a few words, without values.
fn outcome(reply: &Reply) -> String {
    match reply {
        Reply::Values { answers } => counted(answers),
        Reply::Status(_) | Reply::Sealed { .. } => "ok".to_owned(),
        Reply::Done { count } => format!("ok {count}"),
        Reply::Refused { code, .. } => format!("refused {}", code_name(*code)),
    }
}

/// How a refusal is written on the wire, which is how the log says it.
pub(crate) fn code_name(code: Refusal) -> &'static str {
    match code {
        Refusal::Owner => "owner",
        Refusal::Rack => "rack",
        Refusal::Version => "version",
        Refusal::Key => "key",
        Refusal::Right => "right",
        Refusal::Relocked => "relocked",
        Refusal::Malformed => "malformed",
        Refusal::Unbound => "unbound",
        Refusal::Busy => "busy",
        Refusal::Failed => "failed",
    }
}

/// `granted 3 denied 1`
fn counted(answers: &[Answer]) -> String {
    const NAMES: [&str; 6] = ["granted", "locked", "expired", "absent", "denied", "ambiguous"];
    let mut counts = [0; 6];
    for answer in answers {
        counts[match answer {
            Answer::Granted { .. } => 0,
            Answer::Locked { .. } => 1,
            Answer::Expired { .. } => 2,
            Answer::Absent => 3,
            Answer::Denied { .. } => 4,
            Answer::Ambiguous { .. } => 5,
        }] += 1;
    }
    let mut text = String::new();
    for (name, count) in NAMES.iter().zip(counts).filter(|(_, count)| *count > 0) {
        let gap = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{gap}{name} {count}");
    }
    if text.is_empty() { "nothing".to_owned() } else { text }
}
