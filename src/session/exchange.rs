//! One exchange: from a client's first message to the ReadyForQuery that answers it. What its time is spent on, and what ran.
//!
//! The clock is read four times for a statement that is forwarded; nothing here is done for a row.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::memmem;
use zeroize::Zeroizing;

use super::prepared::Prepared;
use crate::sql::{Shape, commented};
use crate::telemetry::metrics::{Command, Kind, Spent};
use crate::telemetry::traces::Context;

/// Longest text that is kept for the shape of a slow statement, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// What sqlcommenter calls the span of the client's.
const TRACEPARENT: &str = "traceparent";

/// Statements that completed, by kind and command, since they were counted last.
#[derive(Default)]
pub(super) struct Completed(Vec<(Kind, Command, u64)>);

impl Completed {
    pub(super) fn add(&mut self, kind: Kind, command: Command) {
        match self.0.iter_mut().find(|(k, c, _)| (*k, *c) == (kind, command)) {
            Some((.., count)) => *count += 1,
            None => self.0.push((kind, command, 1)),
        }
    }

    /// Hands each on. The room is kept.
    pub(super) fn take(&mut self, mut each: impl FnMut(Kind, Command, u64)) {
        self.0.drain(..).for_each(|(kind, command, count)| each(kind, command, count));
    }
}

/// The statement that is shown where an exchange was slow.
#[derive(Default)]
enum Shown {
    #[default]
    Nothing,
    /// As it is in `text`.
    Text,
    /// One of a plan.
    Plan(Arc<Prepared>),
}

/// An exchange that is over.
pub(super) struct Done {
    pub(super) began: Instant,
    pub(super) took: Duration,
    /// By the numbers of [`Spent`].
    pub(super) parts: [Duration; Spent::COUNT],
    pub(super) kind: Kind,
    pub(super) statements: u32,
    pub(super) rows: u64,
    /// SQLSTATE of the last error that the client was told.
    pub(super) failed: Option<[u8; 5]>,
    /// What the text does that was looked at last, if one was.
    pub(super) command: Command,
    /// The span of the client's that caused it, where the client tells.
    pub(super) caused: Option<Context>,
}

/// What somebody may want to know of statements.
#[derive(Clone, Copy, Default)]
pub(super) struct Watched {
    /// Which it is: there is a log of slow statements, or a collector of traces.
    pub(super) shapes: bool,
    /// Who caused it: there is a collector of traces.
    pub(super) causes: bool,
}

/// The exchange at hand, or none.
pub(super) struct Exchange {
    pub(super) watched: Watched,
    began: Option<Instant>,
    /// What time is spent on since when. `None`: on nothing of a statement's.
    now: Option<Spent>,
    since: Instant,
    parts: [Duration; Spent::COUNT],
    /// ReadyForQuery went to the client.
    answered: bool,
    /// A message of the client's is being looked at.
    pub(super) looking: bool,
    pub(super) statements: u32,
    pub(super) encrypted: bool,
    refused: bool,
    /// What the text that was looked at last does.
    pub(super) command: Command,
    rows: u64,
    failed: Option<[u8; 5]>,
    caused: Option<Context>,
    shown: Shown,
    text: Zeroizing<Vec<u8>>,
}

impl Exchange {
    pub(super) fn new(watched: Watched) -> Self {
        Exchange {
            watched,
            began: None,
            now: None,
            since: Instant::now(),
            parts: Default::default(),
            answered: false,
            looking: false,
            statements: 0,
            encrypted: false,
            refused: false,
            command: Command::Other,
            rows: 0,
            failed: None,
            caused: None,
            shown: Shown::Nothing,
            text: Zeroizing::default(),
        }
    }

    /// Some message of it was sent, and its last answer has not come.
    pub(super) fn is_open(&self) -> bool {
        self.began.is_some()
    }

    /// From now on time is spent on this.
    pub(super) fn turn_to(&mut self, part: Option<Spent>) {
        if part == self.now {
            return;
        }
        let now = Instant::now();
        if let Some(before) = self.now {
            self.parts[before as usize] += now - self.since;
        }
        (self.now, self.since) = (part, now);
    }

    /// Bytes of the client's are looked at. The first ones begin it.
    pub(super) fn reads(&mut self) {
        self.turn_to(Some(Spent::Analysis));
        if self.began.is_none() {
            self.forget();
            self.began = Some(self.since);
            self.parts = Default::default();
        }
    }

    /// A statement runs that goes on as it is.
    pub(super) fn runs_plain(&mut self) {
        self.statements += 1;
    }

    /// A statement of a plan runs.
    pub(super) fn runs_plan(&mut self, prepared: &Arc<Prepared>) {
        self.statements += 1;
        self.encrypted = true;
        if self.watched.shapes {
            self.shown = Shown::Plan(Arc::clone(prepared));
        }
    }

    /// The text of a statement that goes on as it is.
    pub(super) fn shows(&mut self, text: &[u8]) {
        if self.watched.shapes {
            self.text.clear();
            // What is cut off in the middle has no shape where that is within a literal.
            self.text.extend_from_slice(&text[..text.len().min(MAX_TEXT)]);
            self.shown = Shown::Text;
        }
    }

    /// A statement is refused, which is none of those that are shown.
    pub(super) fn refuses(&mut self) {
        self.refused = true;
        self.forget();
    }

    /// What ran is not shown any more.
    fn forget(&mut self) {
        self.shown = Shown::Nothing;
    }

    /// A text of the client's, whatever becomes of it.
    pub(super) fn hears(&mut self, text: &[u8]) {
        if self.watched.causes && memmem::find(text, TRACEPARENT.as_bytes()).is_some() {
            let told = std::str::from_utf8(text).ok().and_then(|text| commented(text, TRACEPARENT));
            self.caused = told.and_then(Context::parse).or(self.caused);
        }
    }

