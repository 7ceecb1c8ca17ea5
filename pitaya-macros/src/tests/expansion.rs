//! One snapshot for each form and option. The text of a case is what a user writes.

use super::{file, handler};
use crate::model::Side;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};

/// Const evaluation of the compiler is slow and has a limit: it compares nothing that the macro can compare itself, and the
/// macro does not compare all pairs.
#[test]
fn a_block_of_five_thousand_routes_leaves_nothing_to_const_evaluation() {
    let method = |number: usize| format!("pub fn {:x<60}(&self) {{}} ", format!("route_{number}_"));
    let methods: String = (0..5_000).map(method).collect();
    let text = handler("", &format!("impl Room {{ {methods} }}")).to_token_stream().to_string();
    assert!(!text.contains("__pitaya :: check"), "no name stands twice");
    let twice =
        "#[cfg(unix)] #[route(code = 7)] pub fn os(&self) {} #[cfg(windows)] #[route(code = 7)] pub fn os(&self) {}";
    let text = handler("", &format!("impl Room {{ {methods} {twice} }}")).to_token_stream().to_string();
    let check = text.split("__pitaya :: check").nth(1).and_then(|rest| rest.split(';').next()).expect("a check");
    assert_eq!(check.matches("\"os\"").count(), 4, "two names and two codes: {check}");
    assert!(!check.contains("route_"), "and no other: {check}");
}

/// The closures of a constant are checked together: a long table is made of several constants.
#[test]
fn no_constant_has_more_than_64_rows() {
    let methods = |count: usize| (0..count).map(|i| format!("pub fn route{i}(&self) {{}} ")).collect::<String>();
    let calls = |count: usize| (0..count).map(|i| format!("async fn route{i}(&self); ")).collect::<String>();
    let block = |count| handler("", &format!("impl<S: Store> Room<S> {{ {} }}", methods(count))).to_token_stream();
    let contract = |count| {
        let item = format!("trait RoomApi {{ {} }}", calls(count));
        super::remote("client = false", &item).to_token_stream()
    };
    for text in [block(64), contract(64)].map(|tokens| tokens.to_string()) {
        assert!(!text.contains("__Rows"), "{text}");
    }
    for (tokens, of) in [(block(150), "for Room < S >"), (contract(150), "for __Server")] {
        let text = tokens.to_string();
        let mut constants = text.split("const ROWS :").skip(2);
        let found: Vec<usize> = constants.by_ref().map(|rows| rows.matches("| __call |").count()).collect();
        assert_eq!(found, [64, 64, 22], "{text}");
        assert!(text.contains(&format!("__Rows < 2 > {of}")), "{text}");
        let joined = text.split("joined ::").nth(1).expect("joined");
        let order: Vec<usize> =
            (0..3).filter_map(|i| joined.find(&format!("< Self as __Rows < {i} > > :: ROWS"))).collect();
        assert!(order.len() == 3 && order.is_sorted(), "{joined}");
        assert_eq!(joined.matches("| __call |").count(), 0, "no row is left in the table itself");
    }
}

