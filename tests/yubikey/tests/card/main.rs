//! Talks to the card as a reader does, without one: every instruction, every policy, and
//! the status each ends with.

mod keys;
mod management;
mod objects;
mod pins;
mod power;
mod talk;
