//! How much one daemon answers, beside an echo without any proof: the same runtime, the same
//! sizes, the same callers. Beside one that says the same messages in the clear, which shows
//! how much of the difference is what is said and how much is proof and log. What callers ask
//! is sealed before the clock runs, and what they were told opened after it, so that it is
//! the daemon that is measured. And how long one caller waits while a thousand connections
//! that never say anything are open.
//!
//! `cargo bench -p keyrackd` prints three tables. Nothing here is asserted.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyrack_protocol::channel::{Channel, Handshake, MAX_REPLY, Partial};
use keyrack_protocol::client::{self, Session, Target};
use keyrack_protocol::hello::{Hello, KeyKind};
use keyrack_protocol::keys::{Key, RackSecret};
use keyrack_protocol::message::{
    Answer, AuditHead, Grant, Push, Reply, Request, Start, Started, decode, encode, lead,
};
use keyrack_protocol::names::{Ask, Env, Owner, Secret, Slug};
use keyrack_protocol::{RackId, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Says in the environment that this process is the echo, and where it listens.
const ECHO: &str = "KEYRACKD_BENCH_ECHO";
/// The same of the one that reads and writes messages.
const CLEAR: &str = "KEYRACKD_BENCH_CLEAR";
/// How many requests one measurement is, shared by all callers.
const REQUESTS: usize = 40_000;
/// Of so many measurements the middle one counts.
const TURNS: usize = 5;
/// How long a sealed request for one value is, and its reply.
const REQUEST: usize = 106;
const REPLY: usize = 194;
/// Room for a reply in its frame.
const LARGEST: usize = 512;
const HALF_OPEN: usize = 1000;
const VALUE: &[u8] = b"ghp_0123456789abcdefghijklmnopqrstuvwxyz";

type Unclear = Box<dyn std::error::Error>;

fn main() -> Result<(), Unclear> {
    if let Some(path) = std::env::var_os(ECHO) {
        return echo(Path::new(&path));
    }
    if let Some(path) = std::env::var_os(CLEAR) {
        return clear(Path::new(&path));
    }
    let dir = tempfile::Builder::new().prefix("kb").tempdir_in("/tmp")?;
    let daemon = Daemon::start(dir.path())?;
    let echo = Echo::start(ECHO, &dir.path().join("echo"))?;
    let clear = Echo::start(CLEAR, &dir.path().join("clear"))?;
    let mut in_clear = Vec::new();
    println!("| clients | keyrackd, requests a second | tokio echo | ratio |\n|---|---|---|---|");
    for clients in [1, 8, 64] {
        // In turns, so that a machine that gets slower slows all.
        let (mut ours, mut theirs, mut said) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            ours.push(rate(clients, |count| daemon.caller(count))?);
            theirs.push(rate(clients, |count| echo.caller(&[7; REQUEST], count))?);
            said.push(rate(clients, |count| clear.caller(&encode(&request()?), count))?);
        }
        let (ours, theirs, said) = (median(ours), median(theirs), median(said));
        in_clear.push((clients, ours, said, theirs));
        println!("| {clients} | {ours:.0} | {theirs:.0} | {:.2} |", ours / theirs);
    }
    println!(
        "\n| clients | keyrackd | the same messages in the clear, unproven, unlogged | ratio | of these ÷ tokio echo |"
    );
    println!("|---|---|---|---|---|");
    for (clients, ours, said, theirs) in in_clear {
        println!(
            "| {clients} | {ours:.0} | {said:.0} | {:.2} | {:.2} |",
            ours / said,
            said / theirs
        );
    }
    println!("\n| connections that say nothing | p50, µs | p99, µs |\n|---|---|---|");
    let report = |count: usize| -> Result<(), Unclear> {
        let (mut p50, mut p99) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let mut times = daemon.exchanges(2000)?;
            times.sort_unstable();
            let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e6;
            p50.push(at(50));
            p99.push(at(99));
        }
        println!("| {count} | {:.0} | {:.0} |", median(p50), median(p99));
        Ok(())
    };
    report(0)?;
    // Opened again as they are hung up on, so that there are always as many.
    let path = daemon.socket.clone();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let flood = std::thread::spawn(move || {
        let mut open = Vec::new();
        while stopped.try_recv().is_err() {
            open.retain(|stream: &UnixStream| is_open(stream));
            while open.len() < HALF_OPEN {
                match UnixStream::connect(&path) {
                    Ok(stream) => open.push(stream),
                    Err(_) => break,
                }
            }
            // To look at a thousand takes a core for a while, which is not the daemon's doing.
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    std::thread::sleep(Duration::from_millis(400));
    report(HALF_OPEN)?;
    stop.send(())?;
    flood.join().map_err(|_| "the flood failed")?;
    Ok(())
}

fn is_open(stream: &UnixStream) -> bool {
    stream.set_nonblocking(true).is_ok()
        && matches!((&*stream).read(&mut [0]), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock)
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Requests a second of so many callers at once.
fn rate(clients: usize, caller: impl Fn(usize) -> Result<Caller, Unclear>) -> Result<f64, Unclear> {
    let callers = (0..clients).map(|_| caller(REQUESTS / clients));
    let mut callers = callers.collect::<Result<Vec<_>, Unclear>>()?;
    let begun = Instant::now();
    let answered: bool = std::thread::scope(|scope| {
        let asking: Vec<_> = callers.iter_mut().map(|one| scope.spawn(|| one.ask())).collect();
        asking.into_iter().all(|asked| matches!(asked.join(), Ok(Ok(()))))
    });
    let took = begun.elapsed().as_secs_f64();
    if !answered {
        return Err("a caller failed".into());
    }
    callers.into_iter().try_for_each(Caller::check)?;
    Ok((REQUESTS / clients * clients) as f64 / took)
}

/// One connection, what is asked on it, and what was answered.
struct Caller {
    stream: UnixStream,
    /// Frames.
    requests: Vec<Vec<u8>>,
    /// Frames, one behind the other.
    replies: Vec<u8>,
    /// What opens the replies; an echo's are not looked at.
    channel: Option<Channel>,
}

impl Caller {
    fn new(stream: UnixStream, requests: Vec<Vec<u8>>, channel: Option<Channel>) -> Self {
        let replies = Vec::with_capacity(requests.len() * LARGEST);
        Self { stream, requests, replies, channel }
    }

    /// Asks one thing after another, each when the one before is answered.
    fn ask(&mut self) -> std::io::Result<()> {
        let mut reply = [0; LARGEST];
        for request in &self.requests {
            self.stream.write_all(request)?;
            let mut length = self.stream.read(&mut reply)?;
            while length < frame::HEADER || length < frame::HEADER + announced(&reply) {
                match self.stream.read(&mut reply[length..])? {
                    0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                    more => length += more,
                }
            }
            self.replies.extend_from_slice(&reply[..length]);
        }
        Ok(())
    }

    /// Whether every request was answered, by the value where it can be opened.
    fn check(mut self) -> Result<(), Unclear> {
        let mut replies = &self.replies[..];
        for _ in &self.requests {
            let reply = frame::read(&mut replies)?;
            let Some(channel) = &mut self.channel else { continue };
            let opened = channel.open(&reply, &mut Partial::default(), MAX_REPLY)?;
            let Reply::Values { answers } = decode(&opened.ok_or("half a reply")?)? else {
                return Err("another reply".into());
            };
            if !matches!(&answers[..], [Answer::Granted { value, .. }] if value.expose() == VALUE) {
                return Err("another value".into());
            }
        }
        Ok(())
    }
}

fn announced(reply: &[u8]) -> usize {
    reply.first_chunk().map_or(0, |header| u32::from_be_bytes(*header) as usize)
}

/// A daemon with one value.
struct Daemon {
    child: Child,
    socket: PathBuf,
    target: Target,
}

impl Daemon {
    fn start(dir: &Path) -> Result<Self, Unclear> {
        let owner: Owner = "bench".parse()?;
        let (rack, secret) =
            (RackId::from_bytes(*b"a rack to bench."), RackSecret::new(Key::random()?));
        let (mut ours, theirs) = UnixStream::pair()?;
        let log = std::fs::File::create(dir.join("audit.log"))?;
        let child = Command::new(env!("CARGO_BIN_EXE_keyrackd"))
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()?;
        let start = Start {
            owner: owner.clone(),
            rack,
            attach_key: secret.attach_key(),
            self_proof_key: None,
            drop_key: secret.drop_key(),
            audit_key: secret.audit_key(),
            audit_head: AuditHead::default(),
            socket_dirs: vec![dir.to_owned()],
            ends_with: None,
        };
        frame::write(&mut ours, &encode(&start))?;
        let Started::Ready { sockets, .. } = decode(&frame::read(&mut ours)?)? else {
            return Err("the daemon did not start".into());
        };
        let target = Target { owner, rack, kind: KeyKind::Attach, key: secret.attach_key() };
        let socket = sockets.into_iter().next().ok_or("it listens nowhere")?;
        let grant = Grant {
            slug: slug()?,
            value: Secret::from(VALUE),
            ttl_ms: 3_600_000,
            self_proof: false,
            vault: "personal".to_owned(),
            class: "config".to_owned(),
        };
        let push = Push { grants: vec![grant], ..Push::default() };
        Session::open(&socket, &target)?.call(&Request::Push(push))?;
        Ok(Self { child, socket, target })
    }

    /// A proven caller who is to ask for the value `count` times.
    fn caller(&self, count: usize) -> Result<Caller, Unclear> {
        let Target { owner, rack, kind, key } = &self.target;
        let hello = Hello::new(owner.clone(), *rack, *kind).encode();
        let mut handshake = Handshake::initiator(key, &hello)?;
        let length = (hello.len() as u16).to_be_bytes();
        let first = [&[lead::CHANNEL][..], &length, &hello, &handshake.write(&[])?].concat();
        let mut stream = UnixStream::connect(&self.socket)?;
        frame::write(&mut stream, &first)?;
        handshake.read(&frame::read(&mut stream)?[1..])?;
        let mut channel = handshake.finish()?;
        let request = encode(&request()?);
        let sealed = (0..count).map(|_| Ok(channel.seal(&request)?.concat()));
        let requests = sealed.collect::<Result<_, Unclear>>()?;
        Ok(Caller::new(stream, requests, Some(channel)))
    }

    /// How long whole exchanges take, each on a connection of its own.
    fn exchanges(&self, count: usize) -> Result<Vec<Duration>, Unclear> {
        let request = request()?;
        (0..count)
            .map(|_| {
                let begun = Instant::now();
                // One that had to give way to the flood tries again, and that counts.
                let answered = || client::ask(&self.socket, &self.target, &request).is_ok();
                (0..100).find(|_| answered()).ok_or("no answer in a hundred tries")?;
                Ok(begun.elapsed())
            })
            .collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn slug() -> Result<Slug, Unclear> {
    Ok("ehmpathy.dev.GITHUB_TOKEN".parse()?)
}

fn request() -> Result<Request, Unclear> {
    Ok(Request::Get { asks: vec![Ask::exactly(slug()?)], caller: String::new() })
}

/// An echo in a process of its own, as the daemon is.
struct Echo {
    child: Child,
    path: PathBuf,
}

impl Echo {
    fn start(which: &str, path: &Path) -> Result<Self, Unclear> {
        let child = Command::new(std::env::current_exe()?).env(which, path).spawn()?;
        while !path.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Self { child, path: path.to_owned() })
    }

    fn caller(&self, request: &[u8], count: usize) -> Result<Caller, Unclear> {
        let stream = UnixStream::connect(&self.path)?;
        let requests = vec![frame::encode(request); count];
        Ok(Caller::new(stream, requests, None))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a frame of a request's size, writes one of a reply's, for ever.
fn echo(path: &Path) -> Result<(), Unclear> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = tokio::net::UnixListener::bind(path)?;
        let reply = frame::encode(&[7; REPLY]);
        loop {
            let (mut stream, _) = listener.accept().await?;
            let reply = reply.clone();
            tokio::task::spawn_local(async move {
                let mut request = [0; frame::HEADER + REQUEST];
                while stream.read_exact(&mut request).await.is_ok() {
                    if stream.write_all(&reply).await.is_err() {
                        break;
                    }
                }
            });
        }
    })
}

/// Reads requests and writes replies, as they are inside of the channel.
fn clear(path: &Path) -> Result<(), Unclear> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = tokio::net::UnixListener::bind(path)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::task::spawn_local(async move { drop(answer(stream).await) });
        }
    })
}

async fn answer(mut stream: tokio::net::UnixStream) -> Result<(), Unclear> {
    let mut received = Vec::new();
    loop {
        received.reserve(512);
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
        let Some(header) = received.first_chunk::<{ frame::HEADER }>() else { continue };
        let whole = frame::HEADER + frame::announced(*header)?;
        if received.len() < whole {
            continue;
        }
        let Request::Get { asks, .. } = decode(&received[frame::HEADER..whole])? else {
            return Err("not a get".into());
        };
        received.drain(..whole);
        let value = |ask: Ask| Answer::Granted {
            slug: Slug::new(ask.org, ask.env.unwrap_or_else(Env::all), ask.key),
            value: Secret::from(VALUE),
            expires_in_ms: 1,
        };
        let reply = Reply::Values { answers: asks.into_iter().map(value).collect() };
        stream.write_all(&frame::encode(&encode(&reply))).await?;
    }
}
