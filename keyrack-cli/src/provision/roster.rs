//! `init --from agents.yml`: many owners in one file, with what they are to have.
//!
//! ```yaml
//! owners:
//!   seaturtle: { pubkey: /etc/keyrack/seaturtle.pub }
//!   mechanic:
//!     via: age
//!     backup: [age1…]
//!     keys:
//!       GITHUB_TOKEN: { env: repo, file: secrets/github, trim: true }
//!       acme.dev.NPM_TOKEN: { stdin: true, class: session, expires: 30d }
//!       DATABASE: { vault: 1password, exid: mechanic/db }
//!     drops: [left/mechanic]
//!     vaults: [invitations/mechanic]
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keyrack_manifest::unique::{unique_map, unique_pairs};
use keyrack_manifest::{Class, Entry, Lifetime, OnOff};
use keyrack_names::{Env, Org, Owner, Slug};
use serde::{Deserialize, Deserializer};

use crate::args::when::When;
use crate::args::{KeyArg, ViaArg};
use crate::bounded;
use crate::cmd::set;
use crate::error::{Code, Failure, Outcome};
use crate::owner::values;

const LONGEST: u64 = 4 * 1024 * 1024;

/// One owner to be made.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name.
    pub owner: Owner,
    /// What kind of key opens its manifest.
    pub via: Option<ViaArg>,
    /// The key, as after `--pubkey`.
    pub pubkey: Option<String>,
    /// Other keys that open it.
    pub backup: Vec<String>,
    /// Its name in teams.
    pub handle: Option<Owner>,
    /// Whose vault keeps its identity.
    pub kept_by: Option<Owner>,
    /// Whether later drops from here may replace earlier ones.
    pub provisioner: bool,
    /// Whether using its key without a person is enough to read.
    pub self_proof: Option<OnOff>,
    /// What it is to have.
    pub keys: Vec<Wanted>,
    /// Drops that somebody else sealed to it: files, or directories of them.
    pub drops: Vec<PathBuf>,
    /// Files with invitations to vaults of several members.
    pub vaults: Vec<PathBuf>,
}

/// A credential that an owner is to have.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What the manifest is to say of it.
    pub entry: Entry,
    /// When it stops being valid, as it was said.
    pub expires: Option<When>,
    /// Where its value comes from.
    pub source: Source,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf, Trim),
    /// The object on standard input, where it is called as the file calls the credential.
    Stdin(String),
    /// Another vault has it: none is read or written.
    Elsewhere,
}

/// Whether one trailing newline is taken off.
pub type Trim = bool;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(deserialize_with = "unique_pairs")]
    owners: Vec<(Owner, Option<Described>)>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "a map, such as { via: age }")]
struct Described {
    #[serde(default, deserialize_with = "via")]
    via: Option<ViaArg>,
    pubkey: Option<String>,
    #[serde(default)]
    backup: Vec<String>,
    handle: Option<Owner>,
    kept_by: Option<Owner>,
    #[serde(default)]
    provisioner: bool,
    self_proof: Option<OnOff>,
    #[serde(default, deserialize_with = "unique_map")]
    keys: BTreeMap<Name, Key>,
    #[serde(default)]
    drops: Vec<PathBuf>,
    #[serde(default)]
    vaults: Vec<PathBuf>,
}

/// A credential's name or whole slug, as it stands there.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Name(String);

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "where the value is, such as { file: PATH }"
)]
struct Key {
    env: Option<Env>,
    org: Option<Org>,
    file: Option<PathBuf>,
    #[serde(default)]
    stdin: bool,
    #[serde(default)]
    trim: bool,
    vault: Option<String>,
    exid: Option<String>,
    #[serde(default)]
    class: Class,
    #[serde(default, deserialize_with = "when")]
    expires: Option<When>,
    max_duration: Option<Lifetime>,
}

fn via<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ViaArg>, D::Error> {
    String::deserialize(from)?.parse().map(Some).map_err(serde::de::Error::custom)
}

