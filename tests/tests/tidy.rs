//! The house rules, as far as a program can check them.

use std::collections::BTreeSet;
use std::process::Command;

use keyrack_tests::{binaries, source};

/// Where `unsafe` may stand: one file per concern that needs the kernel directly.
const UNSAFE: &[&str] = &[
    "keyrackd/src/harden.rs",
    "keyrack-cli/src/system/start.rs",
    "keyrack-cli/src/system/sys.rs",
    "keyrack-cli/src/sandbox/sys.rs",
    "manifest/yubikey/pcsclite/src/symbols.rs",
];

fn sources() -> Vec<(std::path::PathBuf, String)> {
    source::texts("rs")
}

#[test]
fn every_source_says_what_it_is() {
    let bare: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(p, _)| p)
        .collect();
    assert_eq!(bare, [] as [std::path::PathBuf; 0], "a file begins with //! and what it is");
}

#[test]
fn files_are_small() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|(_, text)| text.lines().count() > 400)
        .map(|(path, text)| format!("{} has {} lines", path.display(), text.lines().count()))
        .collect();
    assert_eq!(long, [] as [String; 0]);
}

#[test]
fn unsafe_is_in_the_named_files() {
    let needle = concat!("uns", "afe");
    let uses = |text: &str| {
        text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            [" {", " fn", " impl", " extern"]
                .iter()
                .any(|after| code.contains(&format!("{needle}{after}")))
        })
    };
    let found: BTreeSet<String> = sources()
        .iter()
        .filter(|(_, text)| uses(text) || text.contains(&format!("allow({needle}_code)")))
        .map(|(path, _)| path.display().to_string())
        .filter(|path| !path.ends_with("main.rs") && !path.ends_with("lib.rs"))
        .collect();
    let named: BTreeSet<String> = UNSAFE.iter().map(|p| (*p).to_owned()).collect();
    assert_eq!(found, named);
}

/// It would load modules, which a program that is linked statically cannot: it would end in
/// a fault, for users that only a module knows. See `keyrack-cli/src/system/accounts.rs`.
#[test]
fn nobody_asks_the_c_library_for_users() {
    let asking = [
        concat!("User::", "from_"),
        concat!("Group::", "from_"),
        concat!("init", "groups("),
        concat!("get", "pw"),
    ];
    let found: Vec<String> = sources()
        .iter()
        .filter(|(path, _)| !path.starts_with("tests"))
        .filter(|(_, text)| asking.iter().any(|call| text.contains(call)))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn nothing_is_left_to_do_and_nothing_is_ignored() {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
        concat!("#[ig", "nore"),
        concat!("todo", "!("),
        concat!("unimpl", "emented!"),
    ];
    let mut found = Vec::new();
    for extension in ["rs", "md", "toml", "py", "c", "yml", ""] {
        for path in source::files() {
            let fits = path.extension().map_or(extension.is_empty(), |e| e == extension);
            let Some(text) = fits
                .then(|| std::fs::read_to_string(binaries::repository().join(&path)).ok())
                .flatten()
            else {
                continue;
            };
            found.extend(
                words
                    .iter()
                    .filter(|w| text.contains(**w))
                    .map(|w| format!("{}: {w}", path.display())),
            );
        }
    }
    assert_eq!(found, [] as [String; 0]);
}

/// The names of the packages `package` is built from.
fn tree(package: &str, more: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let out = Command::new(cargo)
        .args([
            "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}", "-p",
            package,
        ])
        .args(more)
        .current_dir(binaries::repository())
        .output()
        .expect("cargo is there");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).expect("names are ASCII");
    text.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

#[test]
fn the_daemon_is_built_from_little() {
    let daemon = tree("keyrackd", &[]);
    let ours: Vec<&str> =
        daemon.iter().map(String::as_str).filter(|n| n.starts_with("keyrack")).collect();
    assert_eq!(ours, ["keyrack-names", "keyrack-protocol", "keyrackd"]);
    let foreign = [
        "age",
        "serde_yaml_ng",
        "yaml",
        "ureq",
        "reqwest",
        "hyper",
        "rustls",
        "pcsc",
        "ssh-key",
        "clap",
        "openssl",
    ];
    for name in &daemon {
        assert!(
            !foreign.iter().any(|f| name == f || name.starts_with(&format!("{f}-"))),
            "keyrackd is built from {name}"
        );
    }
}

#[test]
fn the_crates_point_one_way() {
    let ours = |package: &str| -> Vec<String> {
        tree(package, &["--depth", "1"])
            .into_iter()
            .filter(|n| n.starts_with("keyrack") && n != package)
            .collect()
    };
    assert_eq!(ours("keyrack-names"), [] as [&str; 0]);
    assert_eq!(ours("keyrack-protocol"), ["keyrack-names"]);
    assert_eq!(ours("keyrackd"), ["keyrack-protocol"]);
    assert_eq!(ours("keyrack-piv"), ["keyrack-names"]);
    assert_eq!(ours("keyrack-pcsclite"), [] as [&str; 0]);
    assert_eq!(ours("keyrack-manifest"), ["keyrack-names", "keyrack-piv"]);
    assert_eq!(ours("keyrack-yubikey"), ["keyrack-names", "keyrack-pcsclite", "keyrack-piv"]);
    let of_vault = ours("keyrack-vault");
    assert!(
        of_vault.iter().all(|n| n == "keyrack-manifest" || n == "keyrack-names"),
        "{of_vault:?}"
    );
    let of_command = ours("keyrack-cli");
    for helper in ["keyrackd", "keyrack-yubikey"] {
        assert!(!of_command.contains(&helper.to_owned()), "a helper is a process");
    }
}

