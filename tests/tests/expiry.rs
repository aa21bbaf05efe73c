//! Grants end. The rules are tested with a faked clock in the daemon's `rack`; here once
//! with the real one, and the caps as `status` tells them.

use keyrack_tests::rack::KeyType;
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
    left_of(rack, "bot", slug)
}

#[track_caller]
fn left_of(rack: &Rack, owner: &str, slug: &str) -> u64 {
    let status = rack.sh(&format!("keyrack status --for {owner} --json")).ok().json();
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

#[test]
fn a_copy_ends_when_the_credential_does() {
    let rack = Rack::new();
    rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
    rack.key("seaturtle");
    rack.key("mechanic");
    let (open, sesame) = ("KEYRACK_PASSPHRASE_FD=3 keyrack", "3<<<'open sesame'");
    rack.sh(&format!(
        "{open} init --for bot {sesame}; keyrack init --for seaturtle; keyrack init --for mechanic; \
         printf x | keyrack set --for seaturtle --key SHORT --expires 10m --max-duration 5m; \
         printf x | {open} set --for bot --key HELD --class session {sesame}"
    ))
    .ok();
    // Of one that opens, what its manifest says; of one that is only unlocked, no more than that.
    let copied = rack.sh(&format!(
        "{open} unlock --quiet --for bot --duration 20m {sesame}; keyrack copy --from seaturtle --to mechanic --key SHORT; \
         keyrack copy --from bot --to mechanic --key HELD; keyrack unlock --for mechanic --accept-drops --json"
    ));
    let granted = copied.ok().json();
    let rows = granted["keys"].as_array().expect("rows").clone();
    let listed = rack.sh("keyrack list --for mechanic --json").ok().json();
    let entry = |slug: &str| {
        let all = listed["keys"].as_array().expect("keys");
        all.iter().find(|key| key["slug"] == slug).cloned().unwrap_or_default()
    };
    assert_eq!(rows.len(), 2, "{granted}");
    assert_eq!(entry("@all.all.SHORT")["maxDuration"], "5m");
    let given = rack.sh("keyrack list --for seaturtle --json").ok().json();
    assert_eq!(entry("@all.all.SHORT")["expiresAt"], given["keys"][0]["expiresAt"]);
    assert_eq!(entry("@all.all.HELD")["class"], "session");
    assert!(entry("@all.all.HELD")["expiresAt"].is_string(), "{listed}");
    assert!(left_of(&rack, "mechanic", "@all.all.HELD") <= 20 * 60);
    assert!(left_of(&rack, "mechanic", "@all.all.SHORT") <= 5 * 60);
}

#[test]
fn a_drop_carries_how_long_it_may_be_held() {
    let rack = Rack::new();
    rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
    let sesame = "KEYRACK_PASSPHRASE_FD=3 keyrack";
    rack.sh(&format!("{sesame} init --for bot 3<<<'open sesame'")).ok();
    rack.sh("printf x | keyrack --no-input set --for bot --key A --max-duration 5m").ok();
    rack.sh(&format!("{sesame} unlock --quiet --for bot --accept-drops 3<<<'open sesame'")).ok();
    let listed = rack.sh(&format!("{sesame} list --for bot --json 3<<<'open sesame'")).ok().json();
    assert_eq!(listed["keys"][0]["maxDuration"], "5m", "{listed}");
}

#[test]
fn a_restart_after_the_end_grants_nothing() {
    let rack = Rack::new();
    rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
    let (open, sesame) = ("KEYRACK_PASSPHRASE_FD=3 keyrack", "3<<<'open sesame'");
    rack.sh(&format!(
        "{open} init --for bot {sesame}; for k in A B; do printf x | {open} set --for bot --key $k {sesame}; done; \
         {open} unlock --quiet --for bot --key A --duration 1s {sesame}"
    ))
    .ok();
    // The passphrase is typed when the grant is over.
    let late = format!("{open} daemon restart --yes --for bot 3< <(sleep 1.2; echo open sesame)");
    let done = rack.sh(&late);
    assert!(!done.errors().contains("granted for"), "{done}");
    for key in ["A", "B"] {
        rack.sh(&format!("keyrack get --for bot --key {key}")).code(3).bytes(b"");
    }
}
