//! `keyrack.yml`: which org a repository belongs to and which credentials it needs.
//!
//! The nearest one upwards counts; what it extends is read too. A diamond is fine, a
//! cycle is an error that shows its path.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use keyrack_manifest::{Class, atomic};
use keyrack_names::{Env, KeyName, Org};
use keyrack_protocol::peer;
use sha2::{Digest, Sha256};

pub use self::document::without_value;
use self::document::{Document, Item};
use crate::error::{Code, Failure, Outcome};

mod document;
pub mod wanted;

/// The file's name.
pub const FILE: &str = "keyrack.yml";
const MAX_BYTES: u64 = 1024 * 1024;
const MAX_FILES: usize = 64;

/// What the nearest `keyrack.yml` and those it extends say together.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Project {
    /// The nearest file.
    pub path: PathBuf,
    /// The org that `--org` defaults to.
    pub org: Option<Org>,
    /// What is needed, by env, in the order written.
    pub env: BTreeMap<Env, Vec<Wanted>>,
    /// SHA-256 of each file that was read.
    pub digests: Vec<[u8; 32]>,
}

impl Project {
    /// What all of it says, in one number: the SHA-256 of the file, or, where it extends
    /// others, of the SHA-256 of each of them.
    pub fn digest(&self) -> String {
        match self.digests.as_slice() {
            [one] => hex::lower::encode_string(one),
            several => hex::lower::encode_string(&Sha256::digest(several.concat())),
        }
    }
}

/// One credential that a repository needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub key: KeyName,
    /// Whether to go on without it.
    pub optional: bool,
    /// The class it must have.
    pub class: Option<Class>,
}

/// The nearest `keyrack.yml` at or above `from`, if there is one.
pub fn nearest(from: &Path) -> Option<PathBuf> {
    let mut files = from.ancestors().map(|dir| dir.join(FILE));
    files.find(|file| file.is_file() && !was_planted(file))
}

/// Whether another user put it where everybody may, as in `/tmp`. What it says would count
/// for all who work below.
pub fn was_planted(file: &Path) -> bool {
    let is_others = |uid| uid != 0 && uid != peer::own_uid();
    let is_everybodys = |dir: &Path| dir.metadata().is_ok_and(|found| found.mode() & 0o002 != 0);
    file.symlink_metadata().is_ok_and(|found| is_others(found.uid()))
        && file.parent().is_some_and(is_everybodys)
}

/// Reads the nearest `keyrack.yml` at or above the working directory.
///
/// # Errors
/// [`Code::Usage`] when it, or one it extends, does not parse.
pub fn find() -> Outcome<Option<Project>> {
    let here = std::env::current_dir().ok();
    here.as_deref().and_then(nearest).map(|file| read(&file)).transpose()
}

/// The org that the nearest `keyrack.yml` names. A `get` asks for no more than that, so
/// the rest of the file is not read for it where the org stands in a line of its own.
///
/// # Errors
/// As [`find`], where the whole file has to be read.
pub fn org() -> Outcome<Option<Org>> {
    let here = std::env::current_dir().ok();
    let Some(file) = here.as_deref().and_then(nearest) else { return Ok(None) };
    match org_line(&text(&file)?) {
        Some(org) => Ok(Some(org)),
        None => Ok(read(&file)?.org),
    }
}

/// The org in a plain `org: NAME` line at the beginning of a line.
fn org_line(text: &str) -> Option<Org> {
    let line = text.lines().find_map(|line| line.strip_prefix("org:"))?;
    let value = line.split(" #").next()?.trim();
    let quoted = |mark| value.strip_prefix(mark)?.strip_suffix(mark);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(value).parse().ok()
}

/// Reads `file` and all it extends.
///
/// # Errors
/// [`Code::Usage`] when one does not parse, is missing or extends itself.
pub fn read(file: &Path) -> Outcome<Project> {
    let mut project = Project { path: file.to_owned(), ..Project::default() };
    let mut done = Vec::new();
    merge(file, &mut Vec::new(), &mut done, &mut project)?;
    Ok(project)
}

