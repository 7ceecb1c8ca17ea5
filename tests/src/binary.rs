//! Where the program of an example is, and whether it is the one of the sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The program of an example, built with the profile of the running test.
///
/// `cargo test -p pitaya-tests` builds no examples: what is missing, or older than a source it was made from, fails here
/// instead of proving something about yesterday's server.
///
/// # Panics
/// When the program has to be built first.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    // target/<profile>/deps/<test>
    let profile = test.ancestors().nth(2).expect("a test lies in the folder of its profile");
    let program = profile.join("examples").join(name);
    let release = if profile.ends_with("release") { " --release" } else { "" };
    let build = format!("run `cargo build --examples{release}`");
    let Ok(built) = modified(&program) else { panic!("{} does not exist: {build}", program.display()) };
    if let Some(source) = newer(&program.with_extension("d"), built) {
        panic!("{} is older than {source}: {build}", program.display());
    }
    program
}

/// The first source that changed after `built`, of those that Cargo lists for a program.
fn newer(list: &Path, built: SystemTime) -> Option<String> {
    let list = fs::read_to_string(list).ok()?;
    let (_, sources) = list.split_once(": ")?;
    let changed = |source: &&str| modified(Path::new(source)).is_ok_and(|time| time > built);
    sources.split_whitespace().find(changed).map(str::to_owned)
}

fn modified(file: &Path) -> std::io::Result<SystemTime> {
    fs::metadata(file)?.modified()
}
