//! What is compared with what, and which bounds must hold. All bounds of the harness stand here.

/// System calls of the server per message.
pub const MAX_SYSCALLS: f64 = 0.2;
/// Growth of the server's resident memory per idle TCP session, in bytes.
pub const MAX_IDLE_BYTES: f64 = 2.5 * 1024.0;
/// The load the bounds are stated for.
pub const CONNS: usize = 64;
/// Requests in flight per connection the bounds are stated for.
pub const DEPTH: usize = 16;

/// Which program serves a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `baseline` in this mode.
    Bare(&'static str),
    /// The conformance example: the framework with everything on.
    Project,
    /// The same with Prometheus switched on.
    Metered,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// What `--only` calls it.
    pub name: &'static str,
    /// What the table calls it.
    pub title: &'static str,
    /// Who serves it.
    pub program: Program,
    /// The route that is called.
    pub route: &'static str,
    /// `raw` or `json`.
    pub body: &'static str,
    /// WebSocket instead of bare TCP.
    pub web_socket: bool,
    /// Name of the variant it is divided by; baselines have none.
    pub baseline: Option<&'static str>,
    /// The largest allowed ratio of CPU per message.
    pub bound: Option<f64>,
}

/// All variants. What is divided by a baseline follows it at once: the less time lies between two runs, the less the
/// machine has changed.
#[rustfmt::skip]
pub const VARIANTS: &[Variant] = &[
    bare("echo",    "bare tokio echo",              "raw",  false, None),
    bare("lean",    "the same, no buffers held",    "raw",  false, Some("echo")),
    ours("sync",    "sync raw handler",             "connector.room.join", "raw",  false, "echo", Some(1.2)),
    Variant {
        program: Program::Metered,
        ..ours("metered", "the same, Prometheus on", "connector.room.join", "raw", false, "sync", Some(1.08))
    },
    ours("async",   "async raw handler",            "connector.room.echo", "raw",  false, "echo", Some(1.45)),
    bare("json",    "bare tokio + serde_json echo", "json", false, None),
    ours("typed",   "async typed JSON handler",     "connector.room.move", "json", false, "json", Some(1.3)),
    bare("ws",      "bare tokio WebSocket echo",    "raw",  true,  None),
    ours("ws-sync", "sync raw handler, WebSocket",  "connector.room.join", "raw",  true,  "ws",   None),
];

const fn bare(
    name: &'static str,
    title: &'static str,
    body: &'static str,
    web_socket: bool,
    baseline: Option<&'static str>,
) -> Variant {
    // The same route for all: a bare server skips it, and its length is part of what both sides move.
    let route = "connector.room.join";
    Variant { name, title, program: Program::Bare(name), route, body, web_socket, baseline, bound: None }
}

const fn ours(
    name: &'static str,
    title: &'static str,
    route: &'static str,
    body: &'static str,
    web_socket: bool,
    baseline: &'static str,
    bound: Option<f64>,
) -> Variant {
    Variant { name, title, program: Program::Project, route, body, web_socket, baseline: Some(baseline), bound }
}

/// The variants `only` names (separated by commas) together with their baselines, or all of them.
///
/// # Errors
/// A text that names the unknown one.
pub fn select(only: Option<&str>) -> Result<Vec<&'static Variant>, String> {
    let Some(only) = only else { return Ok(VARIANTS.iter().collect()) };
    let names: Vec<&str> = only.split(',').collect();
    if let Some(unknown) = names.iter().find(|name| !VARIANTS.iter().any(|v| v.name == **name)) {
        let known: Vec<&str> = VARIANTS.iter().map(|v| v.name).collect();
        return Err(format!("--only: unknown variant {unknown:?}; known: {}", known.join(", ")));
    }
    let named = |name: &str| names.contains(&name);
    let needed = |v: &&Variant| {
        named(v.name) || VARIANTS.iter().any(|other| named(other.name) && other.baseline == Some(v.name))
    };
    Ok(VARIANTS.iter().filter(needed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_baseline_exists_and_comes_first() {
        for (at, variant) in VARIANTS.iter().enumerate() {
            if let Some(baseline) = variant.baseline {
                let found = VARIANTS[..at].iter().find(|v| v.name == baseline).expect("before it");
                assert_eq!((found.body, found.web_socket), (variant.body, variant.web_socket));
                assert_eq!(found.route.len(), variant.route.len(), "both move the same number of bytes");
            }
        }
    }

    #[test]
    fn a_selection_brings_its_baselines() {
        let names = |only| select(only).map(|vs| vs.iter().map(|v| v.name).collect::<Vec<_>>());
        assert_eq!(names(Some("async,sync")), Ok(vec!["echo", "sync", "async"]));
        assert_eq!(names(Some("json")), Ok(vec!["json"]));
        assert_eq!(names(None).map(|all| all.len()), Ok(VARIANTS.len()));
        assert!(names(Some("sink")).unwrap_err().starts_with("--only: unknown variant \"sink\"; known: echo,"));
    }
}
