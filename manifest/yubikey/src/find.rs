//! Which YubiKeys are plugged in, and which of them is meant.

use std::ffi::CString;
use std::time::{Duration, Instant};

use keyrack_piv::PivError;
use pcsc::{PNP_NOTIFICATION, ReaderState, State};

use crate::card::Card;

/// How long a YubiKey may take to be seen once the service runs. Half of it is usual.
const PATIENCE: Duration = Duration::from_millis(800);

/// How long one wait for a change is: short, since a change may come before it begins.
const SLICE: Duration = Duration::from_millis(100);

/// Adds to `cards` every YubiKey that is not among them, until `enough` of them are there
/// or that is not to be expected any more. Returns why others could not be looked at.
///
/// # Errors
/// [`PivError::NoService`].
pub fn look(
    cards: &mut Vec<Card>,
    mut enough: impl FnMut(&mut [Card]) -> Result<bool, PivError>,
) -> Result<Vec<PivError>, PivError> {
    let deadline = Instant::now() + PATIENCE;
    let service = pcsc::Context::establish(pcsc::Scope::System).map_err(no_service)?;
    loop {
        let readers = service.list_readers_owned().map_err(no_service)?;
        let (ours, others) = sorted(&service, &readers);
        let faults = scan(cards, &ours, others)?;
        if enough(cards)? {
            return Ok(faults);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(faults);
        }
        wait(&service, &readers, left.min(SLICE));
    }
}

/// The readers that are YubiKeys or have one in them, and the others. Told by the reader's
/// name, or by what a card says of itself when it gets power: cards in other readers are
/// not touched.
fn sorted(service: &pcsc::Context, readers: &[CString]) -> (Vec<String>, Vec<String>) {
    let mut states = states(readers);
    let _ = service.get_status_change(Duration::ZERO, &mut states);
    let says = |text: &[u8]| text.to_ascii_lowercase().windows(4).any(|word| word == b"yubi");
    let is_one = |state: &ReaderState| says(state.name().to_bytes()) || says(state.atr());
    let name = |state: ReaderState| state.name().to_string_lossy().into_owned();
    let (ours, others): (Vec<_>, Vec<_>) = states.into_iter().partition(is_one);
    (ours.into_iter().map(name).collect(), others.into_iter().map(name).collect())
}

fn states(readers: &[CString]) -> Vec<ReaderState> {
    readers.iter().map(|name| ReaderState::new(name.clone(), State::UNAWARE)).collect()
}

fn scan(
    cards: &mut Vec<Card>,
    ours: &[String],
    others: Vec<String>,
) -> Result<Vec<PivError>, PivError> {
    cards.retain(|card| ours.contains(&card.reader));
    if ours.is_empty() {
        return Ok(vec![PivError::NoReader { others }]);
    }
    let mut context = yubikey::reader::Context::open().map_err(from_crate)?;
    let mut faults = Vec::new();
    for reader in context.iter().map_err(from_crate)? {
        let name = reader.name();
        if !ours.iter().any(|one| *one == name) || cards.iter().any(|card| card.reader == name) {
            continue;
        }
        match Card::open(&reader) {
            Ok(card) => cards.push(card),
            Err(fault) => faults.push(fault),
        }
    }
    Ok(faults)
}

/// Waits until a reader or a card comes or goes.
fn wait(service: &pcsc::Context, readers: &[CString], at_most: Duration) {
    let mut states = states(readers);
    states.push(ReaderState::new(PNP_NOTIFICATION(), State::UNAWARE));
    // The first call says how things are, the second waits for them to be otherwise.
    let _ = service.get_status_change(Duration::ZERO, &mut states);
    states.iter_mut().for_each(ReaderState::sync_current_state);
    let began = Instant::now();
    if service.get_status_change(at_most, &mut states).is_err() {
        // Also what the end of the time is told by; any other failure must not spin.
        std::thread::sleep(at_most.saturating_sub(began.elapsed()));
    }
}

/// Why none of `cards` is the one that is meant.
pub fn why_not(cards: &[Card], serial: Option<u32>, mut faults: Vec<PivError>) -> PivError {
    let found: Vec<u32> = cards.iter().map(|card| card.serial).collect();
    // It may be the one that is meant.
    if let Some(at) = faults.iter().position(|fault| matches!(fault, PivError::Held { .. })) {
        return faults.swap_remove(at);
    }
    match serial {
        Some(wanted) if !found.is_empty() && !found.contains(&wanted) => {
            PivError::OtherSerial { wanted, found }
        }
        Some(wanted) if found.contains(&wanted) => PivError::NoKey { found: vec![wanted] },
        _ if !found.is_empty() => PivError::NoKey { found },
        _ => faults.into_iter().next().unwrap_or(PivError::NoReader { others: Vec::new() }),
    }
}

fn from_crate(error: yubikey::Error) -> PivError {
    match error {
        yubikey::Error::PcscError { inner: Some(inner) } => no_service(inner),
        other => PivError::Other { what: other.to_string() },
    }
}

fn no_service(error: pcsc::Error) -> PivError {
    let why = match error {
        pcsc::Error::NoService if !keyrack_pcsclite::is_installed() => {
            format!("{} is not installed", keyrack_pcsclite::LIBRARY)
        }
        pcsc::Error::NoService | pcsc::Error::ServiceStopped => "pcscd does not run".to_owned(),
        other => other.to_string(),
    };
    PivError::NoService { why }
}
