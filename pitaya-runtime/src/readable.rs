//! Errors that end a program, in words for people.
//!
//! `fn main() -> Result<(), Box<dyn Error>>` prints an error with [`Debug`](std::fmt::Debug). For errors of the config, of
//! building and of starting, that is the same text as [`Display`](std::fmt::Display).

/// Implements `Debug` by `Display`.
macro_rules! debug_as_display {
    ($($error:ty),+ $(,)?) => {$(
        impl std::fmt::Debug for $error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    )+};
}

pub(crate) use debug_as_display;