fn when<'de, D: Deserializer<'de>>(from: D) -> Result<Option<When>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Reads a roster. Paths in it are relative to the file. An owner that was made already is
/// in it as one that was not.
///
/// # Errors
/// [`Code::Usage`] when it does not parse, with the line and what may stand there.
pub fn read(file: &Path, now: Timestamp) -> Outcome<Vec<Member>> {
    let bad = |why: String| Failure::new(Code::Usage, format!("{}: {why}", file.display()));
    let open = std::fs::File::open(file).map_err(|e| bad(e.to_string()))?;
    let text = bounded::text(open, LONGEST, &file.display().to_string())?;
    let document: Document = serde_yaml::from_str(&text).map_err(|e| bad(located(&e)))?;
    let dir = file.parent().unwrap_or(Path::new("."));
    let members = document.owners.into_iter().map(|(owner, described)| {
        let name = owner.clone();
        member(owner, described.unwrap_or_default(), dir, now)
            .map_err(|failure| bad(format!("owners.{name}: {}", failure.message)))
    });
    members.collect()
}

/// What is wrong, and where: the parser leaves out where the very beginning is wrong. What
/// stood there is left out, for it may be the value that should be elsewhere.
fn located(error: &serde_yaml::Error) -> String {
    let mut words = error.to_string();
    if let (Some(from), Some(to)) = (words.find("invalid type: "), words.rfind("expected ")) {
        words.replace_range(from..to.max(from), "");
    }
    if words.contains(" at line ") { words } else { format!("{words} at line 1") }
}

fn member(owner: Owner, described: Described, dir: &Path, now: Timestamp) -> Outcome<Member> {
    let is_file =
        |text: &str| !text.starts_with("age1") && !text.starts_with("ssh-") && text != "-";
    let resolved =
        |text: String| if is_file(&text) { dir.join(text).display().to_string() } else { text };
    let mut slugs = BTreeSet::new();
    let keys = described.keys.into_iter().map(|(name, key)| {
        let in_key = |failure: Failure| {
            Failure::new(failure.code, format!("keys.{}: {}", name.0, failure.message))
        };
        let wanted = key.wanted(&name.0, &owner, dir, now).map_err(in_key)?;
        if !slugs.insert(wanted.entry.slug.clone()) {
            let twice = format!("{} is there twice", wanted.entry.slug);
            return Err(in_key(Failure::new(Code::Usage, twice)));
        }
        Ok(wanted)
    });
    Ok(Member {
        keys: keys.collect::<Outcome<_>>()?,
        via: described.via,
        pubkey: described.pubkey.map(resolved),
        backup: described.backup.into_iter().map(resolved).collect(),
        handle: described.handle,
        kept_by: described.kept_by,
        provisioner: described.provisioner,
        self_proof: described.self_proof,
        drops: described.drops.into_iter().map(|path| dir.join(path)).collect(),
        vaults: described.vaults.into_iter().map(|path| dir.join(path)).collect(),
        owner,
    })
}

