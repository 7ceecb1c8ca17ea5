use pitaya_runtime::prelude::*;

use pitaya_runtime::{Codec, SerdeCodec};
use serde::{Serialize, de::DeserializeOwned};

/// JSON in capitals.
pub struct Loud;

impl Codec for Loud {
    const NAME: &'static str = "loud";
}

impl SerdeCodec for Loud {
    fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
        Json::from_slice(&body.to_ascii_lowercase())
    }

    fn to_vec<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
        Json::to_vec(value, out)
    }
}

pub struct Join {
    pub name: String,
}

pub struct Room;

#[handler(codec = Loud)]
impl Room {
    pub fn join(&self, msg: Join) -> String {
        msg.name
    }
}

fn main() {}
