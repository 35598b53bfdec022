//! Faults in settings: which key, what is wrong, what to do. Never a secret.

use std::fmt;

/// One fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// `section.key`, or the file.
    pub key: String,
    /// Where it was written: the file, a variable, a flag; empty where it was not written at all.
    pub origin: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub advice: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if !self.origin.is_empty() {
            write!(f, " (from {})", self.origin)?;
        }
        write!(f, " {}: {}", self.problem, self.advice)
    }
}

/// Every fault found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    pub(super) fn add(
        &mut self,
        key: impl Into<String>,
        origin: impl Into<String>,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.0.push(Fault { key: key.into(), origin: origin.into(), problem: problem.into(), advice: advice.into() });
    }

    /// `value` when there is no fault.
    pub(super) fn or<T>(self, value: T) -> Result<T, Faults> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
