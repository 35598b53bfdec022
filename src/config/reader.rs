//! Typed reads of raw values. A value that cannot be read becomes a fault and its default stands in.

use std::path::PathBuf;
use std::time::Duration;

use config::ValueKind;
use secrecy::SecretString;

use super::environment::Environment;
use super::faults::Faults;
use super::known;
use super::raw::{self, Raw, Written};

/// Reads keys and collects faults.
pub(super) struct Reader<'a> {
    raw: &'a Raw,
    faults: &'a mut Faults,
    /// Where values come from that have no key.
    pub(super) environment: &'a Environment,
}

impl<'a> Reader<'a> {
    pub(super) fn new(raw: &'a Raw, environment: &'a Environment, faults: &'a mut Faults) -> Self {
        Reader { raw, faults, environment }
    }

    /// Records a fault of `key` at the place it was written.
    pub(super) fn fault(&mut self, key: &str, problem: impl Into<String>, advice: impl Into<String>) {
        let origin = self.raw.get(key).or_else(|| self.raw.get(&format!("{key}_file")));
        let origin = origin.map(|written| written.origin.clone()).unwrap_or_default();
        self.faults.add(key, origin, problem, advice);
    }

    /// Whether the key was written, in either form.
    pub(super) fn has(&self, key: &str) -> bool {
        self.raw.get(key).is_some() || self.raw.get(&format!("{key}_file")).is_some()
    }

    /// Roles that have a table of their own.
    pub(super) fn roles(&self) -> Vec<String> {
        self.raw.roles().map(str::to_owned).collect()
    }

