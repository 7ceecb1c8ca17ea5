use super::*;
use crate::BoxFuture;
use crate::codec::{Json, serializer};
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

/// A link that refuses the uid `no` and keeps what was pushed.
#[derive(Default)]
struct Probe(Mutex<Vec<(String, Vec<u8>)>>);

impl Link for Probe {
    fn push(&self, route: &str, body: &[u8]) -> Result<()> {
        self.0.lock().push((route.to_owned(), body.to_vec()));
        Ok(())
    }
    fn send(&self, push: &Push) -> Result<()> {
        self.push(push.route(), push.body())
    }
    fn kick(&self, _: Option<&KickReason>) -> Result<()> {
        Ok(())
    }
    fn close(&self, _: CloseReason) {}
    fn bind<'a>(&'a self, _: &'a Session, uid: &'a Arc<str>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { if &**uid == "no" { Err(Error::new("APP-1", "refused")) } else { Ok(()) } })
    }
    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }
    fn serializer(&self) -> Serializer {
        serializer::<Json>()
    }
}

fn session() -> (Session, Arc<Probe>) {
    let probe = Arc::new(Probe::default());
    (Session::new(1, probe.clone()), probe)
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("pending"),
    }
}

#[test]
fn binding_happens_once_and_a_refusal_leaves_it_unbound() {
    let (session, _) = session();
    assert_eq!(now(session.bind("no")).unwrap_err().code(), "APP-1");
    assert_eq!(session.uid(), None);
    now(session.bind("zoe")).unwrap();
    assert_eq!(session.uid().as_deref(), Some("zoe"));
    assert_eq!(now(session.bind("zoe")).unwrap_err().message(), "session is already bound to an uid");
}

