//! The one place that reads the environment. Flag over environment over file.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;

use directories::{BaseDirs, ProjectDirs};
use keyrack_manifest::{Lifetime, Places, Search};
use keyrack_names::Owner;
use keyrack_protocol::{paths::SocketDirs, peer};
use sha2::{Digest, Sha256};

use crate::args::{Global, ScopeArg};
use crate::person::asker::{Asker, Dialog};
use crate::system::{accounts, sys};

use crate::error::{Code, Failure, Outcome};
use crate::person::ui::{Ui, stderr};

/// What this run was told, by flags and by the environment.
#[derive(Debug)]
pub struct Settings {
    /// Where files lie.
    pub places: Places,
    /// Whether the environment says which home is meant.
    home_is_named: bool,
    /// Where sockets lie.
    pub sockets: SocketDirs,
    /// The owners named, or the default one.
    owners: Vec<Owner>,
    /// Whether flags name them.
    owners_are_named: bool,
    /// Where to look for private keys.
    pub search: Search,
    /// How long to unlock for.
    pub duration: Option<Lifetime>,
    /// Whom to let read.
    pub scope: Option<ScopeArg>,
    /// A capability handed over in the environment.
    pub capability: Option<OsString>,
    /// What is written into audit lines as the reason.
    pub reason: Option<String>,
    /// The file that a GitHub runner reads variables from.
    pub github_env: Option<PathBuf>,
    /// Whether this is a step of a job on a GitHub runner.
    pub in_github_job: bool,
    /// What the smart card library reads: passed to the helper that loads it, and nothing
    /// else is.
    pub smart_cards: Vec<(&'static str, OsString)>,
    /// Where an ssh-agent listens. It cannot decrypt; that is to be said.
    pub ssh_agent: Option<PathBuf>,
    /// Where the manager of the service that this is listens.
    pub manager: Option<OsString>,
    /// Whether root's command runs this, as the user that the owner lives under.
    pub is_for_root: bool,
    /// Say on stderr what is tried and what comes of it.
    log: bool,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// Our own variables that hold or lead to a secret; never passed to a child.
pub const SECRET_VARIABLES: &[&str] = &["KEYRACK_PASSPHRASE_FD", "KEYRACK_CAPABILITY"];

/// What root's command sets for itself as another user, and nobody else has a use for.
pub const FOR_ROOT: &str = "KEYRACK_FOR_ROOT";

/// What a shell sets while it asks for completions; the value is its name.
pub const COMPLETE: &str = "KEYRACK_COMPLETE";

/// The variable by which a shell asks, where one does.
pub fn asked_to_complete() -> Option<&'static str> {
    variable(COMPLETE).map(|_| COMPLETE)
}

/// What no program that we start is to have: our own secrets, and what makes the age
/// library print what it and a plugin say to each other, PIN and file keys included.
pub const NOT_FOR_CHILDREN: &[&str] =
    &["KEYRACK_PASSPHRASE_FD", "KEYRACK_CAPABILITY", FOR_ROOT, "AGEDEBUG"];

impl Settings {
    /// Reads the environment, and lays the flags over it.
    ///
    /// # Errors
    /// [`Code::Usage`] when a variable does not parse or there is no home.
    pub fn read(global: &Global) -> Outcome<(Self, Ui)> {
        let home_variable = path("KEYRACK_HOME");
        let state_variable = path("KEYRACK_STATE");
        let dirs = Defaults::find();
        let missing = |what: &str, variable: &str| {
            Failure::new(Code::Usage, format!("cannot tell where {what} is: HOME is not set"))
                .hint(format!("export {variable}=/some/private/directory"))
        };
        let state = match (state_variable, &home_variable, &dirs) {
            (Some(state), _, _) => state,
            (None, home, Some(dirs)) => {
                let state = &dirs.state;
                match home {
                    // Pins belong to one home: another home of the same user is another rack.
                    Some(home) => state.join("homes").join(short_hash(home)),
                    None => state.clone(),
                }
            }
            (None, Some(home), None) => home.join("state"),
            (None, None, None) => return Err(missing("the state directory", "KEYRACK_STATE")),
        };
        let home = match (home_variable, &dirs) {
            (Some(home), _) => home,
            (None, Some(dirs)) => dirs.data.clone(),
            (None, None) => return Err(missing("the home directory", "KEYRACK_HOME")),
        };
        let runtime = path("XDG_RUNTIME_DIR");
        let only = path("KEYRACK_SOCKET_DIR");
        let sockets = match only {
            Some(only) => SocketDirs::only(&only),
            None => SocketDirs::usual(runtime.as_deref(), &state.join("run"), peer::own_uid()),
        };
        let settings = Self {
            places: Places { home, state },
            home_is_named: ["KEYRACK_HOME", "XDG_DATA_HOME", "HOME"]
                .iter()
                .any(|name| variable(name).is_some()),
            sockets,
            owners: owners(global)?,
            owners_are_named: !global.owner.is_empty(),
            search: Search {
                flag: global.identity.clone(),
                env: path("KEYRACK_IDENTITY"),
                ssh_dir: dirs.map(|dirs| dirs.user.join(".ssh")),
            },
            duration: parsed("KEYRACK_DURATION")?,
            scope: scope()?,
            capability: variable("KEYRACK_CAPABILITY"),
            reason: text("KEYRACK_REASON"),
            github_env: path("GITHUB_ENV"),
            in_github_job: variable("RUNNER_TRACKING_ID").is_some() || flag("GITHUB_ACTIONS"),
            smart_cards: ["PCSCLITE_CSOCK_NAME", "LD_LIBRARY_PATH"]
                .into_iter()
                .filter_map(|name| Some((name, variable(name)?)))
                .collect(),
            ssh_agent: path("SSH_AUTH_SOCK"),
            manager: variable("NOTIFY_SOCKET"),
            is_for_root: flag(FOR_ROOT),
            log: flag("KEYRACK_LOG"),
            dry_run: global.dry_run,
        };
        let ui = Ui {
            json: global.json,
            quiet: global.quiet,
            asker: Arc::new(Asker {
                no_input: global.no_input || flag("KEYRACK_NO_INPUT"),
                yes: global.yes,
                reaches_hardware: true,
                passphrase_fd: passphrase_fd()?,
                dialog: dialog(),
                ..Asker::default()
            }),
        };
        Ok((settings, ui))
    }

