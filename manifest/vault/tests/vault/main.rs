//! A vault on disk as its users see it, and as whoever else can write there may leave it.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod altered;
mod golden;
mod killed;
mod model;
mod owner;
