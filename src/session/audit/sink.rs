//! Where records are written.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::super::settings::Sink;
use super::file::{AuditFile, whole_lines, write_counted};
use crate::keys::access::{AccessBatch, AccessRecord};

/// Longest wait for the key service. Records that were kept later than that come again.
const ANSWER: Duration = Duration::from_secs(10);

/// A batch for the key service. Its consumer says whether it was kept; what was not stays with the sender, and comes again.
#[derive(Debug)]
pub struct Handover {
    /// The records, kept or not as a whole.
    pub batch: AccessBatch,
    /// `Err`: why they were not kept. Dropped: as an error.
    pub kept: oneshot::Sender<Result<(), String>>,
}

/// Why records could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file, or standard output.
    #[error("{place}: {why}")]
    Io {
        /// Path, or `standard output`.
        place: String,
        /// What the operating system says.
        why: io::Error,
    },
    /// The key service.
    #[error("the key service did not keep them: {0}")]
    Keystore(String),
}

/// A sink.
pub enum AuditSink {
    /// Nowhere; nothing is counted.
    Off,
    /// Standard output.
    Stdout,
    /// A file.
    File {
        /// As configured.
        path: PathBuf,
        /// The file itself, used by blocking tasks.
        file: Arc<Mutex<AuditFile>>,
    },
    /// The key service, by a task that hands batches to it.
    Keystore(mpsc::Sender<Handover>),
}

impl AuditSink {
    /// The sink that settings name. `keystore`: who takes batches for the key service.
    pub fn new(sink: &Sink, keystore: mpsc::Sender<Handover>) -> Self {
        match sink {
            Sink::Off => AuditSink::Off,
            Sink::Stdout => AuditSink::Stdout,
            Sink::File(path) => {
                let file = Arc::new(Mutex::new(AuditFile::new(path.clone())));
                AuditSink::File { path: path.clone(), file }
            }
            Sink::Keystore => AuditSink::Keystore(keystore),
        }
    }

    /// Opens a file again at the next use.
    pub(super) fn reopen(&self) {
        if let AuditSink::File { file, .. } = self {
            file.lock().unwrap_or_else(PoisonError::into_inner).reopen();
        }
    }

    /// Whether it could be written to.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub async fn check(&self) -> Result<(), SinkError> {
        let AuditSink::File { path, file } = self else { return Ok(()) };
        let file = Arc::clone(file);
        let ensure = move || file.lock().unwrap_or_else(PoisonError::into_inner).ensure();
        joined(tokio::task::spawn_blocking(ensure).await).map_err(|why| told(path.display(), why))
    }

    /// Writes records: how many were kept, from the first on, and how that ended. Not cancel safe.
    pub(super) async fn write(&self, records: &[AccessRecord]) -> (usize, Result<(), SinkError>) {
        match self {
            AuditSink::Off => (records.len(), Ok(())),
            AuditSink::Stdout => {
                let lines = lines(records);
                let (kept, outcome) = blocking(move || to_stdout(&lines)).await;
                (kept, outcome.map_err(|why| told("standard output", why)))
            }
            AuditSink::File { path, file } => {
                let (lines, file) = (lines(records), Arc::clone(file));
                let append = move || file.lock().unwrap_or_else(PoisonError::into_inner).append(&lines);
                let (kept, outcome) = blocking(append).await;
                (kept, outcome.map_err(|why| told(path.display(), why)))
            }
            AuditSink::Keystore(consumer) => match hand_over(consumer, records).await {
                Ok(()) => (records.len(), Ok(())),
                Err(why) => (0, Err(SinkError::Keystore(why))),
            },
        }
    }
}

async fn hand_over(consumer: &mpsc::Sender<Handover>, records: &[AccessRecord]) -> Result<(), String> {
    let (kept, answer) = oneshot::channel();
    let gone = || "nobody takes them".to_owned();
    let handover = Handover { batch: AccessBatch { records: records.to_vec() }, kept };
    let asked = async {
        consumer.send(handover).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    };
    tokio::time::timeout(ANSWER, asked).await.unwrap_or_else(|_| Err(format!("no answer within {ANSWER:?}")))
}

async fn blocking(write: impl FnOnce() -> (usize, io::Result<()>) + Send + 'static) -> (usize, io::Result<()>) {
    tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| (0, Err(io::Error::other(error))))
}

fn joined(outcome: Result<io::Result<()>, tokio::task::JoinError>) -> io::Result<()> {
    outcome.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn told(place: impl std::fmt::Display, why: io::Error) -> SinkError {
    SinkError::Io { place: place.to_string(), why }
}

/// One line for each record.
fn lines(records: &[AccessRecord]) -> Vec<String> {
    let line = |record| serde_json::to_string(record).expect("records are made of text and numbers") + "\n";
    records.iter().map(line).collect()
}

/// Not by way of the standard library's buffer, which would keep what could not be written.
fn to_stdout(lines: &[String]) -> (usize, io::Result<()>) {
    let file = match io::stdout().as_fd().try_clone_to_owned() {
        Ok(owned) => &mut File::from(owned),
        Err(error) => return (0, Err(error)),
    };
    let (written, outcome) = write_counted(file, lines.concat().as_bytes());
    (whole_lines(lines, written).0, outcome)
}
