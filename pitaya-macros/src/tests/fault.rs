//! `#[derive(Fault)]`: what it writes, and each mistake with its text.

use super::{expansion::snapshot, hygiene, message, messages};
use quote::ToTokens;
use syn::File;

fn fault(item: &str) -> File {
    let output = crate::fault::derive(super::tokens(item));
    syn::parse2(output.clone()).unwrap_or_else(|error| panic!("{error} in {output}"))
}

#[test]
fn an_enum_of_every_form() {
    let item = r#"
        enum JoinError {
            #[fault(code = "ROOM-1", message = "at most {max:>3}, {{not}} {wanted} or {max}")]
            Full { #[fault(metadata)] max: u32, wanted: u32, #[fault(metadata = "at")] r#where: Place },
            #[fault(code = codes::NONE, message = "{0}{1}")]
            Unknown(String, #[fault(metadata = "n")] u8),
            #[fault(code = "ROOM-3")]
            Closed,
        }"#;
    let file = fault(item);
    snapshot("fault_enum", "derive(Fault)", &file);
    let mut names = Vec::new();
    hygiene::bare(file.to_token_stream(), &mut names);
    let found: Vec<_> = names.iter().filter(|name| hygiene::AMBIGUOUS.contains(&name.as_str())).collect();
    assert!(found.is_empty(), "names that a user may have redefined: {found:?}");
}

#[test]
fn a_struct() {
    let item = "#[fault(code = \"A-1\", crate = crate::pitaya)] struct Closed;";
    snapshot("fault_struct", "derive(Fault)", &fault(item));
}

/// The text of the only mistake. All else is written: an error type without its traits would be blamed where it is used.
fn about(item: &str) -> String {
    let file = fault(item);
    let found = messages(&file);
    let written = file.items.iter().filter(|item| message(item).is_none());
    let written: String = written.map(|item| item.to_token_stream().to_string()).collect();
    assert!(written.contains("__pitaya :: Fault for Full") && found.len() == 1, "{item}: {found:?}");
    found.into_iter().next().unwrap_or_default()
}

#[test]
fn mistakes_in_the_attributes() {
    let code = "`code` takes a string or a constant\nhelp: write `code = \"GAME-1\"`";
    for value in ["code", "code = 7", "code = f()", "code(\"A\")", "code ="] {
        assert_eq!(about(&format!("#[fault({value})] struct Full;")), code, "{value}");
    }
    let parentheses = "`#[fault]` takes its options in parentheses\nhelp: write `#[fault(code = \"GAME-1\")]`";
    let cod = "unknown option `cod`, expected one of `code`, `message`, `crate`\nhelp: did you mean `code`?";
    for (item, text) in [
        ("#[fault(code = \"\")] struct Full;", "a code cannot be empty\nhelp: write `code = \"GAME-1\"`"),
        ("#[fault(code = A, code = B)] struct Full;", "`code` was already given\nhelp: keep one of the two"),
        ("#[fault(cod = A)] struct Full;", cod),
        (
            "#[fault(code = A, message = \"x\")] enum Full {}",
            "unknown option `message`, expected one of `code`, `crate`",
        ),
        (
            "#[fault(code = A)] enum Full { #[fault(metadata)] A }",
            "unknown option `metadata`, expected one of `code`, `message`",
        ),
        ("#[fault(code = A)] struct Full(#[fault(code = B)] u8);", "unknown option `code`, expected one of `metadata`"),
        ("#[fault(code = A)] #[fault] struct Full;", parentheses),
        (
            "#[fault(code = A, message = 7)] struct Full;",
            "`message` takes a string\nhelp: write `message = \"the room is full\"`",
        ),
    ] {
        assert_eq!(about(item), text);
    }
    let file = fault("#[fault(code = A, crate = \"x\")] struct Full;");
    assert_eq!(messages(&file), ["`crate` takes a path\nhelp: write `crate = my_game::pitaya`"]);
    assert_eq!(file.items.len(), 1, "no code about a crate that is not known");
}

/// Values of a `macro_rules!` arrive in invisible groups: `$code:literal`, `$code:expr`, `$code:path`.
#[test]
fn values_that_a_macro_passed_on_are_read() {
    let group = |tokens| proc_macro2::Group::new(proc_macro2::Delimiter::None, tokens);
    for code in [quote::quote!("GAME-1"), quote::quote!(codes::FULL), quote::quote!(FULL)] {
        let (once, text) = (group(code), group(quote::quote!("at most {max}")));
        let twice = group(once.to_token_stream());
        for code in [once, twice] {
            let item = quote::quote!(
                #[fault(code = #code, message = #text)]
                struct Full {
                    #[fault(metadata = #text)]
                    max: u8,
                }
            );
            let file: File = syn::parse2(crate::fault::derive(item)).expect("items");
            assert!(messages(&file).is_empty(), "{:?}", messages(&file));
        }
    }
}

#[test]
fn every_value_has_a_code() {
    let text = "`Full` has no code\nhelp: write `#[fault(code = \"GAME-1\")]` on it";
    assert_eq!(about("struct Full;"), text);
    let help = "help: write `#[fault(code = \"GAME-1\")]` on it, or on `Full` for every variant";
    assert_eq!(about("enum Full { #[fault(code = A)] A, B }"), format!("the variant `B` has no code\n{help}"));
    assert!(messages(&fault("#[fault(code = A)] enum Full { #[fault(code = B)] A, B }")).is_empty());
}

#[test]
fn messages_name_fields() {
    let about_field =
        |message: &str| about(&format!("#[fault(code = A, message = \"{message}\")] struct Full {{ max: u8 }}"));
    let help = "help: write `{0}` for the first field of a tuple, `{max}` for `max`";
    let nameless = format!("a message names the field it shows\n{help}");
    assert_eq!(about_field("{}"), nameless);
    assert_eq!(about_field("{:?}"), nameless);
    assert_eq!(about_field("{mx}"), "unknown field `mx`, expected one of `max`\nhelp: did you mean `max`?");
    assert_eq!(about_field("{0"), "unknown field `0`, expected one of `max`");
    let text = "`Full` has no field `max`\nhelp: write `{{` for a brace";
    assert_eq!(about("#[fault(code = A, message = \"{max}\")] struct Full;"), text);
}

#[test]
fn metadata_have_keys() {
    let key = "`metadata` takes the key as a string, or nothing for the field's name\nhelp: write `metadata = \"key\"`";
    for value in ["metadata = 7", "metadata(\"key\")", "metadata ="] {
        assert_eq!(about(&format!("#[fault(code = A)] struct Full {{ #[fault({value})] max: u8 }}")), key, "{value}");
    }
    let text = "a field without a name needs a key\nhelp: write `#[fault(metadata = \"key\")]`";
    assert_eq!(about("#[fault(code = A)] struct Full(#[fault(metadata)] u8);"), text);
    let text = "the metadata `max` was already given\nhelp: give each field a key of its own";
    let twice = "struct Full { #[fault(metadata)] max: u8, #[fault(metadata = \"max\")] wanted: u8 }";
    assert_eq!(about(&format!("#[fault(code = A)] {twice}")), text);
}

#[test]
fn types_that_cannot_be_faults() {
    let messages = |item: &str| messages(&fault(item));
    let help = "help: write `#[derive(Fault)] #[fault(code = \"GAME-1\")] struct Full;`";
    let text = format!("`#[derive(Fault)]` goes on a struct or an enum\n{help}");
    assert_eq!(messages("union Full { a: u8 }"), [text]);
    for (param, name, ty) in [("T: Copy", "T", "Slow<T>"), ("'a", "'a", "Slow<'a>"), ("const N: usize", "N", "Slow<N>")]
    {
        let help = format!(
            "take `{name}` out; or drop the derive and write `.map_err(|error: {ty}| Error::new(\"GAME-1\", ..))`"
        );
        let text = format!("a fault cannot be generic: its code is found by its type\nhelp: {help}");
        assert_eq!(messages(&format!("#[fault(code = A)] struct Slow<{param}>(u8);")), [text]);
    }
}
