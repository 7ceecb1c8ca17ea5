//! Hash maps by who chooses their keys. Two keys that collide cost a comparison: whoever knows the hash function can make
//! a map as slow as a list.
//!
//! * The standard library's `HashMap` has a secret. It is the right one wherever nothing counts instructions.
//! * [`KeyedMap`] has a secret too and takes a third of the instructions: for keys of peers that are looked up with every
//!   message.
//! * [`NumberMap`] and [`OwnMap`] have none: no peer chooses a key that is put into them.
//!
//! The lint `disallowed_types` keeps the hash function without a secret inside this file.

#![expect(clippy::disallowed_types, reason = "the one place that says what may be hashed without a secret")]

use crate::cluster::lane;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::HashMap;

/// A map by keys that peers choose (uids, ids of servers, subjects, routes, sessions of another server), for the way of
/// every message. Each map has a secret of its own.
pub type KeyedMap<K, V> = HashMap<K, V, KeyedState>;

/// The hash function of a [`KeyedMap`], with a secret of this value's own.
pub type KeyedState = foldhash::fast::RandomState;

/// A map by numbers that this process counts itself, without a secret. For any other key it does not compile.
pub type NumberMap<K, V> = FxHashMap<<K as OwnNumber>::Itself, V>;

/// The set of such numbers.
pub type NumberSet<K> = FxHashSet<<K as OwnNumber>::Itself>;

/// A map whose keys the program and its configuration have written before any peer is heard, without a secret. What peers
/// say is looked up in it and never put into it.
pub type OwnMap<K, V> = FxHashMap<K, V>;

/// Number that may be the key of a [`NumberMap`].
pub trait OwnNumber {
    /// The same type.
    type Itself;
}

impl OwnNumber for u16 {
    type Itself = Self;
}

impl OwnNumber for i32 {
    type Itself = Self;
}

impl OwnNumber for i64 {
    type Itself = Self;
}

impl OwnNumber for u64 {
    type Itself = Self;
}

impl OwnNumber for lane::Number {
    type Itself = Self;
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustc_hash::FxBuildHasher;
    use std::cell::Cell;
    use std::hash::{BuildHasher, Hash, Hasher};

    thread_local! {
        static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    /// Counts how often it is compared: that is what colliding keys cost.
    #[derive(Eq)]
    struct Counted(String);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            COMPARED.set(COMPARED.get() + 1);
            self.0 == other.0
        }
    }

    impl Hash for Counted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    /// Comparisons while these keys are put into a map.
    fn comparisons<S: BuildHasher + Default>(keys: &[String]) -> usize {
        let mut map = HashMap::<Counted, (), S>::default();
        COMPARED.set(0);
        map.extend(keys.iter().map(|key| (Counted(key.clone()), ())));
        assert_eq!(map.len(), keys.len());
        COMPARED.get()
    }

    #[test]
    fn uids_that_collide_without_a_secret_do_not_with_one() {
        let uids = colliding_uids(8_000);
        let hashes = |uid: &String| FxBuildHasher.hash_one(uid);
        assert!(
            uids.iter().all(|uid| hashes(uid) == hashes(&uids[0])),
            "the attack works on the hash without a secret"
        );
        let few = &uids[..500];
        assert_eq!(comparisons::<FxBuildHasher>(few), 500 * 499 / 2, "each with all before it");
        for (name, found) in [
            ("KeyedMap", comparisons::<KeyedState>(&uids)),
            ("the standard library's", comparisons::<std::hash::RandomState>(&uids)),
        ] {
            // Of 7 bits that are looked at first, some agree by chance.
            assert!(found < 8_000, "{name}: {found} comparisons");
        }
    }

    /// Uids of one hash in `FxHasher`: a text of more than 32 bytes is mixed in blocks of 16, and the state after the
    /// first block comes back as a factor of the last product. Where the text repeats that state there, the product is 0
    /// whatever the other factor is.
    fn colliding_uids(count: usize) -> Vec<String> {
        const SEED: u64 = 0x243f_6a88_85a3_08d3;
        const GUARD: u64 = 0xa409_3822_299f_31d0;
        let word = |text: &str, at: usize| u64::from_le_bytes(text.as_bytes()[at..at + 8].try_into().expect("8 bytes"));
        let mixed = |x: u64, y: u64| {
            let product = u128::from(x) * u128::from(y);
            (product as u64) ^ ((product >> 64) as u64)
        };
        let (first, state) = (0..)
            .find_map(|number: u64| {
                let first = format!("{number:016}");
                let state = mixed(SEED ^ word(&first, 0), GUARD ^ word(&first, 8)).to_le_bytes();
                let text = std::str::from_utf8(&state).ok()?;
                text.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| (first, text.to_owned()))
            })
            .expect("one of 600,000");
        (0..count).map(|number| format!("{first}{:016}{state}{number:08}", 0)).collect()
    }
}
