//! The keys that a connected client feels.

use std::{collections::BTreeMap, time::Duration};

use super::{hours, secs, section};
use crate::config::{ByteSize, Network, TlsVersion};

section! {
    /// `pitaya.defaultpipelines`: the steps that every message takes without being asked for.
    "pitaya.defaultpipelines" DefaultPipelines {
        structvalidation: StructValidation,
    }
}

section! {
    /// `pitaya.defaultpipelines.structvalidation`: the check of what a client sent.
    "pitaya.defaultpipelines.structvalidation" StructValidation {
        /// Whether the validating step runs first, before every handler.
        enabled: bool = false,
    }
}

section! {
    /// `pitaya.heartbeat`: how a client that is gone is noticed.
    "pitaya.heartbeat" Heartbeat {
        /// Time between two heartbeats, told to the client in the handshake: whole seconds, at least one. A client from
        /// which nothing was read for more than two intervals is closed, after three at the latest.
        interval: Duration = secs(30),
    }
}

section! {
    /// `pitaya.handler`: how clients' messages are treated.
    "pitaya.handler" Handler {
        messages: Messages,
    }
}

section! {
    /// `pitaya.handler.messages`: how clients' messages are written.
    "pitaya.handler.messages" Messages {
        /// Whether what is sent is compressed (zlib): bodies of at least 128 bytes, when that makes them smaller. What
        /// arrives may be compressed in any case.
        #[go = "tries it on every body and on the handshake."]
        compression: bool = true,
        /// Which clients get compressed bodies beside those that are known to inflate: values of `sys.type` in the
        /// handshake, or `always` for every client. Known are clients that send `sys.inflate: true` (`pitaya-client`), and
        /// those that send a `sys.libVersion` and no `sys.type` (libpitaya and Go's client; pomelo's send a `sys.type`). A
        /// client that sends `sys.inflate: false` never gets them.
        #[go = "compresses for every client."]
        compressionclients: Vec<String> = Vec::new(),
    }
}

section! {
    /// `pitaya.buffer`: what waits.
    "pitaya.buffer" Buffer {
        agent: AgentBuffer,
    }
}

section! {
    /// `pitaya.buffer.agent`: what waits for one client. How much may wait is `pitaya.limits.outbox`.
    "pitaya.buffer.agent" AgentBuffer {
        /// How long a client may take none of the bytes that wait for it. Then it is closed.
        #[go = "logs the missed write deadline and goes on with a broken stream."]
        conntimeout: Duration = secs(10),
    }
}

section! {
    /// `pitaya.session`: who a client is, and how it is let go.
    "pitaya.session" Session {
        /// Whether a user has one session at a time over all frontends of a type: an older one is kicked. When it is off, a
        /// user may have one session at each frontend: on the same frontend an older one is kicked all the same, as in Go.
        unique: bool = true,
        bind: Bind,
        drain: Drain,
    }
}

section! {
    /// `pitaya.session.bind`: the login of a user.
    "pitaya.session.bind" Bind {
        /// Longest time that a bind waits until the close hooks of the user's older sessions have run (`on_close`,
        /// `#[on(session_closed)]`). It waits for those of this server. With `pitaya.session.unique` it also waits for those
        /// of the other frontends of the type. It never waits longer than three quarters of
        /// `pitaya.cluster.rpc.client.nats.requesttimeout`, so that a backend that binds gets an answer. 0 does not wait.
        #[go = "does not wait: what the older session saves late is not there yet when the newer one loads."]
        wait: Duration = secs(2),
        /// Whether a uid may have characters that nobody sees: controls of the writing direction (U+202E), what has no width
        /// (U+200B, U+FEFF), soft hyphens, fillers, variation selectors and tags. With them two uids look alike to people.
        /// The joiners U+200C and U+200D are among them, which words of Persian and of Indic scripts and some emoji need: a
        /// game whose uids are such names sets this. Every server that binds has to: the backend that calls `bind` and the
        /// frontend that holds the client.
        #[go = "takes any uid."]
        invisible: bool = false,
    }
}

section! {
    /// `pitaya.session.drain`: whether a stopping server waits for its clients to leave.
    "pitaya.session.drain" Drain {
        /// Whether a server that is asked to stop by SIGTERM waits until its sessions have ended by themselves. It stays in
        /// discovery meanwhile, so that other servers reach them.
        enabled: bool = false,
        /// Whether new clients are still let in meanwhile: for a load balancer that is slow to learn that this server is
        /// going. Clients that are refused find another server.
        #[go = "goes on accepting new clients."]
        accept: bool = false,
        /// How long it waits; then the sessions left are closed.
        timeout: Duration = hours(6),
        /// Time between two looks at how many are left.
        period: Duration = secs(5),
    }
}

