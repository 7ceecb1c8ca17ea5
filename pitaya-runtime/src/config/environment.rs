//! Variables of the environment that are no settings, although their names begin like those of settings.

use pitaya_core::wire::UPDATE_VARIABLE;

/// Variables that look like settings and are none: an order for this run, and where the tests find Go Pitaya.
const NO_SETTINGS: [&str; 2] = [UPDATE_VARIABLE, "PITAYA_GO_DIR"];

/// Protocols of ports of Kubernetes.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// Whether a variable may be a setting at all.
pub(super) fn may_be_setting(name: &str) -> bool {
    name.starts_with("PITAYA_") && !NO_SETTINGS.contains(&name)
}

/// Whether a variable is one of those that Kubernetes gives to each container of a namespace for each Service in it. A
/// Service `pitaya` or `pitaya-metrics-prometheus` is enough.
///
/// `is_key` says that a key has this variable. Then the form of the value decides: it is the one that a port of a Service
/// has, and no port of ours.
pub(super) fn is_service_link(name: &str, value: &str, is_key: bool) -> bool {
    if name.ends_with("_PORT") && is_port_url(value) {
        return true;
    }
    !is_key && (is_service_name(name) || is_port_name(name))
}

/// `.._SERVICE_HOST`, `.._SERVICE_PORT`, `.._SERVICE_PORT_HTTP`.
fn is_service_name(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_")
}

/// `.._PORT_9090_TCP`, and the same with `_PROTO`, `_PORT` or `_ADDR` behind it.
fn is_port_name(name: &str) -> bool {
    let name = ["_PROTO", "_PORT", "_ADDR"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let Some((before, protocol)) = name.rsplit_once('_') else { return false };
    let Some((before, port)) = before.rsplit_once('_') else { return false };
    before.ends_with("_PORT") && port.parse::<u16>().is_ok() && is_protocol(protocol)
}

/// `tcp://10.0.0.11:9090`.
fn is_port_url(value: &str) -> bool {
    let Some((protocol, address)) = value.split_once("://") else { return false };
    is_protocol(protocol) && address.parse::<std::net::SocketAddr>().is_ok()
}

fn is_protocol(text: &str) -> bool {
    PROTOCOLS.iter().any(|protocol| protocol.eq_ignore_ascii_case(text))
}
