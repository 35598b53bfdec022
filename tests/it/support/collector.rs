//! A collector of traces: takes OTLP over HTTP and keeps every body.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A listener on 127.0.0.1. Its thread ends with the process of the test.
pub struct Collector {
    /// What `traces.endpoint` takes.
    pub url: String,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    /// Starts one.
    pub fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Collector { url, bodies }
    }

    /// All that came, as it came.
    pub fn text(&self) -> String {
        self.bodies.lock().unwrap().join("\n")
    }

    /// All spans that came.
    pub fn spans(&self) -> Vec<Value> {
        let parse = |body: &String| serde_json::from_str::<Value>(body).unwrap();
        let bodies: Vec<Value> = self.bodies.lock().unwrap().iter().map(parse).collect();
        bodies
            .iter()
            .flat_map(|body| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone())
            .collect()
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).is_ok_and(|n| n == 0) || line.is_empty() {
                return;
            }
            let line = line.trim().to_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        kept.lock().unwrap().push(String::from_utf8(body).unwrap());
        let _ = reader
            .get_mut()
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
    }
}
