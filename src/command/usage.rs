//! A call that cannot be understood, or that asks for help.

use std::env;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::{Arguments, FAILURE, complain, preload};

/// Prints the help that was asked for, or tells in one line what is wrong with the call.
pub fn tell(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // A reader who has seen enough is no failure.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { FAILURE } else { 0 });
    }
    let called = env::args_os().nth(1).and_then(|name| name.into_string().ok());
    let command = Arguments::command();
    let called = called.filter(|name| command.find_subcommand(name).is_some());
    complain(&line(&error.to_string(), called.as_deref()));
    ExitCode::from(match called.as_deref() {
        Some("run" | "record") => preload::FAILED,
        _ => FAILURE,
    })
}

/// What clap says in several paragraphs, as one line with the cure.
fn line(text: &str, called: Option<&str>) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| {
        let is_more = paragraph.starts_with("Usage:") || paragraph.starts_with("For more");
        !is_more && !paragraph.is_empty()
    });
    let lines =
        paragraphs.map(|paragraph| paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" "));
    let said = lines.collect::<Vec<_>>().join("; ");
    let name = called.map_or("cupool".to_owned(), |called| format!("cupool {called}"));
    format!("{said}; `{name} --help` tells what can be said")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[track_caller]
    fn told(arguments: &[&str]) -> String {
        let error = Arguments::try_parse_from([&["cupool"], arguments].concat());
        let Err(error) = error else { panic!("{arguments:?} is understood") };
        line(&error.to_string(), arguments.first().copied())
    }

    #[test]
    fn what_a_program_is_called_with_is_its_own() {
        let called = ["cupool", "run", "--conf", "order:lazy", "ls", "-l", "--conf", "--", "-x"];
        let Ok(Arguments { command: crate::command::Command::Run(run) }) =
            Arguments::try_parse_from(called)
        else {
            panic!("it is understood")
        };
        assert_eq!(run.program(), &called[4..]);
    }

    #[test]
    fn mistakes_are_one_line_with_the_cure() {
        for (arguments, says) in [
            (
                &["flush"][..],
                "the following required arguments were not provided: <PID>...; `cupool",
            ),
            (&["flush", "abc"], "invalid value 'abc'"),
            (&["flush", "--all", "--gpu", "0"], "cannot be used with"),
            (&["top", "--sort", "x"], "[possible values: pid, gpu, "),
            (&["top", "--interval", "nan"], "choose from 0.1 to 3600 seconds"),
            (&["run"], "<CMD>...; `cupool run --help` tells"),
            (&["run", "--cnof", "x", "--", "true"], "tip: a similar argument exists: '--conf'"),
            (&["stats", "--jsno"], "tip: a similar argument exists: '--json'"),
        ] {
            let line = told(arguments);
            assert!(!line.contains('\n') && !line.contains("Usage"), "{line}");
            assert!(line.contains(says), "{line}");
        }
    }
}
