//! How a caller that only reads reaches an owner's daemon: by the capability of its
//! process tree, else by proving that it can use the owner's key without a person.
//! Never prompts.

use std::iter;
use std::path::{Path, PathBuf};

use keyrack_names::{Ask, AskError, Owner};
use keyrack_protocol::RackId;
use keyrack_protocol::client::{self, ClientError, Session, Target};
use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::keys::{Key, TreeSecret};
use keyrack_protocol::message::{Answer, BareRequest, BareStatus, Refusal, Reply, Request, Status};
use zeroize::Zeroizing;

use crate::error::{Code, Failure, Outcome};
use crate::owner::opened;
use crate::rack::{daemon, whereabouts};
use crate::settings::Settings;
use crate::team::offered;
use crate::tree::{self, Place, Tree};

/// One way to a daemon.
struct Way {
    target: Target,
    sockets: Vec<PathBuf>,
}

impl Way {
    fn open(&self) -> Option<(Session, RackId)> {
        let session =
            client::first(&self.sockets, |path| Session::open(path, &self.target)).ok()?;
        Some((session, self.target.rack))
    }
}

/// Asks `owner`'s daemon for values. Where the capability at hand does not give all of
/// them, the owner's key may.
///
/// # Errors
/// [`Code::Locked`] when no daemon runs, [`Code::Denied`] when this caller may not ask it.
pub fn get(settings: &Settings, owner: &Owner, asks: &[Ask]) -> Outcome<Vec<Answer>> {
    let request = Request::Get { asks: asks.to_vec(), caller: settings.caller() };
    let whole = |reply: &Reply| match reply {
        Reply::Values { answers } => answers.iter().all(|a| matches!(a, Answer::Granted { .. })),
        _ => false,
    };
    match ask(settings, owner, &request, whole) {
        Ok(Reply::Values { answers }) if answers.len() == asks.len() => Ok(answers),
        Ok(other) => Err(unexpected(owner, other)),
        // No daemon holds anything: what is missing is told as far as that can be seen.
        Err(failure) if failure.code == Code::Locked => {
            Ok(asks.iter().map(|ask| unheld(settings, owner, ask)).collect())
        }
        Err(failure) => Err(failure),
    }
}

/// The answer where nothing is unlocked: absent, if the manifest opens without a person
/// and says so; else locked.
fn unheld(settings: &Settings, owner: &Owner, ask: &Ask) -> Answer {
    let found = opened::opened_without_person(settings, owner).map(|mut opened| {
        let names = offered::names(&mut opened, settings);
        ask.find(|slug| names.contains_key(slug), names.keys())
    });
    match found {
        Some(Ok(slug)) => Answer::Locked { slug },
        Some(Err(AskError::Absent)) => Answer::Absent,
        Some(Err(AskError::Ambiguous(slugs))) => Answer::Ambiguous { slugs },
        None => Answer::Locked { slug: ask.best() },
    }
}

/// Every value this caller may read of `owner`, but `sudo`'s; or those of `env`.
///
/// # Errors
/// As [`get`].
pub fn get_all(
    settings: &Settings,
    owner: &Owner,
    env: Option<keyrack_names::Env>,
) -> Outcome<Vec<Answer>> {
    let request = Request::GetAll { env, caller: settings.caller() };
    let any = |reply: &Reply| matches!(reply, Reply::Values { answers } if !answers.is_empty());
    match ask(settings, owner, &request, any)? {
        Reply::Values { answers } => Ok(answers),
        other => Err(unexpected(owner, other)),
    }
}

/// What `owner`'s daemon holds, as far as this caller may see.
///
/// # Errors
/// As [`get`].
pub fn status(settings: &Settings, owner: &Owner) -> Outcome<Status> {
    match ask(settings, owner, &Request::Status, |reply| matches!(reply, Reply::Status(_)))? {
        Reply::Status(status) => Ok(*status),
        other => Err(unexpected(owner, other)),
    }
}

/// A channel to `owner`'s daemon by capability.
///
/// # Errors
/// As [`get`].
pub fn session(settings: &Settings, owner: &Owner) -> Outcome<Session> {
    let found = by_capability(settings, owner).map(|(session, _)| session);
    found.ok_or_else(|| nobody(settings, owner))
}

/// The same, with the rack it is a channel to, where there is one.
pub fn by_capability(settings: &Settings, owner: &Owner) -> Option<(Session, RackId)> {
    capabilities(settings, owner).find_map(|way| way.open())
}

