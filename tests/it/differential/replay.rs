//! Runs a script on both sides and compares.

use std::collections::BTreeMap;
use std::fmt;

use crate::support::Twin;
use crate::support::raw::{self, Message, Raw, transcript};

/// How a statement is sent.
#[derive(Clone)]
pub enum Mode {
    /// One Query message.
    Simple,
    /// Parse, Describe, Bind, Describe, Execute, Sync.
    Extended {
        /// OIDs given with Parse; 0 or missing: PostgreSQL finds out.
        declared: Vec<u32>,
        /// Values and their formats.
        values: Vec<(Option<Vec<u8>>, u16)>,
        /// Format of all results.
        results: u16,
    },
}

/// One thing a script does.
#[derive(Clone)]
pub struct Step {
    pub sql: String,
    pub mode: Mode,
    /// Rows come in an order that the statement fixes.
    pub ordered: bool,
    /// Outside the scope: may be refused with 0A000. Runs in a transaction of its own that is rolled back.
    pub outside: bool,
}

/// Where the two sides differ.
pub struct Difference {
    pub step: usize,
    script: Vec<Step>,
    plain: String,
    sealed: String,
}

/// What came of a script.
pub enum Outcome {
    Same {
        /// Statements outside the scope that were refused.
        refused: usize,
    },
    Different(Box<Difference>),
}

/// A connection to each side, with empty tables.
pub struct Pair {
    plain: Raw,
    sealed: Raw,
    /// SQLSTATEs that a statement outside the scope may be refused with.
    pub clear: &'static [&'static str],
    /// What PostgreSQL refuses for an operand's type may work.
    pub lenient: bool,
    /// How often each of them came.
    pub refusals: BTreeMap<String, usize>,
}

impl Pair {
    /// New connections; the tables are emptied on the server directly.
    pub fn new(twin: &Twin) -> Pair {
        let sql = super::generate::RESET;
        twin.plain.superuser(sql);
        twin.direct.superuser(sql);
        let (plain, sealed) = twin.raw();
        Pair { plain, sealed, clear: &["0A000"], lenient: false, refusals: BTreeMap::new() }
    }

    /// Runs the steps until they differ.
    pub fn run(&mut self, script: &[Step]) -> Outcome {
        let mut refused = 0;
        for (number, step) in script.iter().enumerate() {
            let outcome = if step.outside { self.outside(step, &mut refused) } else { self.inside(step) };
            if let Err((plain, sealed)) = outcome {
                let script = script[..=number].to_vec();
                return Outcome::Different(Box::new(Difference { step: number, script, plain, sealed }));
            }
        }
        Outcome::Same { refused }
    }

    /// Runs all steps; what is shown of those that differ.
    pub fn run_all(&mut self, script: &[Step]) -> Vec<String> {
        let mut differences = Vec::new();
        for step in script {
            let outcome = if step.outside { self.outside(step, &mut 0) } else { self.inside(step) };
            if let Err((plain, sealed)) = outcome {
                differences.push(format!("{step}\n--- plain\n{plain}\n--- through the proxy\n{sealed}"));
            }
        }
        differences
    }

    fn inside(&mut self, step: &Step) -> Result<(), (String, String)> {
        let (plain, sealed) = (step.send(&mut self.plain), step.send(&mut self.sealed));
        compare(step, &plain, &sealed)
    }

    fn outside(&mut self, step: &Step, refused: &mut usize) -> Result<(), (String, String)> {
        // Inside an open or failed transaction a refusal would part the two sides for good.
        for side in [&mut self.plain, &mut self.sealed] {
            side.query("ROLLBACK");
            side.query("BEGIN");
        }
        let (plain, sealed) = (step.send(&mut self.plain), step.send(&mut self.sealed));
        let refusal = sealed.iter().filter_map(Message::error).find(|e| self.clear.contains(&e.code.as_str()));
        let outcome = if let Some(refusal) = refusal {
            *refused += 1;
            *self.refusals.entry(refusal.code).or_default() += 1;
            let failed = sealed.last().is_some_and(|m| m.tag == b'Z' && m.body == b"E");
            let state = "a refusal leaves the transaction failed: Z E".to_owned();
            if failed { Ok(()) } else { Err((state, transcript(&sealed))) }
        } else if self.lenient && (is_about_types(&plain) || both_fail(&plain, &sealed)) {
            // An operand is read as the column's type, whatever it was declared as; and which fault is found first differs.
            Ok(())
        } else {
            compare(step, &plain, &sealed).or_else(|shown| {
                match self.lenient && differ_by_text_type(step, &plain, &sealed) {
                    true => Ok(()),
                    false => Err(shown),
                }
            })
        };
        for side in [&mut self.plain, &mut self.sealed] {
            side.query("ROLLBACK");
            side.query("DEALLOCATE ALL");
        }
        outcome.and_then(|()| match sealed.iter().find(|m| shows_ciphertext(m)) {
            Some(message) => Err(("no ciphertext".into(), format!("{message:?}"))),
            None => Ok(()),
        })
    }
}

