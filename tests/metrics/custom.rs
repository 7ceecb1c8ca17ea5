//! The application's own metrics, and recorders of its own.

use crate::game::{connect, eventually, game, keys, measured, serve};
use crate::text::Scrape;
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::Mutex;
use pitaya_runtime::metrics::MetricError;
use pitaya_runtime::prelude::*;
use pitaya_tests::procfs;
use serde_json::json;
use std::sync::Arc;

fn announced(builder: Builder) -> Builder {
    let custom = keys(&json!({ "custom": {
        "counters": [{ "subsystem": "shop", "name": "sold", "help": "sold things", "labels": ["thing", "kind"] }],
        "gauges": [{ "subsystem": "shop", "name": "stock", "help": "things left" }],
        "summaries": [{ "subsystem": "shop", "name": "price", "help": "prices", "objectives": { "0.5": 0.05, "0.9": 0.01 } }],
        "histograms": [{ "name": "visit", "help": "minutes", "labels": ["who"], "buckets": [1, 5.5] }],
    } }));
    builder.configure(|c| c.metrics.custom = custom.custom)
}

#[tokio::test]
async fn all_four_are_shown() {
    let app = announced(game()).acceptor(Tcp::bind("127.0.0.1:0")).build().expect("it works");
    let metrics = app.metrics();
    metrics.count("sold", &[("thing", "hat"), ("kind", "red")], 2).expect("it works");
    metrics.count("sold", &[("kind", "red"), ("thing", "hat")], 1).expect("it works");
    metrics.gauge("stock", &[], 7.5).expect("it works");
    for price in 1..=100 {
        metrics.observe("price", &[], f64::from(price)).expect("it works");
    }
    metrics.observe("visit", &[("who", "guest")], 3.0).expect("it works");
    metrics.observe("visit", &[("who", "guest")], 30.0).expect("it works");
    let text = metrics.render();
    assert!(text.contains("# HELP pitaya_shop_sold sold things\n# TYPE pitaya_shop_sold counter\n"), "{text}");
    assert!(text.contains("# TYPE pitaya_shop_price summary\n") && text.contains("# TYPE pitaya_visit histogram\n"));
    let scrape = Scrape::parse(&text);
    assert_eq!(scrape.one("pitaya_shop_sold", &[("thing", "hat"), ("kind", "red")]), Some(3.0));
    assert_eq!(scrape.one("pitaya_shop_stock", &[]), Some(7.5));
    let median = scrape.one("pitaya_shop_price", &[("quantile", "0.5")]).expect("it works");
    assert!((median / 50.0 - 1.0).abs() < 0.01, "{median}");
    assert!(scrape.one("pitaya_shop_price", &[("quantile", "0.9")]).is_some());
    assert_eq!(scrape.one("pitaya_visit_bucket", &[("le", "1")]), Some(0.0));
    assert_eq!(scrape.one("pitaya_visit_bucket", &[("le", "5.5")]), Some(1.0));
    assert_eq!(scrape.one("pitaya_visit_bucket", &[("le", "+Inf")]), Some(2.0));
    assert_eq!(scrape.one("pitaya_visit_sum", &[("who", "guest")]), Some(33.0));
}

#[tokio::test]
async fn what_was_not_announced_is_an_error() {
    // Also when nobody listens: a mistake shows in development.
    let app = announced(Builder::new("game").acceptor(Tcp::bind("127.0.0.1:0"))).build().expect("it works");
    let metrics = app.metrics();
    let unknown = metrics.count("slod", &[], 1).expect_err("refused");
    assert_eq!(unknown, MetricError::Unknown("slod".to_owned()));
    assert_eq!(unknown.to_string(), "there is no metric `slod`: announce it under pitaya.metrics.custom");
    assert!(matches!(metrics.gauge("price", &[], 1.0), Err(MetricError::Kind { .. })));
    for labels in
        [&[][..], &[("thing", "hat")], &[("thing", "hat"), ("king", "red")], &[("thing", "hat"), ("thing", "hat")]]
    {
        assert!(matches!(metrics.count("sold", labels, 1), Err(MetricError::Labels { .. })), "{labels:?}");
    }
}

