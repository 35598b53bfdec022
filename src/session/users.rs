//! The file of users that the proxy lets in itself: `"name" "SCRAM-SHA-256$…"`, one a line, as PgBouncer has it.
//!
//! Behind the verifier `as "role"` may name the role to log in to the database as. Blank lines, and lines that begin with `;` or
//! `#`, say nothing. A file with a fault is not used at all.

use std::collections::{BTreeMap, HashMap};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::scram::{Verifier, mac};
use crate::crypto::random;
use crate::net::files::Seen;

/// Longest name of a user or role, in bytes, as PostgreSQL has them.
const MAX_NAME: usize = 63;
/// Longest file that is read.
const MAX_FILE: u64 = 16 << 20;
/// What a user's exchange has who is in no file, where the file has no user at all: PostgreSQL's own.
const COMMON: (u32, usize) = (4096, 16);

/// A file of users that cannot be used. Nothing of its content is told.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// It cannot be read or written.
    #[error("cannot read or write {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Whoever writes it decides who logs in.
    #[error("{path} can be written by group or others (mode {mode:04o}): chmod go-w")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A line that is none.
    #[error("{path}, line {line}: {what}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// Who is let in.
pub(super) struct Users {
    path: PathBuf,
    list: ArcSwap<List>,
    seen: Seen,
}

#[derive(Default)]
struct List {
    users: HashMap<String, Arc<User>>,
    /// Iterations and length of salt that most have.
    common: Option<(u32, usize)>,
}

/// One user.
#[derive(Debug)]
pub(super) struct User {
    /// Proves its password.
    pub(super) verifier: Verifier,
    /// The role that it is to the database, where that is not the one that all are.
    pub(super) role: Option<String>,
}

impl Users {
    /// Reads the file. Blocks.
    pub(super) fn open(path: &Path) -> Result<Users, UsersError> {
        let path = path.to_owned();
        let seen = Seen::new([&path]);
        let list = ArcSwap::from_pointee(List::parse(&read(&path)?, &path)?);
        Ok(Users { path, list, seen })
    }

    /// Reads the file again if it changed, or at any rate; says whether it did. On a fault the users stay who they were. Blocks.
    pub(super) fn refresh(&self, at_any_rate: bool) -> Result<bool, UsersError> {
        if !self.seen.changed() && !at_any_rate {
            return Ok(false);
        }
        self.list.store(Arc::new(List::parse(&read(&self.path)?, &self.path)?));
        Ok(true)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.load().users.len()
    }

    /// The user of this name, or one that nobody can be: with a salt that is always the same for the name.
    pub(super) fn find(&self, name: &str, decoy: &[u8; 32]) -> (Arc<User>, bool) {
        let list = self.list.load();
        let found = list.users.get(name).map(Arc::clone);
        let (iterations, length) = list.common.unwrap_or(COMMON);
        let salt = salt(decoy, name, length);
        let known = found.is_some();
        (found.unwrap_or_else(|| Arc::new(User { verifier: Verifier::unmatched(iterations, salt), role: None })), known)
    }
}

/// As random as that of a user, and always the same for the name: `HMAC(decoy, name)`, then `HMAC(decoy, name 0 number)`. No name has
/// a NUL in it.
fn salt(decoy: &[u8; 32], name: &str, length: usize) -> Vec<u8> {
    let mut salt = mac(decoy, name.as_bytes()).to_vec();
    for number in 1..(length.div_ceil(salt.len()) as u32) {
        salt.extend(mac(decoy, &[name.as_bytes(), &[0], &number.to_be_bytes()].concat()));
    }
    salt.truncate(length);
    salt
}

impl List {
    fn parse(text: &str, path: &Path) -> Result<List, UsersError> {
        let mut list = List::default();
        let mut common = BTreeMap::<(u32, usize), usize>::new();
        for (index, line) in text.lines().enumerate() {
            let fault = |what| UsersError::Line { path: path.to_owned(), line: index + 1, what };
            let Some((name, user)) = entry(line).map_err(fault)? else { continue };
            *common.entry((user.verifier.iterations, user.verifier.salt.len())).or_default() += 1;
            if list.users.insert(name, Arc::new(user)).is_some() {
                return Err(fault("the user stands here for the second time"));
            }
        }
        list.common = common.into_iter().max_by_key(|(_, count)| *count).map(|(common, _)| common);
        Ok(list)
    }
}

