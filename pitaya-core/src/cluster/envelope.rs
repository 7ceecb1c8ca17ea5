//! The envelopes of calls between servers: Go's `pitaya.proto` (package `protos`), and the fields that ours add.
//!
//! Numbers from 1000 on are ours. A Go server does not know them and takes no notice; it never sends them.

use crate::error::{Error, codes};
use bytes::{BufMut, Bytes};
use std::collections::BTreeMap;

/// Whom a request is for (`protos.RPCType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum RpcType {
    /// A client's message, forwarded by a frontend: for a handler.
    Sys = 0,
    /// A call of another server: for a remote.
    User = 1,
}

/// What a message is to its client (`protos.MsgType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum MsgType {
    /// It wants an answer.
    Request = 0,
    /// It wants none; between servers it is acknowledged all the same.
    Notify = 1,
    /// Declared by Go, never sent between servers.
    Response = 2,
    /// Declared by Go, never sent between servers.
    Push = 3,
}

/// `protos.Request`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// For a handler or for a remote.
    #[prost(enumeration = "RpcType", tag = "1")]
    pub r#type: i32,
    /// Whose message it is; for handlers only.
    #[prost(message, optional, tag = "2")]
    pub session: Option<Session>,
    /// The message. Go drops a request without one, and nobody hears of it.
    #[prost(message, optional, tag = "3")]
    pub msg: Option<Msg>,
    /// The sender's id, if it is a frontend.
    #[prost(string, tag = "4")]
    pub frontend_id: String,
    /// A JSON object: [`metadata`](super::metadata). Go refuses an empty one and dies of `null`.
    #[prost(bytes = "bytes", tag = "5")]
    pub metadata: Bytes,
}

/// `protos.Msg`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Msg {
    /// The client's number of a request; 0 for a notify and for a call of another server.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// `type.service.method`, or `service.method`.
    #[prost(string, tag = "2")]
    pub route: String,
    /// The client's body as it came, or the argument of a remote.
    #[prost(bytes = "bytes", tag = "3")]
    pub data: Bytes,
    /// Filled in by Go where it arrives; empty on the wire.
    #[prost(string, tag = "4")]
    pub reply: String,
    /// Request or notify.
    #[prost(enumeration = "MsgType", tag = "5")]
    pub r#type: i32,
}

/// `protos.Session`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Session {
    /// Its number on the frontend that holds it.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// Whom it is bound to; empty while nobody.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// Its data, a JSON object, or nothing.
    #[prost(bytes = "bytes", tag = "3")]
    pub data: Bytes,
}

/// `protos.Response`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Response {
    /// The encoded answer.
    #[prost(bytes = "bytes", tag = "1")]
    pub data: Bytes,
    /// Its presence means failure, whatever is in it.
    #[prost(message, optional, tag = "2")]
    pub error: Option<ErrorBody>,
}

/// `protos.Error`
#[derive(Clone, PartialEq, prost::Message)]
pub struct ErrorBody {
    /// The code; empty means PIT-000.
    #[prost(string, tag = "1")]
    pub code: String,
    /// The text for people.
    #[prost(string, tag = "2")]
    pub msg: String,
    /// More of it.
    #[prost(btree_map = "string, string", tag = "3")]
    pub metadata: BTreeMap<String, String>,
}

/// `protos.Push`: to a user, through whatever frontend holds the session.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Push {
    /// The route the client hears.
    #[prost(string, tag = "1")]
    pub route: String,
    /// To whom.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// The body, encoded for the client.
    #[prost(bytes = "bytes", tag = "3")]
    pub data: Bytes,
}

/// `protos.KickMsg`
#[derive(Clone, PartialEq, prost::Message)]
pub struct KickMsg {
    /// Whom.
    #[prost(string, tag = "1")]
    pub user_id: String,
    /// Ours: why, a JSON object, or nothing.
    #[prost(bytes = "bytes", tag = "1008")]
    pub reason: Bytes,
}

/// `protos.KickAnswer`
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct KickAnswer {
    /// Whether the session was there.
    #[prost(bool, tag = "1")]
    pub kicked: bool,
}

/// `protos.BindMsg`: the session of a user is at this frontend now.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BindMsg {
    /// Whose session.
    #[prost(string, tag = "1")]
    pub uid: String,
    /// The frontend's id.
    #[prost(string, tag = "2")]
    pub fid: String,
    /// Ours: its place in the order of logins.
    #[prost(message, optional, tag = "1011")]
    pub stamp: Option<Stamp>,
    /// Ours: whether each frontend that hears it acknowledges it.
    #[prost(bool, tag = "1012")]
    pub awaited: bool,
}

/// When a session was bound, by its frontend's clock, and which session it was. Ours.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Stamp {
    /// Hybrid logical clock, in microseconds since 1970.
    #[prost(fixed64, tag = "1")]
    pub time: u64,
    /// Number of the session on its frontend.
    #[prost(int64, tag = "2")]
    pub session: i64,
}

impl From<&Error> for ErrorBody {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().to_owned(),
            msg: error.message().to_owned(),
            metadata: error.metadata().cloned().unwrap_or_default(),
        }
    }
}

impl From<ErrorBody> for Error {
    fn from(body: ErrorBody) -> Self {
        let code = if body.code.is_empty() { codes::UNKNOWN.to_owned() } else { body.code };
        body.metadata.into_iter().fold(Self::new(code, body.msg), |error, (key, value)| error.with(key, value))
    }
}

