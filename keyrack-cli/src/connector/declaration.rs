//! What a connector says it needs: `connectors/<id>.yml`. Parsed once, at the door; what is
//! unknown is refused with its line and what is allowed. Pure.
//!
//! ```yaml
//! connector: github
//! credentials_schema:
//!   PAT:      { class: long_lived_token, obtained_via: bootstrap_tool, env: GITHUB_TOKEN }
//!   PASSWORD: { class: password, readable_by: [login] }
//!   COOKIES:  { class: session, refresh: login, as: file }
//! helpers:
//!   login:    { exec: [./bin/login], asks: [otp] }
//! rotate:     { exec: [./bin/bootstrap-pat], asks: [otp] }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use keyrack_manifest::unique::unique_map;
use keyrack_manifest::{Class, Digest, Lifetime, Word};
use keyrack_names::KeyName;
use serde::Deserialize;

use crate::{deliver, project};

/// What a connector declares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// Its id; the file's name repeats it.
    pub connector: Word,
    /// What it needs, by the name that the connector calls it.
    #[serde(rename = "credentials_schema", deserialize_with = "unique_map")]
    pub credentials: BTreeMap<KeyName, Credential>,
    /// Programs that are given what the connector itself is not.
    #[serde(default, deserialize_with = "unique_map")]
    pub helpers: BTreeMap<Word, Program>,
    /// Makes new values of what a tool can make.
    pub rotate: Option<Program>,
    /// Tries new values before they take the place of the old.
    pub verify: Option<Program>,
    /// Takes the old values back from the service.
    pub revoke: Option<Program>,
    /// SHA-256 of the text: a grant is for this and no other.
    #[serde(skip, default = "nothing")]
    pub digest: Digest,
}

/// One credential that a connector needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map, such as { class: session }")]
pub struct Credential {
    /// What kind it is.
    pub class: Class,
    /// How it is had.
    #[serde(default)]
    pub obtained_via: Origin,
    /// When it is due for a new value.
    #[serde(default)]
    pub rotation_hint: Hint,
    /// The variable it is in, where that is not its name.
    pub env: Option<KeyName>,
    /// As what the program finds it.
    #[serde(default, rename = "as")]
    pub form: Form,
    /// The helpers that are given it. Then the connector itself is not.
    #[serde(default)]
    pub readable_by: Vec<Word>,
    /// The helper that makes a new one.
    pub refresh: Option<Word>,
    /// Whether the connector goes on without it.
    #[serde(default)]
    pub optional: bool,
}

/// How a credential is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A person sets it.
    #[default]
    User,
    /// The `rotate` program makes it.
    BootstrapTool,
    /// Another party granted it.
    GrantDelegated,
}

impl Origin {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::BootstrapTool => "bootstrap_tool",
            Self::GrantDelegated => "grant_delegated",
        }
    }

    /// As a manifest says it.
    pub fn word(self) -> Word {
        self.as_str().parse().unwrap_or_else(|_| Word::user())
    }
}

/// When a credential is due for a new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map, such as { every: 80d }")]
pub struct Hint {
    /// So long after it was set.
    pub every: Option<Lifetime>,
    /// So long before it ends.
    pub before_expiry: Option<Lifetime>,
}

/// As what a program finds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// In the variable.
    #[default]
    Env,
    /// In a file in memory, whose path is in the variable.
    File,
}

/// A program that a declaration names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map, such as { exec: [./bin/login] }")]
pub struct Program {
    /// The program and its arguments.
    pub exec: Vec<String>,
    /// What it may ask a person for.
    #[serde(default)]
    pub asks: BTreeSet<Word>,
}

/// What is called like a helper, and is none. `rotate` may read what names it.
const HOOKS: [&str; 3] = ["rotate", "verify", "revoke"];

fn nothing() -> Digest {
    Digest::of(b"")
}

impl Credential {
    /// The variable it is in.
    pub fn variable<'a>(&'a self, name: &'a KeyName) -> &'a KeyName {
        self.env.as_ref().unwrap_or(name)
    }
}

