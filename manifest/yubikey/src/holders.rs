//! Which other programs may have a card to themselves: named for the person, and left alone.

use std::fs;

/// Programs that are known to keep a YubiKey, whether they can be looked into or not.
const KNOWN: &[&str] = &["scdaemon", "yubikey-agent"];

/// Every other process that has the smart card library loaded, as far as this user sees.
pub fn list() -> Vec<String> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<(u32, String)> = pids
        .filter(|pid| *pid != own)
        .filter_map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned();
            let loaded = || fs::read_to_string(format!("/proc/{pid}/maps"));
            let uses = KNOWN.contains(&name.as_str())
                || loaded().is_ok_and(|maps| maps.contains("/libpcsclite.so"));
            uses.then_some((pid, name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(pid, name)| format!("{name} (pid {pid})")).collect()
}
