//! Every mistake that the macro can see: its text, and that it costs nothing but itself.

use super::{generated, handler, messages, methods, users};
use quote::ToTokens;
use syn::Item;

/// Messages of the macro about these methods. Next to them stands one that is right: it has to be wired all the same.
fn about(methods: &str) -> Vec<String> {
    about_all("", &format!("impl Room {{ {methods} pub fn fine(&self, msg: Fine) -> u8 {{ 1 }} }}"))
}

/// The same for arguments of the attribute.
fn about_args(args: &str) -> Vec<String> {
    about_all(args, "impl Room { pub fn fine(&self, msg: Fine) -> u8 { 1 } }")
}

fn about_all(args: &str, item: &str) -> Vec<String> {
    let file = handler(args, item);
    let block = users(&file);
    let text = block.to_token_stream().to_string();
    assert_eq!(methods(block).len(), item.matches("fn ").count(), "the user's methods are all there: {text}");
    assert!(!text.contains("# [route") && !text.contains("# [on"), "without the helper attributes: {text}");
    let table: String = generated(&file).iter().map(|item| item.to_token_stream().to_string()).collect();
    assert!(table.contains("Self :: fine (__this , __payload)"), "the method that is right is wired: {table}");
    messages(&file)
}

/// For blocks that cannot be wired at all: the user's item comes back, and nothing else.
fn about_item(item: &str) -> Vec<String> {
    let file = handler("", item);
    assert!(generated(&file).is_empty());
    let given: Item = syn::parse_str(item).expect("an item");
    assert_eq!(file.items[0], given);
    messages(&file)
}

fn takes(option: &str, what: &str, example: &str) -> [String; 1] {
    [format!("`{option}` takes {what}\nhelp: write {example}")]
}

#[test]
fn not_an_impl_block() {
    for (item, what, name) in [
        ("pub struct Hall { size: u32 }", "a struct", "Hall"),
        ("enum Hall { Open }", "an enum", "Hall"),
        ("union Hall { a: u8 }", "a union", "Room"),
        ("trait Hall { }", "a trait", "Room"),
        ("fn join(&self) { }", "a function", "Room"),
        ("mod hall { }", "a module", "Room"),
        ("use hall::Room;", "this", "Room"),
    ] {
        let expected = format!(
            "`#[handler]` goes on an `impl` block, not on {what}\nhelp: write `#[handler] impl {name} {{ .. }}`"
        );
        assert_eq!(about_item(item), [expected]);
    }
}

#[test]
fn an_impl_of_a_trait() {
    let text =
        "`#[handler]` needs an inherent impl; this implements `Api`\nhelp: move the routes to `impl Room { .. }`";
    assert_eq!(about_item("impl Api for Room { fn join (& self) { } }"), [text]);
}

#[test]
fn a_type_without_a_name() {
    let text = "`#[handler]` needs a type that has a name\nhelp: write `impl Room { .. }` with a struct or an enum";
    assert_eq!(about_item("impl [u8] { pub fn join(&self) { } }"), [text]);
}

#[test]
fn a_component_that_borrows() {
    let text = "a component cannot borrow: it lives as long as the app\nhelp: own the data, or share it in an `Arc`";
    assert_eq!(about_item("impl<'a> Room<'a> { pub fn join(&self) { } }"), [text]);
    assert_eq!(about_item("impl Room<'_> { pub fn join(&self) { } }"), [text]);
    assert_eq!(about_item("impl<'a> Room { pub fn join(&self) { } }"), [text]);
}

#[test]
fn a_block_without_routes() {
    let text =
        "`#[handler] impl Room` exposes no routes\nhelp: mark methods `pub` (or `pub(crate)`), or remove the attribute";
    for item in ["impl Room { }", "impl Room { fn join(&self) { } pub(self) fn leave(&self) { } const SIZE: u8 = 1; }"]
    {
        assert_eq!(messages(&handler("", item)), [text]);
    }
    assert!(messages(&handler("", "impl Room { #[on(init)] fn open(&self) {} }")).is_empty());
}

