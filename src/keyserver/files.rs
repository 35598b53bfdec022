//! Secret files: made new with mode 0600, refused when others can read them.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::keys::error::KeysError;

/// No secret file is longer.
const MAX: u64 = 16 * 1024;

/// Writes a new file and its folder entry to disk. `false`: there is one already, and it is left as it is.
pub(super) fn create(path: &Path, content: &str) -> Result<bool, KeysError> {
    let error = |e: std::io::Error| file_error(path, &e);
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(false),
        Err(e) => return Err(error(e)),
    };
    file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(error)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(error)?;
    Ok(true)
}

/// Puts a file in the place of the one there is, if there is one, at once.
pub(super) fn replace(path: &Path, content: &str) -> Result<(), KeysError> {
    let next = path.with_extension("new");
    if let Err(e) = std::fs::remove_file(&next)
        && e.kind() != ErrorKind::NotFound
    {
        return Err(file_error(&next, &e));
    }
    if !create(&next, content)? {
        return Err(KeysError::File { path: next, why: "another process writes it just now".to_owned() });
    }
    std::fs::rename(&next, path).map_err(|e| file_error(path, &e))
}

/// Reads a secret file. `None`: there is none.
pub(super) fn load(path: &Path) -> Result<Option<Zeroizing<String>>, KeysError> {
    let error = |e: std::io::Error| file_error(path, &e);
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(KeysError::File { path: path.to_owned(), why: "it is not a regular file".to_owned() });
    }
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(error(e)),
    };
    private(path, file.metadata().map_err(error)?.permissions().mode())?;
    let mut content = Zeroizing::new(String::new());
    Read::by_ref(&mut file).take(MAX).read_to_string(&mut content).map_err(error)?;
    Ok(Some(content))
}

/// Refuses a mode that lets group or others in.
pub(super) fn private(path: &Path, mode: u32) -> Result<(), KeysError> {
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeysError::FileMode { path: path.to_owned(), mode: mode & 0o7777 }) }
}

/// Makes a folder with mode 0700, with its parents; one that is there stays as it is.
pub(super) fn private_folder(path: &Path) -> Result<(), KeysError> {
    use std::os::unix::fs::DirBuilderExt;
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| file_error(path, &e))
}

/// What the operating system says of a file.
pub(super) fn file_error(path: &Path, error: &std::io::Error) -> KeysError {
    KeysError::File { path: path.to_owned(), why: error.to_string() }
}
