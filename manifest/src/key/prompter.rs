//! How a person is asked. The terminal, the descriptor or the window behind it is the
//! command's affair.

use std::sync::Arc;

use keyrack_names::Secret;

use crate::Yubikeys;

/// Asks a person, if one is there. Shared, because an age plugin may ask later, while a
/// file is being opened.
pub trait Prompter: Send + Sync {
    /// Asks for a passphrase, saying what it is for. `None`: the person declined.
    ///
    /// # Errors
    /// [`PromptError`] when nobody can be asked.
    fn passphrase(&self, what: &str) -> Result<Option<Secret>, PromptError>;

    /// Whether it is typed by somebody who can be asked again after a slip.
    fn has_typist(&self) -> bool;

    /// Asks for something that is no secret. `None`: the person declined, or nobody is
    /// there.
    fn line(&self, what: &str) -> Option<String>;

    /// Asks a question that `yes` and, where there is a second answer, `no` answer. `None`:
    /// nobody is there.
    fn agrees(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool>;

    /// Tells the person something, such as to touch a key.
    fn notice(&self, text: &str);
}

/// The ways to a person, and to what a person carries.
#[derive(Clone)]
pub struct Means {
    /// The person.
    pub prompter: Arc<dyn Prompter>,
    /// The YubiKeys. `None`: neither one of them nor an age plugin is spoken to, since
    /// either may wait for a person.
    pub hardware: Option<Arc<dyn Yubikeys>>,
}

/// Why nobody was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// There is no terminal, no descriptor, no window; or asking is forbidden.
    #[error("nobody is there to ask")]
    NobodyThere,
    /// There was a way, and it failed.
    #[error("asking failed: {0}")]
    Failed(String),
}

/// A passphrase as age takes it; `None` if it is not UTF-8.
pub(crate) fn passphrase_text(secret: &Secret) -> Option<age::secrecy::SecretString> {
    std::str::from_utf8(secret.expose()).ok().map(age::secrecy::SecretString::from)
}
