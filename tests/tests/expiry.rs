//! Grants end. The rules are tested with a faked clock in the daemon's `rack`; here once
//! with the real one, and the caps as `status` tells them.

use keyrack_tests::{Rack, daemons};

fn rack() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf x | keyrack set --for bot --key TOKEN").ok();
    rack
}

/// Seconds that `slug` is still granted for.
#[track_caller]
fn left(rack: &Rack, slug: &str) -> u64 {
    let status = rack.sh("keyrack status --for bot --json").ok().json();
    let grants = status["owners"][0]["grants"].as_array().expect("grants").clone();
    let grant = grants.iter().find(|grant| grant["slug"] == slug);
    let grant = grant.unwrap_or_else(|| panic!("{slug} in {status}"));
    grant["expiresInMs"].as_u64().unwrap_or_else(|| panic!("{grant}")) / 1000
}

#[test]
fn a_grant_ends_and_says_so() {
    let rack = rack();
    rack.sh("printf y | keyrack set --for bot --key LONG").ok();
    rack.sh("keyrack unlock --for bot; keyrack unlock --for bot --key TOKEN --duration 1s").ok();
    daemons::until(|| rack.sh("keyrack get --for bot --key TOKEN").code != 0);
    let expired = rack.sh("keyrack get --for bot --key TOKEN");
    expired.fails(3, "keyrack: error: @all.all.TOKEN has expired for bot\nkeyrack: hint: keyrack unlock --for bot --key TOKEN\n");
    rack.sh("keyrack get --for bot --key LONG").ok().bytes(b"y");
}

#[test]
fn the_daemon_ends_with_its_last_grant() {
    let rack = rack();
    rack.sh("keyrack unlock --for bot --duration 1s").ok();
    assert_eq!(rack.daemons().len(), 1);
    rack.no_daemon();
    rack.sh("keyrack get --for bot --key TOKEN").code(3).bytes(b"");
}

#[test]
fn no_grant_is_longer_than_its_cap() {
    let rack = rack();
    let set = "printf x | keyrack set --for bot --key";
    rack.sh(&format!(
        "{set} ROOT --env sudo; {set} CAPPED --max-duration 5m; {set} SOON --expires 20m"
    ))
    .ok();
    for duration in ["", "--duration 9h", "--duration 1000h"] {
        rack.sh(&format!("keyrack unlock --for bot {duration}; keyrack unlock --for bot --env sudo --key ROOT {duration}"));
        assert!(left(&rack, "@all.all.TOKEN") <= 9 * 3600);
        assert!(left(&rack, "@all.all.TOKEN") > 8 * 3600);
        assert!(left(&rack, "@all.sudo.ROOT") <= 30 * 60);
        assert!(left(&rack, "@all.all.CAPPED") <= 5 * 60);
        assert!(left(&rack, "@all.all.SOON") <= 20 * 60);
    }
    rack.sh("keyrack unlock --for bot --duration 2m").ok();
    for slug in ["@all.all.TOKEN", "@all.all.CAPPED", "@all.all.SOON"] {
        assert!(left(&rack, slug) <= 9 * 3600);
    }
}

#[test]
fn a_credential_that_is_over_is_not_granted() {
    let rack = rack();
    rack.sh("printf x | keyrack set --for bot --key OVER --expires 1s").ok();
    daemons::until(|| {
        rack.sh("keyrack relock --quiet --for bot; keyrack unlock --for bot --key OVER").code != 0
    });
    rack.sh("keyrack unlock --for bot --key OVER").code(3).bytes(b"");
    rack.sh("keyrack unlock --for bot").code(10);
    rack.sh("keyrack get --for bot --key TOKEN").ok().bytes(b"x");
}