#[tokio::test]
async fn a_report_that_is_refused_leaves_no_series_and_a_counter_does_not_begin_again() {
    let app = announced(game()).acceptor(Tcp::bind("127.0.0.1:0")).build().expect("it works");
    let (metrics, sold) = (app.metrics(), &[("thing", "hat"), ("kind", "red")][..]);
    metrics.gauge("sold", sold, 1.0).expect_err("a counter");
    metrics.observe("sold", sold, 1.0).expect_err("a counter");
    metrics.count("stock", &[], 1).expect_err("a gauge");
    metrics.observe("price", &[], f64::NAN).expect_err("no number");
    for name in ["pitaya_shop_sold", "pitaya_shop_stock", "pitaya_shop_price"] {
        assert!(!metrics.render().contains(name), "{name}");
    }
    metrics.count("sold", sold, u64::MAX).expect("it works");
    metrics.count("sold", sold, 2).expect("it works");
    assert_eq!(Scrape::of(&app).one("pitaya_shop_sold", sold), Some(u64::MAX as f64));
}

#[tokio::test]
async fn label_values_are_bounded() {
    let app = announced(game()).acceptor(Tcp::bind("127.0.0.1:0")).build().expect("it works");
    for number in 0..5_000 {
        app.metrics().observe("visit", &[("who", &format!("player-{number}"))], 1.0).expect("it works");
    }
    let scrape = Scrape::of(&app);
    assert_eq!(scrape.all("pitaya_visit_count", &[]).len(), 1025);
    assert_eq!(scrape.one("pitaya_visit_count", &[("who", "other")]), Some(5_000.0 - 1024.0));
}

