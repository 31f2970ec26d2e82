//! Man pages and shell completions, from the same definitions as the help.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Arguments as Cupool, FAILURE, complain, written};

/// Write the man pages, or the completions for a shell
#[derive(Args)]
pub struct Arguments {
    /// Write the completions for this shell to standard output
    #[arg(long, value_name = "SHELL", required_unless_present = "man")]
    completions: Option<Shell>,
    /// Write a man page for the command and each subcommand into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "completions")]
    man: Option<PathBuf>,
}

/// See [`Arguments`].
pub fn run(arguments: &Arguments) -> ExitCode {
    let done = match (&arguments.man, arguments.completions) {
        (Some(directory), _) => man(directory),
        (None, Some(shell)) => completions(shell),
        (None, None) => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&message);
            ExitCode::from(FAILURE)
        }
    }
}

fn man(directory: &Path) -> Result<(), String> {
    let mut command = Cupool::command();
    command.build();
    let failed = |error: io::Error| {
        format!("{}: {error}; name a directory that you may write in", directory.display())
    };
    fs::create_dir_all(directory).map_err(failed)?;
    let shown: Vec<_> =
        command.get_subcommands().filter(|part| !part.is_hide_set()).cloned().collect();
    for part in shown.into_iter().filter(|part| part.get_name() != "help").chain([command]) {
        let name = match part.get_name() {
            "cupool" => "cupool".to_owned(),
            name => format!("cupool-{name}"),
        };
        let mut page = Vec::new();
        // Names in a man page are static, as the command's are.
        let part = part.name(String::leak(name.clone()) as &'static str);
        clap_mangen::Man::new(part).render(&mut page).map_err(failed)?;
        fs::write(directory.join(format!("{name}.1")), page).map_err(failed)?;
    }
    Ok(())
}

fn completions(shell: Shell) -> Result<(), String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cupool::command(), "cupool", &mut script);
    match written(io::stdout().write_all(&script)) {
        true => Ok(()),
        false => Err("the completions were not written".to_owned()),
    }
}
