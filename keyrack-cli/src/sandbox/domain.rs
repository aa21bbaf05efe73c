//! The Landlock domain a sandboxed program lives in: it bounds what mounts cannot. No
//! tracing and no signal leaves it, no abstract socket outside of it is reached, no mount
//! is changed; and files are read-only a second time.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};

/// The oldest Landlock that bounds signals and abstract sockets: Linux 6.12.
const NEEDED: ABI = ABI::V6;
/// The newest whose rights this was written for: sockets with a path, Linux 7.1.
const KNOWN: ABI = ABI::V9;

/// What may be done where.
#[derive(Debug, Default)]
pub struct Rules {
    /// May be written.
    pub writable: Vec<PathBuf>,
    /// Sockets with a path may be connected to here and below.
    pub sockets: Vec<PathBuf>,
}

/// Enters a domain of this process's own. There is no way out. Unless `strictly`, it is
/// what this kernel can do, if anything.
///
/// # Errors
/// When this kernel has no Landlock, or an older one than is needed.
pub fn enter(rules: &Rules, strictly: bool) -> Result<(), RulesetError> {
    let needed = if strictly { CompatLevel::HardRequirement } else { CompatLevel::BestEffort };
    let read = AccessFs::from_read(ABI::V1);
    let mut ruleset = Ruleset::default()
        .set_compatibility(needed)
        .handle_access(AccessFs::from_all(NEEDED))?
        .scope(Scope::from_all(NEEDED))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .create()?
        .set_compatibility(CompatLevel::BestEffort);
    ruleset = allow(ruleset, Path::new("/"), read)?;
    let device = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    ruleset = allow(ruleset, Path::new("/dev"), device)?;
    for path in &rules.writable {
        ruleset = allow(ruleset, path, AccessFs::from_all(KNOWN))?;
    }
    for path in &rules.sockets {
        ruleset = allow(ruleset, path, read | AccessFs::ResolveUnix)?;
    }
    ruleset.restrict_self().map(drop)
}

/// A path that is gone needs no rule.
fn allow(
    ruleset: landlock::RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, RulesetError> {
    let Ok(fd) = PathFd::new(path) else { return Ok(ruleset) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN) };
    ruleset.add_rule(PathBeneath::new(fd, access))
}
