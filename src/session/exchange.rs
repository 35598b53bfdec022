//! One exchange: from a client's first message to the ReadyForQuery that answers it. What its time is spent on, and what ran.
//!
//! The clock is read four times for a statement that is forwarded; nothing here is done for a row.

use std::time::{Duration, Instant};

use crate::telemetry::metrics::{Command, Kind, Spent};

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

/// An exchange that is over.
pub(super) struct Done {
    pub(super) took: Duration,
    /// By the numbers of [`Spent`].
    pub(super) parts: [Duration; Spent::COUNT],
    pub(super) kind: Kind,
    pub(super) statements: u32,
}

/// The exchange at hand, or none.
pub(super) struct Exchange {
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
    pub(super) refused: bool,
    /// What the text that was looked at last does.
    pub(super) command: Command,
}

impl Exchange {
    pub(super) fn new() -> Self {
        Exchange {
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
            self.began = Some(self.since);
            self.parts = Default::default();
        }
    }

    /// A statement runs that goes on as it is.
    pub(super) fn runs_plain(&mut self) {
        self.statements += 1;
    }

    /// A statement of a plan runs.
    pub(super) fn runs_plan(&mut self) {
        self.statements += 1;
        self.encrypted = true;
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
            took: self.since - began,
            parts: std::mem::take(&mut self.parts),
            kind: match (self.refused, self.encrypted) {
                (true, _) => Kind::Refused,
                (false, true) => Kind::Encrypted,
                (false, false) => Kind::Plain,
            },
            statements: std::mem::take(&mut self.statements),
        };
        (self.encrypted, self.refused) = (false, false);
        if !self.looking {
            // Else it is of the message that is looked at.
            self.command = Command::Other;
        }
        Some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_whole() {
        let mut exchange = Exchange::new();
        exchange.reads();
        exchange.runs_plain();
        exchange.turn_to(Some(Spent::Server));
        exchange.turn_to(Some(Spent::Opening));
        assert!(exchange.over(false).is_none(), "it is not answered yet");
        exchange.answered();
        let done = exchange.over(false).expect("it is over");
        assert_eq!(done.parts.iter().sum::<Duration>(), done.took);
        assert_eq!((done.statements, done.kind), (1, Kind::Plain));
        assert!(!exchange.is_open());
        exchange.reads();
        exchange.answered();
        assert_eq!(exchange.over(true).expect("it is over").statements, 0, "each begins anew");
        assert!(exchange.is_open(), "another is under way");
    }
}