#[test]
fn a_session_serves_another_message_only_as_it_came() {
    let came = |uid: &str| {
        let data = SessionData::from_wire(br#"{"a":1}"#).unwrap();
        Session::with(1, Arc::new(Probe::default()), (!uid.is_empty()).then(|| uid.into()), data)
    };
    let mut session = came("zoe");
    assert_eq!(session.data().get::<u8>("a").unwrap(), Some(1));
    assert!(session.is_same(b"zoe", br#"{"a":1}"#), "it was looked at");
    assert!(!session.is_same(b"", br#"{"a":1}"#) && !session.is_same(b"zoe", b"{}"));
    let held = session.clone();
    assert!(!session.is_same(b"zoe", br#"{"a":1}"#), "it is held");
    drop(held);
    session.data().set("a", 1).unwrap();
    assert!(!session.is_same(b"zoe", br#"{"a":1}"#), "it was written to");
    let mut session = came("");
    now(session.bind("zoe")).unwrap();
    assert!(session.is_same(b"zoe", br#"{"a":1}"#) && !session.is_same(b"", br#"{"a":1}"#));
    session.on_close(|_, _| {});
    assert!(!session.is_same(b"zoe", br#"{"a":1}"#), "a callback was left");
}

#[test]
fn data_keeps_what_was_put_in() {
    let (session, _) = session();
    let data = session.data();
    data.set("big", 9_007_199_254_740_993_i64).unwrap();
    data.set("list", [1, 2]).unwrap();
    assert_eq!(&data.encoded()[..], br#"{"big":9007199254740993,"list":[1,2]}"#);
    assert!(data.replace_encoded(b"[1]").is_err() && data.replace_encoded(b"{").is_err());
    assert_eq!(data.get::<i64>("big").unwrap(), Some(9_007_199_254_740_993));
    data.replace_encoded(br#"{"big":-3}"#).unwrap();
    assert_eq!(data.get::<i64>("big").unwrap(), Some(-3));
    assert!(data.get::<u8>("big").unwrap_err().message().contains("`big`"));
    assert!(data.remove("big") && !data.remove("big") && data.all().is_empty());
    assert_eq!(&data.encoded()[..], b"{}");
}

#[test]
fn it_closes_once_and_every_callback_runs() {
    let (session, _) = session();
    let ran = Arc::new(AtomicU32::new(0));
    let count = |by: u32| {
        let ran = ran.clone();
        move |_: &Session, _: &CloseReason| {
            ran.fetch_add(by, Relaxed);
        }
    };
    session.on_close(count(1));
    session.on_close(|_, _| panic!("in a callback"));
    session.on_close(count(10));
    assert!(session.finish(CloseReason::Kicked(None)));
    assert!(!session.finish(CloseReason::Client));
    assert_eq!(session.close_reason(), Some(&CloseReason::Kicked(None)));
    assert_eq!(now(session.closed()), &CloseReason::Kicked(None));
    session.on_close(count(100));
    assert_eq!(ran.load(Relaxed), 111);
    assert_eq!(now(session.bind("late")).unwrap_err().code(), "PIT-499");
}

#[test]
fn a_push_is_written_in_the_sessions_codec_or_not_at_all() {
    let (session, probe) = session();
    session.push("onX", &vec![1]).unwrap();
    session.push_as::<(crate::Protobuf, Json), _>("onY", &()).unwrap();
    assert_eq!(session.push_as::<(crate::Protobuf,), _>("onZ", &()).unwrap_err().code(), "PIT-500");
    assert_eq!(*probe.0.lock(), [("onX".to_owned(), b"[1]".to_vec()), ("onY".to_owned(), b"null".to_vec())]);
}

#[test]
fn gos_own_value_stays_on_the_wire_and_out_of_sight() {
    let data = SessionData::default();
    data.set_ip_version(true);
    data.replace_wire(br#"{"a":1,"ipversion":"ipv6"}"#).unwrap();
    assert_eq!((data.all().len(), &data.to_wire()[..]), (1, &br#"{"a":1,"ipversion":"ipv4"}"#[..]));
    assert_eq!(data.replace_wire(b"[]").unwrap_err().code(), "PIT-400");
    data.clear();
    assert_eq!((&data.encoded()[..], &data.to_wire()[..]), (&b"{}"[..], &br#"{"ipversion":"ipv4"}"#[..]));
    let came = SessionData::from_wire(br#"{"ipversion":"ipv6","b":2}"#).unwrap();
    came.replace_encoded(br#"{"c":3}"#).unwrap();
    assert_eq!((came.contains("b"), &came.to_wire()[..]), (false, &br#"{"c":3,"ipversion":"ipv6"}"#[..]));
}

/// Go's servers and scripts write such texts; skipped values that could not be read later would be lost.
#[test]
fn data_of_other_servers_are_read_as_in_go_and_never_lost() {
    for (json, value) in [
        (&br#"{"name":"\ud83d","gold":1}"#[..], "\u{fffd}"),
        (b"{\"name\":\"\xed\xa0\xbd\xed\xb8\x82\",\"gold\":1}", "\u{1f602}"),
        (b"{\"name\":\"caf\xe9\",\"gold\":1,\"ipversion\":\"ipv4\"}", "caf\u{fffd}"),
        (br#"{"name":"a","name":"b","gold":1}"#, "b"),
    ] {
        let came = SessionData::from_wire(json).expect("read");
        assert_eq!(&came.to_wire()[..], json, "what was not changed goes on as it came");
        assert_eq!(came.get::<String>("name").unwrap().as_deref(), Some(value));
        assert_eq!((came.get::<u8>("gold").unwrap(), came.all().len()), (Some(1), 2));
        let data = SessionData::default();
        data.replace_wire(json).expect("read");
        assert_eq!(data.get::<String>("name").unwrap().as_deref(), Some(value));
        data.replace_encoded(json).expect("read");
        assert_eq!(data.get::<String>("name").unwrap().as_deref(), Some(value));
    }
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
    for json in [r#"{"a":1e999}"#, "[1]", r#"{"a":"\ud83d"#, &deep] {
        assert_eq!(SessionData::from_wire(json.as_bytes()).unwrap_err().code(), "PIT-500", "{json}");
    }
}
