//! `init --from agents.yml`: many owners in one file.
//!
//! ```yaml
//! owners:
//!   seaturtle: { pubkey: /etc/keyrack/seaturtle.pub }
//!   mechanic: { via: age, backup: [age1…], handle: mech }
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use keyrack_names::Owner;
use serde::{Deserialize, Deserializer};

use crate::args::ViaArg;
use crate::error::{Code, Failure, Outcome};

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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    owners: BTreeMap<Owner, Option<Described>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
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
}

/// Reads a roster. Paths in it are relative to the file.
///
/// # Errors
/// [`Code::Usage`] when it does not parse.
pub fn read(file: &Path) -> Outcome<Vec<Member>> {
    let bad = |why: String| Failure::new(Code::Usage, format!("{}: {why}", file.display()));
    let size = file.metadata().map_err(|e| bad(e.to_string()))?.len();
    if size > LONGEST {
        return Err(bad(format!("larger than {LONGEST} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(|e| bad(e.to_string()))?;
    // By way of a value, which refuses an owner that stands twice.
    let value: serde_yaml::Value = serde_yaml::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let document: Document = serde_yaml::from_value(value).map_err(|e| bad(e.to_string()))?;
    let dir = file.parent().unwrap_or(Path::new("."));
    Ok(document
        .owners
        .into_iter()
        .map(|(owner, described)| member(owner, described.unwrap_or_default(), dir))
        .collect())
}

fn via<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ViaArg>, D::Error> {
    String::deserialize(from)?.parse().map(Some).map_err(serde::de::Error::custom)
}

fn member(owner: Owner, described: Described, dir: &Path) -> Member {
    let is_file =
        |text: &str| !text.starts_with("age1") && !text.starts_with("ssh-") && text != "-";
    let resolved =
        |text: String| if is_file(&text) { dir.join(text).display().to_string() } else { text };
    Member {
        owner,
        via: described.via,
        pubkey: described.pubkey.map(resolved),
        backup: described.backup.into_iter().map(resolved).collect(),
        handle: described.handle,
        kept_by: described.kept_by,
        provisioner: described.provisioner,
    }
}
