//! What `#[handler]` really becomes: `sample.rs` through the compiler, beside the committed `room.expanded.rs`.
//!
//! After a change that is meant: `EXPANSION=overwrite cargo test -p pitaya-tests --test expansion`, then read the
//! difference.

use std::path::Path;
use std::process::Command;
use std::{env, fs};
use syn::visit_mut::{self, VisitMut};
use syn::{Block, File, Item, Stmt};

const HEADER: &str =
    "// Made by `EXPANSION=overwrite cargo test -p pitaya-tests --test expansion` from `sample.rs`.\n\n";

/// The expanded test `expand_sample`. In a target directory of its own: the build that runs this test may hold the lock
/// of the usual one.
fn expanded() -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("expand");
    let output = Command::new(env!("CARGO"))
        .args(["rustc", "--quiet", "--frozen", "--package", "pitaya-tests", "--test", "expand_sample"])
        .args(["--profile", "check", "--", "-Zunpretty=expanded"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("source text")
}

/// What another crate's macro made of `submit!` is not ours to promise.
struct WithoutInventory;

impl VisitMut for WithoutInventory {
    fn visit_block_mut(&mut self, block: &mut Block) {
        block.stmts.retain(|statement| match statement {
            Stmt::Item(Item::Const(item)) => !holds_a_node(&item.expr),
            _ => true,
        });
        visit_mut::visit_block_mut(self, block);
    }
}

fn holds_a_node(expr: &syn::Expr) -> bool {
    let syn::Expr::Block(block) = expr else { return false };
    let is_node = |s: &Stmt| matches!(s, Stmt::Item(Item::Static(item)) if item.ident == "__INVENTORY");
    block.block.stmts.iter().any(is_node)
}

/// The items of `mod sample`.
fn of_the_macro(source: &str) -> String {
    let file = syn::parse_file(source).expect("Rust");
    let sample = file.items.into_iter().find_map(|item| match item {
        Item::Mod(module) if module.ident == "sample" => module.content.map(|(_, items)| items),
        _ => None,
    });
    let mut items = sample.expect("`mod sample`");
    items.retain(|item| !matches!(item, Item::Use(_)));
    let mut file = File { shebang: None, frontmatter: None, attrs: vec![], items };
    let before = prettyplease::unparse(&file);
    assert!(before.contains("__INVENTORY"), "the table is registered");
    WithoutInventory.visit_file_mut(&mut file);
    prettyplease::unparse(&file)
}

#[test]
fn the_expansion_is_the_one_committed() {
    let found = HEADER.to_owned() + &of_the_macro(&expanded());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("expansion/room.expanded.rs");
    if env::var_os("EXPANSION").is_some_and(|what| what == "overwrite") {
        fs::write(&path, &found).expect("the file can be written");
    }
    let committed = fs::read_to_string(&path).expect("the committed expansion");
    if let Some((line, (a, b))) = committed.lines().zip(found.lines()).enumerate().find(|(_, (a, b))| a != b) {
        panic!("line {} was\n{a}\nand is\n{b}\nIf that is meant: see the top of this file.", line + 1);
    }
    assert_eq!(committed.lines().count(), found.lines().count(), "see the top of this file");

    let rows = found.split_once("rows: ").and_then(|(_, rest)| rest.split_once("hooks: ")).expect("rows, then hooks").0;
    let rows: Vec<&str> = rows.split("|__call|").skip(1).collect();
    assert_eq!(rows.len(), 3, "{rows:#?}");
    for row in rows {
        assert!(row.lines().count() <= 15, "a row has a budget of 15 lines:\n{row}");
    }
}
