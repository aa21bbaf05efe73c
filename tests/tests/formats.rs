//! What `--format` prints is read back, byte for byte, by the programs it is for: shells,
//! readers of dotenv files, docker, and a GitHub runner. What a format cannot hold is
//! refused, and nothing is printed.

use std::collections::BTreeMap;

use keyrack_tests::skip::{Missing, has, skip};
use keyrack_tests::{Rack, need};

const READ_BACK: &str = include_str!("../support/read_back.py");
/// What quoting goes wrong about.
const ALPHABET: &[&str] = &[
    "a", "Z", "0", " ", "\n", "\t", "'", "\"", "\\", "$", "${", "$(", "`", "#", "=", ";", "&", "|",
    "!", "%", "%0A", "\\n", "\r\n", "::", "<<", "{", "}", "*", "~", "é", "🐢", "export ", "EOF",
];

type Values = BTreeMap<String, Vec<u8>>;

/// Values written by hand and values made of what is hard to quote, the same in every run.
fn values() -> Values {
    let written = [
        "",
        " ",
        "plain",
        " spaces around ",
        "-----BEGIN KEY-----\nMIIE\n-----END KEY-----\n",
        "{\"type\": \"service\", \"key\": \"-----BEGIN\\nMII\\n\"}",
        "it's",
        "it's \"both\"",
        "it's $HOME",
        "ends in \\",
        "C:\\\\host\\'s",
        "#comment",
        "a=b=c",
        "\n\n",
        "'",
        "\"",
        "`id`",
        "$(id)",
        "\r\n",
    ];
    let mut state = 6_u64;
    let mut next = move |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let made = (0..60).map(|_| {
        let length = next(12);
        (0..length).map(|_| ALPHABET[next(ALPHABET.len())]).collect::<String>()
    });
    let texts = written.map(str::to_owned).into_iter().chain(made).map(String::into_bytes);
    let others = [b"\xff\xfe".to_vec(), vec![b'x'; 70_000]];
    texts.chain(others).enumerate().map(|(n, value)| (format!("K_{n}"), value)).collect()
}

/// An owner that has all of them unlocked.
fn rack(values: &Values) -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    for (key, value) in values {
        rack.write(&format!("work/values/{key}"), value);
    }
    rack.sh("keyrack init --for bot && cd values && for key in *; do
             keyrack set --quiet --for bot --key $key --from-file $key || exit; done && keyrack unlock --quiet --for bot")
        .ok();
    rack.write("work/read_back.py", READ_BACK);
    rack
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

/// `source` of what `holds` says that the format holds, into the file `out`; the others
/// are refused one by one.
fn written<'a>(
    rack: &Rack,
    values: &'a Values,
    format: &str,
    holds: impl Fn(&[u8]) -> bool,
) -> BTreeMap<&'a str, &'a [u8]> {
    let (held, refused): (Vec<_>, Vec<_>) = values.iter().partition(|(_, value)| holds(value));
    assert!(held.len() > 20, "the format holds {} of {}", held.len(), values.len());
    let keys = |list: &[(&String, &Vec<u8>)]| {
        list.iter().map(|(key, _)| format!(" --key {key}")).collect::<String>()
    };
    let source = format!("keyrack source --for bot --format {format}");
    rack.sh(&format!("{source}{} >out", keys(&held))).ok();
    for one in refused {
        let done = rack.sh(&format!("{source}{}", keys(&[one])));
        assert!(done.code(2).stdout("").errors().contains(one.0.as_str()), "{done}");
    }
    held.into_iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect()
}

/// Has `reader`, a shell command, print what it makes of the file `out`, and compares.
#[track_caller]
fn read_back(rack: &Rack, expected: &BTreeMap<&str, &[u8]>, reader: &str) {
    let found = rack.sh(reader).ok().json();
    for (key, value) in expected {
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = String::from_utf8_lossy(value);
        assert_eq!(found[key].as_str(), Some(&*hex), "{key}: {shown:?} by {reader}");
    }
}

#[test]
fn shells_read_exports_back() {
    need!("python3");
    let values = values();
    let rack = rack(&values);
    let held = written(&rack, &values, "export", |_| true);
    for shell in ["bash", "sh"] {
        read_back(
            &rack,
            &held,
            &format!("{shell} -c '. ./out; exec python3 read_back.py environment'"),
        );
    }
}

/// The rule of `docs/guides/ci.md`: what dotenv files hold.
fn dotenv_holds(value: &[u8]) -> bool {
    text(value).is_some_and(|text| {
        let disputed = ["`", "$("].iter().any(|part| text.contains(part));
        is_read_alike(value) || !(disputed || text.contains("${") || text.ends_with('\\'))
    })
}