impl Step {
    fn send(&self, to: &mut Raw) -> Vec<Message> {
        match &self.mode {
            Mode::Simple => to.ask(&raw::query(&self.sql)),
            Mode::Extended { declared, values, results } => {
                let formats: Vec<u16> = values.iter().map(|(_, format)| *format).collect();
                let values: Vec<raw::Value<'_>> = values.iter().map(|(v, _)| v.as_deref()).collect();
                to.ask(
                    &[
                        raw::parse("", &self.sql, declared),
                        raw::describe_statement(""),
                        raw::bind_as("", "", &formats, &values, &[*results]),
                        raw::describe_portal(""),
                        raw::execute("", 0),
                        raw::sync(),
                    ]
                    .concat(),
                )
            }
        }
    }
}

/// PostgreSQL finds no operator or no type for an operand.
fn is_about_types(plain: &[Message]) -> bool {
    plain.iter().filter_map(Message::error).any(|e| ["42883", "42804", "42P18"].contains(&e.code.as_str()))
}

fn both_fail(plain: &[Message], sealed: &[Message]) -> bool {
    [plain, sealed].iter().all(|side| side.iter().any(|m| m.tag == b'E'))
}

/// What is text in PostgreSQL may be described as the column's own type (docs/sql.md).
fn differ_by_text_type(step: &Step, plain: &[Message], sealed: &[Message]) -> bool {
    let text = |messages| normal(step, messages).replace("1043", "25").replace("1042", "25");
    text(plain) == text(sealed)
}

/// An envelope (0xC1, 1, ...) in a row, or one as PostgreSQL prints it in any message.
fn shows_ciphertext(message: &Message) -> bool {
    let has = |bytes: &[u8]| memchr::memmem::find(bytes, b"\\xc101").is_some();
    let values = if message.tag == b'D' { message.values() } else { Vec::new() };
    has(&message.body) || values.iter().flatten().any(|value| value.starts_with(&[0xc1, 1]))
}

fn compare(step: &Step, plain: &[Message], sealed: &[Message]) -> Result<(), (String, String)> {
    let (left, right) = (normal(step, plain), normal(step, sealed));
    if left == right {
        return Ok(());
    }
    let shown = |normal: String, messages: &[Message]| {
        let errors: Vec<String> = messages.iter().filter_map(Message::error).map(|e| format!("{e:?}")).collect();
        format!("{normal}\n{}", errors.join("\n"))
    };
    Err((shown(left, plain), shown(right, sealed)))
}

/// The transcript with unordered rows sorted. Rows that came before an error are left out: how many come is no promise.
fn normal(step: &Step, messages: &[Message]) -> String {
    let mut lines: Vec<String> = transcript(messages).lines().map(str::to_owned).collect();
    if lines.iter().any(|l| l.starts_with("E ")) {
        lines.retain(|l| l.starts_with("E ") || l.starts_with("C ") || l.starts_with("Z "));
    }
    if !step.ordered {
        lines.chunk_by_mut(|a, b| a.starts_with("D ") && b.starts_with("D ")).for_each(<[String]>::sort);
    }
    lines.join("\n")
}

/// Leaves out steps as long as the last one still differs.
pub fn minimise(twin: &Twin, script: &[Step], failing: usize) -> Vec<Step> {
    let mut script = script[..=failing].to_vec();
    let mut width = script.len() / 2;
    while width > 0 {
        let mut start = 0;
        while start + width < script.len() {
            let mut shorter = script.clone();
            shorter.drain(start..start + width);
            let last = shorter.len() - 1;
            match Pair::new(twin).run(&shorter) {
                Outcome::Different(d) if d.step == last => script = shorter,
                _ => start += width,
            }
        }
        width /= 2;
    }
    script
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.script.iter().enumerate() {
            writeln!(f, "{number}: {step}")?;
        }
        write!(f, "--- plain\n{}\n--- through the proxy\n{}", self.plain, self.sealed)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outside = if self.outside { " [outside the scope]" } else { "" };
        write!(f, "{}{outside}", self.sql)?;
        let Mode::Extended { declared, values, results } = &self.mode else { return Ok(()) };
        let shown: Vec<String> = values
            .iter()
            .map(|(value, format)| match (value, format) {
                (None, _) => "NULL".into(),
                (Some(bytes), 0) => format!("{:?}", String::from_utf8_lossy(bytes)),
                (Some(bytes), _) => format!("binary {}", hex::encode(bytes)),
            })
            .collect();
        write!(f, "\n     extended, declared {declared:?}, values {shown:?}, results in format {results}")
    }
}
