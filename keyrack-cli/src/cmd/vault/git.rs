//! What git calls for the files of a vault: a merge that never makes one file of two signed
//! ones, and words for what a difference shows. Neither reads a secret.

use std::path::Path;

use keyrack_manifest::atomic;
use keyrack_manifest::signed::Signed;

use crate::args::{MergeDriver, Textconv};
use crate::error::{Code, Context, Failure, Outcome};
use crate::person::ui::Ui;

/// What a record may have, and a link.
const LARGEST: u64 = 2 << 20;
/// Fields of ciphertext, which say nothing to anybody.
const SEALED: &[&str] = &["sealed", "body", "wrap", "wraps", "dek_commit", "commitments", "nonce"];

/// Runs `keyrack vault merge-driver`. Both branches wrote the same name: what is there stays,
/// and the merge is left for `vault sync` or `vault resolve`, which know the chain.
pub fn merge(args: &MergeDriver, _: &Ui) -> Outcome {
    let (ours, theirs) = (read(&args.ours)?, read(&args.theirs)?);
    if ours == theirs {
        return Ok(());
    }
    let path = args.path.display();
    Err(Failure::new(Code::Conflict, format!("{path}: both branches wrote it; ours stays"))
        .hint("git merge --abort")
        .hint("keyrack vault sync"))
}

/// Runs `keyrack vault textconv`: the payload, a field a line, without what is sealed.
pub fn textconv(args: &Textconv, ui: &Ui) -> Outcome {
    let bytes = read(&args.file)?;
    let payload = Signed::split(&bytes).ok().and_then(|signed| signed.read().ok());
    let Some(serde_json::Value::Object(fields)) = payload else {
        return ui.lines([format!("{} bytes that do not read", bytes.len())]);
    };
    let shown = fields
        .into_iter()
        .filter(|(name, _)| !SEALED.contains(&name.as_str()))
        .map(|(name, value)| (name, without_sealed(value)))
        .collect::<serde_json::Map<_, _>>();
    let text = serde_json::to_string_pretty(&shown).context(|| "json".to_owned())?;
    ui.lines(text.lines())
}

fn without_sealed(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, _)| !SEALED.contains(&name.as_str()))
            .map(|(name, value)| (name, without_sealed(value)))
            .collect(),
        serde_json::Value::Array(values) => values.into_iter().map(without_sealed).collect(),
        other => other,
    }
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    let bytes = atomic::read_limited(path, LARGEST).context(|| path.display().to_string())?;
    Ok(bytes.unwrap_or_default())
}
