use pitaya_runtime::prelude::*;

pub struct Missing<'a>(pub &'a str);

pub fn look<'a>(missing: Result<u8, Missing<'a>>) -> Result<u8> {
    missing.map_err(|error: Missing<'a>| Error::new("GAME-1", error.0.to_owned()))
}
