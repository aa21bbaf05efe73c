//! The sandbox of `exec --isolate`: no root, no setuid program, no helper. Namespaces and
//! mounts hide, Landlock bounds, seccomp closes the rest. It fails closed, unless a person
//! asked for as much of it as this machine allows.
//!
//! | file | holds |
//! |---|---|
//! | `layout` | what is seen where, pure |
//! | `hidden` | what there is to hide on this machine |
//! | `namespaces`, `mounts`, `domain`, `syscalls` | one mechanism each |
//! | `sys` | every `unsafe` line |

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use keyrack_names::Owner;
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};

use crate::args::{IsolateArg, Isolation, NetArg};
use crate::error::{Code, Context, Failure, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;

mod domain;
pub mod hidden;
mod layout;
mod mounts;
pub mod namespaces;
mod sys;
mod syscalls;

use layout::{Layout, Wishes};
use mounts::Copies;
pub use mounts::private_directory;
pub use sys::{
    begin_apart, begin_as, begin_with_this_mask, begin_without_keys, in_a_copy, keep_only,
};

/// A sandbox that is decided upon and not yet entered.
#[derive(Debug)]
pub struct Sandbox {
    wishes: Wishes,
    network: bool,
    strictly: bool,
    /// What this machine does not give.
    missing: Vec<String>,
    in_namespaces: bool,
    has_tree: bool,
}

impl Sandbox {
    /// Decides what `owner`'s program sees in the working directory.
    ///
    /// # Errors
    /// [`Code::Usage`] when a path that was named is not there, or elsewhere than it says.
    pub fn new(
        args: &Isolation,
        settings: &Settings,
        owner: &Owner,
        environment: &BTreeMap<OsString, OsString>,
    ) -> Outcome<Option<Self>> {
        let Some(isolate) = args.isolate else { return Ok(None) };
        let here = std::env::current_dir().context(|| "the working directory".to_owned())?;
        let named = |flag: &str, paths: &[PathBuf]| {
            paths.iter().map(|path| named(flag, path)).collect::<Outcome<Vec<_>>>()
        };
        let mut wishes = hidden::wishes(settings, owner, here, environment);
        wishes.write = named("--rw", &args.rw)?;
        wishes.read = named("--ro", &args.ro)?;
        Ok(Some(Self {
            wishes,
            network: args.net == Some(NetArg::None),
            strictly: isolate == IsolateArg::Strict,
            missing: Vec::new(),
            in_namespaces: false,
            has_tree: false,
        }))
    }

    /// Enters the namespaces: before this process holds any secret.
    ///
    /// # Errors
    /// [`Code::Blocked`] where the machine forbids it and nothing less was agreed to.
    pub fn enter_namespaces(&mut self) -> Outcome {
        let kinds = namespaces::Kinds { user: true, memory: true, network: self.network };
        match namespaces::enter(kinds) {
            Ok(()) => self.in_namespaces = true,
            Err(error) => {
                self.lacks(
                    format!("user and mount namespaces ({error}): nothing is hidden"),
                    NAMESPACES,
                )?;
            }
        }
        Ok(())
    }

    /// Builds the tree the program sees. `sockets` are where the owner's daemon listens,
    /// `files` the directory for values, if there is one.
    ///
    /// # Errors
    /// [`Code::Blocked`] as [`Self::enter_namespaces`]; [`Code::Usage`] when the working
    /// directory is hidden.
    pub fn build(
        &mut self,
        sockets: &[PathBuf],
        files: Option<&PathBuf>,
        ui: &Ui,
    ) -> Outcome<Built> {
        self.wishes.own.extend(hidden::real(sockets.iter().cloned()));
        self.wishes.private.extend(files.cloned());
        let layout =
            Layout::new(&self.wishes).map_err(|e| Failure::new(Code::Usage, e.to_string()))?;
        if let Some(holds) = &layout.work_holds {
            ui.say(format!(
                "{} is read-only in the sandbox: it holds {}",
                self.wishes.work.display(),
                holds.display()
            ));
        }
        if self.in_namespaces {
            match Copies::take(&layout) {
                Ok(copies) => {
                    let blocked =
                        |e: mounts::MountError| Failure::new(Code::Blocked, e.to_string());
                    copies.place().map_err(blocked)?;
                    self.has_tree = true;
                }
                Err(error) => {
                    self.lacks(
                        format!("a tree of its own ({error}): nothing is hidden"),
                        NAMESPACES,
                    )?;
                }
            }
        }
        // Into the working directory as it is inside.
        std::env::set_current_dir(&self.wishes.work)
            .context(|| format!("the working directory {}", self.wishes.work.display()))?;
        let rules = domain::Rules {
            writable: layout.writable().map(PathBuf::from).collect(),
            sockets: self.wishes.own.clone(),
        };
        Ok(Built { rules })
    }

    /// Whether `place` is a directory of the program's own, now that the tree is built.
    pub fn is_private(&self, place: &PathBuf) -> bool {
        self.has_tree && self.wishes.private.contains(place)
    }

    /// Closes the sandbox around this process and all it will start.
    ///
    /// # Errors
    /// [`Code::Blocked`] as [`Self::enter_namespaces`].
    pub fn close(mut self, built: &Built, ui: &Ui) -> Outcome {
        if self.in_namespaces
            && let Err(errno) = sys::root_is_nobody_special()
        {
            self.lacks(format!("secure bits ({errno})"), NAMESPACES)?;
        }
        if let Err(error) = domain::enter(&built.rules, true) {
            self.lacks(format!("Landlock of Linux 6.12 ({error}): signals, tracing and abstract sockets are not bounded"), LANDLOCK)?;
            let _ = domain::enter(&built.rules, false);
        }
        if let Err(error) = syscalls::refuse(self.network) {
            self.lacks(error.to_string(), SECCOMP)?;
        }
        if let Err(error) = sys::keep_pipes_and_files() {
            self.lacks(format!("a look at what is open ({error}): it is left open"), PROC)?;
        }
        for what in &self.missing {
            ui.warn(format!("the sandbox lacks {what}"));
        }
        Ok(())
    }

    fn lacks(&mut self, what: String, hint: &str) -> Outcome {
        if self.strictly {
            return Err(Failure::new(
                Code::Blocked,
                format!("no sandbox can be made here: it would lack {what}"),
            )
            .hint(hint)
            .hint("--isolate=best-effort runs it with what is left of the sandbox"));
        }
        self.missing.push(what);
        Ok(())
    }
}

/// What a person named by `flag`, where nothing is between: an earlier program may have left a
/// link in the working directory, to what no sandbox is to show or to let be written.
fn named(flag: &str, path: &Path) -> Outcome<PathBuf> {
    let refused =
        |why: String| Failure::new(Code::Usage, format!("{flag} {}: {why}", path.display()));
    let real = path.canonicalize().map_err(|error| refused(error.to_string()))?;
    if sys::without_links(path).map(drop) == Err(Errno::ELOOP) {
        let real = real.display();
        return Err(refused(format!("a symbolic link leads to {real}"))
            .hint(format!("{flag} {real}, if that is what you mean")));
    }
    Ok(real)
}

/// Tries, in a process of its own that ends at once, what a sandbox is made of.
///
/// # Errors
/// [`Code::Blocked`] naming what this machine does not give.
pub fn try_out() -> Outcome {
    let doing = || "trying a sandbox".to_owned();
    let copy = sys::in_a_copy(|| {
        let kinds = namespaces::Kinds { user: true, memory: true, network: false };
        let namespaces = namespaces::enter(kinds);
        let mounts = sys::make_read_only(Path::new("/"));
        let domain = domain::enter(&domain::Rules::default(), true);
        let parts =
            [namespaces.is_ok() && mounts.is_ok(), domain.is_ok(), syscalls::refuse(false).is_ok()];
        parts.iter().enumerate().map(|(n, works)| i32::from(!works) << n).sum()
    })
    .context(doing)?;
    let WaitStatus::Exited(_, missing) = waitpid(copy, None).context(doing)? else {
        return Err(Failure::new(Code::Blocked, "trying a sandbox ended early"));
    };
    let parts = [
        ("user and mount namespaces", NAMESPACES),
        ("Landlock of Linux 6.12", LANDLOCK),
        ("system call filters", SECCOMP),
    ];
    let missing =
        parts.iter().enumerate().filter(|(n, _)| missing >> n & 1 == 1).map(|(_, part)| part);
    let (names, hints): (Vec<_>, Vec<_>) = missing.copied().unzip();
    if names.is_empty() {
        return Ok(());
    }
    let failure =
        Failure::new(Code::Blocked, format!("this machine does not give {}", names.join(", ")));
    Err(hints.into_iter().fold(failure, Failure::hint))
}

/// A tree that stands, and what may be done in it.
#[derive(Debug)]
pub struct Built {
    rules: domain::Rules,
}

const NAMESPACES: &str = "allow user namespaces to this program: sysctl user.max_user_namespaces, \
    kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns; in a container, its seccomp profile";
const LANDLOCK: &str =
    "run Linux 6.12 or later with landlock among its security modules (lsm=landlock,…)";
const PROC: &str = "mount proc at /proc";
const SECCOMP: &str = "allow seccomp filters to this program";
