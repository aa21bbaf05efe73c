//! Other processes, as `/proc` tells of them.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use nix::unistd::Pid;

/// What proc(5) says of one process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Its name, of which the kernel keeps 15 bytes.
    pub name: String,
    /// The process that started it, or took it over; 0 where that is out of sight.
    pub parent: Pid,
    /// When it started, in ticks since boot.
    pub started: u64,
}

impl Stat {
    /// Looks at a process; `None` where there is none, or none to be seen.
    pub fn of(pid: Pid) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in field 2 may hold anything but its last `)`.
    fn parse(stat: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(stat);
        let (name, fields) = text.split_once('(')?.1.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let parent = fields.nth(1)?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self { name: name.to_owned(), parent: Pid::from_raw(parent), started })
    }
}

/// Whether a process is called so, by its name or by the program it was started as.
pub fn is_called(pid: Pid, name: &str) -> bool {
    let started_as = || {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let first = arguments.split(|c| *c == 0).next()?;
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(first));
        Some(path.file_name()? == name)
    };
    Stat::of(pid).is_some_and(|stat| stat.name == name) || started_as() == Some(true)
}

/// `pid` and what it descends from, the nearest first, as far as that can be seen.
pub fn line(pid: Pid) -> impl Iterator<Item = Pid> {
    let is_one = |pid: &Pid| pid.as_raw() > 0;
    std::iter::successors(Some(pid).filter(is_one), move |pid| {
        Some(Stat::of(*pid)?.parent).filter(is_one)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let tail = "S 7 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 9 9";
        let stat = Stat::parse(format!("12 (a) (b) {tail}").as_bytes()).unwrap();
        assert_eq!((stat.name.as_str(), stat.parent.as_raw(), stat.started), ("a) (b", 7, 4242));
        for other in ["", "12", "12 (a)", "12 (a) S", "12 (a) S x 1"] {
            assert_eq!(Stat::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn our_own_line_begins_with_us_and_our_parent() {
        let own: Vec<Pid> = line(nix::unistd::getpid()).take(2).collect();
        assert_eq!(own, [nix::unistd::getpid(), nix::unistd::getppid()]);
        assert_eq!(Stat::of(Pid::from_raw(i32::MAX)), None);
        assert_eq!(line(Pid::from_raw(0)).count(), 0);
    }
}
