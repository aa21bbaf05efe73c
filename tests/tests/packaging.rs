//! What is shipped beside the programs: the package's description names what exists, and
//! what lies as it puts it works for an ordinary user.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keyrack_tests::{Rack, binaries, need, source};

/// From, to, mode: the assets of the Debian package.
fn assets() -> Vec<[String; 3]> {
    let manifest = source::read("keyrack-cli/Cargo.toml");
    let (_, list) = manifest.split_once("assets = [\n").expect("the package has assets");
    let (list, _) = list.split_once("\n]").expect("the list ends");
    list.lines()
        .filter(|line| line.trim_start().starts_with('['))
        .map(|line| {
            let mut words = line.split('"').skip(1).step_by(2).map(str::to_owned);
            [(); 3].map(|()| words.next().expect("three words"))
        })
        .collect()
}

#[test]
fn what_the_package_takes_exists() {
    let made = ["target/release/", "../target/packaging/"];
    let script = source::read("keyrack-cli/packaging/deb");
    for [from, to, mode] in assets() {
        assert!(!to.starts_with('/') && u32::from_str_radix(&mode, 8).is_ok(), "{to} {mode}");
        match made.iter().find_map(|made| from.strip_prefix(made)) {
            Some(made) => {
                let name = made.rsplit('/').next().unwrap_or(made).trim_start_matches("*.1");
                assert!(script.contains(name), "{from} is not made by keyrack-cli/packaging/deb");
            }
            None => {
                let path =
                    binaries::repository().join("keyrack-cli").join(from.trim_end_matches('*'));
                assert!(path.exists(), "{from}");
            }
        }
    }
}

#[test]
fn what_lies_as_the_package_puts_it_serves_an_ordinary_user() {
    need!(root);
    let rack = Rack::ordinary();
    rack.key("bot");
    for [from, to, mode] in assets() {
        let name = Path::new(&from).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let built = binaries::dir().join(name);
        if !to.starts_with("usr/bin/") && !to.starts_with("usr/libexec/") || !built.exists() {
            continue;
        }
        let installed = rack.path(&format!("root/{to}"));
        fs::create_dir_all(installed.parent().expect("a directory")).expect("our sandbox");
        fs::copy(built, &installed).expect("the program");
        let mode = u32::from_str_radix(&mode, 8).expect("a mode");
        fs::set_permissions(&installed, Permissions::from_mode(mode)).expect("our file");
    }
    let script = format!(
        "PATH={}:$PATH
         keyrack init --quiet --for bot; printf sesame | keyrack set --quiet --for bot --key TOKEN
         keyrack unlock --quiet --for bot && keyrack get --for bot --key TOKEN
         keyrack status --for bot --json | grep -o '[^{{]*start window[^}}]*' | grep -o 'in force'
         keyrack relock --quiet --for bot",
        rack.path("root/usr/bin").display()
    );
    rack.sh(&script).ok().stdout("sesamein force\n");
}
