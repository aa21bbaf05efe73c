//! How many requests a second one daemon answers on connections that stay, beside a server
//! of the same shape that proves nothing and seals nothing; and how long a `get` takes
//! while a thousand connections hang half open. Run by `tests/benches/run`:
//! `throughput SOCKET OWNER SLUG SECONDS`, the tree's secret in `KEYRACK_CAPABILITY`.
//! Prints one JSON object.

use std::io::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keyrack_protocol::client::{self, Session, Target};
use keyrack_protocol::frame;
use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::keys::{Key, TreeSecret};
use keyrack_protocol::message::{Answer, BareRequest, Reply, Request, encode};
use keyrack_protocol::names::{Ask, Slug};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CLIENTS: [usize; 3] = [1, 8, 64];
const HALF_OPEN: usize = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|word| word != "--bench").collect();
    let [_, socket, owner, slug, seconds] = arguments.as_slice() else {
        println!("{{}}");
        return;
    };
    let span = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    let socket = PathBuf::from(socket);
    let target = target(&socket, owner);
    let slug: Slug = slug.parse().expect("a slug");
    let ask = || Request::Get { asks: vec![Ask::exactly(slug.clone())], caller: String::new() };
    let reply = client::ask(&socket, &target, &ask()).expect("an answer");
    let Reply::Values { answers } = &reply else { panic!("{reply:?}") };
    assert!(matches!(answers[0], Answer::Granted { .. }));
    // As many bytes as the daemon's frames have: a length and a tag more.
    let (question, answer) = (encode(&ask()).len() + 20, encode(&reply).len() + 20);
    let echo = serve_echo(answer);
    let mut rows = Vec::new();
    for clients in CLIENTS {
        let ours = rate(clients, span, || {
            let mut session = Session::open(&socket, &target).expect("a channel");
            let request = ask();
            move || drop(session.call(&request).expect("an answer"))
        });
        let theirs = rate(clients, span, || {
            let mut stream = UnixStream::connect(&echo).expect("the echo listens");
            let frame = frame::encode(&vec![7; question]);
            move || {
                stream.write_all(&frame).expect("it reads");
                drop(frame::read(&mut stream).expect("it answers"));
            }
        });
        rows.push(serde_json::json!({ "clients": clients, "keyrack": ours, "echo": theirs }));
    }
    let get = || drop(client::ask(&socket, &target, &ask()).expect("an answer"));
    let alone = p99(span, get);
    let flood = Flood::begin(&socket);
    let beside = p99(span, get);
    drop(flood);
    let half_open = serde_json::json!({ "without": alone, "with": beside });
    println!("{}", serde_json::json!({ "rates": rows, "p99us": half_open }));
    let _ = std::fs::remove_file(&echo);
}

/// The daemon's address for whoever has the secret in the environment.
fn target(socket: &Path, owner: &str) -> Target {
    let rack = client::bare(socket, BareRequest::Status).expect("a daemon").rack;
    let owner = owner.parse().expect("an owner");
    let digits = std::env::var("KEYRACK_CAPABILITY").expect("a capability");
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).expect("hex");
        *byte = u8::from_str_radix(pair, 16).expect("hex");
    }
    let secret = TreeSecret::new(Key::new(bytes));
    let kind = KeyKind::Capability(secret.capability_id(&owner, &rack));
    let key = secret.capability_key(&owner, &rack);
    Target { owner, rack, kind, key }
}

/// A server like the daemon, on a runtime like the daemon's, that answers every frame with
/// one of `answer` bytes.
fn serve_echo(answer: usize) -> PathBuf {
    let path = std::env::temp_dir().join(format!("keyrack-echo-{}", std::process::id()));
    let listener = UnixListener::bind(&path).expect("a free path");
    listener.set_nonblocking(true).expect("a socket");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        tokio::task::LocalSet::new().block_on(&runtime.expect("a runtime"), async move {
            let listener = tokio::net::UnixListener::from_std(listener).expect("a socket");
            while let Ok((mut stream, _)) = listener.accept().await {
                let reply = frame::encode(&vec![7; answer]);
                tokio::task::spawn_local(async move {
                    let mut received = Vec::new();
                    loop {
                        received.reserve(512);
                        if !matches!(stream.read_buf(&mut received).await, Ok(1..)) {
                            return;
                        }
                        let length = received.first_chunk().map(|head| frame::announced(*head));
                        if let Some(Ok(length)) = length
                            && received.len() >= frame::HEADER + length
                        {
                            received.drain(..frame::HEADER + length);
                            if stream.write_all(&reply).await.is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
    });
    path
}

/// Requests a second, by so many clients at once.
fn rate<F: FnMut()>(clients: usize, span: Duration, client: impl Fn() -> F + Sync) -> f64 {
    let (count, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut request = client();
                let mut done = 0;
                while !over.load(Ordering::Relaxed) {
                    request();
                    done += 1;
                }
                count.fetch_add(done, Ordering::Relaxed);
            });
        }
        std::thread::sleep(span);
        over.store(true, Ordering::Relaxed);
    });
    count.into_inner() as f64 / start.elapsed().as_secs_f64()
}

/// Microseconds within which 99 of 100 calls are done.
fn p99(span: Duration, call: impl Fn()) -> f64 {
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < span {
        let begin = Instant::now();
        call();
        times.push(begin.elapsed());
    }
    times.sort();
    times[times.len() * 99 / 100].as_secs_f64() * 1e6
}

/// A thousand connections that say nothing. Those the daemon hangs up on are made anew.
struct Flood {
    over: std::sync::Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Flood {
    fn begin(socket: &Path) -> Self {
        let over = std::sync::Arc::new(AtomicBool::new(false));
        let connect = {
            let socket = socket.to_owned();
            move || UnixStream::connect(&socket).ok()
        };
        let mut open: Vec<Option<UnixStream>> = (0..HALF_OPEN).map(|_| connect()).collect();
        let ended = over.clone();
        let thread = std::thread::spawn(move || {
            // A daemon gives each two seconds to speak.
            for turn in 0.. {
                open[turn % HALF_OPEN] = connect();
                std::thread::sleep(Duration::from_millis(2));
                if ended.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
