//! Serde for the whole tree, so that an application can hold a [`Config`] among its own settings.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

use super::{Config, Origin, keys::Section, load::Loading, shown::without_logins};

impl Serialize for Config {
    /// Writes every key, but no password: neither those of keys nor those in addresses. Reading an address whose login was
    /// left out so is an error.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tree = Value::Object(Map::new());
        self.clone().walk(&mut |key, setting| {
            let value = if key.redacted { without_logins(setting.value()) } else { setting.value() };
            if !value.is_null() {
                // Indexing by name puts in what is missing.
                let place = key.name.split('.').skip(1).fold(&mut tree, |place, name| &mut place[name]);
                *place = value;
            }
        });
        tree.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Config {
    /// Reads what may stand below `pitaya` in a file. The error holds all problems; warnings are lost.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut loading = Loading::new(Self::default());
        loading.tree("pitaya", Map::deserialize(deserializer)?, &Origin::Code);
        loading.finish().map(|loaded| loaded.config).map_err(D::Error::custom)
    }
}
