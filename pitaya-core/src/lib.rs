//! What bytes, routes and components mean in Pitaya: the wire, the tables and the traits, without a socket.

pub mod session;
pub mod wire;