    /// The one owner meant.
    ///
    /// # Errors
    /// [`Code::Usage`] when several were named: a command never picks one of them.
    pub fn owner(&self) -> Outcome<&Owner> {
        match self.owners.as_slice() {
            [owner] => Ok(owner),
            several => {
                let names: Vec<_> = several.iter().map(Owner::as_str).collect();
                Err(Failure::new(
                    Code::Usage,
                    format!(
                        "one --for is allowed here; {} were given: {}",
                        names.len(),
                        names.join(", ")
                    ),
                ))
            }
        }
    }

    /// All owners named; for the commands that take several.
    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }

    /// Whether flags name them, and not the environment or nobody.
    pub fn owners_are_named(&self) -> bool {
        self.owners_are_named
    }

    /// Says on stderr what is tried, where `KEYRACK_LOG` asks for it. Never a value.
    pub fn log(&self, words: impl FnOnce() -> String) {
        if self.log {
            stderr("log: ", &words());
        }
    }

    /// What is written into audit lines for this command. Proof of nothing.
    pub fn caller(&self) -> String {
        self.reason
            .iter()
            .flat_map(|reason| reason.chars())
            .filter(|c| !c.is_control())
            .take(200)
            .collect()
    }

    /// Tells two homes of one user apart inside a capability's payload. Not a secret.
    pub fn home_tag(&self) -> String {
        short_hash(&self.places.home)
    }

    /// The same, if the environment says which home is meant: under `env -i` it does not.
    pub fn named_home_tag(&self) -> Option<String> {
        self.home_is_named.then(|| self.home_tag())
    }
}

/// Where things are of whom nobody told where they are.
struct Defaults {
    user: PathBuf,
    data: PathBuf,
    state: PathBuf,
}

impl Defaults {
    fn find() -> Option<Self> {
        if variable("HOME").is_some() {
            let (base, own) = (BaseDirs::new()?, ProjectDirs::from("", "", "keyrack")?);
            let state = own.state_dir().unwrap_or_else(|| own.data_local_dir()).to_owned();
            let data = own.data_dir().to_owned();
            return Some(Self { user: base.home_dir().to_owned(), data, state });
        }
        // That crate would ask the C library, and so must not be asked: see `accounts`.
        let user = accounts::own()?.dir;
        let within = |name: &str, default: &str| {
            let named = variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
            named.unwrap_or_else(|| user.join(default)).join("keyrack")
        };
        let data = within("XDG_DATA_HOME", ".local/share");
        let state = within("XDG_STATE_HOME", ".local/state");
        Some(Self { user, data, state })
    }
}

