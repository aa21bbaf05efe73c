//! The tour, from its first line to its last, and what is left of it.

use keyrack_tests::Rack;

#[test]
fn the_tour_ends_well_and_leaves_nothing() {
    let rack = Rack::new();
    let toured = rack.sh("mkdir 'a b' && TMPDIR=\"$PWD/a b\" keyrack demo && ls -A 'a b'");
    let said = toured.ok().text();
    assert!(said.contains("keyrack log verify --for mechanic"), "{said}");
    assert!(said.ends_with("To begin for real: keyrack init"), "{said}");
    assert!(rack.daemons().is_empty());
}
