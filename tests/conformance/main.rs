//! The example `conformance`, in processes of its own and over real sockets, against what real Go Pitaya servers answered.

mod heartbeat;
mod isolation;
mod libpitaya;
mod lifecycle;
mod malformed;
mod musts;
mod quiet;
mod reconnect;
mod replay;
mod session;
mod texts;
mod users;
mod websocket;