macro_rules! cases {
    ($($(#[$about:meta])* $name:ident: $args:literal, $item:literal;)*) => {
        /// Each case: name, arguments of the attribute, item.
        pub(super) const CASES: &[(&str, &str, &str)] = &[$((stringify!($name), $args, $item)),*];
        $($(#[$about])* #[test] fn $name() {
            snapshot(stringify!($name), concat!("handler(", $args, ")"), &handler($args, $item));
        })*
    };
}

cases! {
    /// Sync and async, with and without payload, all three kinds of answer.
    basic: "", r#"
        impl Room {
            pub async fn join(&self, msg: Join) -> Answer<Joined> { self.enter(msg).await }
            pub(crate) fn count(&self) -> u32 { 7 }
            pub async fn say(&self, msg: Say) { self.send(msg).await }
            pub(super) fn touch(&self) -> () {}
            fn helper(&self) {}
        }"#;
    raw_bytes: "", r#"
        impl Room {
            #[route("ping")] pub fn pong(&self, raw: Raw) -> Raw { raw }
            pub async fn r#type(&self, Raw(bytes): Raw) -> Answer<Raw> { Ok(Raw(bytes)) }
        }"#;
    borrowed_arguments: "", r#"
        impl Room {
            pub fn plain(&self, session: &Session, msg: Join, cx: &Context) -> u32 { 1 }
            pub async fn objects<'a>(&'a self, clock: &'a (dyn Clock + Send + 'a), _: &crate::World, row: &Cursor<'a, 'static>) {}
        }"#;
    shared_receiver: "", r#"
        impl Room {
            pub async fn keep(self: &Arc<Self>) {}
            pub fn look(self: &Self) {}
        }"#;
    generic_component: r#"name = "shelf""#, r#"
        impl<S: Store, const N: usize> Shelf<S, N> where S::Key: Clone {
            pub async fn get(&self, key: S::Key) -> Answer<S::Item> { self.0.get(key) }
        }"#;
    conditional_methods: "", r#"
        #[cfg(feature = "chat")]
        impl Room {
            #[cfg(unix)] pub fn os(&self) -> Name { Name::Unix }
            #[cfg(not(unix))] #[cfg(windows)] pub fn os(&self) -> Name { Name::Windows }
            #[cfg_attr(test, inline)] pub fn same(&self) {}
            #[cfg(unix)] #[on(init)] fn open(&self) {}
        }"#;
    /// A row for each configuration, with a check only of those that `#[cfg]` keeps apart.
    conditional_arguments: "", r#"
        impl Room {
            pub async fn join(&self, #[cfg(unix)] msg: Join, #[cfg(not(unix))] raw: Raw, session: &Session) -> u8 { 1 }
            pub fn leave(&self) {}
        }"#;
    conditional_helpers: "", r#"
        impl Room {
            #[cfg_attr(unix, inline, route("enter", code = 7))] pub fn join(&self) {}
            #[cfg(windows)] #[cfg_attr(test, on(init))] fn open(&self) {}
        }"#;
    renamed: r#"rename_all = "camelCase""#, r#"
        impl ChatRoom {
            pub fn join_room(&self) {}
            #[route("leave_room")] pub fn leave(&self) {}
        }"#;
    named_like_in_go: r#"name = "Room", rename_all = "lowercase""#, r#"
        impl ChatRoom { pub fn join_room(&self) {} }"#;
    several_codecs: "codec(Json, crate::MsgPack<u8>)", r#"
        impl Room { pub fn join(&self, msg: Join) -> Joined { msg.into() } }"#;
    own_codec: "codec = Loud", r#"
        impl Room { pub fn join(&self, msg: Join) -> Joined { msg.into() } }"#;
    schemas: "schema", r#"
        impl<S: Store> Shelf<S> {
            pub async fn get(&self, key: S::Key) -> Answer<S::Item> { self.0.get(key) }
            #[cfg(unix)] pub fn put(&self, item: S::Item) {}
            pub fn all(&self) -> impl Items + use<> { self.0.all() }
        }"#;
    crate_path: "crate = crate::reexported::pitaya", r#"
        impl Room { pub async fn join(&self, session: &Session, msg: Join) -> Joined { msg.into() } #[on(init)] fn open(&self) {} }"#;
    route_options: "", r#"
        impl Room {
            #[route(notify)] pub fn hush(&self) -> Answer<()> { Err(Refused) }
            #[route("all", notify, concurrent, cancel, internal, code = 0x07)] pub async fn every(&self) {}
            #[route(code = 65535, timeout = "1m30s")] pub fn last(&self) -> u8 { 1 }
        }"#;
    lifecycle: "", r#"
        impl Room {
            #[on(init)] async fn open(&self, event: &AppEvent) -> Answer<()> { Ok(()) }
            #[on(after_init)] fn ready(&self) {}
            #[on(before_shutdown)] async fn drain(self: &Arc<Self>) {}
            #[on(shutdown)] pub fn close(&self) {}
            #[on(session_bound)] fn bound(&self, session: &Session) {}
            #[on(session_closed)] async fn left(&self, session: &Session) {}
        }"#;
    documented: "", r#"
        impl Room {
            /// Joins the room.
            ///
            /// Answers with "who" is there.
            pub fn join(&self) -> Joined { Joined }
            #[doc = include_str!("leave.md")]
            /** Leaves. */
            pub fn leave(&self) {}
        }"#;
    deprecated_method: "", r#"
        impl Room { #[deprecated] pub fn join(&self) {} }"#;

    /// The broken method is left out, its neighbours are wired.
    recovers_from_a_broken_method: "", r#"
        impl Room {
            pub fn new() -> Self { Self }
            #[route(notfy)] pub fn hush(&self) {}
            #[on(initt)] fn open(&self) {}
            pub fn join(&self) -> Joined { Joined }
        }"#;
    /// The broken options count as not given, the others count.
    recovers_from_a_broken_option: r#"nmae = "x", codec(), rename_all = "UPPERCASE""#, r#"
        impl Room { pub fn join(&self) -> Joined { Joined } }"#;
    recovers_from_a_duplicate: "", r#"
        impl Room { pub fn join(&self) -> u8 { 1 } #[route("join")] pub fn enter(&self) -> u16 { 2 } }"#;
    recovers_from_a_trait_impl: "", r#"
        impl Api for Room { #[route("ping")] fn pong(&self) {} }"#;
    recovers_from_a_struct: "", "pub struct Room { members: u32 }";
    recovers_from_a_component_that_borrows: "", r#"
        impl<'a> Room<'a> { #[route("ping")] pub fn pong(&self) {} }"#;
    recovers_from_a_lost_crate: "crate = 7", "impl Room { pub fn pong(&self) {} }";
}

/// A `macro_rules!` hands its types over in groups that nobody sees.
#[test]
fn made_by_a_macro() {
    let group = |tokens| TokenStream::from(TokenTree::Group(Group::new(Delimiter::None, tokens)));
    let (ty, payload, lent) = (group(quote!(Shelf<S>)), group(quote!(Key)), group(quote!(&Session)));
    let (name, unit, vis) = (group(quote!("fetch")), group(quote!(())), group(quote!()));
    let item = quote! {
        impl<S> #ty {
            #[route(#name)] pub async fn get(&self, session: #lent, key: #payload) -> #unit {}
            #vis fn helper(&self) {}
        }
    };
    snapshot("made_by_a_macro", "handler(name = $name)", &file(Side::Handler, quote!(name = #name), item));
}

/// `attr` is the attribute as it stands there.
pub(super) fn snapshot(name: &str, attr: &str, output: &syn::File) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(format!("#[{attr}]"));
    settings.bind(|| insta::assert_snapshot!(name, prettyplease::unparse(output)));
}

/// The budget of the design: 15 lines a row, its description among them, whatever its form and its options are.
#[test]
fn a_row_is_short() {
    let body = "{ self.enter(msg) }";
    for (args, method) in [
        ("", "pub async fn join(&self, msg: Join) -> Answer<Joined>"),
        ("", "pub fn join(self: &Arc<Self>, Raw(bytes): Raw) -> Raw"),
        ("", "pub async fn join(&self, cx: &Context, world: &(dyn World + Send), msg: Join) -> Joined"),
        ("codec(Json, Protobuf)", "#[cfg(unix)] pub async fn join(&self, session: &Session, msg: Join) -> Joined"),
        ("schema", "/// Joins.\npub async fn join(&self, session: &Session, msg: Join) -> Answer<Joined>"),
        (
            "",
            "/// Joins.\n#[route(\"come\", code = 65535, concurrent, cancel)] pub async fn join(&self, session: &Session, cx: &Context, msg: Join) -> Answer<Joined>",
        ),
        (
            "",
            "/// Joins.\n#[route(notify, code = 65535, concurrent, cancel, internal)] pub async fn join(&self, session: &Session, msg: Join) -> Answer<()>",
        ),
    ] {
        let block = |more: &str| {
            lines(&handler(args, &format!("impl Room {{ pub fn one(&self, msg: Join) -> Joined {{}} {more} }}")))
        };
        let found = block(&format!("{method} {body}")) - block("");
        assert!(found <= 15, "{found} lines: #[handler({args})] {method}");
    }
}

pub(super) fn lines(file: &syn::File) -> usize {
    let generated = super::generated(file).iter().map(|item| item.to_token_stream()).collect();
    prettyplease::unparse(&syn::parse2(generated).expect("items")).lines().count()
}