impl From<Result<Bytes, &Error>> for Response {
    fn from(outcome: Result<Bytes, &Error>) -> Self {
        match outcome {
            Ok(data) => Self { data, error: None },
            Err(error) => Self { data: Bytes::new(), error: Some(error.into()) },
        }
    }
}

/// Writes the [`Response`] of a good answer, byte for byte as it would encode itself.
pub fn put_answer(data: &[u8], out: &mut impl BufMut) {
    if !data.is_empty() {
        prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, out);
        prost::encoding::encode_varint(data.len() as u64, out);
        out.put_slice(data);
    }
}

impl From<Response> for Result<Bytes, Error> {
    fn from(response: Response) -> Self {
        response.error.map_or(Ok(response.data), |error| Err(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
    }

    fn is<M: Message + PartialEq + Default + std::fmt::Debug>(message: &M, bytes: &str) {
        assert_eq!(message.encode_to_vec(), hex(bytes));
        assert_eq!(M::decode(&hex(bytes)[..]).expect("it decodes"), *message);
    }

    fn request(r#type: RpcType, session: Option<Session>, msg: Msg, frontend: &str, metadata: &'static str) -> Request {
        let metadata = Bytes::from_static(metadata.as_bytes());
        Request { r#type: r#type.into(), session, msg: Some(msg), frontend_id: frontend.to_owned(), metadata }
    }

    fn msg(id: u64, route: &str, data: impl Into<Bytes>, r#type: MsgType) -> Msg {
        Msg { id, route: route.to_owned(), data: data.into(), reply: String::new(), r#type: r#type.into() }
    }

    /// Written by protoc from Go's descriptors.
    #[test]
    fn requests_are_what_go_sends() {
        let data = Bytes::from_static(br#"{"ipversion":"ipv4"}"#);
        let join = request(
            RpcType::Sys,
            Some(Session { id: 7, uid: "u1".to_owned(), data }),
            msg(3, "room.room.join", "{}", MsgType::Request),
            "fe-1",
            r#"{"peer.id":"fe-1","peer.service":"connector","reqTimeout":"5s"}"#,
        );
        is(
            &join,
            "121c0807120275311a147b22697076657273696f6e223a2269707634227d1a160803120e726f6f6d2e726f6f6d2e6a6f696e1a027b7d220466652d312a3f7b22706565722e6964223a2266652d31222c22706565722e73657276696365223a22636f6e6e6563746f72222c2272657154696d656f7574223a223573227d",
        );
        let session = Session { id: 7, uid: String::new(), data: Bytes::new() };
        let told = request(RpcType::Sys, Some(session), msg(0, "room.room.msg", "x", MsgType::Notify), "fe-1", "{}");
        is(&told, "120208071a14120d726f6f6d2e726f6f6d2e6d73671a01782801220466652d312a027b7d");
        let bind = Session { id: 7, uid: "u1".to_owned(), data: Bytes::new() };
        is(&bind, "080712027531");
        let bind = msg(0, "sys.bindsession", bind.encode_to_vec(), MsgType::Request);
        is(
            &request(RpcType::User, None, bind, "", "{}"),
            "08011a19120f7379732e62696e6473657373696f6e1a060807120275312a027b7d",
        );
    }

    #[test]
    fn answers_and_what_is_published_are_what_go_sends() {
        let ack = Response { data: Bytes::from_static(b"ack"), error: None };
        is(&Response { data: ack.encode_to_vec().into(), error: None }, "0a050a0361636b");
        for data in [&b""[..], b"ack", &[7; 300]] {
            let mut written = Vec::new();
            put_answer(data, &mut written);
            assert_eq!(written, Response { data: Bytes::copy_from_slice(data), error: None }.encode_to_vec());
        }
        let error = Error::remote_not_found("room.x");
        let failed = Response::from(Err(&error));
        is(&failed, "122b0a075049542d343034120f726f757465206e6f7420666f756e641a0f0a05726f7574651206726f6f6d2e78");
        assert_eq!(Result::from(failed), Err(error));
        let kick = KickMsg { user_id: "u1".to_owned(), ..KickMsg::default() };
        is(&kick, "0a027531");
        is(&KickMsg { reason: Bytes::from_static(b"{}"), ..kick }, "0a027531823f027b7d");
        is(&KickAnswer { kicked: true }, "0801");
        let push = Push { route: "onMsg".to_owned(), uid: "u1".to_owned(), data: Bytes::from_static(b"hi") };
        is(&push, "0a056f6e4d7367120275311a026869");
        let bound = BindMsg { uid: "u1".to_owned(), fid: "fe-1".to_owned(), ..BindMsg::default() };
        is(&bound, "0a027531120466652d31");
        // Ours: behind what Go reads, in fields that it skips.
        let stamp = Some(Stamp { time: 0x0102, session: 7 });
        is(&BindMsg { stamp, awaited: true, ..bound }, "0a027531120466652d319a3f0b0902010000000000001007a03f01");
    }

    #[test]
    fn the_presence_of_an_error_decides() {
        let empty = Response::decode(&[0x12, 0x00][..]).expect("it decodes");
        let error = Result::<Bytes, Error>::from(empty).expect_err("an error");
        assert_eq!((error.code(), error.message()), ("PIT-000", ""));
    }
}
