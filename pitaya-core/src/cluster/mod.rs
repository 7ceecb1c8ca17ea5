//! What a transport, a discovery or a store must do: the traits between an app and what lies outside of its process,
//! and the bytes they exchange with others. Nothing here assumes a broker.

pub mod binding;
pub mod delivery;
pub mod discovery;
pub mod envelope;
pub mod forward;
pub mod groups;
pub mod lane;
pub mod login;
pub mod metadata;
pub mod received;
pub mod router;
pub mod seal;
pub mod server;
pub mod transport;

pub use crate::BoxFuture;
pub use binding::BindingStorage;
pub use delivery::{Delivery, IncomingMessage, Letter, Source};
pub use discovery::{Discovery, DiscoveryError, Registrar};
pub use forward::{Back, Forward, Forwarder, Sink};
pub use groups::{GroupError, GroupStore, Holder};
pub use login::{Login, LoginOrder};
pub use received::{Caller, ReceivedCall};
pub use router::{Message, Router};
pub use server::{EPOCH, ServerInfo};
pub use transport::{Callee, IncomingCall, OutgoingCall, Reply, Transport};
