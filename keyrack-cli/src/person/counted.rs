//! `1 credential`, `2 credentials`.

use std::fmt::Display;

/// So many of what is called `one`, whose plural ends in s.
pub fn counted<N: Display + From<u8> + PartialEq>(count: N, one: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {one}{plural}")
}
