//! What a sandbox hides on this machine: keys, other owners' files, and every socket by
//! which somebody could be asked to do what the sandboxed program may not.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use keyrack_names::Owner;

use super::layout::Wishes;
use crate::owner::opened;
use crate::settings::Settings;

/// Below a person's home: what opens doors, and is a directory.
const DIRECTORIES: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".password-store",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".config/gcloud",
    ".config/gh",
    ".config/op",
    ".config/sops",
    ".config/systemd",
    ".config/tmux",
    ".1password",
    ".pki",
    ".screen",
    ".local/share/keyrings",
    ".local/share/containers",
    ".mozilla",
    ".thunderbird",
    ".config/chromium",
    ".config/google-chrome",
    ".config/BraveSoftware",
    ".config/microsoft-edge",
    ".config/rclone",
    ".config/doctl",
    ".config/hcloud",
    ".terraform.d",
];
/// The same, single files.
const FILES: &[&str] = &[
    ".netrc",
    ".git-credentials",
    ".config/git/credentials",
    ".pypirc",
    ".cargo/credentials.toml",
    ".cargo/credentials",
    ".npmrc",
    ".gem/credentials",
    ".m2/settings.xml",
    ".my.cnf",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".psql_history",
    ".mysql_history",
    ".vault-token",
    ".pgpass",
];
/// Directories that every program of the machine writes to. `/run` holds little but
/// sockets: the buses, the agents, docker, the smart card daemon.
const PRIVATE: &[&str] = &["/tmp", "/var/tmp", "/dev/shm", "/run", "/var/run"];
/// What of `/run` programs need to run at all: names of hosts, and where NixOS keeps them.
const OF_RUN: &[&str] = &[
    "/run/systemd/resolve",
    "/run/NetworkManager/resolv.conf",
    "/run/resolvconf",
    "/run/nscd",
    "/run/current-system",
    "/run/booted-system",
    "/run/wrappers",
    "/run/opengl-driver",
];
/// Variables that lead to what is hidden; a program does better without them.
const VARIABLES: &[&str] = &[
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "GPG_AGENT_INFO",
    "DBUS_SESSION_BUS_ADDRESS",
    "DBUS_SYSTEM_BUS_ADDRESS",
    "TMUX",
    "TMUX_PANE",
    "TMUX_TMPDIR",
    "STY",
    "DOCKER_HOST",
    "CONTAINER_HOST",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "KEYRACK_IDENTITY",
    "KEYRACK_ASKPASS",
    "SSH_ASKPASS",
    "VSCODE_IPC_HOOK_CLI",
];

/// Whether a sandboxed program is better off without this variable.
pub fn leads_outside(variable: &OsStr) -> bool {
    VARIABLES.iter().any(|name| variable == *name)
}

/// What to hide and to show when `owner`'s program runs in `work`, as far as these exist.
pub fn wishes(
    settings: &Settings,
    owner: &Owner,
    work: PathBuf,
    environment: &BTreeMap<OsString, OsString>,
) -> Wishes {
    let home = environment.get(OsStr::new("HOME")).map(PathBuf::from);
    let homes: Vec<PathBuf> = home.into_iter().chain(home_of_account()).collect();
    let in_homes = |names: &'static [&'static str]| {
        homes.iter().flat_map(|home| names.iter().map(|name| home.join(name))).collect::<Vec<_>>()
    };
    let places = &settings.places;
    let mut hidden_dirs = in_homes(DIRECTORIES);
    hidden_dirs.extend([places.home.clone(), places.state.clone()]);
    // Anybody's sockets lie here.
    hidden_dirs.extend(settings.sockets.iter().map(PathBuf::from).filter(|dir| !is_private(dir)));
    let mut hidden_files = in_homes(FILES);
    hidden_files.extend(private_keys(settings));
    hidden_files.extend(sockets_of(environment));
    let mut own = vec![places.manifest(owner), places.pin(owner), places.personal_vault(owner)];
    own.extend(OF_RUN.iter().map(PathBuf::from));
    // The program's own `keyrack get`, wherever it is installed.
    own.extend(std::env::current_exe());
    Wishes {
        work,
        own: real(own),
        hidden_dirs: real(hidden_dirs),
        hidden_files: real(hidden_files),
        private: real(PRIVATE.iter().map(PathBuf::from)),
        sockets: listening(),
        ..Wishes::default()
    }
}

/// Those that exist, each as it is without symbolic links, once.
pub fn real(paths: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut real: Vec<PathBuf> =
        paths.into_iter().filter_map(|path| path.canonicalize().ok()).collect();
    real.sort();
    real.dedup();
    real
}

fn is_private(dir: &Path) -> bool {
    PRIVATE.iter().any(|private| dir == Path::new(private))
}

fn home_of_account() -> Option<PathBuf> {
    crate::system::accounts::own().map(|account| account.dir)
}