#[test]
fn unknown_options() {
    let known = "expected one of `name`, `rename_all`, `codec`, `schema`, `crate`";
    assert_eq!(about_args(r#"nmae = "x""#), [format!("unknown option `nmae`, {known}\nhelp: did you mean `name`?")]);
    assert_eq!(
        about_args("rename = 7, zzz(a, b)"),
        [
            format!("unknown option `rename`, {known}\nhelp: did you mean `rename_all`?"),
            format!("unknown option `zzz`, {known}"),
        ]
    );
    assert_eq!(about_args("client = Rooms"), [format!("unknown option `client`, {known}")], "that is for remotes");
    let known = "expected one of `notify`, `concurrent`, `cancel`, `internal`, `code`, `timeout`";
    let text = format!("unknown option `concurent`, {known}\nhelp: did you mean `concurrent`?");
    assert_eq!(about("#[route(concurent)] pub fn join(&self) {}"), [text]);
    let text = "the name of a route is written without a key\nhelp: write `#[route(\"join\")]`";
    assert_eq!(about(r#"#[route(name = "x")] pub fn join(&self) {}"#), [text]);
    let text = "this is no option of `#[route]`\nhelp: write the name as a string, `#[route(\"join\")]`";
    assert_eq!(about("#[route(7)] pub fn join(&self) {}"), [text]);
}

#[test]
fn options_given_twice() {
    for (args, option) in [
        (r#"name = "a", name = "b""#, "name"),
        (r#"rename_all = "lowercase", rename_all = "lowercase""#, "rename_all"),
        ("codec = Json, codec(Json)", "codec"),
        ("crate = a, crate = b", "crate"),
        ("schema, schema", "schema"),
    ] {
        assert_eq!(about_args(args), [format!("`{option}` was already given\nhelp: keep one of the two")]);
    }
    for (args, option) in [
        ("notify, cancel, notify", "notify"),
        ("cancel, cancel", "cancel"),
        ("code = 1, code = 2", "code"),
        (r#"timeout = "1s", timeout = "1s""#, "timeout"),
    ] {
        let text = format!("`{option}` was already given\nhelp: keep one of the two");
        assert_eq!(about(&format!("#[route({args})] pub fn join(&self) {{}}")), [text]);
    }
    let text = "the name of the route was already given\nhelp: keep one of the two";
    assert_eq!(about(r#"#[route("a", "b")] pub fn join(&self) {}"#), [text]);
    assert_eq!(about_args("codec(Json, Json)"), ["this codec was already given\nhelp: name each codec once"]);
}

#[test]
fn values_of_the_wrong_kind() {
    for args in ["name", "name = 7", "name = Room", "name(\"room\")", "name =", "name = , codec = Json"] {
        assert_eq!(about_args(args), takes("name", "a string", "`name = \"room\"`"), "{args}");
    }
    for args in ["rename_all = lowercase", "rename_all"] {
        assert_eq!(about_args(args), takes("rename_all", "a string", "`rename_all = \"lowercase\"`"), "{args}");
    }
    for args in ["codec", "codec = \"json\"", "codec()", "codec(\"json\", Json)", "codec = 7"] {
        let example = "`codec = Json` or `codec(Json, Protobuf)`";
        assert_eq!(about_args(args), takes("codec", "a type or a list of types", example), "{args}");
    }
    for args in ["crate", "crate = \"a\"", "crate(a)"] {
        let file = handler(args, "impl Room { pub fn fine(&self) { } }");
        assert_eq!(messages(&file), takes("crate", "a path", "`crate = my_game::pitaya`"), "{args}");
        assert!(generated(&file).is_empty(), "no code about a crate that is not known");
    }
    for code in
        ["code", "code = 0", "code = 65536", "code = -1", "code = \"7\"", "code = SEVEN", "code(7)", "code = 1.5"]
    {
        let text = takes("code", "a number from 1 to 65535", "`code = 7`");
        assert_eq!(about(&format!("#[route({code})] pub fn join(&self) {{}}")), text, "{code}");
    }
}

#[test]
fn an_impl_trait_that_borrows() {
    let text = |name: &str| {
        format!(
            "handler `{name}` returns an `impl Trait` that borrows `self`, but its answer is sent after the call has ended"
        )
    };
    let help = |shown: &str| format!("\nhelp: write `{shown}`");
    let plain = text("join") + &help("impl Serialize + use<>");
    assert_eq!(about("pub fn join(&self) -> impl Serialize { 1 }"), [plain.as_str()]);
    assert_eq!(about("pub async fn join(&self) -> Result<impl Serialize> { 1 }"), [plain]);
    assert!(about("pub fn join(&self) -> impl Serialize + use<> { 1 }").is_empty());
    let file = handler("", "impl<S: Store, const N: usize> Room<S, N> { pub fn join(&self) -> impl Serialize { 1 } }");
    assert_eq!(messages(&file), [text("join") + &help("impl Serialize + use<S, N>")]);
}

/// The error of a method stands under the `#[cfg]` of the method: where it is not there, neither is the mistake.
#[test]
fn a_method_that_is_not_there_is_not_wrong() {
    let shown = |methods: &str| {
        let file = handler("", &format!("impl Room {{ {methods} pub fn fine(&self) {{}} }}"));
        let errors: Vec<_> = file.items.iter().filter(|item| super::message(item).is_some()).collect();
        errors.iter().map(|error| error.to_token_stream().to_string()).collect::<Vec<_>>()
    };
    for wrong in [
        "pub fn join(&mut self) {}",
        "#[route(nope)] pub fn join(&self) {}",
        "#[route(\"a.b\")] pub fn join(&self) {}",
        "pub fn join(&self, a: A, b: B) {}",
        "#[on(nope)] fn join(&self) {}",
        "#[route] fn join(&self) {}",
    ] {
        let found = shown(&format!("#[cfg(unix)] {wrong}"));
        assert!(found.len() == 1 && found[0].starts_with("# [cfg (unix)]"), "{wrong}: {found:?}");
    }
    let both = "pub fn join(&self, #[cfg(unix)] a: A, #[cfg(windows)] b: B) {}";
    let found = shown(both);
    assert!(found.len() == 1 && found[0].starts_with("# [cfg (all (unix , windows))]"), "{found:?}");
    assert!(shown("pub fn join(&self, #[cfg(unix)] a: A, #[cfg(not(unix))] b: B) {}").is_empty());
    let text = "`join` depends on more than 4 conditions\nhelp: write one method for each configuration, with `#[cfg]` on the method";
    let args = ["a", "b", "c", "d", "e"].map(|flag| format!("#[cfg({flag})] {flag}: &A, ")).concat();
    assert_eq!(about(&format!("pub fn join(&self, {args}) {{}}")), [text]);
}

#[test]
fn timeouts_that_are_none() {
    for timeout in ["timeout", "timeout = 2", "timeout = TWO", "timeout(\"2s\")", "timeout ="] {
        let text = takes("timeout", "a duration, as a string", "`timeout = \"2s\"`");
        assert_eq!(about(&format!("#[route({timeout})] pub fn join(&self) -> u8 {{ 1 }}")), text, "{timeout}");
    }
    for (timeout, why) in [("2", "has no unit after `2`"), ("", "is no duration"), ("25h", "is longer than 24h")] {
        let help = "help: write `timeout = \"2s\"`, `\"300ms\"` or `\"1m30s\"`";
        let text = format!("`timeout` takes a duration, and `{timeout}` {why}\n{help}");
        assert_eq!(about(&format!("#[route(timeout = \"{timeout}\")] pub fn join(&self) -> u8 {{ 1 }}")), [text]);
    }
    let text = "a notify has no answer to wait for\nhelp: drop `timeout`";
    assert_eq!(about("#[route(timeout = \"2s\")] pub fn join(&self) {}"), [text]);
    assert_eq!(about("#[route(notify, timeout = \"2s\")] pub fn join(&self) -> Answer<()> {}"), [text]);
}

#[test]
fn words_that_take_no_value() {
    let text = |word: &str| format!("`{word}` takes no value\nhelp: write `{word}` for yes, and nothing for no");
    assert_eq!(about_args("schema = true"), [text("schema")]);
    for word in ["notify", "concurrent", "cancel", "internal"] {
        assert_eq!(about(&format!("#[route({word} = false)] pub fn join(&self) {{}}")), [text(word)]);
        assert_eq!(about(&format!("#[route({word}(true), code = 7)] pub fn join(&self) {{}}")), [text(word)]);
    }
}

#[test]
fn options_without_a_comma() {
    assert_eq!(about_args(r#"name = "a" codec = Json"#), ["expected `,` between two options"]);
    assert_eq!(about("#[route(notify cancel)] pub fn join(&self) {}"), ["expected `,` between two options"]);
}

#[test]
fn helper_attributes_of_the_wrong_form() {
    let text = "`#[route]` takes its options in parentheses\nhelp: write `#[route(\"x\")]`";
    assert_eq!(about(r#"#[route = "x"] pub fn join(&self) {}"#), [text]);
    let text = "`#[route]` was already given\nhelp: write all options in one: `#[route(\"ping\", notify)]`";
    assert_eq!(about(r#"#[route("x")] #[route(notify)] pub fn join(&self) {}"#), [text]);
    let text = "`#[on]` was already given\nhelp: write one method for each hook";
    assert_eq!(about("#[on(init)] #[on(shutdown)] fn open(&self) {}"), [text]);
    for on in ["#[on]", "#[on()]", "#[on(init, shutdown)]", "#[on = \"init\"]", "#[on(\"init\")]"] {
        let text = "`#[on]` takes the name of one hook\nhelp: write `#[on(init)]`, and one method for each hook";
        assert_eq!(about(&format!("{on} fn open(&self) {{}}")), [text], "{on}");
    }
}

#[test]
fn an_unknown_rule() {
    let rules = "expected one of `lowercase`, `UPPERCASE`, `snake_case`, `SCREAMING_SNAKE_CASE`, `camelCase`, `PascalCase`, `kebab-case`";
    let text = format!("unknown rule `kebab`, {rules}\nhelp: did you mean `kebab-case`?");
    assert_eq!(about_args(r#"rename_all = "kebab""#), [text]);
    let text = format!("unknown rule `lowerCase`, {rules}\nhelp: did you mean `lowercase`?");
    assert_eq!(about_args(r#"rename_all = "lowerCase""#), [text]);
}

#[test]
fn names_that_no_wire_can_carry() {
    for (name, why, better) in [
        ("chat.room", "contain `.`: it separates `server.service.method`", "chat_room"),
        ("chat room", "contain a blank", "chat_room"),
        ("größe", "contain `ö`, only letters from A to Z, digits, `_` and `-`", "gr__e"),
        ("a\\0", "contain `\\0`, only letters from A to Z, digits, `_` and `-`", "a_"),
    ] {
        let text = format!("a service name cannot {why}\nhelp: write `name = \"{better}\"`");
        assert_eq!(about_args(&format!("name = \"{name}\"")), [text]);
        let text = format!("a route name cannot {why}\nhelp: write `#[route(\"{better}\")]`");
        assert_eq!(about(&format!("#[route(\"{name}\")] pub fn join(&self) {{}}")), [text]);
    }
    assert_eq!(about_args(r#"name = """#), ["a service name cannot be empty\nhelp: write `name = \"room\"`"]);
    assert_eq!(
        about(r#"#[route("")] pub fn x(&self) {}"#),
        ["a route name cannot be empty\nhelp: write `#[route(\"join\")]`"]
    );
    let text = "a route name cannot contain `ö`, only letters from A to Z, digits, `_` and `-`\nhelp: write `#[route(\"gr__e\")]`";
    assert_eq!(about("pub fn größe(&self) {}"), [text]);
}

#[test]
fn routes_longer_than_the_wire_allows() {
    let fits = format!("#[route(\"{}\")] pub fn join(&self) {{}}", "x".repeat(250));
    assert!(about(&fits).is_empty(), "`room.` and 250 bytes are 255");
    let long = format!("#[route(\"{}\")] pub fn join(&self) {{}}", "x".repeat(251));
    let text = "route `room.xxxxxxxxxxxxxxxxxxxxxxxx..` is 256 bytes, the wire allows 255\nhelp: give it a shorter name with `#[route(\"..\")]`";
    assert_eq!(about(&long), [text]);
    let text = "this service name is 254 bytes, the wire allows 255 for service and method\nhelp: give it a shorter `name = \"..\"`";
    assert_eq!(about_args(&format!("name = \"{}\"", "x".repeat(254))), [text]);
}

#[test]
fn receivers() {
    let help = "constructors belong in a plain `impl` block, or make it private";
    assert_eq!(about("pub fn new() -> Self { Self }"), [format!("handler `new` must take `&self`\nhelp: {help}")]);
    for receiver in ["&mut self", "&'a mut self", "self: &mut Self"] {
        let text = "handler `join` takes `&mut self`, but components are shared between sessions\nhelp: take `&self` and put the state behind a `Mutex`";
        assert_eq!(about(&format!("pub fn join({receiver}) {{}}")), [text], "{receiver}");
    }
    for receiver in ["self", "mut self", "self: Self", "self: Arc<Self>", "self: Box<Self>"] {
        let text = "handler `join` consumes the component, but components are shared between sessions\nhelp: take `&self` (or `self: &Arc<Self>`)";
        assert_eq!(about(&format!("pub fn join({receiver}) {{}}")), [text], "{receiver}");
    }
    assert_eq!(about("#[on(init)] fn open() {}"), ["hook `open` must take `&self`\nhelp: write `(&self)`"]);
}

#[test]
fn generic_methods() {
    let text = "handler `join` cannot be generic: a route has one payload type\nhelp: make it private and call it from a concrete one";
    for method in [
        "join<T>(&self, msg: T)",
        "join<'a, const N: usize>(&'a self)",
        "join(&self, msg: impl Message)",
        "join(&self, clock: &impl Clock)",
        "join(&self, msg: Vec<impl Message>)",
    ] {
        assert_eq!(about(&format!("pub fn {method} {{}}")), [text], "{method}");
    }
    let text = "hook `open` cannot be generic: nobody chooses its types\nhelp: make it private and call it from a concrete one";
    assert_eq!(about("#[on(init)] fn open<T>(&self) {}"), [text]);
}

#[test]
fn qualifiers() {
    for (before, word) in [("unsafe", "unsafe"), ("const", "const"), ("extern \"C\"", "extern")] {
        let text = format!(
            "handler `join` must not be `{word}`\nhelp: remove `{word}`, or make it private and call it from a plain method"
        );
        assert_eq!(about(&format!("pub {before} fn join(&self) {{}}")), [text]);
    }
}

#[test]
fn payloads() {
    let help = "put both fields in one struct that derives `Deserialize`, or borrow what comes from the framework";
    let text = format!("a handler takes at most one payload; `b` is the second\nhelp: {help}");
    assert_eq!(about("pub fn join(&self, a: A, session: &Session, b: B) {}"), [text]);
    let text = "a payload is owned: the bytes of the message are gone before the answer is\nhelp: use `String` for `&str`, `Vec<T>` for `&[T]`, or `'static`";
    assert_eq!(about("pub fn join(&self, msg: Cow<'_, str>) {}"), [text]);
    assert_eq!(about("pub fn join(&self, msg: Option<&str>) {}"), [text]);
    let text = "handler `join` can only borrow what the framework shares\nhelp: write `&Session`";
    assert_eq!(about("pub fn join(&self, session: &mut Session) {}"), [text]);
}

#[test]
fn answers() {
    let text = "handler `join` returns a borrow, but its answer is sent after the call has ended\nhelp: return an owned value, or `&'static`";
    assert_eq!(about("pub fn join(&self) -> &str { \"\" }"), [text]);
    assert_eq!(about("pub fn join<'a>(&'a self) -> Answer<Name<'a>> { todo!() }"), [text]);
    assert!(about("pub fn join(&self) -> &'static str { \"\" }").is_empty());
}

#[test]
fn values_that_nobody_waits_for() {
    for value in ["u32", "(u8, u8)", "[u8; 4]", "&'static str"] {
        let text = format!("a notify has nobody to send `{value}` to\nhelp: drop the return type or `notify`");
        assert_eq!(about(&format!("#[route(notify)] pub fn join(&self) -> {value} {{ todo!() }}")), [text]);
        let text = format!("hook `open` has nobody to send `{value}` to\nhelp: return nothing, or a `Result<()>`");
        assert_eq!(about(&format!("#[on(init)] fn open(&self) -> {value} {{ todo!() }}")), [text]);
    }
    for unsure in ["Joined", "Result<()>", "Result<u32>", "()"] {
        assert!(
            about(&format!("#[route(notify)] pub fn join(&self) -> {unsure} {{ todo!() }}")).is_empty(),
            "{unsure}"
        );
    }
}

#[test]
fn duplicates() {
    let found = about("pub fn join(&self) {} #[route(\"join\")] pub fn enter(&self) {}");
    let text = "route `join` is declared twice in this impl\nhelp: rename one with `#[route(\"..\")]`";
    assert_eq!(found, [text, "handler `join` is first declared here"]);
    let found = about("#[route(code = 7)] pub fn a(&self) {} #[route(code = 7)] pub fn b(&self) {}");
    assert_eq!(found, ["code 7 is already taken by route `a`\nhelp: give each route a code of its own"]);
    let apart = "#[cfg(unix)] pub fn os(&self) {} #[cfg(windows)] pub fn os(&self) {} #[on(init)] fn join(&self) {}";
    assert!(about(apart).is_empty(), "what `#[cfg]` keeps apart is no duplicate");
}

#[test]
fn a_route_that_cannot_be_one() {
    let text = "`#[route]` has no effect on a private method\nhelp: make `helper` `pub` (or `pub(crate)`) to expose it";
    assert_eq!(about("#[route(notify)] fn helper(&self) {}"), [text]);
    let text = "`open` is a hook and cannot be a route too\nhelp: remove `#[route]`, or expose a second method";
    assert_eq!(about("#[on(init)] #[route(\"x\")] pub fn open(&self) {}"), [text]);
}

#[test]
fn hooks() {
    let known =
        "expected one of `init`, `after_init`, `before_shutdown`, `shutdown`, `session_bound`, `session_closed`";
    assert_eq!(
        about("#[on(initt)] fn open(&self) {}"),
        [format!("unknown hook `initt`, {known}\nhelp: did you mean `init`?")]
    );
    assert_eq!(
        about("#[on(session)] fn open(&self) {}"),
        [format!("unknown hook `session`, {known}\nhelp: did you mean `session_bound`?")]
    );
    assert_eq!(about("#[on(banana)] fn open(&self) {}"), [format!("unknown hook `banana`, {known}")]);
    for (hook, lent) in [("init", "event: &AppEvent"), ("session_bound", "session: &Session")] {
        let text = format!(
            "hook `open` cannot take a payload: there is no message\nhelp: borrow what it needs, for example `{lent}`"
        );
        assert_eq!(about(&format!("#[on({hook})] fn open(&self, msg: Join) {{}}")), [text]);
    }
}

#[test]
fn too_many_codecs() {
    let text = "a block speaks at most 3 serializers\nhelp: take one out, or expose the routes with a second component";
    assert_eq!(about_args("codec(A, B, C, D)"), [text]);
    let file = handler("codec(A, B, C, D)", "impl Room { pub fn join(&self) { } }");
    let table = generated(&file)[0].to_token_stream().to_string();
    assert!(table.contains("Known < (A , B , C ,) , {"), "no second error about a set of four: {table}");
    assert!(about_args("codec(A, B, C)").is_empty());
}

#[test]
fn generic_codecs() {
    let help = "write `codec = Json`, or the name of your codec";
    for (codec, name) in [("C", "C"), ("Wrapped<C>", "C"), ("Self", "Self")] {
        let file = handler(&format!("codec = {codec}"), "impl<C> Room<C> { pub fn join(&self) {} }");
        assert_eq!(
            messages(&file),
            [format!("the codec of a block must be a concrete type, not `{name}`\nhelp: {help}")]
        );
        assert!(generated(&file).is_empty());
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let file = handler(
        "nmae = 7, codec",
        "impl<'a> Room<'a> { pub fn a() {} #[on(x)] #[route(y)] fn b(&mut self, c: impl D) -> u8 { 1 } fn c(&self) {} }",
    );
    let found = messages(&file);
    assert_eq!(found.len(), 9, "{found:#?}");
}

#[test]
fn one_mistake_does_not_hide_another() {
    let found = about("#[route(\"a.b\", notfy, code = 0)] pub fn join(&mut self) {}");
    assert_eq!(found.len(), 4, "name, option, code and receiver: {found:#?}");
    let found = messages(&handler(
        "name = \"a b\", codec = C",
        "impl<C> Room<C> { pub fn a(&self) {} #[route(\"a\")] pub fn b(&self) {} }",
    ));
    assert_eq!(found.len(), 4, "name, codec and the two ends of a duplicate: {found:#?}");
}

/// An editor asks while its user still types.
#[test]
fn nothing_makes_the_macro_panic() {
    let items = [
        "",
        "impl",
        "impl Room",
        "impl Room {",
        "fn",
        "pub fn x",
        "impl Room { pub fn }",
        "impl Room { pub fn join(&self); }",
        "impl Room { #[route] #[on] pub fn join(&self, ) -> { } }",
        "impl _ { pub fn __(&self) {} }",
        "impl r#type { pub fn r#fn(&self) {} }",
    ];
    for args in [
        "",
        "=",
        ",",
        ",,name",
        "name = = ",
        "codec(,)",
        "crate = ::",
        "7",
        "crate =, name",
        "rename_all(\"\") = 1 2 3",
    ] {
        for item in items {
            let (Ok(args), Ok(item)) = (args.parse(), item.parse()) else { continue };
            assert!(crate::expand(crate::model::Side::Handler, args, item).to_string().len() < 10_000);
        }
    }
}
