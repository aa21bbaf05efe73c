//! `keyrack version`.

use serde::Serialize;

use crate::error::Outcome;
use crate::person::ui::Ui;

/// Runs `keyrack version`.
pub fn run(ui: &Ui) -> Outcome {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        version: &'static str,
        protocol_versions: &'static [u16],
        manifest_version: u32,
    }
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        protocol_versions: keyrack_protocol::VERSIONS,
        manifest_version: keyrack_manifest::VERSION,
    };
    if ui.json {
        return ui.object(&version);
    }
    ui.lines([format!("keyrack {}", version.version)])
}
