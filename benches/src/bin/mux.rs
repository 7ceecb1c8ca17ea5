//! The bare reply multiplexer on async-nats, both sides: what a forwarded request is divided by.

use std::pin::Pin;
use std::process::ExitCode;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_nats::client::traits::Publisher;
use async_nats::message::OutboundMessage;
use async_nats::{Client, ConnectOptions, Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::Stream;
use pitaya_benches::args::Args;
use pitaya_benches::mux::{SUBJECT, Slots, answer};
use pitaya_benches::procfs::Cost;
use pitaya_benches::report::LoadReport;
use pitaya_benches::tally::Tally;
use serde_json::json;

const USAGE: &str = "usage: mux respond --nats URL
       mux request --nats URL [--in-flight 512] [--secs 2] [--warmup 0.3] [--server-pid PID,..]";
/// How many messages one wake-up serves at most.
const BATCH: usize = 256;
/// How long the last answers may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(|e| e.to_string()).and_then(|runtime| runtime.block_on(run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("mux: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let options = ["nats", "in-flight", "secs", "warmup", "server-pid"];
    let args = Args::parse(std::env::args().skip(1), &options, &[]).map_err(|e| format!("{e}\n{USAGE}"))?;
    let url = args.text("nats").ok_or(USAGE)?;
    // The subjects are built once: checking them for each message would be a cost of the library, not of the broker.
    let client = ConnectOptions::new().skip_subject_validation(true).connect(url).await.map_err(text)?;
    match args.words() {
        [word] if word == "respond" => respond(client).await,
        [word] if word == "request" => {
            let in_flight = args.value("in-flight", 512)?;
            if !(1..=10_000).contains(&in_flight) {
                return Err("--in-flight lies between 1 and 10000".to_owned());
            }
            let [warm_up, window] = [args.value("warmup", 0.3)?, args.value("secs", 2.0)?].map(Duration::from_secs_f64);
            let requester = Requester::new(client, in_flight).await?;
            println!("{}", json!(requester.load(warm_up, window, &args.list("server-pid")?).await?));
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    }
}

async fn respond(client: Client) -> Result<(), String> {
    let mut requests = client.subscribe(SUBJECT).await.map_err(text)?;
    client.flush().await.map_err(text)?;
    println!("ready");
    let mut ready = Vec::new();
    while arrived(&mut requests, &mut ready).await {
        for request in ready.drain(..) {
            // What is no request of ours gets no answer: the requester counts it as missing.
            if let (Some(reply), Some(answer)) = (request.reply, answer(&request.payload)) {
                client.publish_message(outbound(reply, None, answer)).await.map_err(text)?;
            }
        }
    }
    Err("the subscription has ended".to_owned())
}

struct Requester {
    client: Client,
    inbox: Subscriber,
    target: Subject,
    /// The reply subject of each slot, its number is the last word.
    replies: Vec<Subject>,
    slots: Slots,
    tally: Tally,
    ready: Vec<Message>,
    epoch: Instant,
}

impl Requester {
    async fn new(client: Client, in_flight: usize) -> Result<Self, String> {
        let inbox = client.new_inbox();
        let subscription = client.subscribe(format!("{inbox}.*")).await.map_err(text)?;
        client.flush().await.map_err(text)?;
        Ok(Self {
            client,
            inbox: subscription,
            target: Subject::from_static(SUBJECT),
            replies: (0..in_flight).map(|slot| format!("{inbox}.{slot}").into()).collect(),
            slots: Slots::new(in_flight),
            tally: Tally::default(),
            ready: Vec::new(),
            epoch: Instant::now(),
        })
    }

    async fn load(mut self, warm_up: Duration, window: Duration, servers: &[u32]) -> Result<LoadReport, String> {
        for slot in 0..self.replies.len() {
            self.ask(slot, self.now()).await?;
        }
        self.run(self.now() + nanos(warm_up)).await?;
        let (before, open) = (Cost::now(servers)?, self.now());
        let close = open + nanos(window);
        self.tally.open(open..close);
        self.run(close).await?;
        let (secs, after) = ((self.now() - open) as f64 / 1e9, Cost::now(servers)?);
        // No new requests; what does not come in time is missing.
        let _ = tokio::time::timeout(PATIENCE, async {
            while self.slots.in_flight() > 0 {
                self.turn(false).await?;
            }
            Ok::<_, String>(())
        })
        .await;
        self.tally.fail(self.slots.in_flight() as u64, || "no answer".to_owned());
        Ok(LoadReport::new(self.tally, secs, after.generator - before.generator, &after.servers_since(&before)))
    }

    async fn run(&mut self, end: u64) -> Result<(), String> {
        let limit = Duration::from_nanos(end.saturating_sub(self.now())) + PATIENCE;
        let turns = async {
            while self.turn(true).await? < end {}
            Ok(())
        };
        tokio::time::timeout(limit, turns).await.unwrap_or_else(|_| Err("no answers came for 10 s".to_owned()))
    }

    /// Takes the answers that have come and, if wanted, asks again in their slots; returns the time.
    async fn turn(&mut self, again: bool) -> Result<u64, String> {
        if !arrived(&mut self.inbox, &mut self.ready).await {
            return Err("the subscription has ended".to_owned());
        }
        let now = self.now();
        let mut ready = std::mem::take(&mut self.ready);
        for message in ready.drain(..) {
            let slot = message.subject.rsplit('.').next().and_then(|word| word.parse().ok()).unwrap_or(usize::MAX);
            if let Some(status) = message.status {
                return Err(format!("the broker answered with status {status}"));
            }
            self.slots.answered(slot, &message.payload, now, &mut self.tally);
            if again && slot < self.replies.len() {
                self.ask(slot, now).await?;
            }
        }
        self.ready = ready;
        Ok(now)
    }

    async fn ask(&mut self, slot: usize, now: u64) -> Result<(), String> {
        let payload = self.slots.request(slot, now);
        let message = outbound(self.target.clone(), Some(self.replies[slot].clone()), payload);
        self.client.publish_message(message).await.map_err(text)
    }

    fn now(&self) -> u64 {
        nanos(self.epoch.elapsed())
    }
}

/// Everything that is there, at least one message; false at the end of the subscription.
async fn arrived(subscriber: &mut Subscriber, ready: &mut Vec<Message>) -> bool {
    std::future::poll_fn(|context| {
        while ready.len() < BATCH {
            match Pin::new(&mut *subscriber).poll_next(context) {
                Poll::Ready(Some(message)) => ready.push(message),
                Poll::Ready(None) => return Poll::Ready(!ready.is_empty()),
                Poll::Pending if ready.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(true)
    })
    .await
}

fn outbound(subject: Subject, reply: Option<Subject>, payload: Bytes) -> OutboundMessage {
    OutboundMessage { subject, reply, payload, headers: None }
}

fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
