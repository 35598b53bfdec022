//! The newest revision that was seen, kept in a file, so that a proxy that is started anew refuses a key service that went back.
//! Never makes a proxy fail: one that cannot remember says so.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::super::service::Revision;
use crate::crypto::root::RootFingerprint;

/// The folder in `COLUMNSEAL_HOME`.
const FOLDER: &str = "seen";

/// The file is written at most this often.
const EVERY: Duration = Duration::from_secs(5);
/// The file is shorter.
const MAX: u64 = 64;

/// The file of one workspace.
pub(super) struct Memory(Arc<Inner>);

struct Inner {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    kept: Revision,
    tried: Option<Instant>,
    warned: bool,
}

impl Memory {
    /// Reads the file in `home`. A home that is not there is not made: then nothing is remembered. Blocks for a moment.
    pub(super) fn open(home: &Path, root: RootFingerprint) -> Option<(Self, Revision)> {
        if !home.is_dir() {
            return None;
        }
        let path = home.join(FOLDER).join(format!("{root}.revision"));
        let kept = match read(&path) {
            Ok(kept) => kept,
            Err(why) => {
                warn!(path = %path.display(), why, "the newest revision that was seen cannot be read: an older key service would not be noticed");
                Revision::default()
            }
        };
        let state = State { kept, tried: None, warned: false };
        Some((Self(Arc::new(Inner { path, state: Mutex::new(state) })), kept))
    }

    /// Keeps a revision that is newer, now or with a later one. Does not block where a runtime is.
    pub(super) fn saw(&self, revision: Revision) {
        let now = Instant::now();
        {
            let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            if revision <= state.kept || state.tried.is_some_and(|last| now.duration_since(last) < EVERY) {
                return;
            }
            state.tried = Some(now);
        }
        let inner = Arc::clone(&self.0);
        drop(tokio::task::spawn_blocking(move || inner.keep(revision)));
    }

    /// Keeps a revision now, at the end.
    pub(super) async fn close(&self, revision: Revision) {
        let inner = Arc::clone(&self.0);
        let _ = tokio::task::spawn_blocking(move || inner.keep(revision)).await;
    }
}

impl Inner {
    fn keep(&self, revision: Revision) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if revision <= state.kept {
            return;
        }
        match self.write(revision) {
            Ok(()) => (state.kept, state.warned) = (revision, false),
            Err(error) => {
                if !std::mem::replace(&mut state.warned, true) {
                    let path = self.path.display();
                    warn!(%path, %error, "the newest revision that was seen cannot be kept: set keys.min_revision, so that an older key service is noticed after a restart");
                }
            }
        }
    }

    /// Several proxies may share a home: the newest of all stays.
    fn write(&self, revision: Revision) -> std::io::Result<()> {
        if read(&self.path).is_ok_and(|kept| kept >= revision) {
            return Ok(());
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if !folder.is_dir() {
            fs::create_dir(folder).or_else(|error| match error.kind() {
                ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })?;
        }
        let next = self.path.with_extension(format!("{}.new", std::process::id()));
        let written = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next).and_then(
            |mut file| {
                writeln!(file, "{revision}")?;
                file.sync_all()
            },
        );
        written.and_then(|()| fs::rename(&next, &self.path)).inspect_err(|_| drop(fs::remove_file(&next)))
    }
}

/// What the file says; generation 0 where there is none.
fn read(path: &Path) -> Result<Revision, String> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Revision::default()),
        Err(error) => return Err(error.to_string()),
    };
    if !found.is_file() || found.len() > MAX {
        return Err("it is not a file that columnseal wrote".to_owned());
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    text.trim_end().parse().map_err(|_| "it does not hold GENERATION.REVISION".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(revision: u64) -> Revision {
        Revision { generation: 1, revision }
    }

    fn root() -> RootFingerprint {
        RootFingerprint([7; 16])
    }

    #[tokio::test]
    async fn the_newest_of_all_who_share_a_home_is_kept() {
        let home = tempfile::tempdir().expect("a folder");
        let (one, none) = Memory::open(home.path(), root()).expect("a home");
        let (other, _) = Memory::open(home.path(), root()).expect("a home");
        assert_eq!(none, Revision::default());
        one.close(at(7)).await;
        other.close(at(5)).await;
        assert_eq!(Memory::open(home.path(), root()).expect("a home").1, at(7));
        other.close(Revision { generation: 2, revision: 1 }).await;
        one.close(at(9)).await;
        let kept = Memory::open(home.path(), root()).expect("a home").1;
        assert_eq!(kept, Revision { generation: 2, revision: 1 });
        assert_eq!(fs::read_dir(home.path().join(FOLDER)).expect("a folder").count(), 1, "nothing is left over");
    }

    #[tokio::test]
    async fn what_cannot_be_read_or_written_stops_nothing() {
        let home = tempfile::tempdir().expect("a folder");
        assert!(Memory::open(&home.path().join("nowhere"), root()).is_none());
        let path = home.path().join(FOLDER).join(format!("{}.revision", root()));
        fs::create_dir(home.path().join(FOLDER)).expect("made");
        for bad in ["", "x", "1", "1.", "1.2.3", "-1.2", "1.99999999999999999999999", &"9".repeat(100)] {
            fs::write(&path, bad).expect("written");
            assert!(read(&path).is_err(), "{bad}");
            let (memory, kept) = Memory::open(home.path(), root()).expect("a home");
            assert_eq!(kept, Revision::default(), "{bad}");
            memory.close(at(3)).await;
            assert_eq!(read(&path), Ok(at(3)), "{bad}");
        }
        fs::remove_file(&path).expect("removed");
        fs::create_dir_all(path.join("folder")).expect("made");
        let (memory, _) = Memory::open(home.path(), root()).expect("a home");
        memory.close(at(4)).await;
    }
}
