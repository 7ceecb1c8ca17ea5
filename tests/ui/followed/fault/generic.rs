use pitaya_runtime::prelude::*;

pub struct Slow<T>(pub T);

pub fn wait(slow: Result<u8, Slow<u8>>) -> Result<u8> {
    slow.map_err(|error: Slow<u8>| Error::new("GAME-1", format!("slow: {}", error.0)))
}
