//! `keyrack vault verify`: every link from the first, every record, every value that this
//! member can read.

use keyrack_vault::Vault;

use crate::args::WhichVault;
use crate::error::{Code, Failure, Outcome};
use crate::person::counted::counted;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::change::look;
use crate::team::{place, words};

/// Runs `keyrack vault verify`.
pub fn run(args: &WhichVault, settings: &Settings, ui: &Ui) -> Outcome {
    look(args.vault.as_deref(), settings, ui, |looking| {
        // From its first link, and nothing taken over from what was seen before.
        let carried = looking.opened.manifest.vaults.get(&looking.place.id);
        let actor = place::actor(looking.opened);
        let store = &looking.shelf.store;
        let whole = Vault::open(store, &looking.place.id, None, carried, actor);
        let whole = looking.fail(whole)?;
        let mut bad: Vec<String> = whole
            .quarantined()
            .iter()
            .map(|aside| format!("{}: {}", aside.name, aside.why))
            .chain(looking.vault.lost().map(|(_, why)| why.to_string()))
            .collect();
        let mut read = 0;
        for record in whole.records().filter(|record| whole.can_read(record)) {
            read += 1;
            if let Err(error) = whole.get(&record.cred_id) {
                bad.push(format!(
                    "{}: {}",
                    record.name,
                    words::vault(error, looking.place).message
                ));
            }
        }
        bad.sort();
        bad.dedup();
        let links = whole.chain().seq() + 1;
        let records = whole.records().count();
        let name = &looking.place.name;
        if let [first, others @ ..] = &bad[..] {
            others.iter().for_each(|what| ui.warn(what));
            let message = match others.len() {
                0 => format!("{name}: {first}"),
                more => format!("{name}: {first}, and {more} more"),
            };
            return Err(
                Failure::new(Code::Tampered, message).hint(looking.place.command("resolve"))
            );
        }
        let object = serde_json::json!({
            "vault": name, "verified": true, "links": links, "records": records, "read": read,
        });
        let (links, records) = (counted(links, "link"), counted(records, "credential"));
        ui.done(format!("{name}: {links} and {records} hold; {read} open"), object)
    })
}
