//! Other people's programs, which read what cupool writes.

use std::env;
use std::path::PathBuf;

/// The program of that name on the `PATH`, or among those that `.ci/tools` has installed. `None`, with
/// a word, where there is none.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let installed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).chain([installed]);
    let found = places.find_map(|place| Some(place.join(name)).filter(|path| path.is_file()));
    if found.is_none() {
        println!("skipped: there is no {name}");
        assert!(env::var_os("CI").is_none(), "CI must have {name}");
    }
    found
}