/// The same by this tree's own, never by what the user's ring says: for a value that is told
/// on the channel, and for what is to be proven.
pub fn by_own_capability(settings: &Settings, owner: &Owner) -> Option<Session> {
    own_capabilities(settings, owner).find_map(|way| way.open()).map(|(session, _)| session)
}

/// What any process of the user may know of `owner`'s daemon. Not proven.
pub fn bare_status(settings: &Settings, owner: &Owner) -> Result<BareStatus, ClientError> {
    let rack = opened::pinned_rack(settings, owner);
    client::first(&bare_sockets(settings, owner), |path| {
        let status = client::bare(path, BareRequest::Status)?;
        // The plain path may be another home's.
        match rack {
            Some(rack) if rack != status.rack => Err(ClientError::NotRunning),
            _ => Ok(status),
        }
    })
}

/// Where `owner`'s daemon listens, if this caller holds a key that it proved itself to,
/// without a person.
pub fn proven(settings: &Settings, owner: &Owner) -> Option<PathBuf> {
    if !somebody_listens(settings, owner) {
        return None;
    }
    let attach = || opened::without_person(settings, owner)?.attach(settings).ok();
    let session = by_own_capability(settings, owner).or_else(attach)?;
    Some(session.path().to_owned())
}

/// Has all that say they are `owner`'s daemon forget everything and end: something that only
/// says so must not keep the lock from the one that is. Needs no key; not proven either.
///
/// # Errors
/// When no daemon of this home's rack answers.
pub fn lock(settings: &Settings, owner: &Owner) -> Result<(), ClientError> {
    let rack = opened::pinned_rack(settings, owner);
    let lock = |path: &Path| {
        let status = client::bare(path, BareRequest::Status)?;
        if rack.is_some_and(|rack| rack != status.rack) {
            return Err(ClientError::NotRunning);
        }
        client::bare(path, BareRequest::Lock).map(drop)
    };
    client::every(&bare_sockets(settings, owner), lock)
}

/// Every path `owner`'s daemon may be on, as far as that can be told without opening the
/// manifest.
pub fn bare_sockets(settings: &Settings, owner: &Owner) -> Vec<PathBuf> {
    match opened::pinned_rack(settings, owner) {
        Some(rack) => settings.sockets.sockets(owner, &rack),
        None => settings.sockets.plain_sockets(owner),
    }
}

fn ask(
    settings: &Settings,
    owner: &Owner,
    request: &Request,
    enough: impl Fn(&Reply) -> bool,
) -> Outcome<Reply> {
    let mut best: Option<Reply> = None;
    let mut refused: Option<ClientError> = None;
    let by_key = iter::once_with(|| self_proof(settings, owner)).flatten();
    for way in capabilities(settings, owner).chain(by_key) {
        let asked = client::first(&way.sockets, |path| client::ask(path, &way.target, request));
        settings.log(|| {
            let came = asked.as_ref().map_or_else(ToString::to_string, |_| "an answer".to_owned());
            format!("{owner}: asked {:?} as {:?}: {came}", way.sockets, way.target.kind)
        });
        match asked {
            Ok(reply) if enough(&reply) => return Ok(reply),
            Ok(reply) => drop(best.get_or_insert(reply)),
            // Who says nothing will say nothing to another key either.
            Err(error @ ClientError::Silent { .. }) => return Err(daemon::failure(&error, owner)),
            Err(error) => drop(refused.get_or_insert(error)),
        }
    }
    match (best, refused) {
        (Some(reply), _) => Ok(reply),
        (None, Some(error)) if !is_no_capability(&error) => Err(daemon::failure(&error, owner)),
        (None, _) => Err(nobody(settings, owner)),
    }
}

/// The way of who can use the owner's key without a person. The key is not looked for where
/// no daemon runs.
fn self_proof(settings: &Settings, owner: &Owner) -> Option<Way> {
    let rack =
        somebody_listens(settings, owner).then(|| opened::without_person(settings, owner))??;
    Some(Way { target: rack.self_proof_target(), sockets: rack.sockets(settings) })
}

/// Whether anything of this user's answers on a path of `owner`'s, be it another home's
/// daemon or a fake: whether it holds the key, only a handshake tells.
fn somebody_listens(settings: &Settings, owner: &Owner) -> bool {
    let asked = client::first(&bare_sockets(settings, owner), |path| {
        client::bare(path, BareRequest::Status)
    });
    !matches!(asked, Err(ClientError::NotRunning | ClientError::Foreign { .. }))
}

fn is_no_capability(error: &ClientError) -> bool {
    match error {
        ClientError::NotRunning | ClientError::Foreign { .. } => true,
        ClientError::Refused { refusal, .. } => {
            matches!(refusal.code, Refusal::Key | Refusal::Rack | Refusal::Owner)
        }
        _ => false,
    }
}

