//! Calls as Go servers send them: one message of the broker each, with an answer of its own.

use crate::rpc::{Hall, Text, text};
use crate::world::{SOON, World};
use bytes::Bytes;
use futures_util::StreamExt;
use pitaya_runtime::Error;
use pitaya_runtime::cluster::envelope::{Msg, Request, Response, RpcType};
use prost::Message;
use std::collections::HashMap;

/// More than the answers of one batch, and more different metadata than one server has.
const CALLS: usize = 200;

fn request(route: &str, data: Vec<u8>, metadata: String) -> Bytes {
    let msg = Msg { route: route.to_owned(), data: data.into(), ..Msg::default() };
    let request =
        Request { r#type: RpcType::User.into(), msg: Some(msg), metadata: metadata.into(), ..Request::default() };
    request.encode_to_vec().into()
}

/// Those that come together run together, and each has its own answer: good ones, large ones, errors and panics. One that
/// has no time left has none.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_call_has_its_own_answer() {
    let mut world = World::brokers();
    let _hall = world.backend("hall", "one", |b| b.remotes(Hall)).await;
    let client = async_nats::connect(world.nats().url()).await.expect("a client");
    let mut answers = client.subscribe("answers.*").await.expect("a subscription");
    for n in 0..CALLS {
        // Some bring something of their own, and some wait for another time.
        let metadata = match n % 3 {
            0 => r#"{"peer.id":"go","peer.service":"game","reqTimeout":"5s"}"#.to_owned(),
            1 => format!(r#"{{"peer.id":"go","peer.service":"game","reqTimeout":"5s","trace":"t{n}"}}"#),
            _ => format!(r#"{{"peer.id":"go","peer.service":"game","reqTimeout":"{}ms"}}"#, 4000 + n),
        };
        let large = "x".repeat(10_000);
        let payload = match n % 8 {
            0 => request("hall.hall.upper", text(large).encode_to_vec(), metadata),
            1 => request("hall.hall.panics", Vec::new(), metadata),
            2 => request("hall.hall.fail", Vec::new(), metadata),
            3 => request("hall.hall.nothing", Vec::new(), metadata),
            4 => request("hall.hall.trace", Vec::new(), metadata),
            5 => request("hall.upper", vec![0xff], metadata),
            6 => request("hall.hall.stuck", Vec::new(), metadata.replace("5s", "50ms")),
            _ => request("hall.hall.upper", text(format!("a{n}")).encode_to_vec(), metadata),
        };
        let reply = format!("answers.{n}");
        client.publish_with_reply("pitaya/servers/hall/one", reply, payload).await.expect("published");
    }
    let mut got: HashMap<usize, Result<Text, Error>> = HashMap::new();
    let stuck = (0..CALLS).filter(|n| n % 8 == 6).count();
    while got.len() < CALLS - stuck {
        let message = tokio::time::timeout(SOON, answers.next()).await.expect("in time").expect("an answer");
        let n: usize = message.subject.strip_prefix("answers.").and_then(|n| n.parse().ok()).expect("a number");
        let response = Response::decode(message.payload).expect("a response");
        let outcome = Result::from(response).map(|data: Bytes| Text::decode(data).expect("a text"));
        assert!(got.insert(n, outcome).is_none(), "{n} is answered twice");
    }
    for (n, outcome) in got {
        let told = outcome.map_or_else(|error| format!("{} {}", error.code(), error.message()), |text| text.text);
        let trace = if n % 3 == 1 { format!("t{n}") } else { String::new() };
        let wanted = match n % 8 {
            0 => "X".repeat(10_000),
            1 => "PIT-500 internal error".to_owned(),
            2 => "HALL-1 on purpose".to_owned(),
            3 => "PIT-404 route not found".to_owned(),
            4 => trace,
            5 => {
                assert!(told.starts_with("PIT-400"), "{told}");
                continue;
            }
            _ => format!("A{n}"),
        };
        assert_eq!(told, wanted, "{n}");
    }
}