    /// Text, or `None` where nothing was written.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        debug_assert!(known::find(key).is_some(), "{key} is in the table");
        let written = self.raw.get(key)?.clone();
        match written.value.kind {
            ValueKind::String(text) => Some(text),
            ValueKind::I64(number) => Some(number.to_string()),
            _ => {
                self.fault(key, "is not text", "write it in quotes");
                None
            }
        }
    }

    /// Text that must be one of `choices`; the first is the default.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.fault(key, format!("is {text:?}"), format!("write one of {}", names.join(", ")));
        }
        found
    }

    /// A whole number within `range`, else `default`.
    pub(super) fn number(&mut self, key: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
        let Some(written) = self.raw.get(key) else { return default };
        let number = match &written.value.kind {
            ValueKind::I64(number) => u64::try_from(*number).ok(),
            ValueKind::U64(number) => Some(*number),
            ValueKind::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if range.contains(&number) => number,
            _ => {
                let advice = format!("write a whole number from {} to {}", range.start(), range.end());
                self.fault(key, "is not a number in range", advice);
                default
            }
        }
    }

    /// A share from 0 to 1, else `default`.
    pub(super) fn share(&mut self, key: &str, default: f64) -> f64 {
        let Some(written) = self.raw.get(key) else { return default };
        let share = match &written.value.kind {
            ValueKind::Float(share) => Some(*share),
            ValueKind::I64(whole @ 0..=1) => Some(*whole as f64),
            ValueKind::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match share {
            Some(share) if (0.0..=1.0).contains(&share) => share,
            _ => {
                self.fault(key, "is not a share", "write a number from 0 to 1, such as 0.1");
                default
            }
        }
    }

    /// `true` or `false`, or `None` where nothing was written.
    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let written = self.raw.get(key)?;
        let flag = match &written.value.kind {
            ValueKind::Boolean(flag) => Some(*flag),
            ValueKind::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "on" | "yes" | "1" => Some(true),
                "false" | "off" | "no" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if flag.is_none() {
            self.fault(key, "is neither true nor false", "write true or false");
        }
        flag
    }

    /// A time span such as `30s`, `15m`, `250ms`, `2h`, `1d`, or a number of seconds.
    pub(super) fn span(&mut self, key: &str, default: Duration, range: std::ops::RangeInclusive<Duration>) -> Duration {
        let Some(written) = self.raw.get(key) else { return default };
        let span = match &written.value.kind {
            ValueKind::I64(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            ValueKind::String(text) => parse_span(text),
            _ => None,
        };
        match span {
            Some(span) if range.contains(&span) => span,
            _ => {
                let advice = format!(
                    "write a time span from {:?} to {:?}, such as \"{:?}\"",
                    range.start(),
                    range.end(),
                    default
                );
                self.fault(key, "is not a time span in range", advice);
                default
            }
        }
    }

    /// A list of texts; from the environment or a flag, separated by commas or as TOML writes it.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let Some(written) = self.raw.get(key).cloned() else { return Vec::new() };
        match written.value.kind {
            ValueKind::String(text) if text.trim_start().starts_with('[') => toml_list(&text).unwrap_or_else(|| {
                self.fault(key, "is not a list", "write [\"…\", \"…\"], or items with commas between them");
                Vec::new()
            }),
            ValueKind::String(text) => {
                text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
            }
            ValueKind::Array(items) => {
                let texts: Option<Vec<String>> = items
                    .into_iter()
                    .map(|item| match item.kind {
                        ValueKind::String(text) => Some(text),
                        _ => None,
                    })
                    .collect();
                texts.unwrap_or_else(|| {
                    self.fault(key, "holds something that is not text", "write every item in quotes");
                    Vec::new()
                })
            }
            _ => {
                self.fault(key, "is not a list", "write [\"…\", \"…\"]");
                Vec::new()
            }
        }
    }

    /// What a relative path in this key counts from.
    pub(super) fn base(&self, key: &str) -> PathBuf {
        self.raw.get(key).map(|written| written.base.clone()).unwrap_or_default()
    }

    /// A path; a relative one counts from the file that names it.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let text = self.text(key)?;
        if text.is_empty() {
            return None;
        }
        Some(self.base(key).join(text))
    }

    /// The file of a secret given as `<key>_file`. One that cannot be read is a fault.
    pub(super) fn file_of(&mut self, key: &str) -> Option<PathBuf> {
        let Written { value, base, .. } = self.raw.get(&format!("{key}_file")).cloned()?;
        let ValueKind::String(path) = value.kind else { return None };
        let path = base.join(path);
        self.secret_file(key, &path)?;
        Some(path)
    }

    /// A secret, given directly or as `<key>_file`.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretString> {
        if let Some(Written { value, base, .. }) = self.raw.get(&format!("{key}_file")).cloned() {
            let ValueKind::String(path) = value.kind else {
                self.fault(key, "names no path", "write the path in quotes");
                return None;
            };
            return self.secret_file(key, &base.join(path));
        }
        self.text(key).map(SecretString::from)
    }

    /// A secret that has a variable of its own, `variable` or `variable_FILE`.
    pub(super) fn secret_variable(&mut self, variable: &str) -> Option<SecretString> {
        let file_variable = format!("{variable}_FILE");
        if let Some(value) = self.environment.variable(variable) {
            if self.environment.variable(&file_variable).is_some() {
                self.fault(&file_variable, format!("is set beside {variable}"), "set one of the two");
            }
            return Some(SecretString::from(value.trim().to_owned()));
        }
        let path = self.environment.directory().join(self.environment.variable(&file_variable)?);
        self.secret_file(&file_variable, &path)
    }

    /// A file's content without the line end that editors add.
    pub(super) fn secret_file(&mut self, key: &str, path: &std::path::Path) -> Option<SecretString> {
        match raw::read_limited(path) {
            Ok(text) => Some(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(why) => {
                let problem = format!("names {}, which cannot be read ({why})", path.display());
                self.fault(key, problem, "name a file that this user can read");
                None
            }
        }
    }
}

/// `["a", "b"]`, where all items are text.
fn toml_list(text: &str) -> Option<Vec<String>> {
    let document = format!("list = {text}");
    let parsed = config::Config::builder()
        .add_source(config::File::from_str(&document, config::FileFormat::Toml))
        .build()
        .ok()?;
    let items = parsed.get_array("list").ok()?;
    let text = |item: config::Value| match item.kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    };
    items.into_iter().map(text).collect()
}

/// A time span: a number and `ms`, `s`, `m`, `min`, `h` or `d`. A bare number is seconds.
pub fn parse_span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..split].parse().ok()?;
    let factor = match text[split..].trim() {
        "us" => return Some(Duration::from_micros(number)),
        "ms" => return Some(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(factor).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units() {
        for (text, millis) in
            [("30s", 30_000), ("15 min", 900_000), ("250ms", 250), ("2h", 7_200_000), ("7", 7_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse_span(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_span("70us"), Some(Duration::from_micros(70)));
        for bad in ["", "s", "-1s", "1.5h", "1 fortnight", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse_span(bad), None, "{bad}");
        }
    }
}