/// The environment for a program: ours, without our own secret variables.
pub fn inherited() -> BTreeMap<OsString, OsString> {
    env::vars_os()
        .filter(|(name, _)| SECRET_VARIABLES.iter().all(|secret| name != secret))
        .collect()
}

/// What root's command passes on to itself as another user: how to talk, and what it was
/// told; no place and no value of root's.
pub fn passed_to_another_user() -> Vec<(OsString, OsString)> {
    const NAMES: &[&str] = &[
        "PATH",
        "TERM",
        "COLORTERM",
        "LANG",
        "TZ",
        "NO_COLOR",
        "CLICOLOR_FORCE",
        "KEYRACK_PASSPHRASE_FD",
        "KEYRACK_NO_INPUT",
        "KEYRACK_DURATION",
        "KEYRACK_REASON",
        "KEYRACK_SCOPE",
        "KEYRACK_LOG",
    ];
    let passed = |name: &OsString| {
        let name = name.to_str().unwrap_or_default();
        NAMES.contains(&name) || name.starts_with("LC_")
    };
    env::vars_os().filter(|(name, _)| passed(name)).collect()
}

/// The login name of whoever runs this: `human`'s handle in teams.
pub fn login_name() -> Option<String> {
    accounts::own().map(|account| account.name).or_else(|| text("LOGNAME"))
}

fn owners(global: &Global) -> Outcome<Vec<Owner>> {
    if !global.owner.is_empty() {
        return Ok(global.owner.clone());
    }
    Ok(vec![parsed("KEYRACK_FOR")?.unwrap_or_else(Owner::human)])
}

fn scope() -> Outcome<Option<ScopeArg>> {
    use clap::ValueEnum;
    let Some(text) = text("KEYRACK_SCOPE") else { return Ok(None) };
    match ScopeArg::from_str(&text, false) {
        Ok(scope) => Ok(Some(scope)),
        Err(_) => Err(Failure::new(Code::Usage, "KEYRACK_SCOPE: use tree, session, user or env")),
    }
}

fn passphrase_fd() -> Outcome<Option<RawFd>> {
    const NAME: &str = "KEYRACK_PASSPHRASE_FD";
    let Some(number) = text(NAME) else { return Ok(None) };
    let bad = |why: String| Failure::new(Code::Usage, format!("{NAME}: {why}"));
    let fd = number.parse().map_err(|_| bad("use the number of an open descriptor".into()))?;
    if matches!(fd, 1 | 2) {
        return Err(bad(format!("nothing is read from descriptor {fd}, which is written to")));
    }
    sys::duplicate(fd).map_err(|_| bad(format!("descriptor {fd} is not open")))?;
    Ok(Some(fd))
}

/// `KEYRACK_ASKPASS`; and where there is a display, `SSH_ASKPASS`, else pinentry.
fn dialog() -> Option<Dialog> {
    if let Some(program) = variable("KEYRACK_ASKPASS") {
        return Some(Dialog::Askpass(program));
    }
    let display = variable("DISPLAY").is_some() || variable("WAYLAND_DISPLAY").is_some();
    if !display {
        return None;
    }
    if let Some(program) = variable("SSH_ASKPASS") {
        return Some(Dialog::Askpass(program));
    }
    let places = env::split_paths(&variable("PATH")?).collect::<Vec<_>>();
    let mut programs = places.iter().map(|dir| dir.join("pinentry"));
    programs.find(|path| path.is_absolute() && path.is_file()).map(Dialog::Pinentry)
}

/// A variable, where an empty one is the same as none.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    variable(name).map(|value| std::path::absolute(&value).unwrap_or_else(|_| value.into()))
}

fn text(name: &str) -> Option<String> {
    variable(name)?.into_string().ok()
}

fn flag(name: &str) -> bool {
    variable(name).is_some_and(|value| value != "0" && value != "false")
}

fn parsed<T>(name: &str) -> Outcome<Option<T>>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let Some(value) = variable(name) else { return Ok(None) };
    let value =
        value.to_str().ok_or_else(|| Failure::new(Code::Usage, format!("{name}: not UTF-8")))?;
    match value.parse() {
        Ok(parsed) => Ok(Some(parsed)),
        Err(error) => Err(Failure::new(Code::Usage, format!("{name}: {error}"))),
    }
}

fn short_hash(path: &std::path::Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    hex::lower::encode_string(&Sha256::digest(path.as_os_str().as_bytes())[..4])
}
