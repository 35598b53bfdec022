//! Files that are read again once they changed: certificates, keys, users. Blocks.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Files, and in which state they were seen last.
pub struct Seen {
    files: Vec<PathBuf>,
    stamps: Mutex<Vec<Option<Stamp>>>,
}

/// What differs once a file is another one, or has other bytes, or lets others in. A time of change is set by all that is done to a
/// file, a time of modification by whoever likes.
#[derive(PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    mode: u32,
    length: u64,
    changed: (i64, i64),
}

impl Seen {
    /// As they are now.
    pub fn new<'f>(files: impl IntoIterator<Item = &'f PathBuf>) -> Seen {
        let files: Vec<_> = files.into_iter().cloned().collect();
        Seen { stamps: Mutex::new(stamps(&files)), files }
    }

    /// Whether one of them is in another state than when that was asked last, or than at first.
    pub fn changed(&self) -> bool {
        let now = stamps(&self.files);
        let mut seen = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *seen != now;
        *seen = now;
        changed
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| stamp(file)).collect()
}

/// `None`: it is not there.
fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp {
        file: (meta.dev(), meta.ino()),
        mode: meta.mode(),
        length: meta.len(),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn whatever_is_done_to_a_file_is_seen_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a"), "one").expect("written");
        let old = fs::metadata(path("a")).and_then(|meta| meta.modified()).expect("it has a time");
        let seen = Seen::new([&path("a"), &path("b")]);
        let once = |what: &str| {
            assert!(seen.changed(), "{what}");
            assert!(!seen.changed(), "{what}, and nothing since");
        };
        assert!(!seen.changed());
        fs::set_permissions(path("a"), fs::Permissions::from_mode(0o640)).expect("mode");
        once("another mode");
        fs::write(path("a"), "three").expect("written");
        once("another length");
        fs::write(path("b"), "one").expect("written");
        once("a file that was not there");
        // As a restored file: of the same length, and no newer.
        fs::write(path("c"), "three").expect("written");
        fs::File::options().write(true).open(path("c")).and_then(|file| file.set_modified(old)).expect("its time");
        fs::rename(path("c"), path("a")).expect("moved");
        once("another file in its place");
        fs::remove_file(path("b")).expect("removed");
        once("a file that is gone");
    }
}
