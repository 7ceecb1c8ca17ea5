//! What everybody who uses the macros has to compile. Lines a row are counted in `expansion`, nanoseconds and compile
//! time in `benches/run --dispatch` and `benches/run --compile`.

use serde_json::{Value, json};
use std::process::Command;

#[test]
fn the_macros_depend_on_three_crates_and_the_features_they_need() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let workspace: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = workspace["packages"].as_array().expect("packages");
    let macros = packages.iter().find(|package| package["name"] == "pitaya-macros").expect("the macro crate");
    let mut found: Vec<Value> = macros["dependencies"]
        .as_array()
        .expect("dependencies")
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| json!([dependency["name"], dependency["uses_default_features"], dependency["features"]]))
        .collect();
    found.sort_by_key(Value::to_string);
    let expected = json!([
        ["proc-macro2", true, []],
        ["quote", true, []],
        // `full` for blocks and signatures; no `extra-traits`, no `derive`, no `visit`.
        ["syn", false, ["clone-impls", "full", "parsing", "printing"]],
    ]);
    assert_eq!(Value::Array(found), expected, "each of these is compiled before a game is");
}
