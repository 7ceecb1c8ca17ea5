//! `docs/macros.md` shows the component and the expansion that are tested, and every text of the compiler.
//!
//! After a change that is meant: `UPDATE_DOCS=1 cargo test -p pitaya-tests --test macros`, then read the difference.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The types of the sample, then its block, without the module around it.
fn component() -> String {
    let sample = read("expansion/sample.rs");
    let (types, module) = sample.split_once("mod sample {\n").expect("`mod sample`");
    let types = &types[types.find("#[derive").expect("a type")..];
    let block = &module[module.find("    #[handler]\n").expect("a block")..];
    let block = &block[..block.find("\n    }\n").expect("its end") + "\n    }\n".len()];
    let block: String = block.lines().map(|line| line.strip_prefix("    ").unwrap_or(line).to_owned() + "\n").collect();
    format!("{types}{block}")
}

/// What stands beside the block, which itself stays as it is.
fn expansion() -> String {
    let expanded = read("expansion/room.expanded.rs");
    expanded[expanded.find("const _: () = {").expect("the table")..].to_owned()
}

/// Puts `code` into the fenced block below `<!-- name -->`.
fn with_code(guide: &str, name: &str, code: &str) -> String {
    let marker = format!("<!-- {name} -->\n```rust\n");
    let (before, rest) = guide.split_once(&marker).unwrap_or_else(|| panic!("no block below <!-- {name} -->"));
    let (_, after) = rest.split_once("\n```\n").expect("the end of the block");
    format!("{before}{marker}{}\n```\n{after}", code.trim_end())
}

/// The first error of a `.stderr`, and what it advises.
fn message(stderr: &str) -> String {
    let first = stderr.trim_start().split("\n\n").next().unwrap_or_default();
    let mut lines = first.lines();
    let mut text = lines.next().and_then(|line| line.split_once(": ")).expect("an error").1.to_owned();
    let mut above_the_place = true;
    for line in lines.map(str::trim) {
        above_the_place &= !line.starts_with("-->");
        if above_the_place && line.starts_with("help: ") {
            text += &format!("<br>{line}");
        } else if let Some(note) = line.strip_prefix("= note: ").filter(|note| !tells_how_rustc_knows(note)) {
            text += &format!("<br>note: {note}");
        }
    }
    text.replace('|', "\\|")
}

fn tells_how_rustc_knows(note: &str) -> bool {
    let starts = ["required for", "requirement occurs", "the struct `", "this error originates"];
    starts.iter().any(|start| note.starts_with(start))
}

/// A row is `| [mistake](../tests/ui/FOLDER/NAME.rs) | message |`: the link and what stands before the message.
fn row(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.strip_prefix("| [")?.split_once("](../tests/ui/")?;
    let (link, _) = rest.split_once(".rs) | ")?;
    Some((link, &line[..line.find(".rs) | ")? + ".rs) | ".len()]))
}

/// `FOLDER/NAME` of each mistake that the test `ui` shows to the compiler.
fn mistakes() -> BTreeSet<String> {
    let entries = |path: PathBuf| path.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path());
    let folders = entries(file("ui")).filter(|path| path.is_dir());
    let files = folders.flat_map(entries).filter(|path| path.extension().is_some_and(|found| found == "stderr"));
    let name = |path: &Path| path.file_stem().map(|name| name.to_string_lossy().into_owned()).expect("a name");
    files.map(|path| format!("{}/{}", name(path.parent().expect("a folder")), name(&path))).collect()
}

fn with_messages(guide: &str) -> String {
    let texts = guide.lines().map(|line| match row(line) {
        Some((link, before)) => format!("{before}{} |\n", message(&read(&format!("ui/{link}.stderr")))),
        None => format!("{line}\n"),
    });
    texts.collect()
}

#[test]
fn the_guide_shows_what_is_tested() {
    let guide = read("../docs/macros.md");
    let expected = with_code(&guide, "tests/expansion/sample.rs", &component());
    let expected = with_code(&expected, "tests/expansion/room.expanded.rs", &expansion());
    let expected = with_messages(&expected);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file("../docs/macros.md"), expected).expect("docs/macros.md");
    } else if let Some((is, should)) = guide.lines().zip(expected.lines()).find(|(is, should)| is != should) {
        panic!("docs/macros.md says\n{is}\nand should say\n{should}\nIf that is meant: see the top of this file.");
    } else {
        assert_eq!(guide, expected, "see the top of this file");
    }
}

#[test]
fn every_mistake_has_one_row() {
    let guide = read("../docs/macros.md");
    let mut missing = mistakes();
    for (link, _) in guide.lines().filter_map(row) {
        assert!(missing.remove(link), "docs/macros.md has two rows for {link}, or it is no mistake");
    }
    let rows: String = missing
        .iter()
        .map(|link| {
            let words = link.rsplit('/').next().unwrap_or_default().replace('_', " ");
            format!("| [{words}](../tests/ui/{link}.rs) | {} |\n", message(&read(&format!("ui/{link}.stderr"))))
        })
        .collect();
    assert!(rows.is_empty(), "docs/macros.md lacks these rows:\n{rows}");
}

#[test]
fn the_first_error_and_its_advice_are_found() {
    let own = "error: handler `join` must not be `const`\n       help: remove `const`\n --> a.rs:7:9\n  |\n  = help: no\n\nerror: b\n";
    assert_eq!(message(own), "handler `join` must not be `const`<br>help: remove `const`");
    let traits = "error[E0277]: `A` cannot\n --> a.rs:9:1\nhelp: the trait `B`\n  = note: required for x\n  = note: write y\n  = note: this error originates\n  = note: or z\n";
    assert_eq!(message(traits), "`A` cannot<br>note: write y<br>note: or z");
}
