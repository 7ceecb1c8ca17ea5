//! What can be said on the command line.

use crate::certificate::Files;
use std::path::PathBuf;

const USAGE: &str = "usage: tls [--port PORT] [--web-port PORT] [--cert FILE --key FILE] [--clients FILE]   \
                     (port 0 takes a free one)";

pub struct Args {
    pub port: u16,
    pub web_port: u16,
    pub files: Option<Files>,
    /// Those whose certificates clients must show.
    pub clients: Option<PathBuf>,
}

impl Args {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self { port: 3252, web_port: 3253, files: None, clients: None };
        let (mut certificate, mut key) = (None, None);
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            let port = || value.parse().map_err(|_| format!("{value} is not a port\n{USAGE}"));
            match &*name {
                "--port" => parsed.port = port()?,
                "--web-port" => parsed.web_port = port()?,
                "--cert" => certificate = Some(value.into()),
                "--key" => key = Some(value.into()),
                "--clients" => parsed.clients = Some(value.into()),
                _ => return Err(format!("unknown argument {name}\n{USAGE}")),
            }
        }
        parsed.files = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Files { certificate, key }),
            (None, None) => None,
            _ => return Err(format!("--cert and --key need each other\n{USAGE}")),
        };
        Ok(parsed)
    }
}
