//! The keys of calls between servers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Discovery, client_tls, millis, secs, section};
use crate::config::{ByteSize, Secret, UserTopics};

section! {
    /// `pitaya.cluster`: how servers find and call each other.
    "pitaya.cluster" Cluster {
        info: ClusterInfo,
        rpc: Rpc,
        sd: Discovery,
        retry: Repeatable,
        timeout: RouteTimes,
    }
}

section! {
    /// `pitaya.cluster.timeout`: how long a frontend waits for other servers.
    "pitaya.cluster.timeout" RouteTimes {
        /// How long the answer to a forwarded message may take, such as `30s`, by route: `type.service.method`, or
        /// `type.service.*` and `type.*` for all of them. The most exact name counts. It wins over what the server's methods
        /// say of themselves (`#[route(timeout = "30s")]`); all others take `pitaya.cluster.rpc.client.nats.requesttimeout`.
        #[go = "one time for all routes."]
        routes: BTreeMap<String, Duration> = BTreeMap::new(),
    }
}

section! {
    /// `pitaya.cluster.retry`: what may be sent again when it was lost on its way.
    "pitaya.cluster.retry" Repeatable {
        /// Routes that may run twice: remotes as `service.method`, clients' messages for other servers as
        /// `type.service.method`.
        #[go = "never sends anything again."]
        routes: Vec<String> = Vec::new(),
    }
}

section! {
    /// `pitaya.cluster.info`: what the cluster is told about this server.
    "pitaya.cluster.info" ClusterInfo {
        /// Where this server runs. gRPC calls the internal address of servers of the same region.
        region: String = String::new(),
    }
}

section! {
    /// `pitaya.cluster.rpc`: calls between servers.
    "pitaya.cluster.rpc" Rpc {
        authentication: Authentication,
        client: RpcClient,
        server: RpcServer,
    }
}

section! {
    /// `pitaya.cluster.rpc.authentication`: servers sign their messages, over NATS, and take signed ones only. It is off while
    /// there is no key. `docs/security.md` says how to turn it on in a running cluster.
    "pitaya.cluster.rpc.authentication" Authentication {
        /// Keys of at least 32 bytes, with commas between; all servers of the cluster have the same. The first signs, and each
        /// verifies.
        #[go = "has no such key."]
        keys: Secret = Secret::default(),
        /// A file with these keys, one a line, in place of `keys`. It is read again when it has changed, as often as
        /// `pitaya.acceptor.tls.reload` says, and at SIGHUP.
        #[go = "has no such key."]
        #[redacted = "PEM"]
        file: String = String::new(),
        /// Types of servers that need not sign: those of Go. Whoever can publish on the broker can act as a server of such a
        /// type. `*` stands for all types, while keys are given to one server after the other.
        #[go = "has no such key."]
        unsigned: Vec<String> = Vec::new(),
        /// The most that the time of a signature may differ from the time here. Clocks must agree at least that well.
        #[go = "has no such key."]
        tolerance: Duration = secs(60),
    }
}

impl Authentication {
    /// Whether there are keys, so that messages are signed.
    pub(crate) fn is_set(&self) -> bool {
        !self.keys.expose().is_empty() || !self.file.is_empty()
    }
}

section! {
    /// `pitaya.cluster.rpc.client`: calls this server makes.
    "pitaya.cluster.rpc.client" RpcClient {
        grpc: GrpcClient,
        nats: NatsClient,
    }
}

section! {
    /// `pitaya.cluster.rpc.server`: calls this server answers.
    "pitaya.cluster.rpc.server" RpcServer {
        grpc: GrpcServer,
        nats: NatsServer,
    }
}

section! {
    /// `pitaya.cluster.rpc.client.grpc`: calls over gRPC.
    "pitaya.cluster.rpc.client.grpc" GrpcClient {
        /// How long connecting to a server may take.
        #[go = "reads it and never uses it."]
        dialtimeout: Duration = secs(5),
        /// Whether a server is connected to at the first call, not when it is discovered.
        lazyconnection: bool = false,
        /// How long a call may take.
        requesttimeout: Duration = secs(5),
    }
}

section! {
    /// `pitaya.cluster.rpc.server.grpc`: answers over gRPC.
    "pitaya.cluster.rpc.server.grpc" GrpcServer {
        /// The port calls come in on.
        port: u16 = 3434,
    }
}

