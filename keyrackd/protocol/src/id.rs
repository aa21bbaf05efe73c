//! What names a capability to the daemon.

keyrack_names::id! {
    /// Names a capability to the daemon. Derived from the tree's secret
    /// ([`keys::TreeSecret`](crate::keys::TreeSecret)), which it does not reveal.
    CapabilityId, 16
}
