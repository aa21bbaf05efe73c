//! What neither mounts nor Landlock see: typing into the terminal from inside, a second
//! way to make system calls, limits on processes outside, which end them as a signal does,
//! and the key rings of the user outside: a ring is found by its number, whatever the
//! namespace, and its user may link it, add to it, change it and empty it.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

/// Of <linux/keyctl.h>, what is left: GET_KEYRING_ID, JOIN_SESSION_KEYRING, SETPERM, DESCRIBE,
/// SEARCH and READ. With these a program in the sandbox makes itself a session and reads it.
const KEYCTL: [i32; 6] = [0, 1, SETPERM, 6, 10, 11];
const SETPERM: i32 = 5;
/// The process's own rings, which a key may be added to: of the thread, the process, the
/// session.
const OWN_RINGS: [i32; 3] = [-1, -2, -3];
/// The families of sockets that a network namespace bounds, or that reach nobody by
/// themselves. Not so VSOCK, which leads to whoever runs this machine as a virtual one.
const BOUNDED: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
/// Set in the numbers of the x32 way to call a 64-bit kernel.
const X32: i64 = 0x4000_0000;

#[cfg(target_arch = "x86_64")]
const SOCKET: &[i64] = &[libc::SYS_socket, X32 | libc::SYS_socket];
#[cfg(not(target_arch = "x86_64"))]
const SOCKET: &[i64] = &[libc::SYS_socket];

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It could not be built.
    #[error("building the system call filter: {0}")]
    Build(#[from] BackendError),
    /// The kernel did not take it.
    #[error("the kernel refuses the system call filter: {0}")]
    Apply(#[from] seccompiler::Error),
}

/// Refuses these calls, to this process and all it starts, with `EPERM`. A program of
/// another architecture, such as i386, is killed: its calls have other numbers. With a
/// `network` of its own there are no sockets but those that this bounds.
///
/// # Errors
/// See [`FilterError`].
pub fn refuse(network: bool) -> Result<(), FilterError> {
    Ok(seccompiler::apply_filter(&filter(network)?)?)
}

fn filter(network: bool) -> Result<BpfProgram, FilterError> {
    // The kernel reads 32 bits of an ioctl's number: a comparison of all 64 is passed by
    // setting one of the others.
    let is = |argument: u8, value: u64| -> Result<SeccompRule, BackendError> {
        let compare =
            SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
        SeccompRule::new(vec![compare])
    };
    let typing = || Ok::<_, BackendError>(vec![is(1, libc::TIOCSTI)?, is(1, libc::TIOCLINUX)?]);
    let other = |argument: u8, value: i32| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value as u64)
    };
    let none_of = |argument: u8, values: &[i32]| {
        let others =
            values.iter().map(|value| other(argument, *value)).collect::<Result<_, _>>()?;
        Ok::<_, BackendError>(vec![SeccompRule::new(others)?])
    };
    let keyctl = || {
        // A number above 0 may be a ring's outside.
        let numbered = SeccompCondition::new(
            1,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Lt,
            u64::from(i32::MAX as u32) + 1,
        )?;
        let is_set =
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, SETPERM as u64)?;
        let mut rules = none_of(0, &KEYCTL)?;
        rules.push(SeccompRule::new(vec![is_set, numbered])?);
        Ok::<_, BackendError>(rules)
    };
    let adding = || none_of(4, &OWN_RINGS);
    // A process may limit itself, as 0.
    let limiting = || none_of(0, &[0]);
    let mut rules = BTreeMap::from([
        (libc::SYS_ioctl, typing()?),
        (libc::SYS_keyctl, keyctl()?),
        (libc::SYS_add_key, adding()?),
        (libc::SYS_request_key, Vec::new()),
        (libc::SYS_prlimit64, limiting()?),
        (libc::SYS_io_uring_setup, Vec::new()),
    ]);
    if cfg!(target_arch = "x86_64") {
        // 514 is the ioctl of x32.
        for (number, rule) in [
            (514, typing()?),
            (libc::SYS_ioctl, typing()?),
            (libc::SYS_keyctl, keyctl()?),
            (libc::SYS_add_key, adding()?),
            (libc::SYS_request_key, Vec::new()),
            (libc::SYS_prlimit64, limiting()?),
        ] {
            rules.insert(X32 | number, rule);
        }
        rules.insert(X32 | libc::SYS_io_uring_setup, Vec::new());
    }
    if network {
        for call in SOCKET {
            rules.insert(*call, none_of(0, &BOUNDED)?);
        }
    }
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let arch = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_filter_is_built() {
        let filter = |network| super::filter(network).unwrap().len();
        assert!(filter(false) > 10 && filter(true) > filter(false));
    }
}