fn merge(
    file: &Path,
    trail: &mut Vec<PathBuf>,
    done: &mut Vec<PathBuf>,
    into: &mut Project,
) -> Outcome {
    let file = file.canonicalize().map_err(|e| problem(file, &e.to_string()))?;
    if let Some(start) = trail.iter().position(|seen| *seen == file) {
        let mut cycle: Vec<_> = trail[start..].iter().map(|p| p.display().to_string()).collect();
        cycle.push(file.display().to_string());
        return Err(problem(&file, &format!("extends itself: {}", cycle.join(" -> "))));
    }
    if done.contains(&file) {
        return Ok(());
    }
    if done.len() >= MAX_FILES {
        return Err(problem(&file, &format!("more than {MAX_FILES} files are extended")));
    }
    let text = text(&file)?;
    into.digests.push(Sha256::digest(&text).into());
    let document = Document::parse(&text).map_err(|why| problem(&file, &why))?;
    trail.push(file.clone());
    let folder = file.parent().unwrap_or(Path::new("/"));
    // The nearer file wins: what it extends only adds.
    if into.org.is_none() {
        into.org = document.org;
    }
    for (env, items) in document.env {
        let wanted = into.env.entry(env).or_default();
        for item in items.into_iter().flat_map(Item::wanted) {
            if !wanted.iter().any(|have| have.key == item.key) {
                wanted.push(item);
            }
        }
    }
    for other in document.extends {
        let other = folder.join(other);
        let other = if other.is_dir() { other.join(FILE) } else { other };
        merge(&other, trail, done, into)?;
    }
    trail.pop();
    done.push(file);
    Ok(())
}

/// What stands in a regular file: a repository may name a device or a pipe, which never ends.
pub fn text(file: &Path) -> Outcome<String> {
    let bytes = atomic::read_limited(file, MAX_BYTES)
        .map_err(|e| problem(file, &e.source.to_string()))?
        .ok_or_else(|| problem(file, "does not exist"))?;
    String::from_utf8(bytes).map_err(|_| problem(file, "is not UTF-8"))
}

