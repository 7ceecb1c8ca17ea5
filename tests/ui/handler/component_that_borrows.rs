use pitaya_runtime::prelude::*;

pub struct Room<'a> {
    name: &'a str,
}

#[handler]
impl<'a> Room<'a> {
    pub fn name(&self) -> String {
        self.name.to_owned()
    }
}

fn main() {}
