//! How an `impl` block becomes a table of routes.
//!
//! This crate translates: it emits paths and names, and knows nothing of what a route does. Whatever generated code
//! would have to decide is decided by a function of the core. Users get the attributes from `pitaya_runtime`.
//!
//! The path of a block: `parse` takes it apart, `check` applies the rules and builds the `model`, `emit` writes
//! the model down. Mistakes are collected on the way (`errors`) and reported together.

mod args;
mod check;
mod emit;
mod errors;
mod model;
mod parse;
mod rename;
mod types;

#[cfg(test)]
mod tests;

use errors::Errors;
use model::Side;
use proc_macro::TokenStream;
use quote::{ToTokens, quote};

/// Makes the methods of an `impl` block callable by clients.
///
/// Each method that is not private becomes a **route**; each method with `#[on(..)]` becomes a **hook**; private methods
/// are left alone. The block itself stays as it is.
///
/// ```ignore
/// #[handler]
/// impl Room {
///     /// Joins the room. This text becomes the documentation of the route.
///     pub async fn join(&self, session: &Session, msg: Join) -> Result<Joined> {
///         session.bind(&msg.name).await?;
///         Ok(Joined { members: self.members().await? })
///     }
///
///     /// No answer: a notify.
///     pub async fn say(&self, cx: &Context, msg: Say) {
///         self.broadcast(cx, &msg.text).await;
///     }
///
///     /// Not `async`, and bytes that nobody decodes or encodes.
///     #[route("ping")]
///     pub fn pong(&self, raw: Raw) -> Raw {
///         raw
///     }
///
///     #[on(init)]
///     async fn open(&self) -> Result<()> {
///         self.groups.create("room").await
///     }
///
///     fn helper(&self) {}
/// }
/// ```
///
/// The component is then mounted: `Builder::handlers(Room::new())`.
///
/// # Methods
///
/// | part | may be |
/// |---|---|
/// | visibility | `pub`, `pub(crate)`, `pub(super)`, `pub(in ..)`: a route; none or `pub(self)`: a helper |
/// | `self` | `&self` or `self: &Arc<Self>`; components are shared, so state that changes sits behind a lock |
/// | borrowed arguments, `&X` or `&dyn X` | any number, anywhere: the framework lends them (`&Session`, `&Context`, and whatever implements `FromContext`) |
/// | owned argument | at most one: the payload, read from the message with the codec of the block; `Raw` takes the bytes untouched |
/// | `async` | or not; a method that is not `async` runs without a future |
/// | return type | none: a notify. `T` or `Result<T, E>`, also through an alias, where `E: Into<Error>`: a request, answered with `T` or with the error |
/// | generics | lifetimes only; the block may be generic, with any bounds |
/// | `#[cfg]` | copied to whatever is generated for the method |
///
/// # Options of the block
///
/// | `#[handler(..)]` | meaning | default |
/// |---|---|---|
/// | `name = "room"` | the name of the service | the type's name in `snake_case` |
/// | `rename_all = "lowercase"` | how method names become route names: `lowercase`, `UPPERCASE`, `snake_case`, `SCREAMING_SNAKE_CASE`, `camelCase`, `PascalCase`, `kebab-case` | as written |
/// | `codec = Json` | the serializer of payloads and answers, a type | `Json` |
/// | `codec(Json, Protobuf)` | several serializers, at most three; the app chooses one when it mounts the component | |
/// | `schema` | descriptions of the routes carry JSON Schemas of payloads and answers, which implement `schemars::JsonSchema`; needs the feature `schema` of `pitaya-runtime` | |
/// | `crate = path` | where `pitaya_runtime` is found | `::pitaya_runtime` |
///
/// ```ignore
/// #[handler(name = "lobby", rename_all = "lowercase", codec(Json, Protobuf), crate = my_game::pitaya)]
/// impl WaitingRoom {
///     /// The route `lobby.takeseat`.
///     pub fn take_seat(&self, seat: Seat) -> Seat {
///         seat
///     }
/// }
/// ```
///
/// # Options of a route
///
/// | `#[route(..)]` | meaning |
/// |---|---|
/// | `"ping"` | the name of the route, whatever `rename_all` says |
/// | `notify` | no answer is sent, though the method returns a `Result<(), E>`; its error is logged |
/// | `concurrent` | the next message of the session need not wait for this one |
/// | `cancel` | the method is dropped where it stands when the client leaves; otherwise it runs to its end |
/// | `internal` | hidden from clients: to them the route does not exist |
/// | `code = 7` | the code of the route in the dictionary, 1 to 65535; otherwise one is assigned |
///
/// All are optional and come in any order. Names of services and routes consist of letters from A to Z, digits, `_` and
/// `-`; `service.method` has at most 255 bytes.
///
/// ```ignore
/// #[handler]
/// impl Room {
///     #[route("move", notify, concurrent, cancel, internal, code = 7)]
///     pub async fn step(&self, session: &Session, step: Step) -> Result<()> {
///         self.world.step(session.uid(), step).await
///     }
/// }
/// ```
///
/// # Hooks
///
/// A hook is never a route, whatever its visibility. It has no payload, and returns nothing or a `Result<(), E>`.
///
/// | `#[on(..)]` | called | lends |
/// |---|---|---|
/// | `init` | before the app listens, in the order of mounting | `&AppEvent` |
/// | `after_init` | after every `init`, in the order of mounting | `&AppEvent` |
/// | `before_shutdown` | when the app stops, in the reverse order of mounting | `&AppEvent` |
/// | `shutdown` | after every `before_shutdown`, in the reverse order of mounting | `&AppEvent` |
/// | `session_bound` | when a session gets its user id | `&Session`, `&SessionEvent` |
/// | `session_closed` | when a session has ended | `&Session`, `&SessionEvent` |
///
/// ```ignore
/// #[handler]
/// impl Room {
///     #[on(init)]
///     async fn open(&self, event: &AppEvent) -> Result<()> { self.groups.create("room").await }
///     #[on(after_init)]
///     fn ready(&self) {}
///     #[on(before_shutdown)]
///     async fn drain(&self) {}
///     #[on(shutdown)]
///     async fn close(&self) -> Result<()> { self.groups.delete("room").await }
///     #[on(session_bound)]
///     fn bound(&self, session: &Session) { self.count.fetch_add(1, Relaxed); }
///     #[on(session_closed)]
///     async fn left(&self, session: &Session) { self.groups.remove("room", session.uid()).await; }
/// }
/// ```
///
/// # Limits
///
/// A type has one `#[handler]` block: a second one is a conflicting implementation of `Handlers` (E0119). A component
/// has no lifetime parameters, and a codec does not depend on the block's type parameters.
///
/// # Expansion
///
/// <details><summary>What is generated</summary>
///
/// For a block with one route, `join`, and one hook, `open`:
///
/// ```ignore
/// impl Room { /* as written, without `#[route]` and `#[on]` */ }
///
/// const _: () = {
///     use ::pitaya_runtime::__private as __pitaya;
///     use __pitaya::Plain as _;
///     type __Codecs = (::pitaya_runtime::Json,);
///     const __ROUTES: &[__pitaya::Route] = &[__pitaya::Route::new("join", __pitaya::Kind::Request)
///         .line(::core::line!())
///         .payload("Join")
///         .answer("Joined")
///         .is_async()
///         .docs("Joins the room.")];
///     const _: () = __pitaya::check(__ROUTES);
///     static __SERVICE: __pitaya::Service = __pitaya::Service {
///         name: "room",
///         type_name: "Room",
///         codecs: <__Codecs as __pitaya::Codecs>::NAMES,
///         routes: __ROUTES,
///         location: ::core::concat!(::core::file!(), ":", ::core::line!()),
///     };
///     impl __pitaya::Handlers for Room {
///         const HANDLERS: __pitaya::Table<Self> = __pitaya::Table {
///             service: &__SERVICE,
///             rows: &[|__call| {
///                 __call.read::<__Codecs, Join>().later(|__this, __cx, __payload| async move {
///                     let __arg0 = __cx.lend::<Session>()?;
///                     __pitaya::Returned(Self::join(&__this, __arg0, __payload).await).done::<__Codecs>()
///                 })
///             }],
///             hooks: &[__pitaya::on::init(|__this, _| {
///                 __pitaya::boxed(async move { __pitaya::Returned(Self::open(&__this).await).silent() })
///             })],
///         };
///     }
///     __pitaya::submit! { __pitaya::Declared(&__SERVICE) }
/// };
/// ```
///
/// </details>
#[proc_macro_attribute]
pub fn handler(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Side::Handler, args.into(), item.into()).into()
}

/// The user's item, then the table, then what is wrong. A macro that panics would take the editor's help away together
/// with the program.
fn expand(side: Side, args: proc_macro2::TokenStream, item: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let args = args::BlockArgs::read(args, &mut errors);
    match parse::block(side, item, &mut errors) {
        Ok(block) => {
            let item = block.item.to_token_stream();
            let table = check::component(side, args, block, &mut errors).map(|component| emit::component(&component));
            quote!(#item #table #errors)
        }
        Err(item) => quote!(#item #errors),
    }
}