section! {
    /// `pitaya.cluster.rpc.client.nats`: calls over NATS.
    "pitaya.cluster.rpc.client.nats" NatsClient {
        /// The broker's address; several have commas between. `nats://` or `tls://`, with `user:password@` or `token@`.
        #[redacted = "logins"]
        connect: String = "nats://localhost:4222".to_owned(),
        /// How long a call may take, unless the call says otherwise.
        requesttimeout: Duration = secs(5),
        /// How long connecting may take.
        #[go = "the manual says 5s."]
        connectiontimeout: Duration = secs(2),
        /// How often the first connection is tried again at the start; below 0: for ever.
        #[go = "also ends the process when a lost connection was tried so often. Here it is tried for ever."]
        maxreconnectionretries: i32 = 15,
        /// Whether a connection over WebSocket is compressed.
        #[go = "connects over WebSocket too; here that is refused."]
        websocketcompression: bool = true,
        /// Up to so much is added by chance to the wait before the first connection is tried again.
        reconnectjitter: Duration = millis(100),
        /// The same for a connection over TLS.
        reconnectjittertls: Duration = secs(1),
        /// The wait before the first connection is tried again.
        #[go = "waits so for a lost one too. Here that is by chance up to a quarter of the outage so far, 5s at most."]
        reconnectwait: Duration = secs(1),
        /// Time between two pings to the broker. A connection that is silent for three of them counts as lost.
        #[go = "2m."]
        pinginterval: Duration = secs(2),
        /// Unanswered pings after which the connection counts as lost.
        #[go = "heeds it; here it is always 2."]
        maxpingsoutstanding: u32 = 3,
        /// How much may wait to be sent to other servers. What comes beyond is refused with PIT-503.
        buffer: ByteSize = ByteSize::new(64 << 20),
        auth: NatsAuth,
        tls: NatsTls,
    }
}

section! {
    /// `pitaya.cluster.rpc.client.nats.auth`: who logs in to the broker, in one of four ways. Without one, what stands in the
    /// address holds. Files are read with each connection, so that they may be renewed.
    "pitaya.cluster.rpc.client.nats.auth" NatsAuth {
        /// The name to log in with.
        #[go = "has it in the address."]
        user: String = String::new(),
        /// The password to log in with.
        #[go = "has it in the address."]
        pass: Secret = Secret::default(),
        /// The token to log in with.
        #[go = "has it in the address."]
        token: Secret = Secret::default(),
        /// The file of the seed (`SU..`) of an nkey to log in with.
        #[go = "has no such key."]
        #[redacted = "PEM"]
        nkey: String = String::new(),
        /// The credentials file to log in with, as `nsc` writes it: a token (JWT) and a seed.
        #[go = "has no such key."]
        #[redacted = "PEM"]
        credentials: String = String::new(),
    }
}

client_tls! {
    "`pitaya.cluster.rpc.client.nats.tls`: TLS to the broker. It is spoken when the address begins with `tls://`, when a key of this section is set, and when the broker asks for it."
    "pitaya.cluster.rpc.client.nats.tls" NatsTls
}

section! {
    /// `pitaya.cluster.rpc.server.nats`: answers over NATS.
    "pitaya.cluster.rpc.server.nats" NatsServer {
        /// The broker's address.
        #[redacted = "logins"]
        connect: String = "nats://localhost:4222".to_owned(),
        /// How long connecting may take.
        #[go = "the manual says 5s."]
        connectiontimeout: Duration = secs(2),
        /// How often a lost connection is tried again; below 0: for ever.
        maxreconnectionretries: i32 = 15,
        /// Whether a connection over WebSocket is compressed.
        websocketcompression: bool = true,
        /// Up to so much is added by chance to the wait before a connection is tried again.
        reconnectjitter: Duration = millis(100),
        /// The same for a connection over TLS.
        reconnectjittertls: Duration = secs(1),
        /// The wait before a connection is tried again.
        reconnectwait: Duration = secs(1),
        /// Time between two pings to the broker.
        pinginterval: Duration = secs(120),
        /// Unanswered pings after which the connection counts as lost.
        maxpingsoutstanding: u32 = 3,
        /// Calls worked on at the same time.
        services: usize = 30,
        /// Whether a frontend subscribes two subjects for each of its users, by which Go servers push and kick: `auto` (while
        /// discovery knows a server that is not one of ours), `always` (something that is in no discovery publishes to
        /// users) or `never`.
        #[go = "always."]
        usertopics: UserTopics = UserTopics::Auto,
        buffer: NatsBuffer,
    }
}

section! {
    /// `pitaya.cluster.rpc.server.nats.buffer`: what waits to be worked on.
    "pitaya.cluster.rpc.server.nats.buffer" NatsBuffer {
        /// Calls that may wait. A call beyond is refused at once with PIT-503.
        #[go = "drops it, and the caller waits for its time-out."]
        messages: usize = 75,
        /// Pushes to users of this frontend that may wait.
        push: usize = 100,
    }
}
