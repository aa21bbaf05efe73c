//! A capability whose holder asks the daemon for more than it was given, in the protocol's
//! own words: the holder has its secret and needs no command of ours.

use std::path::PathBuf;

use keyrack_protocol::client::{Session, Target};
use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::keys::{Key, TreeSecret};
use keyrack_protocol::message::{
    Answer, Forget, Grant, Push, Refusal, Registration, Reply, Request, Rights, Scope,
};
use keyrack_protocol::names::{Ask, Owner, Secret, Slug};
use keyrack_protocol::{CapabilityId, RackId};
use keyrack_tests::script::Running;
use keyrack_tests::{Rack, daemons, need};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// What a process tree holds: its secret and where to go with it.
struct Holder {
    secret: TreeSecret,
    owner: Owner,
    rack: RackId,
    socket: PathBuf,
}

impl Holder {
    /// Reads `keyctl pipe`'s copy of the key in a tree's session.
    fn read(rack: &Rack, file: &str) -> Self {
        let text = std::fs::read_to_string(rack.path(file)).expect("the tree wrote it");
        let mut lines = text.lines();
        let hex = lines.next().and_then(|l| l.strip_prefix("keyrack/1 ")).expect("a secret");
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex");
        }
        let mut entry = lines.next().expect("an entry").splitn(4, ' ');
        let mut next = || entry.next().expect("four words");
        let (owner, rack) = (next().parse().expect("an owner"), next().parse().expect("a rack"));
        next();
        Self { secret: TreeSecret::new(Key::new(bytes)), owner, rack, socket: next().into() }
    }

    fn id(&self) -> CapabilityId {
        self.secret.capability_id(&self.owner, &self.rack)
    }

    fn open(&self) -> Result<Session, keyrack_protocol::client::ClientError> {
        let key = self.secret.capability_key(&self.owner, &self.rack);
        let kind = KeyKind::Capability(self.id());
        Session::open(
            &self.socket,
            &Target { owner: self.owner.clone(), rack: self.rack, kind, key },
        )
    }

    #[track_caller]
    fn call(&self, request: &Request) -> Reply {
        self.open().expect("it is known").call(request).expect("it is answered")
    }

    #[track_caller]
    fn refused(&self, request: &Request) {
        let reply = self.call(request);
        assert!(
            matches!(reply, Reply::Refused { code: Refusal::Right, .. }),
            "{request:?}\n{reply:?}"
        );
    }
}

/// `bot` has ONE and TWO unlocked. One tree was given only ONE; a program of `exec` as well.
struct Scene {
    rack: Rack,
    running: Option<Running>,
}

impl Scene {
    fn new() -> Self {
        let rack = Rack::new();
        rack.key("bot");
        rack.sh("keyrack init --for bot; for k in ONE TWO; do printf $k-value | keyrack set --for bot --key $k; done; keyrack unlock --for bot").ok();
        rack.write(
            "work/robot.sh",
            "keyctl pipe $(keyctl search @s user keyrack:tree) >program; touch ready; sleep 100\n",
        );
        let tree = "keyrack unlock --for bot --key ONE; keyctl pipe $(keyctl search @s user keyrack:tree) >tree; \
            keyrack exec --quiet --for bot --key ONE -- bash robot.sh";
        let running = Some(rack.script(tree).start());
        daemons::until(|| rack.path("work/ready").exists());
        Self { rack, running }
    }

    fn tree(&self) -> Holder {
        Holder::read(&self.rack, "work/tree")
    }

    fn program(&self) -> Holder {
        Holder::read(&self.rack, "work/program")
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = killpg(Pid::from_raw(running.pid() as i32), Signal::SIGKILL);
            running.finish();
        }
    }
}

fn slug(key: &str) -> Slug {
    format!("@all.all.{key}").parse().expect("a slug")
}

fn get(key: &str) -> Request {
    Request::Get { asks: vec![Ask::exactly(slug(key))], caller: String::new() }
}

fn push(key: &str, replace: bool) -> Request {
    let grant = Grant {
        slug: slug(key),
        value: Secret::from(&b"forged"[..]),
        ttl_ms: 60_000,
        self_proof: true,
        vault: "personal".into(),
        class: "password".into(),
    };
    Request::Push(Push { replace, grants: vec![grant], ..Push::default() })
}

fn mint(rights: Rights, slugs: Option<&[&str]>) -> Request {
    let random = || Key::random().expect("random numbers");
    let mut id = [0; 16];
    id.copy_from_slice(&random().expose()[..16]);
    let capability = Registration {
        id: CapabilityId::from_bytes(id),
        key: Some(random()),
        rights,
        label: "forged".into(),
        scope: Scope::Tree,
    };
    Request::Mint {
        capability,
        slugs: slugs.map(|slugs| slugs.iter().map(|key| slug(key)).collect()),
    }
}

