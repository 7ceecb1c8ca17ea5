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
use parse::Input;
use proc_macro::TokenStream;
use quote::quote;

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
///         side: __pitaya::Side::Handler,
///         name: "room",
///         type_name: "Room",
///         codecs: <__Codecs as __pitaya::Codecs>::NAMES,
///         routes: __ROUTES,
///         location: ::core::concat!(::core::file!(), ":", ::core::line!()),
///         contract: ::core::option::Option::None,
///     };
///     #[doc(hidden)]
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

/// Makes the methods of an `impl` block, or of a trait, callable by other servers.
///
/// Each method that is not private becomes a **remote**, `service.method`, and beside the block stands a typed **stub**:
/// `Room` gets `RoomClient`, with one async method a remote, documented by the remote's own doc comment.
///
/// ```ignore
/// #[remote]
/// impl Room {
///     /// Who is in the room.
///     pub async fn members(&self, req: MembersRequest) -> Result<MembersReply> {
///         self.all(req).await
///     }
///
///     /// No answer: nobody waits for it.
///     pub fn left(&self, cx: &RemoteContext, req: LeftRequest) {
///         self.gone(cx.caller(), req);
///     }
/// }
///
/// // On the server: `Builder::remotes(Room::new())`, or `Builder::component(..)` with a `#[handler]` block as well.
/// // Wherever an `Rpc` is at hand, which a handler, a remote or a hook borrows as `rpc: &Rpc`:
/// let rooms = RoomClient::new(rpc, "room");                                  // any server of the type
/// let reply = rooms.members(&request).await?;
/// let reply = rooms.on("room-7").within(Duration::from_millis(200)).members(&request).await?; // this one, and soon
/// ```
///
/// # Methods
///
/// As for [`macro@handler`], but for these:
///
/// | part | may be |
/// |---|---|
/// | borrowed arguments | `&RemoteContext` (who calls, what came along, until when), `&Rpc`, and whatever implements `FromContext<RemoteContext>`; there is no session |
/// | owned argument | at most one; the stub takes it by reference, so its type can be written as well as read |
/// | return type | `Result<T, E>`, also through an alias, or nothing: the stub's method gives `Result<T>`, the error with the code, text and metadata of `E`; for nothing, or with `#[route(notify)]`, it returns once the call is on its way |
/// | name | not `new`, `on` or `within`, which are the stub's own: `#[route("new")] pub fn create` keeps the route |
/// | visibility | also that of the stub's method; the stub is as visible as the widest of them |
///
/// A remote is dropped when its caller stops waiting. Hooks are as for [`macro@handler`].
///
/// # Options of the block
///
/// | `#[remote(..)]` | meaning | default |
/// |---|---|---|
/// | `name = "room"` | the name of the service | the name of the type, or of the trait, in `snake_case` |
/// | `rename_all = "lowercase"` | how method names become names of remotes, as for [`macro@handler`] | as written |
/// | `codec = Json` | the serializer of payloads and answers, one type | `Protobuf`, which servers in Go speak |
/// | `client = Rooms` | the name of the stub | `RoomClient` for `Room` |
/// | `client = false` | no stub; then methods may return a plain `T`, have any name, and use the block's type parameters | |
/// | `crate = path` | where `pitaya_runtime` is found | `::pitaya_runtime` |
///
/// `#[route(..)]` takes a name and `notify`; its other options are about the messages of clients.
///
/// # Contracts
///
/// On a trait, in a crate that both sides know, it declares what a server does without a server: callers need the trait's
/// crate alone, and whoever implements the trait, under any name of it, serves it. Names, codec and stub are the trait's.
///
/// ```ignore
/// // in a shared crate
/// #[remote]
/// pub trait RoomApi {
///     /// Who is in the room.
///     async fn members(&self, req: MembersRequest) -> Result<MembersReply>;
/// }
///
/// // in the server: mounted with `Builder::remotes(Room::new())`
/// #[remote]
/// impl RoomApi for Room {
///     async fn members(&self, req: MembersRequest) -> Result<MembersReply> {
///         self.all(req).await
///     }
/// }
///
/// // in a caller
/// let reply = RoomApiClient::new(rpc, "room").members(&request).await?;
/// ```
///
/// An `async fn` of the trait becomes `fn .. -> impl Future + Send`, and the trait a subtrait of `Send`, `Sync`, `Sized`
/// and `'static`; an implementation is written as ever, and may be generic. A contract has no type parameters and no hooks.
///
/// # Limits
///
/// A type has one `#[remote]` block, of its own or of a contract: a second one is a conflicting implementation of
/// `Remotes` (E0119). It may have a `#[handler]` block besides.
///
/// # Expansion
///
/// <details><summary>What is generated</summary>
///
/// For a block with one remote, `members`, the table is that of [`macro@handler`], but for
/// `impl Remotes for Room { const REMOTES: Table<Self, RemoteContext> = ..; }`, and beside it stands the stub:
///
/// ```ignore
/// /// Calls the remotes of `room` on another server.
/// #[derive(Clone, Debug)]
/// pub struct RoomClient(::pitaya_runtime::__private::Callee<(::pitaya_runtime::Protobuf,)>);
///
/// impl RoomClient {
///     /// Calls any server of this type.
///     pub fn new(rpc: &Rpc, server_type: impl Into<Arc<str>>) -> Self { Self(rpc.any(server_type)) }
///     /// The same on the server with this id.
///     pub fn on(&self, server_id: impl Into<Arc<str>>) -> Self { Self(self.0.on(server_id)) }
///     /// The same, waiting no longer than this.
///     pub fn within(&self, timeout: Duration) -> Self { Self(self.0.within(timeout)) }
///
///     /// Who is in the room.
///     pub async fn members(&self, argument: &MembersRequest) -> Answered<Result<MembersReply>> {
///         let __sent = self.0.send::<MembersRequest>("room.members", argument);
///         __sent.request().await
///     }
/// }
/// ```
///
/// A contract has its table as a hidden constant of the trait, which `#[remote] impl RoomApi for Room` hands on:
///
/// ```ignore
/// const _: () = {
///     use ::pitaya_runtime::__private as __pitaya;
///     impl __pitaya::Remotes for Room {
///         const REMOTES: __pitaya::Table<Self, __pitaya::RemoteContext> = __pitaya::Table {
///             service: &__pitaya::Service {
///                 type_name: "Room",
///                 location: ::core::concat!(::core::file!(), ":", ::core::line!()),
///                 contract: ::core::option::Option::Some(<Self as RoomApi>::__REMOTE_CONTRACT.service.location),
///                 ..*<Self as RoomApi>::__REMOTE_CONTRACT.service
///             },
///             ..<Self as RoomApi>::__REMOTE_CONTRACT
///         };
///     }
///     __pitaya::submit! { __pitaya::Declared(<Room as __pitaya::Remotes>::REMOTES.service) }
/// };
/// ```
///
/// </details>
#[proc_macro_attribute]
pub fn remote(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Side::Remote, args.into(), item.into()).into()
}

/// The user's item, then the table, then what is wrong. A macro that panics would take the editor's help away together
/// with the program.
fn expand(side: Side, args: proc_macro2::TokenStream, item: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let args = args::BlockArgs::read(side, args, &mut errors);
    match parse::input(side, item, &mut errors) {
        Ok(Input::Block(item, methods)) => {
            let component = check::component(side, args, &item, methods, &mut errors);
            let table = component.map(|component| emit::component(&component));
            quote!(#item #table #errors)
        }
        Ok(Input::Contract(item, methods)) => {
            let contract = check::contract(args, &item, methods, &mut errors);
            let (item, stub) = emit::contract(item, contract.as_ref());
            quote!(#item #stub #errors)
        }
        Ok(Input::Server(item, path, methods)) => {
            let server = check::server(args, &item, path, methods, &mut errors);
            let table = server.map(|server| emit::server(&server));
            quote!(#item #table #errors)
        }
        Err(item) => quote!(#item #errors),
    }
}
