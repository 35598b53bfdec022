//! A browser that does exactly what it is told: one connection a request, one cookie.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A browser at one port of 127.0.0.1.
#[derive(Clone)]
pub struct Browser {
    pub port: u16,
    /// `name=value`, as the server set it last.
    pub cookie: Option<String>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The value of the first input of that name.
    pub fn input(&self, name: &str) -> Option<String> {
        let at = self.body.find(&format!("name=\"{name}\""))?;
        let rest = &self.body[at..at + self.body[at..].find('>')?];
        let value = rest.split_once("value=\"")?.1;
        Some(value.split('"').next()?.replace("&quot;", "\"").replace("&amp;", "&"))
    }
}

impl Browser {
    /// One that has seen nothing.
    pub fn new(port: u16) -> Browser {
        Browser { port, cookie: None }
    }

    /// Signs in by an address that works once.
    #[track_caller]
    pub fn signed_in(port: u16, url: &str) -> Browser {
        let mut browser = Browser::new(port);
        let answer = browser.post("/login", &[("ticket", ticket(url))]);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{}", answer.body);
        browser
    }

    /// Sends a head and a body as they are.
    #[track_caller]
    pub fn raw(&mut self, head: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "{head}\r\nConnection: close\r\n").unwrap();
        if let Some(cookie) = &self.cookie {
            write!(stream, "Cookie: other=1; {cookie}\r\n").unwrap();
        }
        stream.write_all(b"\r\n").unwrap();
        let _ = stream.write_all(body); // an answer may come before the end of the body
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {head}: {text}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
        if let Some(set) = answer.header("set-cookie") {
            self.cookie = Some(set.split(';').next().unwrap().to_owned());
        }
        answer
    }

    /// The name of the server as a browser says it.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}", self.host());
        self.raw(&head, b"")
    }

    /// Sends a form as a browser does from a page of this server.
    #[track_caller]
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = format!("Origin: http://{}", self.host());
        self.post_from(path, fields, &origin)
    }

    /// As [`post`](Self::post), with these lines in the head instead of where it is from.
    #[track_caller]
    pub fn post_from(&mut self, path: &str, fields: &[(&str, &str)], lines: &str) -> Answer {
        let body =
            fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect::<Vec<_>>().join("&");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\n{lines}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}",
            self.host(),
            body.len()
        );
        self.raw(&head, body.as_bytes())
    }

    /// Opens a page with a form and sends it with its hidden fields, and these.
    #[track_caller]
    pub fn fill(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get(path);
        assert_eq!(page.status, 200, "{}", page.body);
        let hidden = ["csrf", "stamp"].map(|name| (name, page.input(name).unwrap_or_default()));
        let mut all = hidden.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
        all.extend_from_slice(fields);
        self.post(path.split('?').next().unwrap(), &all)
    }
}

/// The ticket in an address.
pub fn ticket(url: &str) -> &str {
    url.split_once("ticket=").expect("an address with a ticket").1.trim()
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
