//! What must hold in every pair of a frontend and a backend.

mod forward;
mod membership;
mod rpc;
mod session;
mod users;

use crate::cluster::Cluster;

/// Panics where something does not hold, and leaves nothing behind that another could see.
type Case = fn(&Cluster);

/// All of them, by name.
pub(crate) const ALL: &[(&str, Case)] = &[
    ("forward: bodies raw, typed, empty and long", forward::bodies),
    ("forward: errors keep code, text and metadata", forward::errors),
    ("forward: a payload that cannot be read is refused", forward::unreadable),
    ("forward: a panic is an error, and the server lives", forward::panics),
    ("forward: time-out", forward::time_out),
    ("session: bind on the back, then push at once", session::bind_then_push),
    ("session: bound once only, known on both sides", session::bound_once),
    ("session: pushes and notifies from the back", session::pushes),
    ("session: data, from the front and from the back", session::data),
    ("session: kicked by the back", session::kicked),
    ("users: pushed to on two frontends", users::pushed_to),
    ("users: kicked on two frontends", users::kicked),
    ("users: unique between frontends", users::unique_between),
    ("users: a group in etcd", users::group),
    ("rpc: front to back", rpc::front_to_back),
    ("rpc: back to front", rpc::back_to_front),
    ("rpc: refused before it is sent", rpc::refused),
    ("rpc: to an id", rpc::to_an_id),
    ("membership: records", membership::records),
    ("membership: two backends of one type", membership::two_backends),
    ("membership: known within a second, gone within a second", membership::comes_and_goes),
];