/// Why there is no answer at all: nothing runs, or it does and this caller has no right.
fn nobody(settings: &Settings, owner: &Owner) -> Failure {
    match bare_status(settings, owner) {
        Ok(_) => Failure::new(
            Code::Denied,
            format!("{owner} is unlocked, but this process tree has no capability for it"),
        )
        .hint(format!("keyrack attach --for {owner}"))
        .hint(format!("keyrack unlock --for {owner}")),
        Err(ClientError::NotRunning) => locked(settings, owner),
        Err(error) => daemon::failure(&error, owner),
    }
}

/// Nothing of `owner` is unlocked.
pub fn locked(settings: &Settings, owner: &Owner) -> Failure {
    let manifest = settings.places.manifest(owner);
    match manifest.try_exists() {
        Ok(true) => whereabouts::out_of_sight(settings, owner).unwrap_or_else(|| {
            Failure::new(Code::Locked, format!("{owner} is locked"))
                .hint(format!("keyrack unlock --for {owner}"))
        }),
        Ok(false) => opened::missing(settings, owner),
        Err(error) => Failure::new(Code::Unexpected, format!("{}: {error}", manifest.display())),
    }
}

/// The ways by capability, the tree's own first.
fn capabilities<'a>(settings: &'a Settings, owner: &'a Owner) -> impl Iterator<Item = Way> + 'a {
    own_capabilities(settings, owner)
        .chain(iter::once_with(|| by_users_ring(settings, owner)).flatten())
}

/// Those that only this tree, or whoever gave it its environment, can have said.
fn own_capabilities<'a>(
    settings: &'a Settings,
    owner: &'a Owner,
) -> impl Iterator<Item = Way> + 'a {
    let in_environment =
        || settings.capability.as_ref().and_then(|text| from_environment(text.to_str()?));
    let of_tree = || tree::find(Place::Session);
    let trees = iter::once_with(in_environment).chain(iter::once_with(of_tree)).flatten();
    let home = settings.named_home_tag();
    trees.filter_map(move |tree| way(settings, owner, &tree, home.as_deref()))
}

/// The way that the user's ring says, where any process of the user may say one: only to the
/// rack that this device remembers, where its daemon would listen.
fn by_users_ring(settings: &Settings, owner: &Owner) -> Option<Way> {
    let tree = tree::find(Place::User)?;
    let way = way(settings, owner, &tree, settings.named_home_tag().as_deref())?;
    let rack = opened::pinned_rack(settings, owner).filter(|rack| *rack == way.target.rack)?;
    let usual = settings.sockets.sockets(owner, &rack);
    way.sockets.iter().all(|path| usual.contains(path)).then_some(way)
}

fn way(settings: &Settings, owner: &Owner, tree: &Tree, home: Option<&str>) -> Option<Way> {
    let (rack, sockets) = match tree.entry(owner, home) {
        Some(entry) => (entry.rack, vec![entry.socket.clone()]),
        // The tree forgot where it is (it remembers the newest hundred); the daemon says.
        None if tree.is_full() => {
            let rack = bare_status(settings, owner).ok()?.rack;
            (rack, settings.sockets.sockets(owner, &rack))
        }
        None => return None,
    };
    Some(Way { target: capability(&tree.secret, owner, rack), sockets })
}

/// The address of `owner`'s daemon for who holds `secret`.
pub fn capability(secret: &TreeSecret, owner: &Owner, rack: RackId) -> Target {
    Target {
        owner: owner.clone(),
        rack,
        kind: KeyKind::Capability(secret.capability_id(owner, &rack)),
        key: secret.capability_key(owner, &rack),
    }
}

/// `KEYRACK_CAPABILITY`: R in hex. It names no racks: the daemon is asked.
fn from_environment(text: &str) -> Option<Tree> {
    let mut bytes = Zeroizing::new([0; 32]);
    (hex::lower::decode(text, bytes.as_mut()).ok()?.len() == 32).then_some(())?;
    Some(Tree::without_entries(TreeSecret::new(Key::new(*bytes))))
}

fn unexpected(owner: &Owner, reply: Reply) -> Failure {
    match reply {
        Reply::Refused { code: Refusal::Right | Refusal::Key, message } => {
            Failure::new(Code::Denied, format!("{owner}: {message}"))
        }
        Reply::Refused { message, .. } => {
            Failure::new(Code::Unreachable, format!("{owner}: {message}"))
        }
        _ => Failure::new(Code::Unreachable, format!("{owner}'s daemon answered something else")),
    }
}
