use std::time::Duration;

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::telemetry::metrics::{Metrics, Scrape};

/// Reads one request; its head and its body.
async fn request(stream: &mut TcpStream) -> (String, Json) {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: Option<usize> =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() == length.expect("it says how long it is") {
                return (head.to_owned(), serde_json::from_str(body).expect("it is JSON"));
            }
        }
        assert!(stream.read_buf(&mut read).await.expect("it reads") > 0, "the request ends early");
    }
}

fn span(tracer: &Tracer) -> Span {
    let parent = tracer.begin();
    Span {
        context: tracer.within(parent),
        parent: Some(parent.span),
        link: Some(tracer.begin()),
        name: "SELECT".to_owned(),
        kind: SpanKind::Server,
        time: since(Instant::now()),
        attributes: vec![("db.namespace", "shop".into()), ("rows", Value::Number(3)), ("seconds", Value::Real(0.5))],
        error: Some("23505".to_owned()),
    }
}

fn start(endpoint: &str, sample: f64) -> (Tracer, CancellationToken, tokio::task::JoinHandle<()>, Scrape) {
    let (metrics, scrape) = Metrics::new();
    let (tracer, waiting) = Tracer::new(sample, &metrics.spans);
    let endpoint = check_endpoint(endpoint).expect("a URL");
    let end = CancellationToken::new();
    let exporter = Exporter::new(endpoint, None, metrics.spans.clone());
    (tracer, end.clone(), tokio::spawn(exporter.run(waiting, end)), scrape)
}

fn counted(scrape: &Scrape, outcome: &str, count: u64) -> bool {
    scrape.render().contains(&format!("columnseal_trace_spans_total{{outcome=\"{outcome}\"}} {count}\n"))
}

#[tokio::test]
async fn spans_arrive_as_otlp_has_them_and_the_last_ones_at_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (tracer, end, task, scrape) = start(&format!("http://{address}"), 1.0);
    let sent = [span(&tracer), span(&tracer)];
    sent.iter().cloned().for_each(|span| tracer.send(span));
    tracer.send(Span { context: Context { sampled: false, ..sent[0].context }, ..sent[0].clone() });
    end.cancel();
    let (mut stream, _) = listener.accept().await.expect("it comes");
    let (head, body) = request(&mut stream).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.expect("it reads");
    task.await.expect("it ends");
    assert!(head.starts_with("POST /v1/traces HTTP/1.1") && head.contains("content-type: application/json"), "{head}");
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!(spans.as_array().map(Vec::len), Some(2), "what is not sampled stays here: {body}");
    let first = &spans[0];
    assert_eq!(first["traceId"], hex::encode(sent[0].context.trace));
    assert_eq!(first["parentSpanId"], hex::encode(sent[0].parent.expect("it has one")));
    assert_eq!(first["links"][0]["spanId"], hex::encode(sent[0].link.expect("it has one").span));
    assert_eq!(
        (&first["kind"], &first["status"]["code"], &first["status"]["message"]),
        (&2.into(), &2.into(), &"23505".into())
    );
    assert_eq!(first["attributes"][1]["value"]["intValue"], "3");
    assert_eq!(body["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"], "columnseal");
    assert!(counted(&scrape, "exported", 2), "{}", scrape.render());
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_alone() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("it is bound");
    let (tracer, end, task, scrape) = start(&format!("http://{gone}/custom/path"), 1.0);
    tracer.send(span(&tracer));
    end.cancel();
    task.await.expect("it ends");
    assert!(counted(&scrape, "failed", 1), "{}", scrape.render());
}

#[tokio::test]
async fn a_collector_that_hangs_holds_up_no_shutdown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (tracer, end, task, _scrape) = start(&format!("http://{address}"), 1.0);
    let one = span(&tracer);
    // A batch, which is sent at once, and some more.
    (0..600).for_each(|_| tracer.send(one.clone()));
    let (mut stream, _) = listener.accept().await.expect("it comes");
    request(&mut stream).await;
    let begin = Instant::now();
    end.cancel();
    task.await.expect("it ends");
    assert!(begin.elapsed() < Duration::from_secs(4), "two seconds for all that is left: {:?}", begin.elapsed());
}

#[test]
fn a_full_queue_drops_and_counts() {
    let (metrics, scrape) = Metrics::new();
    let (tracer, _waiting) = Tracer::new(1.0, &metrics.spans);
    let one = span(&tracer);
    let begin = Instant::now();
    (0..QUEUE + 7).for_each(|_| tracer.send(one.clone()));
    assert!(counted(&scrape, "dropped", 7) && begin.elapsed() < Duration::from_secs(5), "{}", scrape.render());
}

#[test]
fn a_share_of_traces_is_kept() {
    let spans = Metrics::detached().spans;
    for (sample, least, most) in [(0.0, 0, 0), (1.0, 1000, 1000), (0.5, 350, 650)] {
        let (tracer, _waiting) = Tracer::new(sample, &spans);
        let kept = (0..1000).filter(|_| tracer.begin().sampled).count();
        assert!((least..=most).contains(&kept), "{kept} of 1000 at {sample}");
    }
}

#[test]
fn endpoints_are_urls() {
    let path = |text| check_endpoint(text).map(|uri| uri.to_string()).ok();
    assert_eq!(path("http://c:4318").as_deref(), Some("http://c:4318/v1/traces"));
    assert_eq!(path("https://c/").as_deref(), Some("https://c/v1/traces"));
    assert_eq!(path("http://c:4318/otlp").as_deref(), Some("http://c:4318/otlp"));
    for bad in ["", "c:4318", "ftp://c", "http://", "/v1/traces", "grpc://c:4317"] {
        assert!(path(bad).is_none(), "{bad}");
    }
}