pub fn problem(file: &Path, why: &str) -> Failure {
    Failure::new(Code::Usage, format!("{}: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
        let file = dir.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    fn names(project: &Project, env: &str) -> Vec<String> {
        project.env[&env.parse().unwrap()].iter().map(|w| w.key.to_string()).collect()
    }

    #[test]
    fn the_nearest_file_wins_and_what_it_extends_adds() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "base.yml", "org: base\nenv:\n  dev: [A, B]\n  prod: [P]\n");
        write(dir.path(), "repo/left.yml", "extends: [../base.yml]\n");
        write(dir.path(), "repo/right.yml", "extends: [../base.yml]\nenv: {dev: [C]}\n");
        let file = write(
            dir.path(),
            "repo/keyrack.yml",
            "org: acme\nextends: [left.yml, right.yml]\nenv.dev:\n  - B\n  - X: {optional: true}\n",
        );
        let project = read(&file).unwrap();
        assert_eq!(project.org.as_ref().unwrap().as_str(), "acme");
        assert_eq!(names(&project, "dev"), ["B", "X", "A", "C"]);
        assert_eq!(names(&project, "prod"), ["P"]);
        assert!(project.env[&"dev".parse().unwrap()][1].optional);
        assert_eq!(nearest(&dir.path().join("repo")), Some(file));
    }

    #[test]
    fn an_org_in_a_line_of_its_own_is_read_without_the_rest() {
        for (text, org) in [
            ("org: acme\n", Some("acme")),
            ("# first\norg: \"acme\"  # ours\nenv.all: [A]\n", Some("acme")),
            ("org: '@all'\r\n", Some("@all")),
            ("env.all: [A]\n", None),
            ("  org: nested\n", None),
            ("org: ../evil\n", None),
            ("org:\n  acme\n", None),
        ] {
            assert_eq!(org_line(text).map(|o| o.to_string()).as_deref(), org, "{text}");
        }
    }

    #[test]
    fn a_cycle_shows_its_path() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "b.yml", "extends: [keyrack.yml]\n");
        let file = write(dir.path(), "keyrack.yml", "extends: [b.yml]\n");
        let failure = read(&file).unwrap_err();
        assert_eq!(failure.code, Code::Usage);
        let shown = file.canonicalize().unwrap().display().to_string();
        assert!(failure.message.contains(&format!("{shown} -> ")), "{}", failure.message);
    }

    #[test]
    fn a_change_in_what_is_extended_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let file = write(dir.path(), "keyrack.yml", "org: acme\n");
        let alone = read(&file).unwrap().digest();
        assert_eq!(alone, hex::lower::encode_string(&Sha256::digest("org: acme\n")));
        write(dir.path(), "keyrack.yml", "extends: [base.yml]\n");
        write(dir.path(), "base.yml", "env.all: [A]\n");
        let before = read(&file).unwrap().digest();
        write(dir.path(), "base.yml", "env.all: [A, B]\n");
        assert_ne!(read(&file).unwrap().digest(), before);
    }

    #[test]
    fn hostile_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for (text, why) in [
            ("org: ../evil\n", "not a valid org"),
            ("env: {SUDO: [A]}\n", "not a valid env"),
            ("env: {dev: [A-B]}\n", "not a valid key: use 1 to 128"),
            ("env: {dev: [5]}\n", "expected KEY, or KEY: {"),
            ("env: {dev: A}\n", "expected a sequence"),
            ("env: {dev: [{A: {class: x}}]}\n", "unknown variant `x`, expected one of `password`"),
            ("env: {dev: [{A: {optional: x}}]}\n", "expected a boolean"),
            ("env: {dev: [{A: 5}]}\n", "expected { optional: true, class: CLASS }"),
            ("evn: {}\n", "unknown field"),
            ("env.SUDO: [A]\n", "not a valid env"),
            ("env.dev: [A]\nenv.dev: [B]\n", "duplicate"),
            ("env: {dev: [{A: {clas: x}}]}\n", "unknown field `clas`"),
            ("[", ""),
        ] {
            let file = write(dir.path(), "keyrack.yml", text);
            let failure = read(&file).unwrap_err();
            assert_eq!(failure.code, Code::Usage);
            assert!(failure.message.contains(why), "{text}: {}", failure.message);
        }
    }

    #[test]
    fn what_never_ends_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (other, why) in [("pipe", "not a regular file"), ("/dev/zero", "not a regular file")] {
            let file = write(dir.path(), "keyrack.yml", &format!("extends: [{other}]\n"));
            let failure = read(&file).unwrap_err();
            assert_eq!(failure.code, Code::Usage);
            assert!(failure.message.ends_with(why), "{}", failure.message);
        }
        let file = write(dir.path(), "keyrack.yml", &"#".repeat(MAX_BYTES as usize + 1));
        assert!(read(&file).unwrap_err().message.contains("larger than 1048576 bytes"));
    }

    #[test]
    fn what_stands_in_another_file_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n";
        for text in [key, "hunter2, expected\n", "- hunter2\n", "org: [hunter2]\n"] {
            write(dir.path(), "secret", text);
            let file = write(dir.path(), "keyrack.yml", "extends: [secret]\n");
            let said = read(&file).unwrap_err().message;
            assert!(!said.contains("b3Bl") && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn an_empty_file_is_a_file_and_so_is_one_with_a_mark_of_byte_order() {
        let dir = tempfile::tempdir().unwrap();
        let file = write(dir.path(), "keyrack.yml", "# nothing yet\n");
        assert_eq!(read(&file).unwrap().org, None);
        write(dir.path(), "keyrack.yml", "\u{feff}org: acme\n");
        assert_eq!(read(&file).unwrap().org.unwrap().as_str(), "acme");
    }
}