/// The user of a line. `None`: it says nothing.
fn entry(line: &str) -> Result<Option<(String, User)>, &'static str> {
    let mut rest = line.trim();
    if rest.is_empty() || rest.starts_with([';', '#']) {
        return Ok(None);
    }
    let mut words = Vec::new();
    while !rest.is_empty() {
        let (word, tail) = word(rest).ok_or("a quote that does not end, or has no blank behind it")?;
        words.push(word);
        rest = tail.trim_start();
    }
    let (name, verifier, role) = match words.as_slice() {
        [name, verifier] => (name, verifier, None),
        [name, verifier, word, role] if word == "as" => (name, verifier, Some(role.clone())),
        _ => return Err("expected a name and a verifier, and perhaps: as \"role\""),
    };
    if [Some(name), role.as_ref()].into_iter().flatten().any(|name| name.is_empty() || name.len() > MAX_NAME) {
        return Err("a name has 1 to 63 bytes");
    }
    let verifier =
        Verifier::parse(verifier).ok_or("not a verifier of SCRAM-SHA-256 (make one with `columnseal auth add`)")?;
    Ok(Some((name.clone(), User { verifier, role })))
}

/// The word at the start of a text, in quotes (doubled within) or up to the next blank, and what follows.
fn word(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut word = String::new();
    let mut letters = quoted.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match (letter, letters.peek()) {
            ('"', Some((_, '"'))) => {
                word.push('"');
                letters.next();
            }
            ('"', Some((_, next))) if !next.is_whitespace() => return None,
            ('"', _) => return Some((word, &quoted[at + 1..])),
            (letter, _) => word.push(letter),
        }
    }
    None
}

fn read(path: &Path) -> Result<String, UsersError> {
    let failed = |source| UsersError::File { path: path.to_owned(), source };
    let meta = std::fs::metadata(path).map_err(failed)?;
    let mode = meta.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(UsersError::Mode { path: path.to_owned(), mode });
    }
    if !meta.is_file() || meta.len() > MAX_FILE {
        return Err(failed(io::Error::other("it is not a file of at most 16 MiB")));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// A user as a command shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The role that it is to the database, where the line names one.
    pub role: Option<String>,
    /// Rounds of the derivation.
    pub iterations: u32,
}

/// The line of a user.
pub fn line(name: &str, verifier: &str, role: Option<&str>) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let role = role.map(|role| format!(" as {}", quoted(role))).unwrap_or_default();
    format!("{} {}{role}", quoted(name), quoted(verifier))
}

/// All users of a file, in its order.
///
/// # Errors
/// It cannot be read, or has a fault.
pub fn list(path: &Path) -> Result<Vec<Listed>, UsersError> {
    let text = read(path)?;
    List::parse(&text, path)?;
    let users = text.lines().filter_map(|line| entry(line).ok().flatten());
    Ok(users.map(|(name, user)| Listed { name, role: user.role, iterations: user.verifier.iterations }).collect())
}

