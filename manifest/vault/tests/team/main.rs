//! A vault of several members as each of them sees it, and as storage, outsiders and
//! members who are not honest may leave it.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod acts;
mod forged;
mod forged_records;
mod given;
mod golden;
mod hostile;
mod killed;
mod life;
mod model;
mod race;
mod rig;
mod rules;