section! {
    /// `pitaya.acceptor`: how connections come in.
    "pitaya.acceptor" Acceptor {
        /// Whether every connection that a trusted proxy makes begins with a PROXY protocol header, version 1 or 2, from
        /// which the client's address is taken. Needs `pitaya.acceptor.trustedproxies`.
        #[go = "takes the header from anyone, over TCP only, and reads it inside accept, where one silent client stops all others."]
        proxyprotocol: bool = false,
        /// The networks of the proxies whose word counts: PROXY headers, and `pitaya.acceptor.clientheader`. What others
        /// say of themselves changes nothing.
        #[go = "has no such list."]
        trustedproxies: Vec<Network> = Vec::new(),
        /// The HTTP header in which trusted proxies tell WebSocket clients' addresses: a list of addresses, such as
        /// `x-forwarded-for`, or `forwarded` in the form of RFC 7239. Name the one that the proxy writes itself: another
        /// would come from the client. Empty for none.
        #[go = "takes the proxy's address for the client's."]
        clientheader: String = "x-forwarded-for".to_owned(),
        /// The `Origin` headers whose WebSocket upgrades are taken: `https://game.example`, or `https://*.game.example`
        /// for all names below, or `same-host` for pages of the host that the request names. All of them when empty. An
        /// upgrade without one is no browser's and passes.
        #[go = "takes all."]
        origins: Vec<String> = Vec::new(),
        /// Connections that the system keeps ready until they are accepted.
        #[go = "leaves it to the system."]
        backlog: u32 = 4096,
        /// Whether other processes may listen on the same address, for the system to share the connections out
        /// (`SO_REUSEPORT`, on Unix).
        reuseport: bool = false,
        upgrade: AcceptorUpgrade,
        tls: AcceptorTls,
    }
}

section! {
    /// `pitaya.acceptor.upgrade`: the HTTP request with which a WebSocket begins. What is over a limit is answered 431.
    "pitaya.acceptor.upgrade" AcceptorUpgrade {
        /// Length of the request's head, cookies included.
        #[go = "1 MiB."]
        size: ByteSize = ByteSize::kib(16),
        /// Header lines in it.
        #[go = "unlimited."]
        lines: usize = 128,
    }
}

section! {
    /// `pitaya.acceptor.tls`: acceptors with TLS. What the program says of one acceptor wins.
    "pitaya.acceptor.tls" AcceptorTls {
        /// The PEM file of the certificate and its chain, for acceptors made with `tls_by_config`.
        #[go = "takes it in the program only."]
        #[redacted = "PEM"]
        certificate: String = String::new(),
        /// The PEM file of its private key.
        #[go = "takes it in the program only."]
        #[redacted = "PEM"]
        key: String = String::new(),
        /// Further certificates, each with its key: a table of PEM files, `other.crt = "other.key"`, in a variable
        /// `other.crt=other.key,rsa.crt=rsa.key`. A client gets the first that is for the name it asks for and of a kind
        /// that it can verify, ECDSA or RSA; without a name, the first of a kind that it can verify.
        #[go = "has one."]
        #[redacted = "PEM"]
        further: BTreeMap<String, String> = BTreeMap::new(),
        /// The oldest version of TLS that a client may speak: `1.2` or `1.3`.
        #[go = "1.2, without a key."]
        minversion: TlsVersion = TlsVersion::V1_2,
        /// Time between two looks at whether the files of certificates have changed. Then they are loaded, and new
        /// connections get what is new; nobody is sent away. `0` does not look: SIGHUP and `App::reload` always do.
        #[go = "loads them once."]
        reload: Duration = secs(10),
        client: AcceptorTlsClient,
    }
}

section! {
    /// `pitaya.acceptor.tls.client`: certificates of clients.
    "pitaya.acceptor.tls.client" AcceptorTlsClient {
        /// The PEM file of the authorities whose certificates clients may show; empty: clients are not asked for any.
        #[go = "has no such key."]
        #[redacted = "PEM"]
        authorities: String = String::new(),
        /// Whether a client without a certificate is refused. One that shows a certificate of nobody known always is.
        #[go = "has no such key."]
        required: bool = true,
    }
}

section! {
    /// `pitaya.conn`: what one connection may do.
    "pitaya.conn" Conn {
        ratelimiting: RateLimiting,
    }
}

section! {
    /// `pitaya.conn.ratelimiting`: for acceptors that are wrapped in [`RateLimit`](crate::accept::RateLimit).
    "pitaya.conn.ratelimiting" RateLimiting {
        /// How many messages one connection may send in an interval.
        #[go = "counts handshakes and heartbeats too, and drops them."]
        limit: u32 = 20,
        /// The interval over which messages are counted.
        interval: Duration = secs(1),
        /// Switches the limit off where an acceptor asks for it.
        forcedisable: bool = false,
        /// Whether a request over the limit is answered with PIT-429, in place of silence.
        #[go = "is silent."]
        answer: bool = false,
    }
}
