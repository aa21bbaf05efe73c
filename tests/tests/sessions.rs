//! Every session in `tests/sessions`, each in a sandbox with one SSH key of the person's.

use std::path::Path;

use keyrack_tests::{Rack, binaries, session};

macro_rules! sessions {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let file = format!("tests/sessions/{}.md", stringify!($name).replace('_', "-"));
            session::run(&binaries::repository().join(file), with_a_key);
        })*

        #[test]
        fn every_session_is_run() {
            let dir = binaries::repository().join("tests/sessions");
            let mut found: Vec<String> = std::fs::read_dir(dir).expect("it is there").flatten()
                .filter_map(|file| stem(&file.path())).collect();
            found.sort();
            assert_eq!(found, [$(stringify!($name)),*]);
        }
    };
}

sessions! {
    age_keys
    ci_loop
    copy
    daemons
    destroy
    doctor
    drops
    dry_run
    errors
    fill
    help
    identity
    import
    init
    json
    kept_by
    keyrack_yml
    list_and_del
    log
    lookup
    owners
    passphrase
    provisional
    recipients
    reference
    relock
    set
    source
    status
    sudo
    trust
    unlock
    vault
    vaults
}

fn with_a_key() -> Rack {
    let rack = Rack::new();
    rack.key("human");
    rack
}

fn stem(path: &Path) -> Option<String> {
    Some(path.file_stem()?.to_str()?.replace('-', "_"))
}
