//! A transfer: the owner of a credential says that it is another's from some version on.
//! The statements stay with the record, so that whoever knew an owner before can follow.

use keyrack_manifest::signed::{self, Signed};
use keyrack_manifest::{CredId, MemberId, Namespace, SigningKey, VaultId};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::chain::State;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    v: u32,
    vault_id: VaultId,
    cred_id: CredId,
    /// The version that is the first of the new owner.
    version: u64,
    from: MemberId,
    to: MemberId,
}

/// What the owner of `record` signs to give it to `to` from a version on: a signed object.
pub(crate) fn statement(record: &Record, version: u64, to: MemberId, key: &SigningKey) -> String {
    let transfer = Transfer {
        v: 1,
        vault_id: record.vault_id,
        cred_id: record.cred_id,
        version,
        from: record.owner,
        to,
    };
    let payload = signed::payload(&transfer)
        .unwrap_or_else(|e| unreachable!("ids and numbers are always JSON: {e}"));
    String::from_utf8_lossy(&signed::sign(&payload, Namespace::Cred, key)).into_owned()
}

/// Everybody a record belonged to, first to last; `None` when a statement does not hold.
/// The last one is the record's owner, or was offered it.
pub(crate) fn line_of_owners(record: &Record, state: &State) -> Option<Vec<MemberId>> {
    if record.transfers.is_empty() {
        return Some(vec![record.owner]);
    }
    let mut line: Vec<MemberId> = Vec::new();
    let mut version = 0;
    for text in &record.transfers {
        let signed = Signed::split(text.as_bytes()).ok()?;
        let given: Transfer = signed.read().ok()?;
        signed.verify(Namespace::Cred, &state.member(&given.from)?.sig_key).ok()?;
        let is_here = (given.v, given.vault_id, given.cred_id)
            == (1, record.vault_id, record.cred_id)
            && given.version > version;
        let follows = line.last().is_none_or(|last| *last == given.from);
        if !is_here || !follows {
            return None;
        }
        if line.is_empty() {
            line.push(given.from);
        }
        line.push(given.to);
        version = given.version;
    }
    // Offered, and not taken yet: the last of the line is to come.
    let offered = version > record.version;
    let owner = if offered { line.len().checked_sub(2) } else { line.len().checked_sub(1) };
    (line.get(owner?) == Some(&record.owner)).then_some(line)
}