#[test]
fn the_command_links_no_smart_card_library() {
    for package in ["keyrack-cli", "keyrackd"] {
        for name in tree(package, &[]) {
            let is_foreign = ["pcsc", "pcsc-sys", "yubikey", "libloading", "keyrack-pcsclite"]
                .contains(&name.as_str());
            assert!(!is_foreign, "{package} is built from {name}");
        }
    }
}

#[test]
fn each_cipher_is_built_once() {
    let lock = source::read("Cargo.lock");
    let once = ["curve25519-dalek", "chacha20poly1305", "x25519-dalek", "ed25519-dalek"];
    for name in once.into_iter().chain(["aes", "des", "p256"]) {
        let count = lock.matches(&format!("name = \"{name}\"\n")).count();
        assert!(count <= 1, "{name} is in the tree {count} times");
    }
}

/// The paths that documents name in backquotes: those that look like files of ours.
#[test]
fn paths_named_in_documents_exist() {
    let roots = ["keyrackd/", "keyrack-cli/", "manifest/", "tests/", "docs/", ".ci/"];
    let mut gone = Vec::new();
    for (document, text) in source::texts("md") {
        for word in text.split('`').skip(1).step_by(2) {
            let path = word.split("::").next().unwrap_or_default().trim_end_matches(['/', '.']);
            let ours =
                roots.iter().any(|r| path.starts_with(r)) && !path.contains(['*', '<', ' ', '{']);
            if ours && !binaries::repository().join(path).exists() {
                gone.push(format!("{}: {path}", document.display()));
            }
        }
    }
    assert_eq!(gone, [] as [String; 0]);
}

/// A document names a test as `file.rs::name`, or `path/file.rs::tests::name`.
#[test]
fn tests_named_in_documents_exist() {
    let all = sources();
    let mut gone = Vec::new();
    for (document, text) in source::texts("md") {
        for word in text.split('`').skip(1).step_by(2) {
            let Some((file, test)) = word.split_once(".rs::") else { continue };
            let name = test.rsplit("::").next().unwrap_or(test);
            let found = all.iter().any(|(path, text)| {
                path.with_extension("").ends_with(file) && text.contains(&format!("fn {name}("))
            });
            if !found {
                gone.push(format!("{}: {word}", document.display()));
            }
        }
    }
    assert_eq!(gone, [] as [String; 0]);
}

/// Attackers and levels: no cell without an outcome and a test. That the tests exist is
/// checked with all that documents name.
#[test]
fn every_cell_of_the_table_of_threats_names_its_test() {
    let text = source::read("docs/THREATS.md");
    let (_, table) =
        text.split_once("\n| a program that | L0 | L1 | L2 | L3 |\n").expect("the table");
    let rows: Vec<&str> = table.lines().skip(1).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 12, "{} rows", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 5, "{row}");
        for cell in &cells[1..] {
            let is_outcome = cell.starts_with("refused") || cell.starts_with("**succeeds**");
            let test = cell.split('`').nth_back(1).unwrap_or_default();
            assert!(is_outcome && test.contains(".rs::"), "{}: {cell}", cells[0]);
        }
    }
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut dead = Vec::new();
    for (document, text) in source::texts("md") {
        for rest in text.split("](").skip(1) {
            let link = rest.split(')').next().unwrap_or_default();
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let base = binaries::repository().join(&document);
            if !base.parent().is_some_and(|dir| dir.join(file).exists()) {
                dead.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert_eq!(dead, [] as [String; 0]);
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = source::read("Cargo.toml");
    let (_, table) = manifest.split_once("[workspace.dependencies]").expect("the table");
    let table = table.split("\n[").next().expect("it ends");
    // A comment covers the lines up to the next empty one or comment.
    let mut covered = false;
    for line in table.lines() {
        match line.chars().next() {
            None => covered = false,
            Some('#') => covered = true,
            Some(_) => assert!(covered, "no reason above {line}"),
        }
    }
}

#[test]
fn man_pages_name_every_command_and_flag() {
    let rack = keyrack_tests::Rack::new();
    rack.sh("keyrack generate man man").ok();
    let commands = rack
        .sh("keyrack --help | sed -n '/^Commands:/,/^$/p' | sed -n 's/^  \\([a-z]*\\) .*/\\1/p'")
        .text();
    assert!(commands.lines().count() > 15, "{commands}");
    for command in commands.lines() {
        let page = rack.sh(&format!("cat man/keyrack-{command}.1")).ok().text();
        let help = rack.sh(&format!("keyrack {command} --help")).ok().text();
        for flag in help.split_whitespace().filter(|w| w.starts_with("--")) {
            let end = flag.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            let flag = flag[..end.unwrap_or(flag.len())].replace('-', "\\-");
            assert!(page.contains(&flag), "{flag} is not in keyrack-{command}.1");
        }
    }
    rack.sh("for f in man/*.1; do man -l --warnings $f >/dev/null 2>man.err || true; done; ! grep -h warning man.err").ok();
}
