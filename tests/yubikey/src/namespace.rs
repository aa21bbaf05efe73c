//! Namespaces of its own for whoever uses the virtual reader: vpcd listens on every
//! address, and pcscd has one socket path, so neither may meet those of the machine.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Set inside.
const INSIDE: &str = "KEYRACK_VIRTUAL_READER";
/// The driver of the reader that does not exist.
pub(crate) const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";

/// What keeps the virtual reader from running here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// A package that can be installed.
    Package(&'static str),
    /// This user may not make namespaces.
    Namespaces,
}

/// Whether this process runs inside.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// What is missing for the virtual reader.
pub fn missing() -> Option<Missing> {
    let installed = |names: [&str; 2]| names.iter().any(|name| Path::new(name).exists());
    if !installed(["/usr/sbin/pcscd", "/sbin/pcscd"]) {
        return Some(Missing::Package("pcscd"));
    }
    if !Path::new(DRIVER).exists() {
        return Some(Missing::Package("vsmartcard-vpcd"));
    }
    if !installed(["/usr/sbin/ip", "/sbin/ip"]) {
        return Some(Missing::Package("iproute2"));
    }
    let may = unshare("true").output().is_ok_and(|out| out.status.success());
    (!may).then_some(Missing::Namespaces)
}

/// `program` in namespaces of its own: users, mounts and networks. There it is root, sees
/// an empty `/run` and no USB, and has no network but itself.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    const PREPARE: &str = "
        mount -t tmpfs tmpfs /run &&
        { [ ! -d /dev/bus/usb ] || mount -t tmpfs tmpfs /dev/bus/usb; } &&
        /sbin/ip link set lo up &&
        exec \"$@\"";
    let mut command = unshare("sh");
    command.args(["-c", PREPARE, "sh"]).arg(program).env(INSIDE, "1");
    command
}

fn unshare(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--net", "--kill-child", program]);
    command
}