impl Declaration {
    /// Reads the text of a declaration.
    ///
    /// # Errors
    /// What is wrong, where, and what is allowed; without a value that stands there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        let read: Self = serde_yaml::from_str(text)
            .map_err(|error| project::without_value(error.to_string()))?;
        let declaration = Self { digest: Digest::of(text.as_bytes()), ..read };
        declaration.is_consistent()?;
        Ok(declaration)
    }

    /// The program called so: a helper, or one of `rotate`, `verify` and `revoke`.
    pub fn program(&self, name: &str) -> Option<&Program> {
        match name {
            "rotate" => self.rotate.as_ref(),
            "verify" => self.verify.as_ref(),
            "revoke" => self.revoke.as_ref(),
            helper => self.helpers.iter().find(|(name, _)| name.as_str() == helper).map(|(_, p)| p),
        }
    }

    /// All its programs, by name.
    pub fn programs(&self) -> impl Iterator<Item = (&str, &Program)> {
        let hooks = HOOKS.iter().filter_map(|name| Some((*name, self.program(name)?)));
        self.helpers.iter().map(|(name, program)| (name.as_str(), program)).chain(hooks)
    }

    /// What the connector itself is given; with a program's name, what that one is.
    pub fn read_by(&self, program: Option<&str>) -> impl Iterator<Item = (&KeyName, &Credential)> {
        let is_read = move |credential: &Credential| match program {
            None => credential.readable_by.is_empty(),
            Some(name) => credential.readable_by.iter().any(|reader| reader.as_str() == name),
        };
        self.credentials.iter().filter(move |(_, credential)| is_read(credential))
    }

    /// What that program makes new values of.
    pub fn made_by(&self, program: &str) -> impl Iterator<Item = (&KeyName, &Credential)> {
        let is_made = move |credential: &Credential| match program {
            "rotate" => credential.obtained_via == Origin::BootstrapTool,
            helper => credential.refresh.as_ref().is_some_and(|by| by.as_str() == helper),
        };
        self.credentials.iter().filter(move |(_, credential)| is_made(credential))
    }

    fn is_consistent(&self) -> Result<(), String> {
        for (name, program) in self.programs() {
            if program.exec.first().is_none_or(String::is_empty) {
                return Err(format!("{name}: exec names no program"));
            }
            let first = program.exec.first().map_or("", String::as_str);
            if first.contains('/')
                && !["/", "./", "../"].iter().any(|begin| first.starts_with(begin))
            {
                return Err(format!(
                    "{name}: begin {first} with ./ if it is a file of the repository"
                ));
            }
            // It is shown to a person, who decides by it.
            if program.exec.iter().any(|word| word.chars().any(char::is_control)) {
                return Err(format!("{name}: exec holds a character that is not shown"));
            }
        }
        if let Some(name) = self.helpers.keys().find(|name| HOOKS.contains(&name.as_str())) {
            return Err(format!("helpers: {name} is said beside helpers, not among them"));
        }
        let mut variables = BTreeSet::new();
        for (name, credential) in &self.credentials {
            let is_none = |helper: &&Word| !self.helpers.contains_key(*helper);
            let is_rotate = |helper: &Word| helper.as_str() == "rotate" && self.rotate.is_some();
            let mut readers = credential.readable_by.iter().filter(|reader| !is_rotate(reader));
            if let Some(helper) =
                readers.find(is_none).or(credential.refresh.as_ref().filter(is_none))
            {
                return Err(format!("{name}: there is no helper {helper}"));
            }
            if credential.class == Class::Password && credential.readable_by.is_empty() {
                return Err(format!(
                    "{name}: a password is for helpers only: name them in readable_by"
                ));
            }
            let variable = credential.variable(name);
            if deliver::is_dangerous(variable.as_str()) {
                return Err(format!("{name}: {variable} is never delivered into an environment"));
            }
            if !variables.insert(variable) {
                return Err(format!(
                    "{name}: another credential is in the variable {variable}, too"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GITHUB: &str = "\
connector: github
credentials_schema:
  PAT:        { class: long_lived_token, obtained_via: bootstrap_tool, rotation_hint: { every: 80d, before_expiry: 7d }, env: GITHUB_TOKEN }
  PASSWORD:   { class: password, readable_by: [login_helper] }
  COOKIES:    { class: session, refresh: login_helper, as: file }
helpers:
  login_helper: { exec: [./bin/login], asks: [otp] }
rotate:         { exec: [./bin/bootstrap-pat], asks: [otp] }
";

    fn names<'a>(of: impl Iterator<Item = (&'a KeyName, &'a Credential)>) -> Vec<&'a str> {
        of.map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn who_reads_and_who_makes_what() {
        let github = Declaration::parse(GITHUB).unwrap();
        assert_eq!(names(github.read_by(None)), ["COOKIES", "PAT"]);
        assert_eq!(names(github.read_by(Some("login_helper"))), ["PASSWORD"]);
        assert_eq!(names(github.read_by(Some("rotate"))), [""; 0]);
        assert_eq!(names(github.made_by("login_helper")), ["COOKIES"]);
        assert_eq!(names(github.made_by("rotate")), ["PAT"]);
        let (name, pat) =
            github.credentials.iter().find(|(name, _)| name.as_str() == "PAT").unwrap();
        assert_eq!(pat.variable(name).as_str(), "GITHUB_TOKEN");
        assert_eq!(pat.rotation_hint.every.unwrap().to_string(), "80d");
        assert_eq!(
            github.programs().map(|(name, _)| name).collect::<Vec<_>>(),
            ["login_helper", "rotate"]
        );
    }

    #[test]
    fn another_text_is_another_declaration() {
        let one = Declaration::parse(GITHUB).unwrap();
        let other = Declaration::parse(&GITHUB.replace("./bin/login]", "./bin/logout]")).unwrap();
        assert_ne!(one.digest, other.digest);
    }

    #[test]
    fn what_is_unknown_is_refused_with_its_line_and_what_is_allowed() {
        for (from, to, why) in [
            ("env: GITHUB_TOKEN", "envv: X", "unknown field `envv`, expected one of `class`, "),
            ("env: GITHUB_TOKEN", "envv: X", " at line 3 "),
            (
                "class: session",
                "class: cookie",
                "unknown variant `cookie`, expected one of `password`, ",
            ),
            ("class: session", "class: cookie", " at line 5 "),
            ("as: file", "as: pipe", "unknown variant `pipe`, expected `env` or `file`"),
            (
                "bootstrap_tool",
                "magic",
                "expected one of `user`, `bootstrap_tool`, `grant_delegated`",
            ),
            ("every: 80d", "every: soon", "not a length of time"),
            ("rotate: ", "rotation: ", "unknown field `rotation`"),
            ("PASSWORD:", "PAT:", "the same key twice"),
            ("PASSWORD:", "PASS-WORD:", "not a valid key"),
            (", readable_by: [login_helper]", "", "PASSWORD: a password is for helpers only"),
            ("refresh: login_helper", "refresh: nobody", "COOKIES: there is no helper nobody"),
            ("env: GITHUB_TOKEN", "env: LD_PRELOAD", "LD_PRELOAD is never delivered"),
            ("env: GITHUB_TOKEN", "env: COOKIES", "another credential is in the variable COOKIES"),
            ("exec: [./bin/login]", "exec: []", "login_helper: exec names no program"),
            (
                "exec: [./bin/login]",
                "exec: [\"./bin/l\\e[0m\"]",
                "login_helper: exec holds a character that is not shown",
            ),
            ("exec: [./bin/login]", "exec: [bin/login]", "login_helper: begin bin/login with ./"),
            ("refresh: login_helper", "refresh: rotate", "COOKIES: there is no helper rotate"),
            (
                "readable_by: [login_helper]",
                "readable_by: [verify]",
                "PASSWORD: there is no helper verify",
            ),
            ("  login_helper:", "  verify:", "verify is said beside helpers"),
            ("connector: github", "connector: ../github", "not a valid word"),
        ] {
            let text = GITHUB.replace(from, to);
            assert_ne!(text, GITHUB, "{from}");
            let said = Declaration::parse(&text).unwrap_err();
            assert!(said.contains(why), "{from} -> {to}: {said}");
        }
    }

    #[test]
    fn a_value_that_stands_there_by_mistake_is_not_shown() {
        for text in [
            "hunter2-value",
            "connector: github\ncredentials_schema: hunter2-value\n",
            "connector: github\ncredentials_schema:\n  PAT: hunter2-value\n",
        ] {
            let said = Declaration::parse(text).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
