use pitaya_runtime::prelude::*;

pub fn load(text: Result<u8, String>) -> Result<u8> {
    Ok(text.map_err(Error::boxed)?)
}

fn main() {}
