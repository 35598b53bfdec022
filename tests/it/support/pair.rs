//! Two raw connections, to the plain twin and through the proxy, which must be answered the same.

use super::Twin;
use super::raw::{Raw, query, transcript};

/// Both sides, with fresh connections.
pub struct Pair {
    pub plain: Raw,
    pub sealed: Raw,
}

impl Pair {
    /// Connects.
    #[track_caller]
    pub fn new(twin: &Twin) -> Pair {
        let (plain, sealed) = twin.raw();
        Pair { plain, sealed }
    }

    /// Sends to both what ends with `ready` ReadyForQuery messages, and compares.
    #[track_caller]
    pub fn same(&mut self, what: &str, bytes: &[u8], ready: usize) -> String {
        let mut shown = [&mut self.plain, &mut self.sealed].map(|side| {
            side.send(bytes);
            let answers: Vec<String> = (0..ready).map(|_| transcript(&side.until_ready())).collect();
            answers.join("\n")
        });
        let sealed = std::mem::take(&mut shown[1]);
        assert_eq!(sealed, shown[0], "{what}: through the proxy (left) and directly (right)");
        sealed
    }

    /// Sends each as a simple query to both, and compares. Returns what the last one gave.
    #[track_caller]
    pub fn each(&mut self, statements: &[&str]) -> String {
        let mut last = String::new();
        for sql in statements {
            last = self.same(sql, &query(sql), 1);
        }
        last
    }
}
