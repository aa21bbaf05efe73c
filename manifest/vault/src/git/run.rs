//! Running git: with nothing of the environment or of a configuration that would have it go
//! elsewhere or run another program.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::process::{Command, Output, Stdio};

use super::{GitError, Repository};

/// What is never taken from a configuration or a repository: programs that git would run.
const SAFE: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "core.symlinks=false",
    "commit.gpgSign=false",
    "protocol.ext.allow=never",
    "gc.auto=0",
];
/// Variables that would send git elsewhere: what `git rev-parse --local-env-vars` lists but the
/// user's own settings, and the namespace.
const ELSEWHERE: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
];
/// Variables of ours, which no program that git may start is to have.
const OURS: &[&str] = &["KEYRACK_PASSPHRASE_FD", "KEYRACK_CAPABILITY"];
/// Where nobody is to be asked, git and ssh ask a program that always fails.
const NOBODY: &[(&str, &str)] = &[
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS_REQUIRE", "force"),
];

impl Repository {
    pub(super) fn line(&self, arguments: &[&str]) -> Result<String, GitError> {
        Ok(self.text(arguments)?.trim_end_matches('\n').to_owned())
    }

    pub(super) fn text(&self, arguments: &[&str]) -> Result<String, GitError> {
        let output = self.run(arguments, None)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub(super) fn run<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A> + Clone,
        stdin: Option<Vec<u8>>,
    ) -> Result<Output, GitError> {
        let command = arguments.clone().into_iter().next();
        let command = command.map(|word| word.as_ref().to_string_lossy().into_owned());
        let output = self.output(arguments, stdin)?;
        if output.status.success() {
            Ok(output)
        } else {
            Err(failed(&command.unwrap_or_default(), &output))
        }
    }

    pub(super) fn output<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        stdin: Option<Vec<u8>>,
    ) -> Result<Output, GitError> {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.top).arg("--literal-pathspecs");
        command.args(SAFE.iter().flat_map(|setting| ["-c", setting]));
        command.args(arguments).env("LC_ALL", "C");
        for name in ELSEWHERE.iter().chain(OURS) {
            command.env_remove(name);
        }
        if !self.may_ask {
            command.envs(NOBODY.iter().copied());
        }
        command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(GitError::Missing)?;
        let writer = child.stdin.take().zip(stdin);
        let mut errors = child.stderr.take();
        // All three at once: a pipe that is full would hold git, and git us.
        std::thread::scope(|scope| {
            scope.spawn(move || writer.map(|(mut pipe, bytes)| pipe.write_all(&bytes)));
            let errors = scope.spawn(move || {
                let mut said = Vec::new();
                errors.as_mut().map(|pipe| pipe.read_to_end(&mut said));
                said
            });
            let mut stdout = Vec::new();
            if let Some(mut pipe) = child.stdout.take() {
                pipe.read_to_end(&mut stdout).map_err(GitError::Missing)?;
            }
            let status = child.wait().map_err(GitError::Missing)?;
            Ok(Output { status, stdout, stderr: errors.join().unwrap_or_default() })
        })
    }
}

/// What git said, as far as it tells: where that is only that a remote could not be read, with
/// what the program that was to reach it said before.
pub(super) fn failed(command: &str, output: &Output) -> GitError {
    let said = String::from_utf8_lossy(&output.stderr);
    let telling =
        |line: &&str| ["fatal:", "error:", "! "].iter().any(|kind| line.starts_with(kind));
    let line = said.lines().find(telling).or_else(|| said.lines().next_back());
    let line = line.unwrap_or("it failed and did not say why");
    let before = said.lines().take_while(|other| *other != line).filter(|line| !line.is_empty());
    let said = match before.last() {
        Some(why) if line.contains("Could not read from remote") => format!("{line} ({why})"),
        _ => line.to_owned(),
    };
    GitError::Failed { command: command.to_owned(), said }
}
