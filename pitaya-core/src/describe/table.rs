//! The table a person reads.

use super::{Description, RouteDescription, ServiceDescription, Side};
use crate::duration;
use crate::handler::Kind;
use std::fmt;

const TITLES: [&str; 9] = ["ROUTE", "SIDE", "CODE", "PAYLOAD", "ANSWER", "OPTIONS", "TYPE", "LOCATION", "DOCS"];

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Handler => "handler",
            Self::Remote => "remote",
        })
    }
}

/// One line a route, in aligned columns.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.services.iter().flat_map(|service| service.routes.iter().map(|route| cells(service, route)));
        let lines: Vec<_> = std::iter::once(TITLES.map(str::to_owned)).chain(lines).collect();
        let mut widths = [0; TITLES.len()];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        for line in &lines {
            let padded = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

fn cells(service: &ServiceDescription, route: &RouteDescription) -> [String; TITLES.len()] {
    let options = [
        ("async", route.is_async),
        ("notify", route.kind == Kind::Notify),
        ("concurrent", route.concurrent),
        ("cancel", route.cancel),
        ("internal", route.internal),
    ];
    let options = options.into_iter().filter(|(_, is_set)| *is_set).map(|(option, _)| option.to_owned());
    let timeout = route.timeout.map(|timeout| format!("timeout={}", duration::format(timeout)));
    let options: Vec<_> = options.chain(timeout).collect();
    let or_none = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    [
        route.route.clone(),
        service.side.to_string(),
        or_none(route.code.map(|code| code.to_string())),
        or_none(route.payload.clone()),
        or_none(route.answer.clone()),
        or_none((!options.is_empty()).then(|| options.join(" "))),
        service.type_name.clone(),
        route.location.clone(),
        route.docs.lines().next().unwrap_or_default().to_owned(),
    ]
}
