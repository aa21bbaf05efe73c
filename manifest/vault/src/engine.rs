//! What a vault is stored with. An engine sees names, ciphertext and signed metadata, and
//! promises one thing: of two that create the same name, one is told that it is taken.

use std::time::SystemTime;

use keyrack_manifest::FileError;

/// Where the objects of one vault lie. Names are relative, of `a-z0-9._-` and `/`, and
/// made by [`names`](crate::names) alone.
///
/// What an engine returned from without an error is there for good: a process that is
/// killed later, or a machine that loses power, does not undo it.
pub trait VaultStore: Send + Sync {
    /// The object of that name; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, is larger than `limit` bytes, or is no plain object (a symbolic
    /// link, a fifo): [`FileError::is_foreign`].
    fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, FileError>;

    /// The names of all objects directly in the folder `prefix` (which ends in no `/`), in
    /// no order, without the prefix. Folders in it end in `/`. A folder that does not exist
    /// is empty.
    ///
    /// # Errors
    /// It cannot be read.
    fn list(&self, prefix: &str) -> Result<Vec<String>, FileError>;

    /// Makes an object where none is: the compare-and-swap everything rests on. `false`
    /// when there is one already; it stays as it is, and what is created is there whole or
    /// not at all.
    ///
    /// # Errors
    /// It cannot be written.
    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, FileError>;

    /// Writes many objects that nothing names yet. One that is there already, left by a
    /// writer that was killed, is replaced. All are there for good when this returns;
    /// before, any of them may be, whole or in part.
    ///
    /// # Errors
    /// One cannot be written.
    fn stage(&self, objects: &[(String, Vec<u8>)]) -> Result<(), FileError>;

    /// Removes an object; one that is not there is as good as removed.
    ///
    /// # Errors
    /// It is there and stays.
    fn remove(&self, name: &str) -> Result<(), FileError>;

    /// When an object was last written, if the engine knows.
    ///
    /// # Errors
    /// The engine cannot be asked.
    fn written(&self, name: &str) -> Result<Option<SystemTime>, FileError>;

    /// Keeps other writers away until the guard is dropped: all those that see the same
    /// objects. Without it a record that is written beside a rotation could be left behind;
    /// the chain itself needs no lock.
    ///
    /// # Errors
    /// The lock cannot be had in a person's patience.
    fn lock(&self) -> Result<Guard, FileError>;
}

/// Held while one writer is alone; what it holds is the engine's.
pub type Guard = Box<dyn std::any::Any>;
