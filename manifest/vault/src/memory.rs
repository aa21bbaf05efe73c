//! The engine that keeps a vault in memory: for tests, and for what must leave no file.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::SystemTime;

use keyrack_manifest::FileError;

use crate::engine::{Guard, VaultStore};

/// A vault in memory. It is gone with the value.
#[derive(Debug, Default)]
pub struct Memory {
    objects: Mutex<BTreeMap<String, (Vec<u8>, SystemTime)>>,
    /// Whether a writer is at work, and how the next one is told that it is done.
    writer: Arc<(Mutex<bool>, Condvar)>,
}

impl Memory {
    /// Every object as it is now.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.with(|objects| {
            objects.iter().map(|(n, (bytes, _))| (n.clone(), bytes.clone())).collect()
        })
    }

    /// Puts back what [`Memory::objects`] gave, or anything else: storage does what it
    /// likes.
    pub fn restore(&self, objects: BTreeMap<String, Vec<u8>>) {
        let now = SystemTime::now();
        self.with(|all| *all = objects.into_iter().map(|(n, bytes)| (n, (bytes, now))).collect());
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, (Vec<u8>, SystemTime)>) -> T) -> T {
        work(&mut self.objects.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl VaultStore for Memory {
    fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
        let found = self.with(|objects| objects.get(name).map(|(bytes, _)| bytes.clone()));
        match found {
            Some(bytes) if bytes.len() as u64 > limit => Err(FileError::new(
                "read",
                name.as_ref(),
                std::io::Error::new(std::io::ErrorKind::FileTooLarge, "larger than it may be"),
            )),
            found => Ok(found),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, FileError> {
        let folder = format!("{prefix}/");
        self.with(|objects| {
            let mut found: Vec<String> = objects
                .range(folder.clone()..)
                .map_while(|(name, _)| name.strip_prefix(&folder))
                .map(|rest| match rest.split_once('/') {
                    Some((folder, _)) => format!("{folder}/"),
                    None => rest.to_owned(),
                })
                .collect();
            found.dedup();
            Ok(found)
        })
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, FileError> {
        self.with(|objects| {
            let is_new = !objects.contains_key(name);
            if is_new {
                objects.insert(name.to_owned(), (bytes.to_vec(), SystemTime::now()));
            }
            Ok(is_new)
        })
    }

    fn stage(&self, staged: &[(String, Vec<u8>)]) -> Result<(), FileError> {
        let now = SystemTime::now();
        self.with(|objects| {
            objects.extend(staged.iter().map(|(name, bytes)| (name.clone(), (bytes.clone(), now))));
        });
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), FileError> {
        self.with(|objects| objects.remove(name));
        Ok(())
    }

    fn written(&self, name: &str) -> Result<Option<SystemTime>, FileError> {
        Ok(self.with(|objects| objects.get(name).map(|(_, written)| *written)))
    }

    fn lock(&self) -> Result<Guard, FileError> {
        let (busy, done) = &*self.writer;
        let mut busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
        while *busy {
            busy = done.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
        *busy = true;
        Ok(Box::new(Held(self.writer.clone())))
    }
}

/// Held by the one writer.
struct Held(Arc<(Mutex<bool>, Condvar)>);

impl Drop for Held {
    fn drop(&mut self) {
        let (busy, done) = &*self.0;
        *busy.lock().unwrap_or_else(PoisonError::into_inner) = false;
        done.notify_one();
    }
}
