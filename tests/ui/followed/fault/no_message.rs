use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1")]
pub struct Full;

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("full")
    }
}

#[derive(Debug, Fault, thiserror::Error)]
#[error("closed")]
#[fault(code = "GAME-2")]
pub struct Closed;

#[derive(Fault)]
#[fault(code = "GAME-3", message = "gone")]
pub struct Gone;

pub fn all(which: u8) -> Result<()> {
    match which {
        0 => Err(Full)?,
        1 => Err(Closed)?,
        _ => Err(Gone)?,
    }
    Ok(())
}
