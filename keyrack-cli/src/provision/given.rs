//! The values that a roster names: in files, and in one JSON object on standard input.
//!
//! ```json
//! {"seaturtle": {"GITHUB_TOKEN": "ghp_…", "BLOB": {"encoding": "base64", "value": "AAE="}}}
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::Path;

use base64::Engine as _;
use keyrack_manifest::unique::unique_map;
use keyrack_names::{Owner, Secret};
use serde::{Deserialize, Deserializer};

use crate::bounded;
use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::values::{self, LONGEST};
use crate::provision::roster::{Member, Source, Wanted};
use crate::system::streams::Stdin;

/// Standard input ends here.
const LONGEST_INPUT: u64 = 64 * 1024 * 1024;

/// What came on standard input, where the roster says that some does.
#[derive(Debug, Default)]
pub struct Given(BTreeMap<Owner, Values>);

#[derive(Debug, Deserialize)]
struct Object(#[serde(deserialize_with = "unique_map")] BTreeMap<Owner, Values>);

#[derive(Debug, Deserialize)]
struct Values(#[serde(deserialize_with = "unique_map")] BTreeMap<String, Value>);

/// As `get --json` prints a value.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Value {
    Text(#[serde(deserialize_with = "text")] Secret),
    Coded {
        encoding: Base64,
        #[serde(deserialize_with = "text")]
        value: Secret,
    },
}

/// A text as it stands there.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    String::deserialize(from).map(|text| Secret::new(text.into_bytes()))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Base64 {
    Base64,
}

impl Given {
    /// Reads standard input, if any member's value is to come from there.
    ///
    /// # Errors
    /// [`Code::Usage`] when it is no such object, or holds what nobody asked for.
    pub fn read(members: &[Member]) -> Outcome<Self> {
        let named = |wanted: &Wanted| matches!(wanted.source, Source::Stdin(_));
        if !members.iter().any(|member| member.keys.iter().any(named)) {
            return Ok(Self::default());
        }
        let usage = |why: String| Failure::new(Code::Usage, format!("stdin: {why}"));
        if io::stdin().is_terminal() {
            return Err(usage("the values come here, as one JSON object".to_owned()));
        }
        let bytes = bounded::bytes(Stdin, LONGEST_INPUT, "stdin")?;
        // Only where it stopped: the words of the error may hold a value.
        let object: Object = serde_json::from_slice(&bytes).map_err(|e| {
            usage(format!("not an object of owners' values (line {}, {})", e.line(), e.column()))
        })?;
        let given = Self(object.0);
        match given.unasked(members) {
            None => Ok(given),
            Some((owner, name)) => Err(usage(format!("{owner}'s {name} is asked for by nobody"))),
        }
    }

    /// What no member is to have from standard input.
    fn unasked(&self, members: &[Member]) -> Option<(&Owner, &str)> {
        let asked = |owner: &Owner, name: &str| {
            let keys = members.iter().filter(|member| member.owner == *owner).flat_map(|m| &m.keys);
            keys.into_iter()
                .any(|key| matches!(&key.source, Source::Stdin(called) if called == name))
        };
        let all = self
            .0
            .iter()
            .flat_map(|(owner, values)| values.0.keys().map(move |name| (owner, name.as_str())));
        all.into_iter().find(|(owner, name)| !asked(owner, name))
    }

    /// The value of each of `member`'s keys, in their order; `None` for one that another
    /// vault has.
    ///
    /// # Errors
    /// [`Code::Absent`] when one was not given; [`Code::Usage`] when one is too long.
    pub fn of(&self, member: &Member) -> Outcome<Vec<Option<Secret>>> {
        let value = |wanted: &Wanted| match &wanted.source {
            Source::Elsewhere => Ok(None),
            Source::File(path, trim) => from_file(path, *trim).map(Some),
            Source::Stdin(name) => self.on_stdin(&member.owner, name).map(Some),
        };
        member
            .keys
            .iter()
            .map(|wanted| {
                value(wanted).map_err(|failure| {
                    let (owner, slug) = (&member.owner, &wanted.entry.slug);
                    Failure { message: format!("{owner}: {slug}: {}", failure.message), ..failure }
                })
            })
            .collect()
    }

    fn on_stdin(&self, owner: &Owner, name: &str) -> Outcome<Secret> {
        let value = self.0.get(owner).and_then(|values| values.0.get(name));
        let secret = match value {
            None => return Err(Failure::new(Code::Absent, "stdin has no value for it")),
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Coded { encoding: Base64::Base64, value }) => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(value.expose());
                Secret::new(bytes.map_err(|_| Failure::new(Code::Usage, "not base64"))?)
            }
        };
        within_limit(secret)
    }
}

fn from_file(path: &Path, trim: bool) -> Outcome<Secret> {
    let name = path.display().to_string();
    let file = File::open(path).context(|| name.clone())?;
    // With the newline that may be trimmed.
    let mut bytes = bounded::bytes(file, LONGEST as u64 + 2, &name)?;
    let secret = Secret::new(std::mem::take(&mut *bytes));
    within_limit(if trim { values::trimmed(&secret) } else { secret })
}

fn within_limit(secret: Secret) -> Outcome<Secret> {
    if secret.len() > LONGEST { Err(values::too_long(secret.len())) } else { Ok(secret) }
}
