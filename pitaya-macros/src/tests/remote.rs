//! `#[remote]`: the table and the stub of a block, the contract and who serves it, and the mistakes in each.

use super::{expansion::lines, expansion::snapshot, generated, messages, methods, remote, users};
use quote::ToTokens;
use syn::{File, ImplItem, Item};

macro_rules! cases {
    ($($(#[$about:meta])* $name:ident: $args:literal, $item:literal;)*) => {
        /// Each case: name, arguments of the attribute, item.
        pub(super) const CASES: &[(&str, &str, &str)] = &[$((stringify!($name), $args, $item)),*];
        $($(#[$about])* #[test] fn $name() {
            let name = concat!("remote_", stringify!($name));
            snapshot(name, concat!("remote(", $args, ")"), &remote($args, $item));
        })*
    };
}

cases! {
    /// The table and the stub.
    block: "", r#"
        impl Room {
            /// Lists the members of the room.
            pub async fn members(&self, req: MembersRequest) -> Answer<MembersReply> { self.all(req).await }
            pub(crate) fn count(&self, cx: &RemoteContext) -> Answer<Count> { Ok(Count { n: 7 }) }
            pub async fn left(&self, req: MembersRequest) { self.gone(req) }
            #[route("poke", notify)] pub(super) fn touch(&self) -> Answer<()> { Ok(()) }
            fn helper(&self) {}
        }"#;
    options: r#"name = "hall", rename_all = "camelCase", codec = Loud, client = Halls, crate = crate::pitaya"#, r#"
        impl Room {
            #[cfg(unix)] pub(crate) fn members_of(&self, req: Name) -> Answer<Members> { self.all(req) }
            #[deprecated] #[route("new")] pub(super) fn create(&self) {}
        }"#;
    without_a_stub: "client = false", r#"
        impl<S: Store, const N: usize> Shelf<S, N> {
            pub fn new(&self, key: S::Key) -> Item { self.0.get(key) }
        }"#;
    generic_component: "", r#"
        #[cfg(unix)]
        impl<S: Store> Shelf<S> where S: Clone {
            pub async fn get(&self, key: Key) -> Answer<Item> { self.0.get(key) }
        }"#;
    lifecycle: "", r#"
        impl Room {
            #[on(init)] async fn open(&self, rpc: &Rpc) -> Answer<()> { Ok(()) }
            pub fn touch(&self) {}
        }"#;
    contract: "", r#"
        /// Remotes of rooms, for other servers.
        pub trait RoomApi {
            /// Lists the members of the room.
            async fn members(&self, req: MembersRequest) -> Answer<MembersReply>;
            #[route("gone", notify)] fn left(&self, caller: &RemoteContext) -> Answer<()>;
            async fn touch(&self) { drop(self) }
            const SIZE: usize = 4;
        }"#;
    contract_options: r#"name = "room", rename_all = "lowercase", codec = crate::Json, client = false, crate = foo"#, r#"
        #[cfg(unix)]
        trait RoomApi: Clone { async fn members_of(&self) -> Answer<Members>; }"#;
    server: "", r#"
        impl crate::RoomApi for Room {
            async fn members(&self, req: MembersRequest) -> Answer<MembersReply> { Ok(self.all(req)) }
        }"#;
    generic_server: "crate = foo", r#"
        #[cfg(unix)]
        impl<S: Store> Api for Shelf<S> where S: Clone { fn members(&self) {} }"#;

    schemas: "schema", r#"
        impl Room {
            pub async fn members(&self, req: Name) -> Answer<Members> { self.all(req).await }
            #[cfg(unix)] pub fn left(&self, req: Name) {}
            #[route(notify)] pub fn gone(&self) -> Answer<()> { Ok(()) }
        }"#;
    contract_schemas: "schema, client = false", r#"
        trait RoomApi { async fn members_of(&self, req: Name) -> Answer<Members>; }"#;

    /// The table has it, the stub has not.
    recovers_from_a_reserved_name: "", r#"
        impl Room { pub fn new(&self) -> Answer<Count> { Ok(7) } pub fn fine(&self) {} }"#;
    recovers_from_a_generic_contract: "", r#"
        pub trait RoomApi<T> { #[route("ping")] async fn pong(&self, t: T); }"#;
    recovers_from_a_server_with_options: r#"name = "x""#, r#"
        impl Api for Room { #[route("ping")] async fn pong(&self) {} #[on(init)] fn open(&self) {} }"#;
}

/// The budget of the design: 15 lines a row with its description, 25 with its method of the stub.
#[test]
fn a_row_with_its_stub_is_short() {
    for method in [
        "/// All.\npub async fn all(&self, rpc: &Rpc, req: Req) -> Answer<Reply>",
        "/// All.\n#[cfg(unix)] #[route(\"al\")] pub fn all(&self, cx: &RemoteContext, rpc: &Rpc, req: Req) -> Answer<Reply>",
        "/// All.\n#[route(notify)] pub(in crate::a) async fn all(&self, cx: &RemoteContext, req: Req) -> Answer<()>",
    ] {
        for (args, budget) in [("client = false", 15), ("", 25)] {
            let block = |more: &str| lines(&remote(args, &format!("impl Room {{ pub fn one(&self) {{}} {more} }}")));
            let found = block(&format!("{method} {{ 1 }}")) - block("");
            assert!(found <= budget, "{found} lines: #[remote({args})] {method}");
        }
    }
}

/// Messages of the macro about these methods. Next to them stands one that is right: it is wired all the same.
fn about(methods: &str) -> Vec<String> {
    about_all("", methods)
}

fn about_all(args: &str, written: &str) -> Vec<String> {
    let item = format!("impl Room {{ {written} pub fn fine(&self, msg: Fine) -> Answer<u8> {{ 1 }} }}");
    let file = remote(args, &item);
    let text = users(&file).to_token_stream().to_string();
    assert_eq!(methods(users(&file)).len(), item.matches("fn ").count(), "the user's methods are all there: {text}");
    let table = self::text(&file);
    assert!(table.contains("Self :: fine (__this , __payload)"), "the method that is right is wired: {table}");
    messages(&file)
}

/// The methods of the stub.
fn stub(file: &File) -> Vec<String> {
    let blocks = generated(file).into_iter().filter_map(|item| match item {
        Item::Impl(item) => Some(&item.items),
        _ => None,
    });
    let names = blocks.flatten().filter_map(|item| match item {
        ImplItem::Fn(method) => Some(method.sig.ident.to_string()),
        _ => None,
    });
    names.collect()
}

#[test]
fn names_of_the_stub_are_reserved() {
    assert!(about("pub fn r#on(&self) {}")[0].starts_with("`on` conflicts with the generated `RoomClient::on`"));
    for (name, other) in [("new", "create"), ("on", "turn_on"), ("within", "inside")] {
        let text = format!(
            "`{name}` conflicts with the generated `RoomClient::{name}`\n\
             help: name the method otherwise and keep the route: `#[route(\"{name}\")] fn {other}`"
        );
        assert_eq!(about(&format!("pub fn {name}(&self) {{}}")), [text]);
        assert!(about_all("client = false", &format!("pub fn {name}(&self) {{}}")).is_empty());
        assert!(about(&format!("#[route(\"{name}\")] pub fn {other}(&self) {{}}")).is_empty());
    }
    let file = remote("client = Rooms", "impl Room { pub fn on(&self) {} pub fn off(&self) {} }");
    assert!(messages(&file)[0].contains("`Rooms::on`"));
    assert_eq!(stub(&file), ["new", "on", "within", "off"]);
}

#[test]
fn a_stub_knows_concrete_types_only() {
    let text = |name: &str| {
        format!(
            "a client stub cannot know `{name}`\nhelp: name a concrete type, put the contract in a `#[remote]` trait, \
             or write `#[remote(client = false)]`"
        )
    };
    let file = remote(
        "",
        "impl<S: Store, const N: usize> Shelf<S, N> {
            pub fn get(&self, key: S::Key) -> Answer<u8> { 1 }
            pub fn all(&self) -> Answer<[u8; N]> { 1 }
            pub fn this(&self) -> Answer<Self> { 1 }
            pub fn put(&self, item: Vec<S::Item>) {}
            pub fn fine(&self, cx: &S) -> Answer<u8> { 1 }
            #[route(notify)] pub fn told(&self) -> Result<(), S::Error> { Ok(()) }
        }",
    );
    assert_eq!(messages(&file), [text("S"), text("N"), text("Self"), text("S")]);
    assert_eq!(stub(&file), ["new", "on", "within", "fine", "told"], "nobody hears of the error of a notify");
}

#[test]
fn options_of_a_remote() {
    let fine = |args: &str| about_all(args, "");
    let usage = "`client` takes a name for the stub, or `false` for none\nhelp: write `client = Rooms`";
    for args in ["client", "client = true", "client = \"Rooms\"", "client = 7", "client()"] {
        assert_eq!(fine(args), [usage], "{args}");
    }
    assert_eq!(fine("schema, schema"), ["`schema` was already given\nhelp: keep one of the two"]);
    assert_eq!(fine("client = A, client = B"), ["`client` was already given\nhelp: keep one of the two"]);
    let unknown = "unknown option `clent`, expected one of `name`, `rename_all`, `codec`, `schema`, `crate`, `client`\n\
                   help: did you mean `client`?";
    assert_eq!(fine("clent = A"), [unknown]);
    let one = "remotes speak one serializer: a caller has no way to choose\n\
               help: write `codec = Protobuf`, or expose the others with a second component";
    assert_eq!(fine("codec(Json, Protobuf)"), [one]);
    let set = text(&remote("codec(Json, Protobuf)", "impl Room { pub fn fine(&self) {} }"));
    assert!(set.contains("< (Json ,)") && !set.contains("Protobuf"), "no second error about a set of two: {set}");
    let taken = "the service `sys` is the framework's own\nhelp: give it another `name = \"..\"`";
    assert_eq!(fine("name = \"sys\""), [taken]);
}

#[test]
fn options_of_a_route_that_are_about_clients() {
    for flag in ["concurrent", "cancel", "internal"] {
        let text = format!("`{flag}` has no effect on a remote: it is about the messages of clients\nhelp: remove it");
        assert_eq!(about(&format!("#[route({flag})] pub fn touch(&self) {{}}")), [text]);
    }
    let timeout = "`timeout` has no effect on a remote: it is about the messages of clients\nhelp: remove it";
    assert_eq!(about("#[route(timeout = \"2s\")] pub fn touch(&self) {}"), [timeout]);
    let code = "`code` has no effect on a remote: it is about the messages of clients\nhelp: remove it";
    assert_eq!(about("#[route(code = 7)] pub fn touch(&self) {}"), [code]);
}

/// A description with an option that has no effect would promise something.
#[test]
fn a_remote_with_an_option_about_clients_is_left_out() {
    let file = remote("", "impl Room { #[route(concurrent)] pub fn touch(&self) {} pub fn fine(&self) {} }");
    assert!(!text(&file).contains("touch") && text(&file).contains("fine"), "{}", text(&file));
}

#[test]
fn the_rules_of_handlers_with_the_other_word() {
    for (method, text) in [
        ("pub fn make() -> Self { Self }", "remote `make` must take `&self`"),
        ("pub fn change(&mut self) {}", "remote `change` takes `&mut self`, but components are shared"),
        (
            "pub fn both(&self, a: A, b: B) {}",
            "a remote takes at most one payload; `b` is the second\n\
             help: put both fields in one struct that derives `prost::Message`",
        ),
        ("pub fn any<T>(&self, t: T) {}", "remote `any` cannot be generic: a route has one payload type"),
        ("pub unsafe fn cut(&self) {}", "remote `cut` must not be `unsafe`"),
        ("#[route(notify)] pub fn n(&self) -> u8 { 1 }", "a notify has nobody to send `u8` to"),
        ("#[route] fn hidden(&self) {}", "`#[route]` has no effect on a private method"),
    ] {
        let found = about(method);
        assert!(found.len() == 1 && found[0].starts_with(text), "{found:?}");
    }
    let twice = about("pub fn a(&self) {} #[route(\"a\")] pub fn b(&self) {}");
    assert_eq!(twice[1], "remote `a` is first declared here");
}

#[test]
fn neither_a_block_nor_a_trait() {
    let file = remote("", "struct Room;");
    let text =
        "`#[remote]` goes on an `impl` block or a trait, not on a struct\nhelp: write `#[remote] impl Room { .. }`";
    assert_eq!(messages(&file), [text]);
    assert!(generated(&file).is_empty());
}

#[test]
fn a_contract_is_a_contract_and_no_more() {
    let about = |item: &str| messages(&remote("", item));
    let hook = "a contract has no hooks: they are the server's own business\n\
                help: put the hook into a `#[handler]` block of the server's type";
    assert_eq!(about("trait Api { #[on(init)] fn open(&self); }"), [hook]);
    assert_eq!(
        about("trait Api { }"),
        ["`#[remote] trait Api` exposes no routes\nhelp: declare methods in it, or remove the attribute"]
    );
    let generic = "a contract cannot be generic: its callers would have to know the server's types\n\
                   help: name concrete types; the type that implements the trait may be generic";
    assert_eq!(about("trait Api<T> { fn a(&self); }"), [generic]);
    let unknown = "a client stub cannot know `Self`\nhelp: name a concrete type, put the contract in a `#[remote]` trait, \
                   or write `#[remote(client = false)]`";
    assert_eq!(about("trait Api { fn a(&self, key: Self::Key); type Key; }"), [unknown]);
    let twice = about("trait Api { fn a(&self); #[route(\"a\")] fn b(&self); }");
    assert_eq!((twice.len(), &*twice[1]), (2, "remote `a` is first declared here"));
    let long = about(&format!("trait Api {{ #[route(\"{}\")] fn a(&self); }}", "x".repeat(252)));
    assert!(long.len() == 1 && long[0].starts_with("route `api.xxxx"), "{long:?}");
    let receiver = "remote `a` must take `&self`\nhelp: write `(&self)`, or move it to where the attribute is not";
    assert_eq!(about("trait Api { fn a(); fn b(&self); }"), [receiver]);
}

#[test]
fn a_server_adds_nothing_to_its_contract() {
    let about = |args: &str, item: &str| messages(&remote(args, item));
    for option in ["name = \"x\"", "rename_all = \"lowercase\"", "codec = Json", "client = Rooms", "schema"] {
        let key = option.split(' ').next().expect("a key");
        let text =
            format!("`{key}` belongs to the contract, not to its server\nhelp: write it where `my::Api` is declared");
        assert_eq!(about(option, "impl my::Api for Room { fn a(&self) {} }"), [text]);
    }
    let route = "`#[route]` belongs to the contract, not to its server\nhelp: move it to the method in `Api`";
    assert_eq!(about("", "impl Api for Room { #[route(\"b\")] fn a(&self) {} }"), [route]);
    let borrows = "a component cannot borrow: it lives as long as the app\nhelp: own the data, or share it in an `Arc`";
    assert_eq!(about("", "impl<'a> Api for Room<'a> { fn a(&self) {} }"), [borrows]);
}

/// The block or the trait comes back as it was, and nothing else.
#[test]
fn what_cannot_be_wired_as_a_whole_is_given_back() {
    for (args, item) in [
        ("crate = 7", "trait Api { fn a(&self); }"),
        ("crate = 7", "impl Api for Room { fn a(&self) {} }"),
        ("crate = 7", "impl Room { pub fn a(&self) {} }"),
        ("", "impl<'a> Api for Room<'a> { fn a(&self) {} }"),
        ("", "impl Api for [u8] { fn a(&self) {} }"),
        ("", "trait Api<T> { fn a(&self); }"),
    ] {
        let file = remote(args, item);
        let given: Item = syn::parse_str(item).expect("an item");
        assert_eq!(
            (&file.items[0], messages(&file).len(), file.items.len()),
            (&given, 1, 2),
            "#[remote({args})] {item}"
        );
    }
    let unknown = messages(&remote("nmae = 1", "impl Api for Room { fn a(&self) {} }"));
    assert_eq!(unknown.len(), 1, "an unknown option belongs to nobody: {unknown:?}");
}

#[test]
fn a_contract_keeps_what_stands_on_it() {
    let all = |item: &str| remote("", item).into_token_stream().to_string();
    assert!(!all("trait Api { fn a(&self); }").contains("deprecated"));
    for item in ["trait Api { #[deprecated] fn a(&self); }", "#[allow(deprecated)] trait Api { fn a(&self); }"] {
        assert!(all(item).contains("# [allow (deprecated)] const __REMOTE_CONTRACT"), "{item}");
    }
    let stub = text(&remote("", "#[cfg(unix)] trait Api { fn a(&self); }"));
    assert_eq!(stub.matches("# [cfg (unix)]").count(), 3, "the type, its codecs and its methods: {stub}");
}

/// The generated code.
fn text(file: &File) -> String {
    generated(file).iter().map(|item| item.to_token_stream().to_string()).collect()
}
