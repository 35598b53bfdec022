//! Looks for values in what was sent to the server and in what it logged.

use memchr::memmem::Finder;

use super::values::Values;
use crate::support::Twin;

/// Shorter ones could stand anywhere by chance.
const TELLING: usize = 8;

/// The database that a line of the log is about.
pub const PREFIX: &str = "log_line_prefix = '<%d> '";

/// The forms in which a value could be seen.
pub struct Watch {
    forms: Vec<(String, Finder<'static>)>,
}

impl Watch {
    /// For every value but booleans.
    pub fn new(values: &Values) -> Watch {
        let mut forms = Vec::new();
        for pool in values.pools().iter().filter(|pool| pool.name != "bool") {
            for value in &pool.values {
                let text = value.text.trim_start_matches("\\x").trim_end();
                for form in [forms_of(text.as_bytes(), true), forms_of(&value.binary, false)].concat() {
                    forms.push((format!("{} {}", pool.name, value.text), Finder::new(&form).into_owned()));
                }
            }
        }
        Watch { forms }
    }

    /// What is found in what was sent since the last look, and in the server's log. Both are forgotten then.
    pub fn finds(&self, twin: &Twin) -> Vec<String> {
        let (sent, log) = (twin.relay.sent(), twin.cluster.log());
        let mut found = self.search("sent to the server", &sent);
        found.extend(self.search("in the server's log", of_sealed(&log).as_bytes()));
        twin.relay.clear();
        twin.cluster.forget_log();
        found
    }

    fn search(&self, place: &str, hay: &[u8]) -> Vec<String> {
        let shown =
            |at: usize| String::from_utf8_lossy(&hay[at.saturating_sub(200)..hay.len().min(at + 60)]).into_owned();
        let found = self.forms.iter().filter_map(|(name, finder)| Some((name, finder.find(hay)?)));
        found.map(|(name, at)| format!("{place}: {name} in …{}…", shown(at))).collect()
    }
}

/// What the log says of the encrypted database; entries begin with [`PREFIX`].
fn of_sealed(log: &str) -> String {
    let mut keep = true;
    let lines = log.lines().filter(|line| {
        if line.starts_with('<') {
            keep = !line.starts_with("<plain>");
        }
        keep
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// As it is and in hexadecimal; a short one with its length before it, as values are sent, or in quotes.
fn forms_of(bytes: &[u8], is_text: bool) -> Vec<Vec<u8>> {
    match bytes.len() {
        0 | 1 => Vec::new(),
        TELLING.. => vec![bytes.to_vec(), hex::encode(bytes).into_bytes()],
        short => {
            let framed = [&u32::try_from(short).unwrap().to_be_bytes(), bytes].concat();
            let quoted = [b"'", bytes, b"'"].concat();
            if is_text { vec![framed, quoted] } else { vec![framed] }
        }
    }
}
