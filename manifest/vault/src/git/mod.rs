//! git, run as a program: a vault in a work tree, and what a remote has of it. What a remote
//! has is read from git's own store and verified in memory, before a file of it is here.

mod error;
mod run;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use keyrack_manifest::FileError;

use crate::memory::Memory;
use crate::names;
pub use error::GitError;
use run::failed;

/// Largest object read from a repository: what a record may have.
const LARGEST: u64 = 2 << 20;
/// Most bytes of a whole vault that are held in memory.
const LARGEST_TREE: u64 = 1 << 30;

/// What was last exchanged with the remote.
const EXCHANGED: &str = "refs/keyrack/exchanged";

/// A commit's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit(String);

impl std::fmt::Display for Commit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The remote has it.
    Done,
    /// Somebody else pushed before.
    Behind,
}

/// A work tree that a vault lies in.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The work tree's top.
    top: PathBuf,
    /// The vault's directory below it, with a `/` at the end; empty at the top.
    prefix: String,
    /// Whether git may ask a person.
    may_ask: bool,
}

impl Repository {
    /// The work tree that the vault at `dir` lies in. `None` if it is in none.
    ///
    /// # Errors
    /// [`GitError::Missing`].
    pub fn of(dir: &Path, may_ask: bool) -> Result<Option<Self>, GitError> {
        if !dir.ancestors().any(|dir| dir.join(".git").exists()) {
            return Ok(None);
        }
        let at = Self { top: dir.to_owned(), prefix: String::new(), may_ask };
        let top = at.line(&["rev-parse", "--show-toplevel"])?;
        let prefix = at.line(&["rev-parse", "--show-prefix"])?;
        Ok(Some(Self { top: top.into(), prefix, may_ask }))
    }

    /// Clones `url` into `dir`, which is not there yet. Where the remote does not say which
    /// of its branches is meant, and has one, it is that one.
    ///
    /// # Errors
    /// [`GitError`].
    pub fn clone(url: &str, dir: &Path, may_ask: bool) -> Result<Self, GitError> {
        let above = dir.parent().unwrap_or(dir).to_owned();
        let at = Self { top: above, prefix: String::new(), may_ask };
        let clone: [&OsStr; 5] =
            ["clone".as_ref(), "--quiet".as_ref(), "--".as_ref(), url.as_ref(), dir.as_os_str()];
        at.run(clone, None)?;
        let cloned = Self { top: dir.to_owned(), prefix: String::new(), may_ask };
        if cloned.head().is_none()
            && let [only] = &cloned.there()?[..]
        {
            cloned.text(&["checkout", "--quiet", "-B", only, &format!("origin/{only}")])?;
        }
        Ok(cloned)
    }

    /// Whether the vault is all there is in the work tree.
    pub fn is_whole(&self) -> bool {
        self.prefix.is_empty()
    }

    /// The branch that is checked out, be it without a commit.
    ///
    /// # Errors
    /// [`GitError::Detached`].
    pub fn branch(&self) -> Result<String, GitError> {
        self.line(&["symbolic-ref", "--quiet", "--short", "HEAD"])
            .map_err(|_| GitError::Detached(self.top.clone()))
    }

    /// Where `origin` is, if there is one.
    pub fn origin(&self) -> Option<String> {
        self.line(&["config", "--get", "remote.origin.url"]).ok().filter(|url| !url.is_empty())
    }

    /// The commit that is checked out, if there is any.
    pub fn head(&self) -> Option<Commit> {
        self.commit("HEAD")
    }

    /// Asks `origin` what it has of `branch`. `None` if it has nothing yet.
    ///
    /// # Errors
    /// [`GitError::Failed`] when it cannot be reached; [`GitError::OtherBranch`] when it has
    /// others and not that one, which nobody there would look at.
    pub fn fetch(&self, branch: &str) -> Result<Option<Commit>, GitError> {
        self.text(&["fetch", "--quiet", "--prune", "--no-tags", "origin"])?;
        let news = self.commit(&format!("refs/remotes/origin/{branch}"));
        match (news, self.there()?) {
            (Some(news), _) => Ok(Some(news)),
            (None, there) if there.is_empty() => Ok(None),
            (None, there) => {
                let is_here = self.commit(&format!("refs/heads/{}", there[0])).is_some();
                Err(GitError::OtherBranch { branch: branch.to_owned(), there, is_here })
            }
        }
    }

