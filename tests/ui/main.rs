//! What the compiler says to a user who made a mistake: one file a mistake, named after it, with the text beside it.
//!
//! The texts belong to the compiler that `rust-toolchain.toml` pins. After a change that is meant, write them anew with
//! `TRYBUILD=overwrite cargo test -p pitaya-tests --test ui` and read the difference.

use std::collections::BTreeSet;
use std::path::Path;

/// Where the mistakes are, and how many there are at least.
const FOLDERS: [(&str, usize); 3] = [("handler", 40), ("remote", 20), ("fault", 15)];

#[test]
fn every_mistake_is_explained() {
    let cases = trybuild::TestCases::new();
    FOLDERS.iter().for_each(|(folder, _)| cases.compile_fail(format!("ui/{folder}/*.rs")));
}

#[test]
fn every_text_belongs_to_a_mistake() {
    for (folder, least) in FOLDERS {
        let files = |extension: &str| -> BTreeSet<String> {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui").join(folder);
            let all = folder.read_dir().expect("the folder").map(|entry| entry.expect("an entry").path());
            all.filter(|path| path.extension().is_some_and(|found| found == extension))
                .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
                .collect()
        };
        let mistakes = files("rs");
        assert!(mistakes.len() > least, "the mistakes are not where they were: {mistakes:?}");
        assert_eq!(mistakes, files("stderr"));
    }
}
