//! Something in a daemon's place that is none, and connections no keyrack would make.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use keyrack_protocol::frame;

/// A listener that answers as it is told and keeps what was said to it.
#[derive(Debug)]
pub struct FakeDaemon {
    heard: Arc<Mutex<Vec<u8>>>,
}

impl FakeDaemon {
    /// Listens on `path`. `answer` is given what one read brought; its answer is sent and
    /// the connection closed, unless it is `None`: then nothing is ever said.
    pub fn listen<A>(path: &Path, answer: A) -> Self
    where
        A: Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static,
    {
        let listener = UnixListener::bind(path).expect("a free path");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&heard);
        let answer = Arc::new(answer);
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (notes, answer) = (Arc::clone(&notes), Arc::clone(&answer));
                thread::spawn(move || hear(stream, &notes, &*answer));
            }
        });
        Self { heard }
    }

    /// The same answer to everything.
    pub fn saying(path: &Path, answer: Option<Vec<u8>>) -> Self {
        Self::listen(path, move |_| answer.clone())
    }

    /// Everything that was ever said to it.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().expect("no panic while held").clone()
    }
}

fn hear(mut stream: UnixStream, notes: &Mutex<Vec<u8>>, answer: &dyn Fn(&[u8]) -> Option<Vec<u8>>) {
    let mut buffer = [0; 65_536];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        notes.lock().expect("no panic while held").extend_from_slice(&buffer[..length]);
        if let Some(answer) = answer(&buffer[..length]) {
            let _ = stream.write_all(&answer);
            return;
        }
    }
}

/// Sends raw bytes to a daemon and reads its answer to the end, or as far as it comes
/// within five seconds.
pub fn say(socket: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(socket);
    // It may refuse before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// A connection with a deadline.
pub fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("a daemon listens");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    stream.set_write_timeout(Some(Duration::from_secs(5))).expect("a socket");
    stream
}

/// `payload` as a frame.
pub fn framed(payload: &[u8]) -> Vec<u8> {
    frame::encode(payload)
}