/// Every private key that opens some owner's manifest here, wherever it lies: the owner's
/// own too, for a program gets values and never the key.
fn private_keys(settings: &Settings) -> Vec<PathBuf> {
    let owners = settings.places.owners().unwrap_or_default();
    let of = |owner: &Owner| {
        let pin = opened::pin(settings, owner).ok().flatten();
        settings.search.candidates(owner, pin.as_ref(), &settings.places)
    };
    owners.iter().flat_map(of).collect()
}

/// The sockets that the environment names.
fn sockets_of(environment: &BTreeMap<OsString, OsString>) -> Vec<PathBuf> {
    let text = |name: &str| environment.get(OsStr::new(name)).and_then(|value| value.to_str());
    let mut paths: Vec<PathBuf> = text("SSH_AUTH_SOCK").map(PathBuf::from).into_iter().collect();
    // SOCKET,PID,SESSION
    paths.extend(
        ["TMUX", "GPG_AGENT_INFO"]
            .iter()
            .filter_map(|name| Some(text(name)?.split([',', ':']).next()?.into())),
    );
    for name in ["DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"] {
        let addresses = text(name).unwrap_or_default().split([';', ',']);
        paths.extend(
            addresses.filter_map(|address| address.strip_prefix("unix:path=")).map(PathBuf::from),
        );
    }
    paths.extend(
        ["DOCKER_HOST", "CONTAINER_HOST"]
            .iter()
            .filter_map(|name| Some(text(name)?.strip_prefix("unix://")?.into())),
    );
    paths
}

/// Every socket that has a path, of each network namespace: files are common to them. A relative
/// one is looked for where programs are at work: the kernel does not say where it was bound.
fn listening() -> Vec<PathBuf> {
    let tables = socket_tables();
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let paths = lines.filter_map(bound_path).map(Path::new);
    let (absolute, relative): (Vec<&Path>, Vec<&Path>) = paths.partition(|path| path.is_absolute());
    let dirs = if relative.is_empty() { Vec::new() } else { real(of_processes("cwd")) };
    let relative = dirs.iter().flat_map(|dir| relative.iter().map(|path| dir.join(path)));
    let mut found = real(absolute.into_iter().map(Path::to_owned).chain(relative));
    found.retain(|path| path.metadata().is_ok_and(|found| found.file_type().is_socket()));
    found
}

/// The path in a line of `/proc/net/unix`, which may hold spaces; an abstract name is none.
fn bound_path(line: &str) -> Option<&str> {
    // Num RefCount Protocol Flags Type St Inode Path
    let mut rest = line;
    for _ in 0..7 {
        rest = rest.trim_start();
        rest = &rest[rest.find(' ')?..];
    }
    rest.get(1..).filter(|path| !path.is_empty() && !path.starts_with('@'))
}

/// The table of this process's network namespace, and those of other processes of this user.
fn socket_tables() -> Vec<String> {
    let mut seen = BTreeSet::new();
    let is_new = |path: &PathBuf| fs::read_link(path).is_ok_and(|space| seen.insert(space));
    let own = PathBuf::from("/proc/self/ns/net");
    let spaces = [own].into_iter().chain(of_processes("ns/net")).filter(is_new);
    let table = |space: PathBuf| fs::read(space.parent()?.parent()?.join("net/unix")).ok();
    spaces.filter_map(table).map(|table| String::from_utf8_lossy(&table).into_owned()).collect()
}

/// The file of that name of each process.
fn of_processes(name: &str) -> impl Iterator<Item = PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.map(move |process| process.path().join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_read_from_what_programs_call_them() {
        let environment: BTreeMap<OsString, OsString> = [
            ("SSH_AUTH_SOCK", "/tmp/ssh-x/agent.1"),
            ("TMUX", "/tmp/tmux-0/default,4711,0"),
            ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/7/bus,guid=1;unix:abstract=x"),
            ("DOCKER_HOST", "unix:///run/docker.sock"),
            ("CONTAINER_HOST", "tcp://localhost:1"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        let expected =
            ["/tmp/ssh-x/agent.1", "/tmp/tmux-0/default", "/run/user/7/bus", "/run/docker.sock"];
        assert_eq!(sockets_of(&environment), expected.map(PathBuf::from));
    }

    #[test]
    fn what_listens_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(listening().contains(&path.canonicalize().unwrap()));
    }

    #[test]
    fn a_path_is_all_that_is_behind_the_seventh_column() {
        let line = |path: &str| {
            format!("000000007deedb85: 00000002 00000000 00010000 0001 01  1050{path}")
        };
        for (path, bound) in [
            (" /run/x.sock", Some("/run/x.sock")),
            (" /home/u/My Things/x  y.sock", Some("/home/u/My Things/x  y.sock")),
            (" agent.sock", Some("agent.sock")),
            (" @/tmp/abstract", None),
            ("", None),
        ] {
            assert_eq!(bound_path(&line(path)), bound);
        }
    }

    #[test]
    fn variables_that_lead_outside_are_named() {
        assert!(leads_outside(OsStr::new("SSH_AUTH_SOCK")) && !leads_outside(OsStr::new("PATH")));
    }
}