impl Key {
    fn wanted(self, name: &str, owner: &Owner, dir: &Path, now: Timestamp) -> Outcome<Wanted> {
        let usage = |why: &str| Failure::new(Code::Usage, why);
        let key: KeyArg =
            name.parse().map_err(|e: keyrack_names::NameError| usage(&e.to_string()))?;
        let slug = match (key, &self.env, &self.org) {
            (KeyArg::Slug(slug), None, None) => slug,
            (KeyArg::Slug(_), ..) => {
                return Err(usage("a whole slug names its org and env; leave out env and org"));
            }
            (KeyArg::Name(key), env, org) => Slug::new(
                org.clone().unwrap_or_else(Org::all),
                env.clone().unwrap_or_else(Env::all),
                key,
            ),
        };
        let vault = values::vault_name(self.vault.as_deref())?;
        let source = match (self.file, self.stdin) {
            (Some(file), false) if vault.is_personal() => Source::File(dir.join(file), self.trim),
            (None, true) if vault.is_personal() => Source::Stdin(name.to_owned()),
            (None, false) if !vault.is_personal() => Source::Elsewhere,
            _ => return Err(usage("one of file, stdin and vault says where the value is")),
        };
        let mut entry = Entry::new(slug, vault, now);
        (entry.class, entry.max_duration) = (self.class, self.max_duration);
        entry.expires_at = self.expires.map(|when| when.at(now));
        if entry.expires_at.is_some_and(|end| end <= now) {
            return Err(usage("expires: that time is over already"));
        }
        entry.exid = match self.exid {
            Some(_) if entry.vault.is_personal() => {
                return Err(usage("exid names an item in another vault: it needs vault"));
            }
            None if entry.vault.is_personal() => None,
            named => {
                Some(set::item(&named.unwrap_or_else(|| set::usual_item(owner, &entry.slug)))?)
            }
        };
        Ok(Wanted { entry, expires: self.expires, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Member>, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agents.yml");
        std::fs::write(&file, text).unwrap();
        read(&file, Timestamp::UNIX_EPOCH).map_err(|failure| {
            assert_eq!(failure.code, Code::Usage);
            failure.message.replace(&file.display().to_string(), "agents.yml")
        })
    }

    #[test]
    fn all_that_an_owner_may_have() {
        let text = "owners:\n  a:\n  b:\n    keys:\n      K: { env: dev, file: k }\n      o.sudo.L: { stdin: true }\n      M: { vault: 1password }\n";
        let members = parsed(text).unwrap();
        assert!(members[0].keys.is_empty());
        let keys = &members[1].keys;
        let slugs: Vec<String> = keys.iter().map(|key| key.entry.slug.to_string()).collect();
        assert_eq!(slugs, ["@all.dev.K", "@all.all.M", "o.sudo.L"]);
        assert!(matches!(&keys[0].source, Source::File(path, false) if path.ends_with("k")));
        assert_eq!(keys[1].source, Source::Elsewhere);
        assert_eq!(keys[1].entry.exid.as_ref().unwrap().as_str(), "keyrack/b/@all.all.M");
        assert_eq!(keys[2].source, Source::Stdin("o.sudo.L".to_owned()));
    }

    #[test]
    fn what_does_not_belong_there_is_told_with_its_line_and_what_does() {
        let pubky = parsed("owners:\n  a: {}\n  b:\n    pubky: x\n").unwrap_err();
        assert!(pubky.starts_with("agents.yml: owners.b: unknown field `pubky`"), "{pubky}");
        assert!(pubky.contains("`pubkey`") && pubky.contains("at line 4"), "{pubky}");
        let root = parsed("owner:\n  a: {}\n").unwrap_err();
        assert!(root.contains("unknown field `owner`, expected `owners` at line 1"), "{root}");
        let key = parsed("owners:\n  a:\n    keys:\n      K: { fil: x }\n").unwrap_err();
        assert!(key.contains("`fil`") && key.contains("`file`") && key.contains("line 4"), "{key}");
    }

    #[test]
    fn a_value_that_stands_there_is_not_told() {
        for text in ["K: ghp_secret", "K: [ghp_secret]", "K: 'x, expected ghp_secret'"] {
            let error = parsed(&format!("owners:\n  a: {{ keys: {{ {text} }} }}\n")).unwrap_err();
            let says = "expected where the value is, such as { file: PATH } at line 2";
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
        let owner = parsed("owners:\n  a: ghp_secret\n").unwrap_err();
        assert!(owner.contains("expected a map, such as { via: age } at line 2"), "{owner}");
        assert!(!owner.contains("secret"), "{owner}");
    }

    #[test]
    fn owners_stay_in_the_order_of_the_file() {
        let members = parsed("owners:\n  b:\n  c:\n  a:\n").unwrap();
        let names: Vec<&str> = members.iter().map(|member| member.owner.as_str()).collect();
        assert_eq!(names, ["b", "c", "a"]);
    }

    #[test]
    fn contradictions_are_refused() {
        for (text, why) in [
            ("a: {}\n  a: {}", "the same key twice"),
            ("a: { keys: { K: {} } }", "one of file, stdin and vault"),
            ("a: { keys: { K: { file: x, stdin: true } } }", "one of file, stdin and vault"),
            ("a: { keys: { K: { file: x, vault: v } } }", "one of file, stdin and vault"),
            ("a: { keys: { o.dev.K: { file: x, env: dev } } }", "names its org and env"),
            ("a: { keys: { K: { file: x, exid: y } } }", "it needs vault"),
            ("a: { keys: { K: { file: x, expires: 1969-01-01 } } }", "is over already"),
            ("a: { keys: { 'K K': { file: x } } }", "keys.K K: "),
            ("A: {}", "owners"),
            (
                "a: { keys: { K: { file: x }, '@all.all.K': { file: y } } }",
                "@all.all.K is there twice",
            ),
        ] {
            let error = parsed(&format!("owners:\n  {text}\n")).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
