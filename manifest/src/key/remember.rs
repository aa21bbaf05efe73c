//! An identity that remembers, for as long as it lives, what it opened: a person is not
//! asked twice for one file, however often it is read.

use std::sync::Mutex;

use age_core::format::{FileKey, Stanza};
use age_core::secrecy::ExposeSecret as _;

/// Most files that are remembered: an unlock opens a manifest and some drops.
const MOST: usize = 256;

/// A slow identity, and what it opened.
pub(crate) struct Remembering<I> {
    inner: I,
    opened: Mutex<Vec<(Vec<Stanza>, FileKey)>>,
}

impl<I> Remembering<I> {
    pub(crate) fn new(inner: I) -> Self {
        Self { inner, opened: Mutex::new(Vec::new()) }
    }

    fn recall(&self, stanzas: &[Stanza]) -> Option<FileKey> {
        let opened = self.opened.lock().ok()?;
        opened.iter().find(|(seen, _)| seen == stanzas).map(|(_, key)| copy(key))
    }

    fn remember(&self, stanzas: &[Stanza], key: &FileKey) {
        let Ok(mut opened) = self.opened.lock() else { return };
        if opened.len() < MOST {
            opened.push((stanzas.iter().map(copy_of).collect(), copy(key)));
        }
    }
}

impl<I: age::Identity> age::Identity for Remembering<I> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, age::DecryptError>> {
        if let Some(key) = self.recall(stanzas) {
            return Some(Ok(key));
        }
        let opened = self.inner.unwrap_stanzas(stanzas);
        if let Some(Ok(key)) = &opened {
            self.remember(stanzas, key);
        }
        opened
    }
}

fn copy(key: &FileKey) -> FileKey {
    FileKey::init_with_mut(|bytes| bytes.copy_from_slice(key.expose_secret()))
}

pub(crate) fn copy_of(stanza: &Stanza) -> Stanza {
    Stanza { tag: stanza.tag.clone(), args: stanza.args.clone(), body: stanza.body.clone() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use age::Identity as _;

    use super::*;

    struct Counting(AtomicUsize);

    impl age::Identity for Counting {
        fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let first = *stanza.body.first()?;
            Some(match first {
                0 => Err(age::DecryptError::DecryptionFailed),
                byte => Ok(FileKey::new(Box::new([byte; 16]))),
            })
        }
    }

    #[test]
    fn asks_once_for_a_file_and_again_after_a_failure() {
        let identity = Remembering::new(Counting(AtomicUsize::new(0)));
        let stanza = |body| [Stanza { tag: "x".into(), args: Vec::new(), body: vec![body] }];
        let count = || identity.inner.0.load(Ordering::Relaxed);
        for _ in 0..3 {
            let key = identity.unwrap_stanzas(&stanza(5)).unwrap().unwrap();
            assert_eq!(key.expose_secret(), &[5; 16]);
        }
        assert_eq!(count(), 1);
        assert_eq!(identity.unwrap_stanzas(&stanza(6)).unwrap().unwrap().expose_secret(), &[6; 16]);
        assert_eq!(count(), 2);
        for _ in 0..2 {
            assert!(identity.unwrap_stanzas(&stanza(0)).unwrap().is_err());
        }
        assert_eq!(count(), 4);
    }
}
