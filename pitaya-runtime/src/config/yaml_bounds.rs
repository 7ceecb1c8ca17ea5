//! Bounds of a YAML file, checked before it is read: what aliases stand for, and how deep it is nested.
//!
//! An alias is a copy. A few lines of aliases of aliases stand for billions of values, and the reader calls itself once for
//! each level.

use super::document::at;
use std::collections::HashMap;
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::Marker;

/// Upper bound of the values in a file, with each alias counted as what it stands for.
const VALUES: usize = 100_000;
/// Upper bound of the levels.
const LEVELS: usize = 64;

/// Counts without copying anything.
///
/// # Errors
///
/// The place where there is too much. What is no YAML is left to the reader, which says what is wrong with it.
pub(super) fn check(text: &str) -> Result<(), String> {
    let mut parser = Parser::new_from_str(text);
    let mut bounds = Bounds::default();
    while let Ok((event, place)) = parser.next_token() {
        match event {
            Event::StreamEnd => break,
            Event::Scalar(_, _, anchor, _) => bounds.add(1, anchor),
            Event::Alias(anchor) => bounds.add(bounds.anchors.get(&anchor).copied().unwrap_or(1), 0),
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                bounds.open.push((anchor, bounds.values));
                bounds.add(1, 0);
            }
            Event::SequenceEnd | Event::MappingEnd => bounds.close(),
            _ => {}
        }
        bounds.hold(place)?;
    }
    Ok(())
}

#[derive(Default)]
struct Bounds {
    values: usize,
    /// Values that each anchor stands for.
    anchors: HashMap<usize, usize>,
    /// Lists and mappings that are not closed: the anchor, and the values before.
    open: Vec<(usize, usize)>,
}

impl Bounds {
    fn add(&mut self, values: usize, anchor: usize) {
        self.values = self.values.saturating_add(values);
        if anchor > 0 {
            self.anchors.insert(anchor, values);
        }
    }

    fn close(&mut self) {
        if let Some((anchor, before)) = self.open.pop()
            && anchor > 0
        {
            self.anchors.insert(anchor, self.values - before);
        }
    }

    fn hold(&self, place: Marker) -> Result<(), String> {
        let too_much = if self.values > VALUES {
            format!("there are more than {VALUES} values in it, with aliases counted as what they stand for")
        } else if self.open.len() > LEVELS {
            format!("it is nested more than {LEVELS} levels deep")
        } else {
            return Ok(());
        };
        Err(at(place.line(), place.col() + 1, &too_much))
    }
}
