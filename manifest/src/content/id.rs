//! Random or hashed bytes that name a thing in a manifest or a vault.

use keyrack_names::id;

id! {
    /// Names a sealed drop, so that it is merged once.
    DropId, 16
}

id! {
    /// Names a member of vaults: the first half of SHA-256 of its first identity card.
    /// Stable for life.
    MemberId, 16
}

id! {
    /// Names a vault: SHA-256 of the payload of its genesis link.
    VaultId, 32
}

id! {
    /// Names a credential inside a vault, through all its versions.
    CredId, 16
}

id! {
    /// Names an invitation to a vault.
    InviteId, 16
}

id! {
    /// Names one device of a member, which keeps an audit log of its own.
    DeviceId, 16
}

id! {
    /// SHA-256 of something written.
    Digest, 32
}

/// New random ids.
macro_rules! random {
    ($($name:ident)*) => {
        $(impl $name {
            /// A new random id.
            ///
            /// # Errors
            /// When the operating system gives no random numbers.
            pub fn random() -> Result<Self, getrandom::Error> {
                let mut bytes = [0; size_of::<Self>()];
                getrandom::fill(&mut bytes)?;
                Ok(Self(bytes))
            }
        })*
    };
}

random! { DropId MemberId VaultId CredId InviteId DeviceId Digest }

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }
}