/// Puts a line in the place of the user's, or at the end; without one, takes the user's away. All others stay as they are. A file that
/// is not there is made, with mode 0600. Says whether the user had a line.
///
/// # Errors
/// The file cannot be read or written, or it or the line has a fault; then it stays as it was.
pub fn put(path: &Path, name: &str, line: Option<&str>) -> Result<bool, UsersError> {
    let before = match read(path) {
        Err(UsersError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    List::parse(&before, path)?;
    let mut after = Vec::new();
    let mut had = false;
    for old in before.lines() {
        if entry(old).ok().flatten().is_some_and(|(other, _)| other == name) {
            had = true;
            after.extend(line);
        } else {
            after.push(old);
        }
    }
    if !had {
        after.extend(line);
    }
    let after: String = after.into_iter().flat_map(|line| [line, "\n"]).collect();
    List::parse(&after, path)?;
    replace(path, &after).map_err(|source| UsersError::File { path: path.to_owned(), source })?;
    Ok(had)
}

/// At once: who reads the file sees the old or the new one. It keeps its owner and mode.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let random: [u8; 8] = random::array().map_err(io::Error::other)?;
    let mut next = path.as_os_str().to_owned();
    next.push(format!(".{}.new", hex::encode(random)));
    let written = write_as(path, Path::new(&next), text).and_then(|()| std::fs::rename(&next, path));
    written.inspect_err(|_| drop(std::fs::remove_file(&next)))
}

/// Writes a new file that belongs to whom `path` does, if that is there.
fn write_as(path: &Path, next: &Path, text: &str) -> io::Result<()> {
    let before = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        found => Some(found?),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(next)?;
    file.write_all(text.as_bytes())?;
    if let Some(before) = before {
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
            fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        // Only now: before, it would let others in.
        file.set_permissions(before.permissions())?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;

    use super::*;

    const ONE: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("users.txt");
        std::fs::write(&path, text).expect("written");
        (dir, path)
    }

    fn open(text: &str) -> Result<Users, String> {
        let (_dir, path) = file(text);
        Users::open(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn lines_are_read_as_pgbouncer_reads_them() {
        let text = format!(
            "; users\n# more\n\n\"ann\" \"{ONE}\"\n  bob   {ONE}  \n\"a \"\"b\"\" \" \"{ONE}\" as \"other role\"\nc {ONE} as d\n"
        );
        let users = open(&text).expect("no fault");
        assert_eq!(users.len(), 4);
        let role = |name: &str| {
            let (user, known) = users.find(name, &[0; 32]);
            known.then(|| user.role.clone())
        };
        assert_eq!(role("ann"), Some(None));
        assert_eq!(role("bob"), Some(None));
        assert_eq!(role("a \"b\" "), Some(Some("other role".to_owned())));
        assert_eq!(role("c"), Some(Some("d".to_owned())));
        assert_eq!(role("Ann"), None);
        assert_eq!(open("").expect("nobody is let in").len(), 0);
    }

    #[test]
    fn a_file_with_a_fault_is_refused_and_its_content_not_told() {
        for (text, line) in [
            ("ann geheim".to_owned(), 1),
            ("\n\"ann\" \"md5geheim\"".to_owned(), 2),
            ("ann".to_owned(), 1),
            (format!("ann {ONE} geheim"), 1),
            (format!("ann {ONE} as"), 1),
            (format!("ann {ONE} as a geheim"), 1),
            (format!("\"ann {ONE}"), 1),
            (format!("\"ann\"{ONE}"), 1),
            (format!("\"\" {ONE}"), 1),
            (format!("{} {ONE}", "n".repeat(64)), 1),
            (format!("ann {ONE}\nann {ONE}"), 2),
        ] {
            let Err(said) = open(&text) else { panic!("{text:?} passes") };
            assert!(said.contains(&format!("line {line}:")), "{said}");
            assert!(!said.contains("geheim") && !said.contains("W22"), "{said}");
        }
        let (_dir, path) = file("");
        for mode in [0o620, 0o602, 0o666] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("mode");
            assert!(matches!(Users::open(&path), Err(UsersError::Mode { .. })), "{mode:o}");
        }
    }

    #[test]
    fn a_long_salt_is_as_random_as_a_short_one() {
        let of = |bytes: usize| ONE.replace("W22ZaJ0SNY7soEsUEjb6gQ==", &BASE64.encode(vec![7; bytes]));
        let salt = |bytes: usize, name: &str| {
            let users = open(&format!("a {}", of(bytes))).expect("no fault");
            users.find(name, &[1; 32]).0.verifier.salt.clone()
        };
        for bytes in [1, 16, 32, 33, 64, 100, 1_024] {
            let unknown = salt(bytes, "x");
            assert_eq!(unknown.len(), bytes, "who is in no file has a salt of the length that all have");
            assert_eq!(unknown, salt(1_024, "x")[..bytes], "the same however long");
        }
        let (long, other) = (salt(1_024, "x"), salt(1_024, "y"));
        let blocks: std::collections::HashSet<_> = long.chunks(32).chain(other.chunks(32)).collect();
        assert_eq!(blocks.len(), 64, "no block comes twice");
    }

    #[test]
    fn who_is_unknown_looks_like_the_others() {
        let other = ONE.replace("4096", "8192");
        let users = open(&format!("a {ONE}\nb {other}\nc {other}")).expect("no fault");
        let unknown = |name: &str, decoy: u8| {
            let (user, known) = users.find(name, &[decoy; 32]);
            assert!(!known);
            (user.verifier.iterations, user.verifier.salt.clone())
        };
        assert_eq!(unknown("x", 1), unknown("x", 1), "the same each time");
        assert_eq!((unknown("x", 1).0, unknown("x", 1).1.len()), (8192, 16));
        assert!(unknown("x", 1) != unknown("y", 1) && unknown("x", 1) != unknown("x", 2));
    }

    #[test]
    fn a_file_whose_mode_was_wrong_is_read_once_it_is_right() {
        let (_dir, path) = file(&format!("a {ONE}\nb {ONE}"));
        let users = Users::open(&path).expect("no fault");
        let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("mode");
        std::fs::write(&path, format!("a {ONE}")).expect("written");
        mode(0o620);
        assert!(matches!(users.refresh(false), Err(UsersError::Mode { .. })));
        assert!(!users.refresh(false).expect("not tried again"));
        mode(0o600);
        assert!(users.refresh(false).expect("no fault"), "it is another state");
        assert_eq!(users.len(), 1);
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_is_not() {
        let (_dir, path) = file(&format!("a {ONE}"));
        let users = Users::open(&path).expect("no fault");
        assert!(!users.refresh(false).expect("no fault"));
        std::fs::write(&path, format!("a {ONE}\nb {ONE}")).expect("written");
        assert!(users.refresh(false).expect("no fault"));
        assert_eq!(users.len(), 2);
        std::fs::write(&path, "broken").expect("written");
        assert!(users.refresh(false).is_err() && users.refresh(true).is_err());
        assert!(!users.refresh(false).expect("not tried again"));
        assert_eq!(users.len(), 2);
    }

    #[test]
    fn a_file_keeps_its_owner_and_mode_and_its_neighbours() {
        let (_dir, path) = file(&format!("bob {ONE}\n"));
        let neighbour = path.with_file_name("users.new");
        std::fs::write(&neighbour, "mine").expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("mode");
        // Only root can; others find what they own themselves.
        let _ = std::os::unix::fs::chown(&path, Some(1234), Some(2345));
        let of =
            |path: &Path| std::fs::metadata(path).map(|meta| (meta.uid(), meta.gid(), meta.mode())).expect("there");
        let before = of(&path);
        put(&path, "ann", Some(&line("ann", ONE, None))).expect("written");
        assert_eq!(of(&path), before);
        put(&path, "ann", None).expect("written");
        assert_eq!(of(&path), before);
        assert_eq!(std::fs::read_to_string(&neighbour).expect("there"), "mine");
        assert_eq!(
            std::fs::read_dir(path.parent().expect("a folder")).expect("there").count(),
            2,
            "nothing stays behind"
        );
    }

    #[test]
    fn commands_change_one_line_and_leave_the_others() {
        let (_dir, path) = file(&format!("; mine\nbob {ONE} as x\n"));
        assert!(!put(&path, "ann", Some(&line("ann", ONE, None))).expect("written"));
        assert!(put(&path, "bob", Some(&line("bob", ONE, Some("y \"z\"")))).expect("written"));
        let text = std::fs::read_to_string(&path).expect("there");
        assert_eq!(text, format!("; mine\n\"bob\" \"{ONE}\" as \"y \"\"z\"\"\"\n\"ann\" \"{ONE}\"\n"));
        let named = |name: &str, role: Option<&str>| Listed {
            name: name.to_owned(),
            role: role.map(str::to_owned),
            iterations: 4096,
        };
        assert_eq!(list(&path).expect("no fault"), [named("bob", Some("y \"z\"")), named("ann", None)]);
        assert!(put(&path, "bob", None).expect("written") && !put(&path, "bob", None).expect("written"));
        assert!(put(&path, "", Some(&line("", ONE, None))).is_err());
        assert!(put(&path, "x\ny", Some(&line("x\ny", ONE, None))).is_err(), "a name is one line");
        assert_eq!(list(&path).expect("no fault"), [named("ann", None)]);
        let fresh = path.with_file_name("fresh");
        put(&fresh, "ann", Some(&line("ann", ONE, None))).expect("made");
        assert_eq!(std::fs::metadata(&fresh).expect("there").permissions().mode() & 0o777, 0o600);
    }
}
