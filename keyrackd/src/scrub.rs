//! The dead part of the stack, which no destructor reaches: keys are moved about by value
//! while they are used, and each move may leave a copy.

/// How deep a request or a start goes, with room to spare, in machine words.
const DEPTH: usize = 4 * 1024;

/// Overwrites the stack below the caller.
#[inline(never)]
pub(crate) fn scrub() {
    let mut dead = [0_u64; DEPTH];
    std::hint::black_box(&mut dead);
}
