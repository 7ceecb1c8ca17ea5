//! What the manifest and `docs/macros.md` say of the macros, held against the code.

mod budgets;
mod docs;
mod guide;