#[track_caller]
fn only(reply: Reply) -> Answer {
    match reply {
        Reply::Values { mut answers } if answers.len() == 1 => answers.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn neither_reads_beyond_its_slugs() {
    need!("keyctl");
    let scene = Scene::new();
    for holder in [scene.tree(), scene.program()] {
        assert!(matches!(only(holder.call(&get("ONE"))), Answer::Granted { .. }));
        assert!(matches!(only(holder.call(&get("TWO"))), Answer::Denied { .. }));
        let Reply::Values { answers } =
            holder.call(&Request::GetAll { env: None, caller: String::new() })
        else {
            panic!("values are values")
        };
        assert_eq!(answers.len(), 1, "{answers:?}");
        let Reply::Status(status) = holder.call(&Request::Status) else {
            panic!("a status is one")
        };
        assert_eq!(status.grants.iter().map(|g| g.slug.clone()).collect::<Vec<_>>(), [slug("ONE")]);
    }
}

#[test]
fn a_tree_prolongs_nothing_and_adds_nothing() {
    need!("keyctl");
    let scene = Scene::new();
    let tree = scene.tree();
    tree.refused(&push("ONE", false));
    tree.refused(&push("TWO", true));
    tree.refused(&push("NEW", true));
    let names = Push { replace: true, known: Some(Vec::new()), ..Push::default() };
    tree.refused(&Request::Push(names));
}

#[test]
fn a_tree_makes_only_narrower_ones() {
    need!("keyctl");
    let scene = Scene::new();
    let tree = scene.tree();
    tree.refused(&mint(Rights::READ, Some(&["TWO"])));
    tree.refused(&mint(Rights::READ, Some(&["ONE", "TWO"])));
    assert!(matches!(tree.call(&mint(Rights::READ, Some(&["ONE"]))), Reply::Done { count: 1 }));
    // Nor does it change one that is there.
    let capability = Registration {
        id: scene.program().id(),
        key: None,
        rights: Rights::TREE,
        label: "forged".into(),
        scope: Scope::User,
    };
    tree.refused(&Request::Mint { capability, slugs: Some(vec![slug("ONE")]) });
}

#[test]
fn a_program_of_exec_only_reads() {
    need!("keyctl");
    let scene = Scene::new();
    let program = scene.program();
    program.refused(&push("ONE", true));
    program.refused(&push("ONE", false));
    program.refused(&mint(Rights::READ, Some(&["ONE"])));
    program.refused(&mint(Rights::default(), Some(&[])));
    program.refused(&Request::Forget(Forget { slugs: vec![slug("ONE")], ..Forget::default() }));
    program.refused(&Request::SealDrop { digest: "00".repeat(32) });
    program.refused(&Request::Revoke { capability: scene.tree().id() });
}

#[test]
fn nobody_forgets_or_revokes_what_is_not_theirs() {
    need!("keyctl");
    let scene = Scene::new();
    let tree = scene.tree();
    tree.refused(&Request::Forget(Forget { slugs: vec![slug("TWO")], ..Forget::default() }));
    let stranger = CapabilityId::from_bytes([7; 16]);
    tree.refused(&Request::Revoke { capability: stranger });
}

#[test]
fn a_capability_of_another_rack_or_owner_is_unknown() {
    need!("keyctl");
    let scene = Scene::new();
    let refused = |holder: Holder| assert!(holder.open().is_err());
    refused(Holder { owner: "eve".parse().expect("an owner"), ..scene.tree() });
    refused(Holder { rack: RackId::from_bytes([9; 16]), ..scene.tree() });
    refused(Holder { secret: TreeSecret::new(Key::new([9; 32])), ..scene.tree() });
}

#[test]
fn after_a_relock_it_is_worth_nothing() {
    need!("keyctl");
    let scene = Scene::new();
    let (tree, program) = (scene.tree(), scene.program());
    scene.rack.sh("keyrack relock --for bot; keyrack unlock --for bot").ok();
    assert!(tree.open().is_err() && program.open().is_err());
}

/// Locking always wins: over who takes every seat there is, too.
#[test]
fn taking_every_seat_keeps_off_no_relock() {
    need!("keyctl");
    let scene = Scene::new();
    let program = scene.program();
    let seats: Vec<Session> = std::iter::from_fn(|| program.open().ok()).take(600).collect();
    assert!(seats.len() < 600, "there is no end to the seats");
    scene.rack.sh("keyrack get --for bot --key ONE").code(7);
    let done = scene.rack.sh("keyrack relock --for bot");
    assert!(done.ok().errors().contains("did not answer, and was ended"), "{done}");
    scene.rack.no_daemon();
    drop(seats);
}

/// The same, where command, daemon and attacker are an ordinary user's.
#[test]
fn all_of_it_as_an_ordinary_user() {
    need!(root);
    keyrack_tests::user::all_again("all_of_it_as_an_ordinary_user");
}
