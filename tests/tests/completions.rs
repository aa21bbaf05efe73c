//! Completion as a shell does it: owners, keys and vaults by name, and no secret touched
//! for it.

use keyrack_tests::{Rack, need};

/// Two owners; one has a key, and the repository asks for another.
fn rack() -> Rack {
    let rack = Rack::new();
    rack.key("seaturtle");
    rack.key("mechanic");
    rack.write("work/keyrack.yml", "org: acme\nenv:\n  all:\n    - DEPLOY_KEY\n");
    rack.sh("keyrack init --for seaturtle; keyrack init --for mechanic
             printf x | keyrack set --for seaturtle --env prod --key GITHUB_TOKEN
             mkdir -p ~/.local/share/keyrack/vaults/team")
        .ok();
    rack
}

/// What bash completes the last of `words` to, by the script that keyrack generates.
fn completed(rack: &Rack, words: &str) -> String {
    let script = format!(
        "eval \"$(keyrack generate completions bash)\"
         COMP_WORDS=(keyrack {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
         _clap_complete_keyrack keyrack \"${{COMP_WORDS[COMP_CWORD]}}\"
         printf '%s ' \"${{COMPREPLY[@]}}\""
    );
    rack.sh(&script).ok().text().trim().to_owned()
}

#[test]
fn owners_keys_and_vaults_are_completed() {
    let rack = rack();
    for (words, expected) in [
        ("unl", "unlock"),
        ("get --for ''", "mechanic seaturtle"),
        ("get --for sea", "seaturtle"),
        ("copy --from m", "mechanic"),
        ("get --for seaturtle --key ''", "DEPLOY_KEY GITHUB_TOKEN"),
        ("--for seaturtle get --key acme.", "acme.prod.GITHUB_TOKEN"),
        ("get --for mechanic --key ''", "DEPLOY_KEY"),
        ("set --vault ''", "personal team"),
        ("unlock --scope s", "session"),
    ] {
        assert_eq!(completed(&rack, words), expected, "{words}");
    }
}

#[test]
fn completing_opens_no_manifest_no_key_and_no_connection() {
    need!("strace");
    let rack = rack();
    rack.sh("keyrack unlock --quiet --for seaturtle").ok();
    let ask = |words: &str| {
        format!(
            "KEYRACK_COMPLETE=bash _CLAP_IFS=' ' _CLAP_COMPLETE_INDEX=$(($(wc -w <<<'{words}') - 1)) \
                 strace -f -o trace -e trace=file,network,keyctl keyrack -- {words}"
        )
    };
    for (words, shown) in [
        ("keyrack get --for s", "seaturtle"),
        ("keyrack get --for seaturtle --key G", "GITHUB_TOKEN"),
        ("keyrack set --vault t", "team"),
    ] {
        rack.sh(&ask(words)).ok().stdout(shown);
        let trace = std::fs::read_to_string(rack.path("work/trace")).expect("strace wrote it");
        assert!(trace.contains("execve"), "{trace}");
        for secret in [".ssh", ".age", ".sock", "socket(", "keyctl(", ".json"] {
            assert!(!trace.contains(secret), "{words}: {secret} in\n{trace}");
        }
    }
}

#[test]
fn every_shell_has_its_script() {
    let rack = Rack::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = rack.sh(&format!("keyrack generate completions {shell}")).ok().text();
        assert!(script.contains("KEYRACK_COMPLETE") && script.contains("keyrack"), "{script}");
    }
    rack.sh("keyrack generate completions bash | bash -n").ok();
    rack.sh("KEYRACK_COMPLETE=nosuch keyrack version").code(1);
}