    /// The branches of `origin`, as far as is known.
    fn there(&self) -> Result<Vec<String>, GitError> {
        let format = "--format=%(refname:strip=3)";
        let branches = self.text(&["for-each-ref", format, "refs/remotes/origin"])?;
        Ok(branches.lines().filter(|name| *name != "HEAD").map(str::to_owned).collect())
    }

    /// Whether all of `first` is in `second`.
    pub fn is_ancestor(&self, first: &Commit, second: &Commit) -> bool {
        self.text(&["merge-base", "--is-ancestor", &first.0, &second.0]).is_ok()
    }

    /// The last commit that both have.
    pub fn common(&self, one: &Commit, other: &Commit) -> Option<Commit> {
        self.line(&["merge-base", &one.0, &other.0]).ok().map(Commit)
    }

    /// The vault as it is in a commit, in memory.
    ///
    /// # Errors
    /// [`GitError::Foreign`] when there is a link or something too large in it.
    pub fn snapshot(&self, commit: &Commit) -> Result<Memory, GitError> {
        let tree = format!("{commit}:{}", self.prefix.trim_end_matches('/'));
        let listed = self.run(["ls-tree", "-r", "-z", "-l", "--full-tree", &tree], None)?.stdout;
        let mut names = Vec::new();
        let mut total = 0;
        for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let entry = String::from_utf8_lossy(entry);
            let (about, name) = entry.split_once('\t').unwrap_or((&entry, ""));
            let about: Vec<&str> = about.split_whitespace().collect();
            let [mode, kind, object, size] = about[..] else {
                return Err(GitError::Foreign("a tree that does not read".to_owned()));
            };
            if kind != "blob" || !mode.starts_with("100") {
                return Err(GitError::Foreign(format!("{name}, which is no plain file")));
            }
            let size: u64 = size.parse().unwrap_or(u64::MAX);
            total += size.min(LARGEST);
            if size > LARGEST || total > LARGEST_TREE {
                return Err(GitError::Foreign(format!("{name}, which is too large")));
            }
            names.push((name.to_owned(), object.to_owned()));
        }
        let memory = Memory::default();
        memory.restore(self.blobs(names)?);
        Ok(memory)
    }

    /// The content of many blobs, by one run of git.
    fn blobs(&self, names: Vec<(String, String)>) -> Result<BTreeMap<String, Vec<u8>>, GitError> {
        let ask: String = names.iter().map(|(_, object)| format!("{object}\n")).collect();
        let said = self.run(["cat-file", "--batch"], Some(ask.into_bytes()))?.stdout;
        let short = || GitError::Foreign("an object that does not read".to_owned());
        let mut rest = &said[..];
        let mut objects = BTreeMap::new();
        for (name, _) in names {
            let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(short)?;
            let heading = String::from_utf8_lossy(&rest[..end]).into_owned();
            let size = heading.rsplit(' ').next().and_then(|size| size.parse::<usize>().ok());
            let body = size.and_then(|size| rest[end + 1..].split_at_checked(size));
            let (bytes, after) = body.ok_or_else(short)?;
            rest = after.strip_prefix(b"\n").ok_or_else(short)?;
            objects.insert(name, bytes.to_vec());
        }
        Ok(objects)
    }

    /// Commits what is the vault's, and nothing else that lies in the work tree. Says whether
    /// there was anything.
    ///
    /// # Errors
    /// [`GitError`].
    pub fn commit_all(&self, message: &str, who: &str) -> Result<bool, GitError> {
        let changed = ["ls-files", "-z", "--modified", "--others", "--exclude-standard"];
        self.with_paths(&["add", "--all"], &self.shared(&changed)?)?;
        let staged = self.shared(&["diff", "--cached", "--name-only", "--no-renames", "-z"])?;
        let name = format!("user.name={who}");
        let email = format!("user.email={who}@keyrack.invalid");
        let mut commit: Vec<&str> = Vec::new();
        if self.line(&["config", "--get", "user.email"]).is_err() {
            commit.extend(["-c", &name, "-c", &email]);
        }
        commit.extend(["commit", "--quiet", "--no-verify", "-m", message]);
        self.with_paths(&commit, &staged)?;
        Ok(!staged.is_empty())
    }

    /// The paths that a command of git lists, as far as they are the vault's.
    fn shared(&self, list: &[&str]) -> Result<Vec<String>, GitError> {
        let listed = self.text(&[list, &["--", self.within()]].concat())?;
        let is_shared = |path: &&str| path.strip_prefix(&self.prefix).is_some_and(names::is_shared);
        Ok(listed.split('\0').filter(is_shared).map(str::to_owned).collect())
    }

    /// Runs a command of git on these paths, if there are any.
    fn with_paths(&self, command: &[&str], paths: &[String]) -> Result<(), GitError> {
        if paths.is_empty() {
            return Ok(());
        }
        let from = ["--pathspec-from-file=-", "--pathspec-file-nul"];
        self.run([command, &from].concat(), Some(paths.join("\0").into_bytes())).map(drop)
    }

    /// Makes the work tree what `commit` is, which has all of what is checked out.
    ///
    /// # Errors
    /// [`GitError::Failed`] when it has not, or files are in the way.
    pub fn fast_forward(&self, commit: &Commit) -> Result<(), GitError> {
        self.text(&["merge", "--quiet", "--ff-only", &commit.0]).map(drop)
    }

    /// Makes the work tree what `commit` is, whatever is checked out; what is not committed
    /// stays. Only for who has put aside what differs, or takes it back.
    ///
    /// # Errors
    /// [`GitError::Failed`] when something that is not committed is in the way.
    pub fn become_of(&self, commit: &Commit) -> Result<(), GitError> {
        self.text(&["reset", "--quiet", "--keep", &commit.0]).map(drop)
    }

    /// A commit on top of `commit`, in which these files of the vault are as given. It is
    /// checked out nowhere.
    ///
    /// # Errors
    /// [`GitError`].
    pub fn mend(
        &self,
        commit: &Commit,
        objects: &BTreeMap<String, Vec<u8>>,
        who: &str,
    ) -> Result<Commit, GitError> {
        const MENDED: &str = "refs/keyrack/mended";
        let message = "keyrack vault: what was lost";
        let mut import = format!(
            "commit {MENDED}\ncommitter {who} <{who}@keyrack.invalid> now\n\
             data {}\n{message}\nfrom {commit}\n",
            message.len()
        )
        .into_bytes();
        for (name, bytes) in objects {
            let path = format!("{}{name}", self.prefix).replace('\\', "\\\\");
            let path = path.replace('"', "\\\"").replace('\n', "\\n");
            let heading = format!("M 100644 inline \"{path}\"\ndata {}\n", bytes.len());
            import.extend_from_slice(heading.as_bytes());
            import.extend_from_slice(bytes);
            import.push(b'\n');
        }
        self.run(["fast-import", "--quiet", "--force", "--date-format=now"], Some(import))?;
        self.line(&["rev-parse", "--verify", MENDED]).map(Commit)
    }

    /// Notes that `commit` is what both sides have.
    ///
    /// # Errors
    /// [`GitError`].
    pub fn note_exchanged(&self, commit: &Commit) -> Result<(), GitError> {
        self.text(&["update-ref", EXCHANGED, &commit.0]).map(drop)
    }

    /// What both sides had last, as far as that is noted.
    pub fn exchanged(&self) -> Option<Commit> {
        self.commit(EXCHANGED)
    }

    /// Keeps a commit that no branch has any more. Returns what it is kept as.
    ///
    /// # Errors
    /// [`GitError`].
    pub fn keep(&self, commit: &Commit) -> Result<String, GitError> {
        let name = format!("refs/keyrack/aside/{}", &commit.0[..12.min(commit.0.len())]);
        self.text(&["update-ref", &name, &commit.0])?;
        Ok(name)
    }

    /// Whether a merge was begun that is not finished.
    pub fn is_merging(&self) -> bool {
        self.commit("MERGE_HEAD").is_some()
    }

    /// Offers `branch` to `origin`, which takes it only as an addition to what it has.
    ///
    /// # Errors
    /// [`GitError::Failed`] when it cannot be reached or may not be written.
    pub fn push(&self, branch: &str) -> Result<Pushed, GitError> {
        let refs = format!("refs/heads/{branch}:refs/heads/{branch}");
        let push = ["push", "--quiet", "--porcelain", "--set-upstream", "origin", &refs];
        let output = self.output(push, None)?;
        if output.status.success() {
            return Ok(Pushed::Done);
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let behind = said.lines().any(|line| line.starts_with('!') && line.contains("[rejected]"))
            || said.contains("cannot lock ref")
            || String::from_utf8_lossy(&output.stderr).contains("cannot lock ref");
        if behind { Ok(Pushed::Behind) } else { Err(failed("push", &output)) }
    }

    /// Has git call `program` for merges and for showing differences of this vault's files;
    /// and leave what is never shared alone.
    ///
    /// # Errors
    /// [`GitError`], or that git's own files cannot be written.
    pub fn configure(&self, program: &str) -> Result<(), GitError> {
        let merge = format!("{program} vault merge-driver %O %A %B %P");
        let show = format!("{program} vault textconv");
        for (name, value) in [
            ("merge.keyrack.name", "keyrack vault"),
            ("merge.keyrack.driver", merge.as_str()),
            ("diff.keyrack.textconv", show.as_str()),
        ] {
            if self.line(&["config", "--local", "--get", name]).ok().as_deref() != Some(value) {
                self.text(&["config", "--local", name, value])?;
            }
        }
        let prefix = &self.prefix;
        self.note("info/exclude", &[format!("/{prefix}audit/")])?;
        self.note(
            "info/attributes",
            &[
                format!("/{prefix}chain/*.link -text merge=keyrack diff=keyrack"),
                format!("/{prefix}**/*.cred -text merge=keyrack diff=keyrack"),
                format!("/{prefix}**/*.age -text -merge -diff"),
            ],
        )
    }

    /// Adds lines to one of git's own files, where they are missing.
    fn note(&self, file: &str, lines: &[String]) -> Result<(), GitError> {
        let path = self.top.join(self.line(&["rev-parse", "--git-path", file])?);
        let failed = |error| GitError::File(FileError::new("write", &path, error));
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
        let mut open = OpenOptions::new();
        let mut file = open.read(true).append(true).create(true).open(&path).map_err(failed)?;
        let mut old = Vec::new();
        file.read_to_end(&mut old).map_err(failed)?;
        let has =
            |line: &String| old.split(|byte| *byte == b'\n').any(|had| had == line.as_bytes());
        let mut more = String::new();
        for line in lines.iter().filter(|line| !has(line)) {
            if more.is_empty() && old.last().is_some_and(|byte| *byte != b'\n') {
                more.push('\n');
            }
            more.push_str(&format!("{line}\n"));
        }
        // In one write: of two that do it at once, neither takes the other's away.
        file.write_all(more.as_bytes()).map_err(failed)
    }

    fn within(&self) -> &str {
        if self.prefix.is_empty() { "." } else { &self.prefix }
    }

    fn commit(&self, name: &str) -> Option<Commit> {
        let name = format!("{name}^{{commit}}");
        self.line(&["rev-parse", "--quiet", "--verify", &name]).ok().map(Commit)
    }
}
