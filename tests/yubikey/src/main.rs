//! `virtual-yubikey [--firmware X.Y.Z] [--serial N]… -- COMMAND…` runs a command beside a
//! pcscd of its own, with virtual YubiKeys plugged in. In there, `virtual-yubikey tell
//! SERIAL WORDS…` says what the hand does next, and answers with what it saw.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use keyrack_virtual_yubikey::{Card, Device, Firmware, Habit, Reader, namespace};

/// Where the hands listen, inside.
const SOCKET: &str = "/run/virtual-yubikey.sock";
const USAGE: &str = "virtual-yubikey [--firmware X.Y.Z] [--serial N]... -- COMMAND...
virtual-yubikey tell SERIAL WORDS...
  touch-after MILLISECONDS   touch it so long after it blinks; 0 unless said
  never-touch                let it blink
  touch-when-told            let it blink until: touch
  touch                      touch it now
  blink-for MILLISECONDS     give up after that; 15000 unless said
  pull, plug                 out of the reader, and in again
  pull-at ACT                out at that command, such as ecdh or verify
  seen                       every command and how it ended
  tries                      tries left for PIN and PUK";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("tell") => tell(&arguments[1..]).map(|()| ExitCode::SUCCESS),
        _ if !namespace::is_inside() => enter(&arguments),
        _ => run(&arguments),
    };
    done.unwrap_or_else(|why| {
        eprintln!("virtual-yubikey: {why}");
        ExitCode::from(2)
    })
}

fn enter(arguments: &[String]) -> Result<ExitCode, String> {
    if let Some(missing) = namespace::missing() {
        return Err(format!("cannot run here: {missing:?}"));
    }
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    Err(namespace::command(own).args(arguments).exec().to_string())
}

fn run(arguments: &[String]) -> Result<ExitCode, String> {
    let mut firmware = Firmware::V5_4;
    let mut cards = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(USAGE);
        match word.as_str() {
            "--firmware" => firmware = value()?.parse()?,
            "--serial" => {
                let serial = value()?.parse().map_err(|_| "a serial number is a number")?;
                cards.push(Card::new(serial, firmware));
            }
            "--" => break,
            _ => return Err(USAGE.to_owned()),
        }
    }
    if cards.is_empty() {
        cards.push(Card::new(11_223_344, firmware));
    }
    let mut reader = Reader::start();
    let devices = cards.into_iter().map(|card| reader.plug_in(card)).collect();
    let devices = Arc::new(Mutex::new(devices));
    let listener = UnixListener::bind(SOCKET).map_err(|e| format!("{SOCKET}: {e}"))?;
    let listened = devices.clone();
    thread::spawn(move || {
        for caller in listener.incoming().flatten() {
            // Whoever hangs up without listening to the answer does not need it.
            let _ = answer(caller, &listened);
        }
    });
    let program = words.next().ok_or(USAGE)?;
    let status = Command::new(program).args(words).status();
    Ok(exit_code(status.map_err(|e| format!("{program}: {e}"))?))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

fn tell(words: &[String]) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{SOCKET}: {e}");
    let mut stream = UnixStream::connect(SOCKET).map_err(failed)?;
    writeln!(stream, "{}", words.join(" ")).map_err(failed)?;
    std::io::copy(&mut stream, &mut std::io::stdout()).map_err(failed)?;
    Ok(())
}

fn answer(mut caller: UnixStream, devices: &Mutex<Vec<Device>>) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(&caller).read_line(&mut line)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut devices = devices.lock().expect("no hand panics");
    match obey(&words, &mut devices) {
        Ok(text) => write!(caller, "{text}"),
        Err(why) => writeln!(caller, "{why}"),
    }
}

fn obey(words: &[&str], devices: &mut [Device]) -> Result<String, String> {
    let [serial, words @ ..] = words else { return Err(USAGE.to_owned()) };
    let of_serial = |device: &&mut Device| device.serial().to_string() == *serial;
    let device = devices.iter_mut().find(of_serial).ok_or("no YubiKey has this serial number")?;
    let time = |text: &str| text.parse().map(Duration::from_millis).map_err(|e| e.to_string());
    match words {
        ["touch-after", delay] => device.touched(Habit::After(time(delay)?)),
        ["never-touch"] => device.touched(Habit::Never),
        ["touch-when-told"] => device.touched(Habit::WhenTold),
        ["touch"] => device.touch(),
        ["blink-for", time_limit] => device.blinks_for(time(time_limit)?),
        ["pull"] => device.pull_out(),
        ["plug"] => device.plug_in(),
        ["pull-at", act] => device.pull_out_at(act.parse()?),
        ["seen"] => {
            let lines = device.seen().into_iter();
            return Ok(lines.map(|s| format!("{} {:?}\n", s.act.name(), s.status)).collect());
        }
        ["tries"] => {
            let card = device.card();
            return Ok(format!("{} {}\n", card.pin_tries(), card.puk_tries()));
        }
        _ => return Err(USAGE.to_owned()),
    }
    Ok(String::new())
}
