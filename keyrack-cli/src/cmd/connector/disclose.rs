//! `keyrack connector disclose`: for a person, what a connector accesses, of which class, and
//! who else is handed it.

use keyrack_names::KeyName;
use serde::Serialize;

use crate::args::ConnectorDisclose;
use crate::connector::declaration::{Credential, Declaration, Form};
use crate::connector::found::{self, Found};
use crate::error::Outcome;
use crate::person::ui::Ui;
use crate::settings::Settings;

/// Runs `keyrack connector disclose`.
pub fn run(args: &ConnectorDisclose, settings: &Settings, ui: &Ui) -> Outcome {
    let found = found::find(&args.id, settings)?;
    if ui.json {
        return ui.object(&Disclosed::of(&found));
    }
    ui.lines(lines(&found.declaration))
}

/// What it accesses, a line each.
pub fn lines(declaration: &Declaration) -> Vec<String> {
    let id = &declaration.connector;
    let mut lines = Vec::new();
    for (name, credential) in &declaration.credentials {
        let readers = credential.readable_by.iter().map(|helper| format!("{helper} of {id}"));
        let readers: Vec<String> = readers.collect();
        let who = if readers.is_empty() { id.to_string() } else { readers.join(" and ") };
        lines.push(format!(
            "{who} accesses credential {name} of class {}{}",
            credential.class,
            how(name, credential)
        ));
    }
    for (name, program) in declaration.programs() {
        let asks: Vec<&str> = program.asks.iter().map(keyrack_manifest::Word::as_str).collect();
        let asks = if asks.is_empty() {
            String::new()
        } else {
            format!(", and may ask for {}", asks.join(" and "))
        };
        let made: Vec<&str> = declaration.made_by(name).map(|(name, _)| name.as_str()).collect();
        let makes = if made.is_empty() {
            String::new()
        } else {
            format!(", makes new values of {}", made.join(" and "))
        };
        lines.push(format!("{name} of {id} runs {}{makes}{asks}", program.exec.join(" ")));
    }
    lines
}

fn how(name: &KeyName, credential: &Credential) -> String {
    let variable = credential.variable(name);
    let optional = if credential.optional { ", if there is one" } else { "" };
    match credential.form {
        Form::Env if variable == name => optional.to_owned(),
        Form::Env => format!(" in the variable {variable}{optional}"),
        Form::File => format!(" as a file that {variable} names{optional}"),
    }
}

/// The same for a program.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Disclosed<'a> {
    connector: &'a str,
    path: &'a std::path::Path,
    sha256: String,
    credentials: Vec<Row<'a>>,
    programs: Vec<Run<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    name: &'a KeyName,
    class: &'a str,
    obtained_via: &'a str,
    variable: &'a KeyName,
    file: bool,
    optional: bool,
    readable_by: Vec<&'a str>,
}

#[derive(Serialize)]
struct Run<'a> {
    name: &'a str,
    exec: &'a [String],
    asks: Vec<&'a str>,
    makes: Vec<&'a KeyName>,
}

impl<'a> Disclosed<'a> {
    fn of(found: &'a Found) -> Self {
        let declaration = &found.declaration;
        let row = |(name, credential): (&'a KeyName, &'a Credential)| Row {
            name,
            class: credential.class.as_str(),
            obtained_via: credential.obtained_via.as_str(),
            variable: credential.variable(name),
            file: credential.form == Form::File,
            optional: credential.optional,
            readable_by: credential
                .readable_by
                .iter()
                .map(keyrack_manifest::Word::as_str)
                .collect(),
        };
        let programs = declaration.programs().map(|(name, program)| Run {
            name,
            exec: &program.exec,
            asks: program.asks.iter().map(keyrack_manifest::Word::as_str).collect(),
            makes: declaration.made_by(name).map(|(name, _)| name).collect(),
        });
        Self {
            connector: declaration.connector.as_str(),
            path: &found.path,
            sha256: declaration.digest.to_string(),
            credentials: declaration.credentials.iter().map(row).collect(),
            programs: programs.collect(),
        }
    }
}
