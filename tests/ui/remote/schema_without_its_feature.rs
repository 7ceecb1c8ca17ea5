//! The option needs a feature of the framework, in a contract too: one error says which.

use pitaya_runtime::prelude::*;

#[remote(schema, codec = Json)]
pub trait RoomApi {
    fn members(&self) -> Result<u32>;
}

fn main() {}
