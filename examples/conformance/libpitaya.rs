//! The profile of libpitaya's suite: two apps in one process, one in JSON and one in protobuf.

use crate::flags::Flags;
use pitaya_runtime::prelude::*;
use pitaya_runtime::wire::HandshakeData;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::time::Duration;

const PUSH: &str = "some.push.route";
const DATA: &str = "THIS IS THE SESSION DATA";

pub async fn run(flags: &Flags) -> Result<(), Box<dyn std::error::Error>> {
    for (flag, value) in [("-cert", &flags.cert), ("-key", &flags.key), ("-bigmessage", &flags.big_message)] {
        if value.is_empty() {
            return Err(format!("-profile libpitaya needs {flag} FILE").into());
        }
    }
    let big = std::fs::read(&flags.big_message).map_err(|e| format!("-bigmessage {}: {e}", flags.big_message))?;
    let [json, json_tls, protobuf, protobuf_tls] = flags.ports;
    let json = builder(flags, json, json_tls).handlers(JsonConnector).build()?;
    let protobuf = builder(flags, protobuf, protobuf_tls).serializer::<Protobuf>();
    let protobuf = protobuf.handlers(ProtobufConnector { big: big.into() }).build()?;
    json.start().await?;
    protobuf.start().await?;
    let end = pitaya_runtime::shutdown::signal();
    crate::ready(&[&json, &protobuf]);
    end.await;
    json.shutdown().await;
    protobuf.shutdown().await;
    Ok(())
}

fn builder(flags: &Flags, plain: u16, tls: u16) -> Builder {
    Builder::new("connector")
        .configure(|config| config.heartbeat.interval = Duration::from_secs(3))
        .acceptor(Tcp::bind(format!("0.0.0.0:{plain}")))
        .acceptor(Tcp::bind(format!("0.0.0.0:{tls}")).tls(&flags.cert, &flags.key))
}

struct JsonConnector;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionData {
    data: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Done {
    code: u16,
    msg: &'static str,
}

#[handler(name = "connector")]
impl JsonConnector {
    pub fn getsessiondata(&self, session: &Session) -> SessionData {
        SessionData { data: session.data().all() }
    }

    pub fn setsessiondata(&self, session: &Session, data: SessionData) -> Done {
        session.data().replace(data.data);
        Done { code: 200, msg: "success" }
    }

    /// Suites compare its text: the keys come in the order of Go's structs.
    pub fn gethandshakedata(&self, session: &Session) -> Result<HandshakeData> {
        session.handshake().cloned().ok_or_else(|| Error::internal("a session without a handshake"))
    }

    pub fn sendpush(&self, session: &Session) -> Result<Done> {
        session.push(PUSH, &json!({ "key1": 10, "key2": true }))?;
        Ok(Done { code: 200, msg: "Ok" })
    }

    pub fn geterror(&self) -> Result<Done> {
        Err(Error::new("PIT-000", "GetError is returning a custom error"))
    }
}

struct ProtobufConnector {
    big: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    data: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Answer {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    msg: String,
}

#[handler(name = "connector", codec = Protobuf)]
impl ProtobufConnector {
    pub fn getsessiondata(&self) -> Text {
        Text { data: DATA.to_owned() }
    }

    pub fn setsessiondata(&self, _data: Text) -> Answer {
        Answer { code: 200, msg: "success".to_owned() }
    }

    #[route(notify)]
    pub fn notifysessiondata(&self, session: &Session) -> Result<()> {
        session.push_as::<(Protobuf,), _>(PUSH, &Text { data: DATA.to_owned() })
    }

    pub fn getbigmessage(&self) -> Raw {
        Raw(self.big.clone())
    }
}
