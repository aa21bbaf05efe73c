//! What neither mounts nor Landlock see: typing into the terminal from inside, a second
//! way to make system calls, limits on processes outside, which end them as a signal does,
//! and the key rings of the user outside: giving the shell there one, and linking one from
//! there, which would give all that is in it.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

/// Of <linux/keyctl.h>: LINK, SESSION_TO_PARENT, GET_PERSISTENT and MOVE. A key ring is found
/// by its number, whatever the namespace, and the user's own may be linked by its user.
const KEY_RINGS: [u64; 4] = [8, 18, 22, 30];
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
    let linking =
        || KEY_RINGS.into_iter().map(|operation| is(0, operation)).collect::<Result<Vec<_>, _>>();
    let other = |argument: u8, value: i32| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value as u64)
    };
    // A process may limit itself, as 0.
    let limiting = || Ok::<_, BackendError>(vec![SeccompRule::new(vec![other(0, 0)?])?]);
    let mut rules = BTreeMap::from([
        (libc::SYS_ioctl, typing()?),
        (libc::SYS_keyctl, linking()?),
        (libc::SYS_prlimit64, limiting()?),
        (libc::SYS_io_uring_setup, Vec::new()),
    ]);
    if cfg!(target_arch = "x86_64") {
        // 514 is the ioctl of x32.
        for (number, rule) in [
            (514, typing()?),
            (libc::SYS_ioctl, typing()?),
            (libc::SYS_keyctl, linking()?),
            (libc::SYS_prlimit64, limiting()?),
        ] {
            rules.insert(X32 | number, rule);
        }
        rules.insert(X32 | libc::SYS_io_uring_setup, Vec::new());
    }
    if network {
        let unbounded =
            BOUNDED.into_iter().map(|family| other(0, family)).collect::<Result<Vec<_>, _>>()?;
        for call in SOCKET {
            rules.insert(*call, vec![SeccompRule::new(unbounded.clone())?]);
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
