use pitaya_runtime::prelude::*;

pub type Name<'a> = std::borrow::Cow<'a, str>;

pub struct Room {
    name: String,
}

#[handler]
impl Room {
    pub fn name(&self) -> Result<Name> {
        Ok(Name::Borrowed(&self.name))
    }
}

fn main() {}
