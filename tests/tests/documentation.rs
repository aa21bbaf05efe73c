//! What README and the guides show is what happens: every `console` block in them is a
//! session (`keyrack_tests::session`), in the sandbox of a new user: with the person's SSH key
//! and nothing else. The guide for YubiKeys needs one: `yubikey_guide.rs` runs it.

use keyrack_tests::{Rack, binaries, session, source};

#[test]
fn every_console_block_happens_as_shown() {
    let shown = source::texts("md").into_iter().filter(|(path, text)| {
        let documents = path.starts_with("docs") || path.components().count() == 1;
        let here = path.as_path() != std::path::Path::new("docs/guides/yubikey.md");
        documents && here && text.lines().any(|l| matches!(l, "```console" | "```console fresh"))
    });
    let files: Vec<_> = shown.map(|(path, _)| path).collect();
    assert!(!files.is_empty(), "the documentation shows nothing");
    for file in files {
        session::run(&binaries::repository().join(file), sandbox);
    }
}

fn sandbox() -> Rack {
    let rack = Rack::new();
    rack.key("human");
    rack
}
