//! A server with the contract of the transit engine: keys, encrypt, decrypt; errors as Vault words them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How the server behaves.
#[derive(Clone, Default)]
pub(super) struct Behaviour {
    /// Answers 503, as a sealed Vault.
    pub sealed: bool,
    /// The token may not read descriptions of keys.
    pub no_read: bool,
    /// Kind of the keys.
    pub kind: Option<&'static str>,
    /// `decrypt` gives this many bytes of its own.
    pub wrong: Option<usize>,
    /// Answers with this instead of JSON.
    pub garbage: Option<&'static str>,
    /// Redirects to there.
    pub redirect: Option<String>,
    /// Calls of these operations are not answered: the test is told, and the connection stays open.
    pub hangs_at: Option<&'static str>,
}

/// The server. Ends with the test.
pub(super) struct Transit {
    pub url: String,
    state: Arc<State>,
    hung: Mutex<Receiver<()>>,
}

struct State {
    behaviour: Mutex<Behaviour>,
    /// Key material by name.
    keys: Mutex<BTreeMap<String, [u8; 32]>>,
    /// Namespaces and tokens that were shown.
    seen: Mutex<Vec<(String, String)>>,
    hung: Mutex<Sender<()>>,
}

/// A stream that can be read and written.
trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Transit {
    pub(super) const TOKEN: &str = "hvs.token-of-the-test";

    /// In the clear, on loopback.
    pub(super) fn start(keys: &[&str]) -> Transit {
        Self::run("http", keys, |stream| Box::new(stream))
    }

    /// Over TLS.
    pub(super) fn with_tls(keys: &[&str], config: Arc<rustls::ServerConfig>) -> Transit {
        Self::run("https", keys, move |stream| {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            Box::new(rustls::StreamOwned::new(connection, stream))
        })
    }

    fn run(scheme: &str, keys: &[&str], wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + 'static) -> Transit {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("{scheme}://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (sender, hung) = channel();
        let material = keys.iter().zip(1u8..).map(|(name, byte)| ((*name).to_owned(), [byte; 32])).collect();
        let state = Arc::new(State {
            behaviour: Mutex::default(),
            keys: Mutex::new(material),
            seen: Mutex::default(),
            hung: Mutex::new(sender),
        });
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, stream) = (Arc::clone(&served), wrap(stream));
                std::thread::spawn(move || serve(&state, stream));
            }
        });
        Transit { url, state, hung: Mutex::new(hung) }
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().unwrap() = behaviour;
    }

    /// Waits until a call hangs.
    pub(super) fn hangs(&self) {
        self.hung.lock().unwrap().recv_timeout(crate::support::PATIENCE).expect("a call that hangs");
    }

    /// Names of the keys there are.
    pub(super) fn keys(&self) -> Vec<String> {
        self.state.keys.lock().unwrap().keys().cloned().collect()
    }

    pub(super) fn seen(&self) -> Vec<(String, String)> {
        self.state.seen.lock().unwrap().clone()
    }
}

fn serve(state: &State, stream: Box<dyn Stream>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let mut body = vec![0; headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)];
        stream.read_exact(&mut body).ok()?;
        let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
        state.seen.lock().unwrap().push((header("x-vault-namespace"), header("x-vault-token")));
        let behaviour = state.behaviour.lock().unwrap().clone();
        if behaviour.hangs_at.is_some_and(|operation| path.contains(&format!("/{operation}/"))) {
            state.hung.lock().unwrap().send(()).ok()?;
            // Until whoever asks is gone.
            stream.read_line(&mut line).ok();
            return None;
        }
        let (status, text) = answer(state, &behaviour, &header("x-vault-token"), (&method, &path), &body);
        let location = behaviour.redirect.map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
        let head = format!("HTTP/1.1 {status} Status\r\n{location}Content-Length: {}\r\n\r\n", text.len());
        stream.get_mut().write_all(format!("{head}{text}").as_bytes()).ok()?;
        stream.get_mut().flush().ok()?;
    }
}

fn errors(text: &str) -> String {
    json!({ "errors": [text] }).to_string()
}

fn answer(
    state: &State,
    behaviour: &Behaviour,
    token: &str,
    (method, path): (&str, &str),
    body: &[u8],
) -> (u16, String) {
    if behaviour.sealed {
        return (503, errors("Vault is sealed"));
    }
    if behaviour.redirect.is_some() {
        return (307, String::new());
    }
    if token != Transit::TOKEN {
        return (
            403,
            json!({ "errors": ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"] }).to_string(),
        );
    }
    if let Some(text) = behaviour.garbage {
        return (200, text.to_owned());
    }
    let Some((operation, name)) = path.strip_prefix("/v1/transit/").and_then(|rest| rest.split_once('/')) else {
        return (404, errors("no handler for route \"\". route entry not found."));
    };
    let mut keys = state.keys.lock().unwrap();
    match (method, operation) {
        ("GET", "keys") if behaviour.no_read => (403, errors("1 error occurred:\n\t* permission denied\n\n")),
        ("GET", "keys") => match keys.contains_key(name) {
            true => {
                (200, json!({ "data": { "name": name, "type": behaviour.kind.unwrap_or("aes256-gcm96") } }).to_string())
            }
            false => (404, json!({ "errors": [] }).to_string()),
        },
        ("POST", "encrypt") => {
            // As Vault does for a token that may create.
            let next = u8::try_from(keys.len()).unwrap() + 1;
            let key = keys.entry(name.to_owned()).or_insert([next; 32]);
            seal(key, body)
        }
        ("POST", "decrypt") => match keys.get(name) {
            None => (400, errors("encryption key not found")),
            Some(key) => unseal(key, body, behaviour.wrong),
        },
        _ => (405, errors("unsupported operation")),
    }
}

fn field(body: &[u8], name: &str) -> Vec<u8> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    STANDARD.decode(body[name].as_str().unwrap_or_default()).unwrap_or_default()
}

fn seal(key: &[u8; 32], body: &[u8]) -> (u16, String) {
    let (msg, aad) = (field(body, "plaintext"), field(body, "associated_data"));
    let mut nonce = [0; 12];
    getrandom::fill(&mut nonce).unwrap();
    let sealed = Aes256GcmSiv::new(key.into()).encrypt(&Nonce::from(nonce), Payload { msg: &msg, aad: &aad }).unwrap();
    let text = format!("vault:v1:{}", STANDARD.encode([&nonce[..], &sealed].concat()));
    (200, json!({ "data": { "ciphertext": text, "key_version": 1 } }).to_string())
}

fn unseal(key: &[u8; 32], body: &[u8], wrong: Option<usize>) -> (u16, String) {
    let aad = field(body, "associated_data");
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = body["ciphertext"].as_str().unwrap_or_default();
    let Some(bytes) = text.strip_prefix("vault:v1:").and_then(|text| STANDARD.decode(text).ok()) else {
        return (400, errors("invalid ciphertext: no prefix"));
    };
    let Some((nonce, msg)) = bytes.split_first_chunk::<12>() else {
        return (400, errors("invalid ciphertext length"));
    };
    match Aes256GcmSiv::new(key.into()).decrypt(&Nonce::from(*nonce), Payload { msg, aad: &aad }) {
        Ok(plain) => {
            let plain = wrong.map_or(plain, |length| vec![9; length]);
            (200, json!({ "data": { "plaintext": STANDARD.encode(plain) } }).to_string())
        }
        Err(_) => (400, errors("cipher: message authentication failed")),
    }
}
