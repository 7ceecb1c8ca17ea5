use pitaya_runtime::prelude::*;

pub fn load(text: Result<u8, String>) -> Result<u8> {
    let number = text.map_err(|text| Error::new("GAME-1", text))?;
    Ok(number)
}
