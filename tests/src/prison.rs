//! A robot in a sandbox, and all that it must not get at: another owner's files, daemon
//! and running robot. Each attack is one of `tests/attackers/attack.py`.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::script::Running;
use crate::skip::is_root;
use crate::{Finished, Rack, binaries, daemons};

/// The status with which an attacker says that it got through.
const SUCCEEDED: i32 = 99;

/// Two owners: `bot` attacks from inside, `eve` has a value, a daemon and a robot.
#[derive(Debug)]
pub struct Prison {
    robot: Option<Running>,
    attacker: PathBuf,
    // Dropped last: the others run in it.
    rack: Rack,
}

impl Prison {
    /// An ordinary user's, in a home that no sandbox hides as a whole.
    pub fn ordinary() -> Self {
        Self::new(Rack::ordinary_at_home())
    }

    /// The same of whoever runs the tests: some programs serve nobody without a name.
    pub fn of_a_name() -> Self {
        Self::new(if is_root() { Rack::of_root_at_home() } else { Rack::ordinary_at_home() })
    }

    /// In `rack`, which should not lie in a directory that every sandbox hides.
    pub fn new(rack: Rack) -> Self {
        rack.key("bot");
        rack.key("eve");
        let make = "for o in bot eve; do keyrack init --for $o; printf $o-value | keyrack set --for $o --key TOKEN; done; \\
                    keyrack unlock --for eve";
        rack.sh(make).ok();
        let program = binaries::repository().join("tests/attackers/attack.py");
        let program = std::fs::read(program).expect("it is there");
        let attacker = rack.write("attackers/attack.py", program);
        let robot = "keyrack exec --for eve --key TOKEN -- sh -c 'echo $$ >pid; exec sleep 300'";
        let robot = rack.script(robot).start();
        let prison = Self { robot: Some(robot), attacker, rack };
        daemons::until(|| prison.robot().is_some());
        prison
    }

    /// Where it is.
    pub fn rack(&self) -> &Rack {
        &self.rack
    }

    /// A socket of the prison's user, which anything of that user may connect to; and its
    /// path.
    pub fn listener(&self, relative: &str) -> (UnixListener, String) {
        let path = self.rack.path(relative);
        std::fs::create_dir_all(path.parent().expect("a file")).expect("our sandbox");
        let listener = UnixListener::bind(&path).expect("a free path");
        self.rack.hand_over(&path);
        (listener, path.display().to_string())
    }

    /// Eve's running robot.
    pub fn robot(&self) -> Option<i32> {
        std::fs::read_to_string(self.rack.path("work/pid")).ok()?.trim().parse().ok()
    }

    /// An attack by a program of `bot` that has no sandbox.
    pub fn outside(&self, attack: &str) -> Finished {
        self.run("", attack)
    }

    /// The same from inside. `flags` are more of `exec`'s.
    pub fn inside(&self, flags: &str, attack: &str) -> Finished {
        self.run(&format!("--isolate {flags}"), attack)
    }

    fn run(&self, flags: &str, attack: &str) -> Finished {
        let attacker = self.attacker.display();
        self.rack.sh(&format!(
            "keyrack exec --quiet --for bot --key TOKEN {flags} -- python3 {attacker} {attack}"
        ))
    }

    /// Asserts that the attack works, and that it does not from inside: so the test can
    /// fail both ways.
    #[track_caller]
    pub fn only_outside(&self, attack: &str) {
        self.outside(attack).code(SUCCEEDED);
        self.refused(attack);
    }

    /// Asserts that the attack is refused inside.
    #[track_caller]
    pub fn refused(&self, attack: &str) {
        let done = self.inside("", attack);
        assert!(done.ok().text().starts_with("refused: "), "{done}");
    }

    /// Asserts that the attack works inside, too: nobody claims otherwise.
    #[track_caller]
    pub fn succeeds(&self, flags: &str, attack: &str) {
        self.inside(flags, attack).code(SUCCEEDED);
    }
}

impl Drop for Prison {
    fn drop(&mut self) {
        if let Some(robot) = self.robot.take() {
            let _ = killpg(Pid::from_raw(robot.pid() as i32), Signal::SIGKILL);
            robot.finish();
        }
    }
}
