//! Flags as Go writes them: one dash or two, `-name value` or `-name=value`, booleans only with `=`.

/// What can be said on the command line.
#[derive(Debug)]
pub struct Flags {
    pub server_type: String,
    pub port: u16,
    /// Wins over `port`.
    pub addr: Option<String>,
    pub serializer: String,
    pub profile: String,
    pub standalone: bool,
    pub ws: bool,
    /// How clients come in: `tcp`, `tls`, `ws`, `wss`, each on the next port, or each on a free one for port 0. Empty: what
    /// `ws` says.
    pub ways: String,
    pub compress: bool,
    pub grpc: bool,
    /// Whether clients connect to it.
    pub frontend: bool,
    /// Before every key in etcd.
    pub prefix: String,
    /// Where groups are kept: `memory` or `etcd`.
    pub groups: String,
    pub debug: bool,
    /// Certificate and key of TLS. The libpitaya profile needs them, the other listens without when they are not there.
    pub cert: String,
    pub key: String,
    /// libpitaya profile: a file to be sent whole.
    pub big_message: String,
    /// libpitaya profile: JSON over TCP and TLS, protobuf over TCP and TLS.
    pub ports: [u16; 4],
}

impl Flags {
    /// Reads them.
    ///
    /// # Errors
    /// A text for the person at the keyboard.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut flags = Self {
            server_type: "connector".to_owned(),
            port: 3250,
            addr: None,
            serializer: "json".to_owned(),
            profile: "go".to_owned(),
            standalone: false,
            ws: false,
            ways: String::new(),
            compress: false,
            grpc: false,
            frontend: true,
            prefix: "pitaya/".to_owned(),
            groups: "memory".to_owned(),
            debug: false,
            cert: String::new(),
            key: String::new(),
            big_message: String::new(),
            ports: [3251, 3252, 3351, 3352],
        };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let Some(name) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) else {
                return Err(format!("`{arg}` is not a flag"));
            };
            let (name, given) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let mut flag = Flag { name, given, rest: &mut args };
            match name {
                "type" => flags.server_type = flag.text()?,
                "port" => flags.port = flag.number()?,
                "addr" => flags.addr = Some(flag.text()?),
                "serializer" => flags.serializer = flag.text()?,
                "profile" => flags.profile = flag.text()?,
                "standalone" => flags.standalone = flag.bool()?,
                "ws" => flags.ws = flag.bool()?,
                "ways" => flags.ways = flag.text()?,
                "compress" => flags.compress = flag.bool()?,
                "grpc" => flags.grpc = flag.bool()?,
                "debug" => flags.debug = flag.bool()?,
                "cert" => flags.cert = flag.text()?,
                "key" => flags.key = flag.text()?,
                "bigmessage" => flags.big_message = flag.text()?,
                "ports" => flags.ports = ports(&flag.text()?)?,
                "frontend" => flags.frontend = flag.bool()?,
                "sdprefix" => flags.prefix = flag.text()?,
                "groups" => flags.groups = flag.text()?,
                // Go's, for gRPC.
                "grpcport" => drop(flag.text()?),
                other => return Err(format!("unknown flag -{other}")),
            }
        }
        Ok(flags)
    }
}

fn ports(text: &str) -> Result<[u16; 4], String> {
    let ports: Result<Vec<u16>, _> = text.split(',').map(str::parse).collect();
    ports
        .ok()
        .and_then(|ports| ports.try_into().ok())
        .ok_or_else(|| format!("-ports {text}: four numbers, with commas"))
}

struct Flag<'a, I> {
    name: &'a str,
    given: Option<String>,
    rest: &'a mut I,
}

impl<I: Iterator<Item = String>> Flag<'_, I> {
    fn text(&mut self) -> Result<String, String> {
        self.given.take().or_else(|| self.rest.next()).ok_or_else(|| format!("-{} needs a value", self.name))
    }

    fn number(&mut self) -> Result<u16, String> {
        let text = self.text()?;
        text.parse().map_err(|_| format!("-{} {text}: a number up to 65535", self.name))
    }

    fn bool(&mut self) -> Result<bool, String> {
        // The spellings of Go's strconv.ParseBool.
        match self.given.as_deref() {
            None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(other) => Err(format!("-{}={other}: true or false", self.name)),
        }
    }
}
