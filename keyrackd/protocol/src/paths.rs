//! Where a daemon's sockets lie: one path that everybody expects, and one that nobody
//! else can occupy.

use std::path::{Path, PathBuf};

use keyrack_names::Owner;

use crate::{RackId, dirs};

/// The directories a daemon listens in, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketDirs(Vec<PathBuf>);

impl SocketDirs {
    /// `/tmp`, then the user's own runtime directory: `runtime` (`$XDG_RUNTIME_DIR`) where
    /// that is an absolute path and not somebody else's, as it is after `su`; otherwise
    /// `/tmp/keyrack-<uid>`; and where somebody else made that first, `refuge`, which nobody
    /// can.
    pub fn usual(runtime: Option<&Path>, refuge: &Path, uid: u32) -> Self {
        let is_own = |path: &&Path| path.is_absolute() && !dirs::is_anothers(path, uid);
        let own = match runtime.filter(is_own) {
            Some(runtime) => runtime.join("keyrack"),
            None => PathBuf::from(format!("/tmp/keyrack-{uid}")),
        };
        let own = if dirs::is_anothers(&own, uid) { refuge.to_owned() } else { own };
        Self(vec![PathBuf::from("/tmp"), own])
    }

    /// This one and no other (`$KEYRACK_SOCKET_DIR`).
    pub fn only(dir: &Path) -> Self {
        Self(vec![dir.to_owned()])
    }

    /// The directories, best first.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }

    /// Every path `owner`'s daemon may listen on, in the order to try them. Where another
    /// rack of the same owner holds the plain name, ours carries the rack's id.
    pub fn sockets(&self, owner: &Owner, rack: &RackId) -> Vec<PathBuf> {
        let names = [plain(owner), format!("keyrack-daemon.{owner}@{}.sock", rack.short())];
        self.iter().flat_map(|dir| names.iter().map(|name| dir.join(name))).collect()
    }

    /// The plain paths of `owner`, when the rack is not known.
    pub fn plain_sockets(&self, owner: &Owner) -> Vec<PathBuf> {
        self.iter().map(|dir| dir.join(plain(owner))).collect()
    }
}

fn plain(owner: &Owner) -> String {
    format!("keyrack-daemon.{owner}.sock")
}

/// The owner a socket's file name speaks of, and the rack's short id where it has one.
pub fn parse_name(name: &str) -> Option<(Owner, Option<&str>)> {
    let middle = name.strip_prefix("keyrack-daemon.")?.strip_suffix(".sock")?;
    let (owner, rack) = match middle.split_once('@') {
        Some((owner, rack)) => (owner, Some(rack)),
        None => (middle, None),
    };
    Some((owner.parse().ok()?, rack))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        "agent-1".parse().unwrap()
    }

    #[test]
    fn the_documented_paths_in_order() {
        let rack = RackId::from_bytes([0xab; 16]);
        let runtime = Path::new("/run/user/7");
        let dirs = SocketDirs::usual(Some(runtime), Path::new("/refuge"), 7);
        let paths: Vec<_> =
            dirs.sockets(&owner(), &rack).iter().map(|p| p.display().to_string()).collect();
        assert_eq!(
            paths,
            [
                "/tmp/keyrack-daemon.agent-1.sock",
                "/tmp/keyrack-daemon.agent-1@abababab.sock",
                "/run/user/7/keyrack/keyrack-daemon.agent-1.sock",
                "/run/user/7/keyrack/keyrack-daemon.agent-1@abababab.sock",
            ]
        );
    }

    #[test]
    fn directories_are_replaced_or_fall_back() {
        let list = |dirs: SocketDirs| -> Vec<String> {
            dirs.iter().map(|p| p.display().to_string()).collect()
        };
        let usual = |runtime: Option<&str>, uid: u32| {
            list(SocketDirs::usual(runtime.map(Path::new), Path::new("/refuge"), uid))
        };
        assert_eq!(list(SocketDirs::only(Path::new("/x"))), ["/x"]);
        assert_eq!(usual(None, 7), ["/tmp", "/tmp/keyrack-7"]);
        assert_eq!(usual(Some("relative"), 7), ["/tmp", "/tmp/keyrack-7"]);
        // Whoever made it first has it.
        let run = tempfile::tempdir().unwrap();
        let own = run.path().join("keyrack").display().to_string();
        let uid = crate::peer::own_uid();
        assert_eq!(usual(run.path().to_str(), uid), ["/tmp", own.as_str()]);
        let other = u32::MAX - std::process::id();
        let theirs = format!("/tmp/keyrack-{other}");
        assert_eq!(usual(run.path().to_str(), other), ["/tmp", theirs.as_str()]);
        std::fs::create_dir(&theirs).unwrap();
        let taken = usual(None, other);
        std::fs::remove_dir(&theirs).unwrap();
        assert_eq!(taken, ["/tmp", "/refuge"]);
    }

    #[test]
    fn names_are_read_back() {
        assert_eq!(parse_name("keyrack-daemon.agent-1.sock"), Some((owner(), None)));
        assert_eq!(
            parse_name("keyrack-daemon.a.b@01.sock"),
            Some(("a.b".parse().unwrap(), Some("01")))
        );
        for other in ["keyrack-daemon..sock", "keyrack-daemon.A.sock", "other.sock", ""] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }
}