    /// Statements of the client's gave so many rows. What a server says of them may be anything.
    pub(super) fn gave(&mut self, rows: u64) {
        self.rows = self.rows.saturating_add(rows);
    }

    /// The client was told of an error.
    pub(super) fn failed(&mut self, sqlstate: &[u8]) {
        self.failed = sqlstate.try_into().ok();
    }

    /// ReadyForQuery goes to the client.
    pub(super) fn answered(&mut self) {
        self.answered = true;
    }

    /// What the exchange was, once it is over. `more`: another one is under way already.
    pub(super) fn over(&mut self, more: bool) -> Option<Done> {
        if !std::mem::take(&mut self.answered) {
            return None;
        }
        let began = self.began.take()?;
        self.turn_to(None);
        let more = more || self.looking;
        if more {
            self.now = Some(Spent::Analysis);
            self.began = Some(self.since);
        }
        let done = Done {
            began,
            took: self.since - began,
            parts: std::mem::take(&mut self.parts),
            kind: match (self.refused, self.encrypted) {
                (true, _) => Kind::Refused,
                (false, true) => Kind::Encrypted,
                (false, false) => Kind::Plain,
            },
            statements: std::mem::take(&mut self.statements),
            rows: std::mem::take(&mut self.rows),
            failed: self.failed.take(),
            command: self.command,
            caused: self.caused,
        };
        (self.encrypted, self.refused) = (false, false);
        if !self.looking {
            // Else they are of the message that is looked at.
            (self.command, self.caused) = (Command::Other, None);
        }
        Some(done)
    }

    /// The shape of the statement that ran last, which is forgotten.
    pub(super) fn take_shape(&mut self) -> Option<Arc<Shape>> {
        match std::mem::take(&mut self.shown) {
            Shown::Nothing => None,
            Shown::Text => Some(Arc::new(Shape::of_any(std::str::from_utf8(&self.text).unwrap_or_default()))),
            Shown::Plan(prepared) => {
                Some(Arc::clone(prepared.plan.shape.get_or_init(|| Arc::new(Shape::of_any(&prepared.text)))))
            }
        }
    }
}

/// The number at the end of a command tag: `SELECT 5`, `INSERT 0 5`.
pub(super) fn rows_of(tag: &[u8]) -> u64 {
    let digits = tag.rsplit(|b| *b == b' ').next().unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_whole() {
        let mut exchange = Exchange::new(Watched::default());
        exchange.reads();
        exchange.runs_plain();
        exchange.turn_to(Some(Spent::Server));
        exchange.turn_to(Some(Spent::Opening));
        exchange.gave(rows_of(b"SELECT 7"));
        assert!(exchange.over(false).is_none(), "it is not answered yet");
        exchange.answered();
        let done = exchange.over(false).expect("it is over");
        assert_eq!(done.parts.iter().sum::<Duration>(), done.took);
        assert_eq!((done.statements, done.rows, done.kind), (1, 7, Kind::Plain));
        assert!(!exchange.is_open());
        exchange.reads();
        exchange.answered();
        assert_eq!(exchange.over(true).expect("it is over").statements, 0, "each begins anew");
        assert!(exchange.is_open(), "another is under way");
    }

    #[test]
    fn who_caused_it_is_known_where_somebody_asks() {
        let text = b"SELECT 1 /*traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'*/";
        for causes in [false, true] {
            let mut exchange = Exchange::new(Watched { shapes: true, causes });
            exchange.reads();
            exchange.hears(text);
            exchange.hears(b"SELECT 2");
            exchange.answered();
            let caused = exchange.over(false).expect("it is over").caused;
            assert_eq!(caused.map(|context| context.span[0]), causes.then_some(0));
        }
    }

    #[test]
    fn what_ends_without_a_number_gives_no_rows() {
        assert_eq!([&b"INSERT 0 12"[..], b"BEGIN", b"", b"COPY 3"].map(rows_of), [12, 0, 0, 3]);
    }

    #[test]
    fn a_shape_is_of_its_own_exchange() {
        let mut exchange = Exchange::new(Watched { shapes: true, causes: false });
        exchange.reads();
        exchange.shows(b"SELECT 'x'");
        exchange.answered();
        assert!(exchange.over(false).is_some(), "fast, so that nobody took its shape");
        exchange.reads();
        exchange.refuses();
        exchange.answered();
        assert_eq!(exchange.over(false).expect("it is over").kind, Kind::Refused);
        assert!(exchange.take_shape().is_none(), "what was refused is not what ran before");
        exchange.reads();
        exchange.shows(b"SELECT 'x'");
        exchange.refuses();
        assert!(exchange.take_shape().is_none(), "nor what ran before it in one exchange");
    }

    #[test]
    fn rows_that_a_server_makes_up_are_no_overflow() {
        let mut exchange = Exchange::new(Watched::default());
        exchange.reads();
        (0..2).for_each(|_| exchange.gave(rows_of(b"SELECT 18446744073709551615")));
        exchange.answered();
        assert_eq!(exchange.over(false).expect("it is over").rows, u64::MAX);
    }

    #[test]
    fn a_text_is_kept_only_where_somebody_watches() {
        for watched in [false, true] {
            let mut exchange = Exchange::new(Watched { shapes: watched, causes: false });
            exchange.shows(b"SELECT 'x'");
            let shape = exchange.take_shape().map(|shape| shape.text.to_string());
            assert_eq!(shape, watched.then(|| "select ?".to_owned()));
            assert!(exchange.take_shape().is_none());
        }
    }
}