/// What is written between quotes as it is: no reader differs on it.
fn is_read_alike(value: &[u8]) -> bool {
    text(value).is_some_and(|text| {
        let plain = !text.contains("\\\\") && !text.ends_with('\\') && !text.contains('\r');
        plain
            && !text.contains("${")
            && !(text.contains('\'') && text.contains(['"', '\\', '$', '`']))
    })
}

#[test]
fn python_reads_dotenv_files_back() {
    let values = values();
    let rack = rack(&values);
    let held = written(&rack, &values, "dotenv", dotenv_holds);
    if !std::path::Path::new("/usr/lib/python3/dist-packages/dotenv").exists() {
        return skip(
            "formats.rs: python_reads_dotenv_files_back",
            Missing::Program("python3-dotenv"),
        );
    }
    read_back(&rack, &held, "python3 read_back.py dotenv out");
}

#[test]
fn shells_and_node_read_dotenv_files_back() {
    need!("node");
    let values = values();
    let rack = rack(&values);
    let alike = |value: &[u8]| is_read_alike(value) && value.len() < 65_536;
    let keys: Vec<&String> = values.iter().filter(|(_, v)| alike(v)).map(|(key, _)| key).collect();
    let keys: String = keys.iter().map(|key| format!(" --key {key}")).collect();
    rack.sh(&format!("keyrack source --for bot --format dotenv{keys} >out")).ok();
    let held: BTreeMap<&str, &[u8]> = values
        .iter()
        .filter(|(_, value)| alike(value))
        .map(|(key, value)| (key.as_str(), value.as_slice()))
        .collect();
    assert!(held.len() > 40);
    read_back(&rack, &held, "set -a; . ./out; exec python3 read_back.py environment");
    if rack.sh("node --env-file=/dev/null -e ''").code == 0 {
        read_back(
            &rack,
            &held,
            "exec node --env-file=out -e 'require(\"child_process\").execFileSync(\"python3\", [\"read_back.py\", \"environment\"], {stdio: \"inherit\"})'",
        );
    } else {
        skip("formats.rs: node", Missing::Here("this node has no --env-file"));
    }
}

#[test]
fn docker_reads_its_files_back() {
    need!("python3");
    let values = values();
    let rack = rack(&values);
    let holds = |value: &[u8]| {
        value.len() < 65_000 && text(value).is_some_and(|text| !text.contains(['\n', '\r']))
    };
    let held = written(&rack, &values, "docker", holds);
    read_back(&rack, &held, "python3 read_back.py docker out");
    // The program itself reads the file before it asks anybody for a container.
    if has("docker") {
        read_back(&rack, &held, "python3 read_back.py docker-cli out");
    } else {
        skip("formats.rs: docker_reads_its_files_back", Missing::Here("there is no docker here"));
    }
}

#[test]
fn a_github_runner_reads_its_file_back_and_hides_every_line() {
    need!("python3");
    let values = values();
    let rack = rack(&values);
    let held: BTreeMap<&str, &[u8]> = values
        .iter()
        .filter(|(_, value)| text(value).is_some())
        .map(|(key, value)| (key.as_str(), value.as_slice()))
        .collect();
    let keys: String = held.keys().map(|key| format!(" --key {key}")).collect();
    let source = format!("export GITHUB_ENV=$PWD/env; keyrack source --for bot --format gha{keys}");
    let shown = rack.sh(&source).ok().text();
    read_back(&rack, &held, "python3 read_back.py gha env");
    let masks: Vec<String> = shown
        .lines()
        .map(|line| line.strip_prefix("::add-mask::").expect("nothing but masks").to_owned())
        .map(|mask| mask.replace("%0D", "\r").replace("%25", "%"))
        .collect();
    for value in held.values().filter_map(|value| text(value)) {
        for line in value.lines().map(str::trim).filter(|line| !line.is_empty()) {
            assert!(masks.iter().any(|mask| mask == line), "{line:?} is not hidden");
        }
    }
    // Another run ends its values with another line: none can be guessed from the last.
    let ends = || {
        let file = std::fs::read_to_string(rack.path("work/env")).expect("it was written");
        file.lines().filter(|l| l.starts_with("KEYRACK_")).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = ends();
    assert_eq!(before.len(), held.len());
    rack.sh(&format!("rm env; {source}")).ok();
    assert!(ends().iter().all(|end| !before.contains(end)));
}

#[test]
fn exec_has_a_runner_hide_what_the_program_is_given() {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh(
        "keyrack init --for bot; printf 'one\\n two %%\\n' | keyrack set --for bot --key TOKEN",
    )
    .ok();
    rack.sh("keyrack exec --for bot --key TOKEN --format gha -- printenv TOKEN")
        .ok()
        .stdout("::add-mask::one\n::add-mask::two %25\none\n two %\n\n");
}
