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

/// Whom its owner offers a record to, who has not taken it yet.
pub(crate) fn offered_to(record: &Record, state: &State) -> Option<MemberId> {
    let given = read(record.transfers.last()?, record, state)?;
    let is_open = given.from == record.owner && given.version > record.version;
    is_open.then_some(given.to)
}

/// Whether a record is `owner`'s, or came from it by statements of the one who gave each. Who
/// was still the owner at the version `at` gave nothing before. A statement that does not
/// hold, by a key that was replaced or to whom never took it, proves nothing, and hides nothing.
pub(crate) fn comes_from(record: &Record, state: &State, owner: &MemberId, at: u64) -> bool {
    if record.owner == *owner {
        return true;
    }
    let (mut holder, mut before) = (record.owner, record.version + 1);
    let statements = record.transfers.iter().rev().filter_map(|text| read(text, record, state));
    for given in statements {
        if given.to != holder || given.version >= before {
            continue;
        }
        if given.from == *owner {
            return given.version > at;
        }
        (holder, before) = (given.from, given.version);
    }
    false
}

/// A statement about this credential, signed by the one who gave.
fn read(text: &str, record: &Record, state: &State) -> Option<Transfer> {
    let signed = Signed::split(text.as_bytes()).ok()?;
    let given: Transfer = signed.read().ok()?;
    let is_here = (given.v, given.vault_id, given.cred_id) == (1, record.vault_id, record.cred_id);
    signed.verify(Namespace::Cred, &state.member(&given.from)?.sig_key).ok()?;
    is_here.then_some(given)
}
