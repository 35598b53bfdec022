//! A file of JSON lines that is appended to, and that may be moved away under the writer.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

/// Lines to a file, mode 0600.
pub struct AuditFile {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    file: File,
    /// Device and inode.
    place: (u64, u64),
    /// A line was begun and not ended.
    torn: bool,
}

impl AuditFile {
    pub(super) fn new(path: PathBuf) -> Self {
        AuditFile { path, open: None }
    }

    /// Opens the file again at the next use.
    pub(super) fn reopen(&mut self) {
        self.open = None;
    }

    /// Opens the file where it is not open, or is not the one of this name any more.
    pub(super) fn ensure(&mut self) -> io::Result<()> {
        let there = std::fs::metadata(&self.path).ok().map(|meta| (meta.dev(), meta.ino()));
        if self.open.as_ref().is_some_and(|open| Some(open.place) == there) {
            return Ok(());
        }
        self.open = None;
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        let meta = file.metadata()?;
        self.open = Some(Open { place: (meta.dev(), meta.ino()), file, torn: false });
        Ok(())
    }

    /// Appends lines, each with its line end; how many were written whole, and how that ended.
    pub(super) fn append(&mut self, lines: &[String]) -> (usize, io::Result<()>) {
        if let Err(error) = self.ensure() {
            return (0, Err(error));
        }
        let Some(open) = &mut self.open else { return (0, Err(io::ErrorKind::NotFound.into())) };
        // What was left of a line that could not be written ends here; the line itself comes again.
        if open.torn
            && let Err(error) = open.file.write_all(b"\n")
        {
            return (0, Err(error));
        }
        open.torn = false;
        let (written, outcome) = write_counted(&mut open.file, lines.concat().as_bytes());
        let (whole, torn) = whole_lines(lines, written);
        open.torn = torn;
        let outcome = outcome.and_then(|()| match open.file.metadata()?.is_file() {
            true => open.file.sync_data(),
            false => Ok(()),
        });
        (whole, outcome)
    }
}

/// Writes until the end or an error; how many bytes went.
pub(super) fn write_counted(to: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match to.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => written += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// How many lines the first `written` bytes hold, and whether they end within one.
pub(super) fn whole_lines(lines: &[String], written: usize) -> (usize, bool) {
    let mut end = 0;
    for (index, line) in lines.iter().enumerate() {
        let start = end;
        end += line.len();
        if end > written {
            return (index, written > start);
        }
    }
    (lines.len(), false)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| format!("{text}\n")).collect()
    }

    fn append(file: &mut AuditFile, texts: &[&str]) {
        let (whole, outcome) = file.append(&lines(texts));
        outcome.expect("it can be written");
        assert_eq!(whole, texts.len());
    }

    #[test]
    fn it_is_private_appended_to_and_follows_its_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, moved) = (dir.path().join("audit.jsonl"), dir.path().join("audit.1"));
        let mut file = AuditFile::new(path.clone());
        append(&mut file, &["a", "b"]);
        let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("it is there");
        assert_eq!(read(&path), "a\nb\n");
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::rename(&path, &moved).expect("it can be moved");
        append(&mut file, &["c"]);
        assert_eq!((read(&moved), read(&path)), ("a\nb\n".to_owned(), "c\n".to_owned()));
        std::fs::remove_file(&path).expect("it can be removed");
        append(&mut file, &["d"]);
        file.reopen();
        append(&mut file, &["e"]);
        assert_eq!(read(&path), "d\ne\n");
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut missing = AuditFile::new(dir.path().join("nowhere/audit.jsonl"));
        assert!(matches!(missing.append(&lines(&["a"])), (0, Err(_))));
        let mut full = AuditFile::new("/dev/full".into());
        let (whole, outcome) = full.append(&lines(&["a", "b"]));
        assert_eq!(outcome.map_err(|e| e.kind()), Err(io::ErrorKind::StorageFull));
        assert_eq!(whole, 0);
    }

    #[test]
    fn a_torn_line_is_not_counted() {
        let three = lines(&["aa", "bb", "cc"]);
        for (written, expected) in
            [(0, (0, false)), (1, (0, true)), (3, (1, false)), (5, (1, true)), (6, (2, false)), (9, (3, false))]
        {
            assert_eq!(whole_lines(&three, written), expected, "{written}");
        }
    }
}
