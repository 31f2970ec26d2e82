//! `cupool plot`

mod history;
mod map;
mod page;
mod picture;
mod png;
mod scale;
mod sizes;
mod snapshot;
mod svg;
mod timeline;
mod trace;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use self::picture::Picture;
use super::snapshot::PICKLE;
use super::{FAILURE, complain, put};

/// Draw memory over time, segments and blocks, and sizes
///
/// The page fetches nothing and can be passed on as it is.
#[derive(Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// Stats files of one process, traces, or memory snapshots, also those that PyTorch has written
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where the picture goes; what it is follows from the name: .html, .svg or .png; - is standard
    /// output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A picture of shapes instead of a page
    #[arg(long)]
    svg: bool,
    /// A picture of dots instead of a page
    #[arg(long, conflicts_with = "svg")]
    png: bool,
}

const HELP: &str = "\
A trace is played through the pool, as `cupool replay` does, so that it shows what cupool would do. A
series of stats files comes from `interval` with %n in the path.

Exit status: 0; 2 if a file cannot be read or the picture not be written.

Examples:
  cupool record -o train.trace.gz -- python train.py; cupool plot train.trace.gz
  cupool run --conf interval:1s,stats:/tmp/s.%p.%n.json -- ./simulate; cupool plot /tmp/s.*.json
  cupool snapshot 4242 -o now.pickle && cupool plot now.pickle --png -o now.png";

/// What comes out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Html,
    Svg,
    Png,
}

/// See [`Arguments`].
pub fn run(arguments: &Arguments) -> ExitCode {
    match draw(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&message);
            ExitCode::from(FAILURE)
        }
    }
}

fn draw(arguments: &Arguments) -> Result<(), String> {
    let form = form(arguments)?;
    let pictures = pictures(&arguments.files)?;
    let output = arguments.output.clone().unwrap_or_else(|| {
        PathBuf::from(match form {
            Form::Html => "cupool.html",
            Form::Svg => "cupool.svg",
            Form::Png => "cupool.png",
        })
    });
    let contents = match form {
        Form::Html => page::html(&pictures).into_bytes(),
        Form::Svg => page::svg(&pictures).into_bytes(),
        Form::Png => png::draw(&page::svg(&pictures))?,
    };
    put(&output, &contents)
}

/// What was asked for by a flag, or by the name of the output.
fn form(arguments: &Arguments) -> Result<Form, String> {
    let extension = arguments.output.as_ref().and_then(|path| path.extension());
    match (arguments.svg, arguments.png, extension.and_then(|extension| extension.to_str())) {
        (true, ..) | (false, false, Some("svg")) => Ok(Form::Svg),
        (_, true, _) | (false, false, Some("png")) => Ok(Form::Png),
        (false, false, None | Some("html" | "htm")) => Ok(Form::Html),
        (false, false, Some(other)) => {
            Err(format!("-o: no picture is called .{other}; use .html, .svg or .png"))
        }
    }
}

/// One picture for each trace and snapshot, and one for all stats files.
fn pictures(files: &[PathBuf]) -> Result<Vec<Picture>, String> {
    let mut pictures = Vec::new();
    let mut stats = Vec::new();
    for path in files {
        match form_of(path)? {
            Contents::Json => {}
            Contents::Pickle => {
                pictures.push(snapshot::picture(path)?);
                continue;
            }
            Contents::Trace => {
                pictures.push(trace::picture(path)?);
                continue;
            }
        }
        let shown = path.display();
        let text = fs::read(path).map_err(|error| format!("{shown}: {error}; check the path"))?;
        let value: Value = serde_json::from_slice(&text).map_err(|error| {
            format!("{shown}: damaged JSON ({error}); it may still be being copied, try again")
        })?;
        if value.get("memory_snapshot").is_some() {
            pictures.push(snapshot::picture(path)?);
        } else if value.get("schema").is_some() && value.get("devices").is_some() {
            stats.push((path.clone(), value));
        } else {
            return Err(format!(
                "{shown}: neither stats, nor a trace, nor a memory snapshot; see `cupool plot --help`"
            ));
        }
    }
    if !stats.is_empty() {
        pictures.push(history::picture(stats)?);
    }
    Ok(pictures)
}

/// What a file seems to hold.
enum Contents {
    Json,
    Pickle,
    Trace,
}

/// What the file begins like: no line of a trace does like an object of JSON, nor does anything else
/// like a pickle.
fn form_of(path: &Path) -> Result<Contents, String> {
    let failed = |error: io::Error| format!("{}: {error}; check the path", path.display());
    let mut start = [0; 64];
    let length = File::open(path).and_then(|mut file| file.read(&mut start)).map_err(failed)?;
    let start = &start[..length];
    Ok(match () {
        () if start.starts_with(PICKLE) => Contents::Pickle,
        () if start.trim_ascii_start().starts_with(b"{") => Contents::Json,
        () => Contents::Trace,
    })
}
