//! Reads from the manifest of the user's crate under which name `pitaya-runtime` is there, and the edition.

use proc_macro2::Span;
use std::path::{Path, PathBuf};
use std::{env, fs};
use syn::{Ident, parse_quote};

/// The package that applications depend on.
const PACKAGE: &str = "pitaya-runtime";

/// The path of the crate: `::pitaya_runtime`, or `::pitaya` where the manifest says
/// `pitaya = { package = "pitaya-runtime", .. }`.
///
/// Without a manifest that can be read it is the usual name; the compiler says what it thinks of that.
pub(crate) fn runtime() -> syn::Path {
    let renamed = env::var_os("CARGO_MANIFEST_DIR").and_then(|folder| renamed(Path::new(&folder)));
    let name = renamed.unwrap_or_else(|| PACKAGE.replace('-', "_"));
    match syn::parse_str::<Ident>(&name) {
        Ok(mut name) => {
            name.set_span(Span::call_site());
            parse_quote!(::#name)
        }
        Err(_) => parse_quote!(::pitaya_runtime),
    }
}

/// The other name, looked for where a dependency may get one: in the manifest of the crate, and for a dependency of the
/// workspace in that of the workspace.
fn renamed(folder: &Path) -> Option<String> {
    let own = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    let own = dependencies(&own);
    if own.iter().any(|dependency| dependency.key == PACKAGE || dependency.key == PACKAGE.replace('-', "_")) {
        return None;
    }
    if let Some(found) = own.iter().find(|dependency| dependency.package.as_deref() == Some(PACKAGE)) {
        return Some(found.name());
    }
    let inherited: Vec<&Dependency> = own.iter().filter(|dependency| dependency.inherited).collect();
    if inherited.is_empty() {
        return None;
    }
    let workspace = workspace(folder)?;
    let known = dependencies(&workspace);
    let renamed = known.iter().filter(|dependency| dependency.package.as_deref() == Some(PACKAGE));
    renamed.into_iter().find(|one| inherited.iter().any(|own| own.key == one.key)).map(Dependency::name)
}

/// The manifest of the workspace around a crate.
fn workspace(folder: &Path) -> Option<String> {
    let parents = folder.ancestors().map(|parent| parent.join("Cargo.toml"));
    let mut texts = parents.filter_map(|path: PathBuf| fs::read_to_string(path).ok());
    texts.find(|text| text.lines().any(|line| line.trim_start().starts_with("[workspace")))
}

/// Whether an `impl Trait` that a method returns borrows `self` unless it says otherwise: since the edition of 2024.
pub(crate) fn impl_trait_borrows() -> bool {
    let folder = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    folder.and_then(|folder| edition(&folder)).is_none_or(|edition| edition >= 2024)
}

/// `None` without a manifest.
fn edition(folder: &Path) -> Option<u16> {
    let own = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    match edition_in(&own, "package") {
        Some(edition) => edition.parse().ok(),
        None if own.lines().any(|line| line.trim_start().starts_with("edition")) => {
            edition_in(&workspace(folder)?, "workspace.package")?.parse().ok()
        }
        None => Some(2015),
    }
}

/// The text of `edition = ".."` below `[table]`.
fn edition_in(manifest: &str, table: &str) -> Option<String> {
    let mut inside = false;
    manifest.lines().map(str::trim).find_map(|line| {
        if let Some(head) = line.strip_prefix('[') {
            inside = head.split(']').next().unwrap_or_default().trim() == table;
        }
        let value = line.strip_prefix("edition").filter(|_| inside)?.trim_start().strip_prefix('=')?;
        let value = unquoted(value.split('#').next().unwrap_or_default());
        value.starts_with('2').then_some(value)
    })
}

/// One dependency of a manifest, as far as its name goes.
#[derive(Debug, Default, PartialEq)]
struct Dependency {
    key: String,
    package: Option<String>,
    /// `workspace = true`.
    inherited: bool,
}

impl Dependency {
    /// The name in paths.
    fn name(&self) -> String {
        self.key.replace('-', "_")
    }
}

/// The dependencies of a manifest, read line by line: a parser of TOML would be compiled before every game.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let (mut found, mut inside): (Vec<Dependency>, Inside) = (Vec::new(), Inside::Other);
    for line in manifest.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(table) = line.strip_prefix('[') {
            inside = section(table.split(']').next().unwrap_or_default());
            if let Inside::One(key) = &inside {
                found.push(Dependency { key: key.clone(), ..Dependency::default() });
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        match inside {
            Inside::All => {
                let key = key.trim();
                // `pitaya.workspace = true`, `pitaya.package = ".."`
                let (key, option) = key.split_once('.').map_or((key, None), |(key, option)| (key, Some(option)));
                let key = unquoted(key);
                let mut one = Dependency { key, ..Dependency::default() };
                match option {
                    Some(option) => one.add(option, value),
                    None => {
                        // `{ package = "..", .. }`; a version alone has no options.
                        let options = value.split(['{', '}']).nth(1).unwrap_or_default();
                        options
                            .split(',')
                            .filter_map(|option| option.split_once('='))
                            .for_each(|(key, value)| one.add(key, value));
                    }
                }
                found.push(one);
            }
            Inside::One(_) => {
                if let Some(one) = found.last_mut() {
                    one.add(key, value);
                }
            }
            Inside::Other => {}
        }
    }
    found
}

impl Dependency {
    fn add(&mut self, key: &str, value: &str) {
        let value = value.split('#').next().unwrap_or_default().trim();
        match key.trim() {
            "package" => self.package = Some(unquoted(value)),
            "workspace" => self.inherited = value == "true",
            _ => {}
        }
    }
}

/// Meaning of the lines below a head.
enum Inside {
    /// `[dependencies]`: one dependency a line.
    All,
    /// `[dependencies.pitaya]`: one option a line.
    One(String),
    Other,
}

/// `dependencies`, `dev-dependencies`, `target.'cfg(unix)'.dependencies.pitaya` and the like.
fn section(table: &str) -> Inside {
    match table.trim().rsplit_once("dependencies") {
        Some((_, "")) => Inside::All,
        Some((_, rest)) => rest.strip_prefix('.').map_or(Inside::Other, |key| Inside::One(unquoted(key))),
        None => Inside::Other,
    }
}

fn unquoted(text: &str) -> String {
    text.trim().trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_is_found_however_it_is_written() {
        for manifest in [
            "[dependencies]\npitaya-game = { package = \"pitaya-runtime\", path = \"..\" }",
            "[dependencies]\nserde = \"1\"\npitaya-game = {version=\"0.1\",package='pitaya-runtime'} # renamed",
            "[dependencies.pitaya-game]\nversion = \"0.1\"\npackage = \"pitaya-runtime\"\n[features]\na = []",
            "[target.'cfg(unix)'.dependencies.pitaya-game]\npackage = \"pitaya-runtime\"",
            "[dev-dependencies]\npitaya-game.package = \"pitaya-runtime\"",
        ] {
            let found = dependencies(manifest);
            let game = found.iter().find(|one| one.package.as_deref() == Some(PACKAGE)).expect(manifest);
            assert_eq!(game.name(), "pitaya_game", "{manifest}");
        }
    }

    #[test]
    fn the_edition_is_the_crates_or_the_workspaces() {
        let folder = env::temp_dir().join(format!("pitaya-edition-{}", std::process::id()));
        let member = folder.join("game");
        fs::create_dir_all(&member).expect("a folder");
        fs::write(folder.join("Cargo.toml"), "[workspace.package]\nedition = \"2021\"").expect("a file");
        for (own, year) in [
            ("[package]\nedition = \"2024\" # new", Some(2024)),
            ("[package]\nedition=\"2018\"", Some(2018)),
            ("[package]\nedition.workspace = true", Some(2021)),
            ("[package]\nedition = { workspace = true }", Some(2021)),
            ("[package]\nname = \"old\"", Some(2015)),
        ] {
            fs::write(member.join("Cargo.toml"), own).expect("a file");
            assert_eq!(edition(&member), year, "{own}");
        }
        assert_eq!(edition(&folder.join("nowhere")), None);
        fs::remove_dir_all(&folder).expect("gone");
    }

    #[test]
    fn manifests_are_looked_at_where_cargo_does() {
        let folder = env::temp_dir().join(format!("pitaya-manifest-{}", std::process::id()));
        let member = folder.join("game");
        fs::create_dir_all(&member).expect("a folder");
        let looks = |own: &str, workspace: &str| {
            fs::write(member.join("Cargo.toml"), own).expect("a file");
            fs::write(folder.join("Cargo.toml"), workspace).expect("a file");
            renamed(&member)
        };
        let workspace =
            "[workspace]\n[workspace.dependencies]\npitaya = { package = \"pitaya-runtime\", path = \"p\" }";
        let game = Some("pitaya".to_owned());
        assert_eq!(looks("[dependencies]\npitaya = { package = \"pitaya-runtime\" }", ""), game);
        assert_eq!(looks("[dependencies]\npitaya.workspace = true", workspace), game);
        assert_eq!(looks("[dependencies]\npitaya = { workspace = true, features = [] }", workspace), game);
        assert_eq!(looks("[dependencies]\nserde.workspace = true", workspace), None, "not a dependency of this crate");
        assert_eq!(looks("[dependencies]\npitaya-runtime = \"0.1\"\nother.package = \"pitaya-runtime\"", ""), None);
        assert_eq!(looks("[package]\nname = \"pitaya-runtime\"", workspace), None);
        assert_eq!(renamed(&folder.join("nowhere")), None);
        fs::remove_dir_all(&folder).expect("gone");
    }
}
