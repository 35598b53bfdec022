//! Log, metrics, traces and the health endpoint. Knows no other room: what it serves is handed to it.

pub mod health;
pub mod keyserver;
pub mod log;
pub mod metrics;
pub mod redact;
pub mod settings;
pub mod slow;
pub mod traces;

pub use metrics::Metrics;
