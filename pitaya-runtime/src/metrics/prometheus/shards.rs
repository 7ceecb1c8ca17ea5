//! One value in parts, so that threads seldom meet.

use parking_lot::Mutex;

/// More threads than this share.
const MOST: usize = 16;

/// Parts that are added up when somebody looks.
pub(super) struct Shards<T>(Box<[Shard<T>]>);

/// On cache lines of its own.
#[repr(align(128))]
struct Shard<T>(Mutex<T>);

thread_local! {
    /// Where it lies tells the thread: a number of its own, and nothing is counted.
    static HERE: u8 = const { 0 };
}

impl<T> Shards<T> {
    pub(super) fn new(make: impl Fn() -> T) -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from).next_power_of_two().min(MOST);
        Self((0..count).map(|_| Shard(Mutex::new(make()))).collect())
    }

    /// Changes the part of this thread.
    #[inline]
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let here = HERE.with(|here| std::ptr::from_ref(here).addr());
        // Stacks and blocks of threads lie at round distances: the upper bits of the product take all of them in.
        let mixed = (here as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        change(&mut self.0[mixed as usize % self.0.len()].0.lock())
    }

    /// Looks at all parts.
    pub(super) fn each(&self, mut look: impl FnMut(&T)) {
        self.0.iter().for_each(|shard| look(&shard.0.lock()));
    }
}
