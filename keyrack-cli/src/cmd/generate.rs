//! `keyrack generate`: completions and man pages, from the one definition of the flags.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};

use crate::args::{Cli, GenerateWhat, complete};
use crate::error::{Code, Context, Outcome};
use crate::person::ui::Ui;

/// Runs `keyrack generate`.
pub fn run(what: &GenerateWhat, ui: &Ui) -> Outcome {
    match what {
        GenerateWhat::Completions(with) => {
            let shell = with.own.shell;
            let script = complete::registration(shell).context(|| shell.to_string())?;
            ui.payload(&script)
        }
        GenerateWhat::Man(with) => {
            let dir = &with.own.dir;
            fs::create_dir_all(dir).context(|| dir.display().to_string())?;
            let mut command = Cli::command().disable_help_subcommand(true);
            command.build();
            pages(&command, "keyrack", dir)
        }
    }
}

fn pages(command: &Command, name: &str, dir: &Path) -> Outcome {
    let page = clap_mangen::Man::new(
        command.clone().name(name.to_owned()).bin_name(name.replace('-', " ")),
    );
    let mut text = Vec::new();
    page.render(&mut text).context(|| name.to_owned())?;
    if name == "keyrack" {
        text.extend_from_slice(exit_codes().as_bytes());
    }
    let file = dir.join(format!("{name}.1"));
    fs::write(&file, text).context(|| file.display().to_string())?;
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .try_for_each(|sub| pages(sub, &format!("{name}-{}", sub.get_name()), dir))
}

fn exit_codes() -> String {
    let mut section = ".SH \"EXIT STATUS\"\n".to_owned();
    for (code, meaning) in Code::TABLE {
        let _ = writeln!(section, ".TP\n{}\n{meaning}", *code as u8);
    }
    section
}
