//! The suite: what is measured (`scenarios`), how a row is started and driven (`stage`), what came out (`results`), whether
//! it is enough (`claim`), and how it is shown (`table`, `plot`, `docs`).

pub mod claim;
pub mod docs;
pub mod plot;
pub mod results;
pub mod row;
pub mod scenarios;
pub mod stage;
pub mod table;