#[tokio::test]
async fn values_that_are_no_numbers_spoil_nothing() {
    let app = announced(game()).acceptor(Tcp::bind("127.0.0.1:0")).build().expect("it works");
    let metrics = app.metrics();
    for value in [1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 3.0] {
        for (name, labels) in [("price", &[][..]), ("visit", &[("who", "guest")])] {
            let outcome = metrics.observe(name, labels, value);
            let refused = matches!(&outcome, Err(MetricError::NotFinite { .. }));
            assert_eq!(refused, !value.is_finite(), "{name} {value}: {outcome:?}");
        }
    }
    // A gauge may say that it does not know.
    metrics.gauge("stock", &[], f64::NAN).expect("it works");
    let text = metrics.render();
    for line in [
        "pitaya_visit_bucket{game=\"\",serverType=\"game\",who=\"guest\",le=\"1\"} 1\n",
        "pitaya_visit_sum{game=\"\",serverType=\"game\",who=\"guest\"} 4\n",
        "pitaya_visit_count{game=\"\",serverType=\"game\",who=\"guest\"} 2\n",
        "pitaya_shop_price_sum{game=\"\",serverType=\"game\"} 4\n",
        "pitaya_shop_price_count{game=\"\",serverType=\"game\"} 2\n",
        "pitaya_shop_stock{game=\"\",serverType=\"game\"} NaN\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test]
async fn two_lists_of_values_are_two_series() {
    let app = announced(game()).acceptor(Tcp::bind("127.0.0.1:0")).build().expect("it works");
    let lists = [["a\u{1f}b", "c"], ["a", "b\u{1f}c"], ["1:a1", ":b"], ["1:a", "1:b"], ["", "3:x"], ["3:", "x"]];
    for (count, [thing, kind]) in (1..).zip(lists) {
        app.metrics().count("sold", &[("thing", thing), ("kind", kind)], count).expect("it works");
    }
    let scrape = Scrape::of(&app);
    for (count, [thing, kind]) in (1..).zip(lists) {
        let value = scrape.one("pitaya_shop_sold", &[("thing", thing), ("kind", kind)]);
        assert_eq!(value, Some(f64::from(count)), "{thing:?} {kind:?}");
    }
}

#[tokio::test]
async fn long_label_values_take_no_memory() {
    let app = announced(game()).acceptor(Tcp::bind("127.0.0.1:0")).build().expect("it works");
    let before = procfs::resident(std::process::id());
    let mut value = "x".repeat(900_000);
    for number in 0..200 {
        value.replace_range(0..3, &format!("{number:03}"));
        app.metrics().count("sold", &[("thing", &value), ("kind", "x")], 1).expect("it works");
        app.metrics().observe("visit", &[("who", &value)], 1.0).expect("it works");
    }
    let text = app.metrics().render();
    let grown = procfs::resident(std::process::id()).saturating_sub(before);
    println!("200 values of 900 kB: {grown} more bytes, {} to be fetched", text.len());
    // Other tests of this process run beside it.
    assert!(grown < 100 << 20 && text.len() < 100_000, "{grown} bytes, {} to be fetched", text.len());
    let scrape = Scrape::parse(&text);
    assert_eq!(scrape.one("pitaya_shop_sold", &[("thing", "other"), ("kind", "x")]), Some(200.0));
    // The longest that is reported as it is.
    let (fits, long) = ("y".repeat(128), "y".repeat(129));
    app.metrics().observe("visit", &[("who", &fits)], 1.0).expect("it works");
    app.metrics().observe("visit", &[("who", &long)], 1.0).expect("it works");
    let scrape = Scrape::of(&app);
    assert_eq!(scrape.one("pitaya_visit_count", &[("who", &fits)]), Some(1.0));
    assert_eq!(scrape.one("pitaya_visit_count", &[("who", "other")]), Some(201.0));
}

#[test]
fn names_that_cannot_be_are_told() {
    let problem = |metrics: serde_json::Value| {
        let keys = keys(&metrics);
        let built = measured(Builder::new("game")).acceptor(Tcp::bind("127.0.0.1:0"));
        let error = built.configure(|c| c.metrics = keys).build().expect_err("refused");
        error.to_string()
    };
    let custom = |metric: serde_json::Value| problem(json!({ "custom": { "gauges": [metric] } }));
    for (text, part) in [
        (problem(json!({ "constlabels": { "time-zone": "x" } })), "`time-zone` cannot be a label"),
        (problem(json!({ "constlabels": { "game": "x" } })), "every metric has the label `game` already"),
        (problem(json!({ "additionallabels": { "route": "x" } })), "has the label `route` already"),
        (custom(json!({ "name": "a b" })), "`pitaya_a b` cannot be a name"),
        (custom(json!({ "subsystem": "handler", "name": "response_time_ns" })), "there is another `response_time_ns`"),
        (custom(json!({ "name": "x", "labels": ["le"] })), "the label `le` is reserved for histograms and summaries"),
        (problem(json!({ "constlabels": { "quantile": "x" } })), "the label `quantile` is reserved"),
        (
            custom(json!({ "subsystem": "handler", "name": "response_time_ns_count" })),
            "`pitaya_handler_response_time_ns_count` and `pitaya_handler_response_time_ns` would both write",
        ),
        (
            problem(json!({ "custom": { "histograms": [{ "name": "h" }], "counters": [{ "name": "h_bucket" }] } })),
            "`pitaya_h_bucket` and `pitaya_h` would both write `pitaya_h_bucket`",
        ),
        (
            problem(json!({ "custom": { "summaries": [{ "name": "h_sum" }], "histograms": [{ "name": "h" }] } })),
            "would both write `pitaya_h_sum`",
        ),
        (custom(json!({ "name": "x", "labels": ["a", "a"] })), "has the label `a` twice"),
    ] {
        assert!(text.contains(part), "{text}");
    }
}

/// A recorder as a library has it.
#[derive(Default)]
struct Own {
    values: Arc<Mutex<Vec<(Key, f64)>>>,
}

struct Handle(Key, Arc<Mutex<Vec<(Key, f64)>>>);

impl HistogramFn for Handle {
    fn record(&self, value: f64) {
        self.1.lock().push((self.0.clone(), value));
    }
}

impl Recorder for Own {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Handle(key.clone(), self.values.clone())))
    }
}

#[tokio::test]
async fn several_recorders_hear_the_same() {
    let (first, second) = (Own::default(), Own::default());
    let heard = [first.values.clone(), second.values.clone()];
    let app = serve(game().recorder(first).recorder(second)).await;
    let client = connect(&app).await;
    client.request_raw("game.room.echo", &b"{}"[..]).await.expect("it works");
    for heard in heard {
        let key = eventually("it is recorded", || {
            let heard = heard.lock();
            let mut times = heard.iter().filter(|(key, _)| key.name() == "pitaya_handler_response_time_ns");
            times.next().map(|(key, _)| key.clone())
        });
        let key = key.await;
        let mut labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
        labels.sort_unstable();
        let expected = [("code", ""), ("game", ""), ("route", "game.room.echo"), ("serverType", "game")];
        assert_eq!(labels[..4], expected);
        assert_eq!(labels[4..], [("status", "ok"), ("type", "handler")]);
    }
    assert_eq!(Scrape::of(&app).one("pitaya_handler_response_time_ns_count", &[]), Some(1.0), "and Prometheus too");
}
