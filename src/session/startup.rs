//! The keyset and other settings of ours that a startup packet names: as parameters of their own, or within `options`, as PostgreSQL
//! reads them.

use super::choice::Pick;
use super::introspect;
use crate::keys::Ring;
use crate::sql::introspect::Introspection;
use crate::sql::own::{Spelling, Wish};
use crate::sql::{holds_ours, names_ours};
use crate::wire::error::{PgError, Severity};
use crate::wire::sqlstate::SqlState;
use crate::wire::startup::Startup;

/// What a session begins with. Errors are fatal ones.
pub(super) fn pick(ring: &Ring, wish: Option<&Wish>) -> Result<Pick, PgError> {
    let Some(Wish { spelling, value: Some(value), .. }) = wish else { return Ok(Pick::Configured) };
    Pick::wanted(ring, *spelling, value).map_err(|error| PgError { severity: Severity::Fatal, ..error })
}

/// What a startup packet chooses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chosen {
    /// The keyset that the session begins with, if one is named.
    pub keyset: Option<Wish>,
    /// How it sees catalogs, if that is said.
    pub introspection: Option<Introspection>,
}

impl Chosen {
    fn put(&mut self, name: &str, value: &str) -> Result<(), PgError> {
        let wish = wished(name, value)?;
        if wish.spelling != Spelling::Introspection {
            self.keyset = Some(wish);
            return Ok(());
        }
        let unknown = || PgError { severity: Severity::Fatal, ..introspect::unknown() };
        self.introspection = Some(Introspection::of(value).ok_or_else(unknown)?);
        Ok(())
    }
}

/// What is named; the last one holds, and parameters come after `options`.
pub(super) fn chosen(startup: &Startup<'_>) -> Result<Chosen, PgError> {
    let mut chosen = Chosen::default();
    let options = startup.parameters().filter(|(name, _)| *name == b"options").last();
    if let Some((_, options)) = options {
        for (name, value) in settings(&split(&String::from_utf8_lossy(options)))? {
            chosen.put(&name, &value)?;
        }
    }
    for (name, value) in startup.parameters().filter(|(name, _)| *name != b"options") {
        let name = String::from_utf8_lossy(name);
        if names_ours(&name) {
            chosen.put(&name, &String::from_utf8_lossy(value))?;
        }
    }
    Ok(chosen)
}

fn wished(name: &str, value: &str) -> Result<Wish, PgError> {
    let Some(spelling) = Spelling::of(name) else {
        let name: String = name.chars().take(63).collect();
        let message = format!("parameter \"{name}\" cannot be given when a session begins");
        return Err(
            PgError::fatal(SqlState("42704"), message).hint("Use columnseal.keyset or columnseal.introspection.")
        );
    };
    Ok(Wish { spelling, value: Some(value.to_owned()), local: false })
}

/// Words of `options`: parted by blanks, which a backslash takes for letters.
fn split(options: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut letters = options.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(letters.next()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// Settings of ours in the words: `-c name=value`, `-cname=value`, `--name=value`.
fn settings(words: &[String]) -> Result<Vec<(String, String)>, PgError> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let setting = match (word.as_str(), word.strip_prefix("--"), word.strip_prefix("-c")) {
            ("-c", ..) => words.next().map(String::as_str),
            (_, Some(setting), _) | (_, _, Some(setting)) => Some(setting),
            _ if holds_ours(word) => return Err(unread()),
            _ => None,
        };
        let (name, value) = setting.unwrap_or_default().split_once('=').unwrap_or_default();
        let name = name.replace('-', "_");
        if names_ours(&name) {
            found.push((name, value.to_owned()));
        }
    }
    Ok(found)
}

fn unread() -> PgError {
    PgError::fatal(
        SqlState::FEATURE_NOT_SUPPORTED,
        "startup options that name a setting of the proxy are not understood",
    )
    .hint("Write options=-c columnseal.keyset=NAME.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::startup::{Packet, packet, put_startup};

    fn read(parameters: &[(&str, &str)]) -> Result<Option<(Spelling, String)>, PgError> {
        let mut out = Vec::new();
        let bytes = parameters.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        put_startup(&mut out, 0, bytes).expect("small");
        let Ok(Some((Packet::Startup(startup), _))) = packet(&out) else { panic!("not a startup packet") };
        Ok(chosen(&startup)?.keyset.map(|wish| (wish.spelling, wish.value.unwrap_or_default())))
    }

    #[test]
    fn how_catalogs_are_seen_is_another_setting() {
        let read = |options: &str| {
            let mut out = Vec::new();
            put_startup(&mut out, 0, [(&b"options"[..], options.as_bytes())]).expect("small");
            let Ok(Some((Packet::Startup(startup), _))) = packet(&out) else { panic!("not a startup packet") };
            chosen(&startup)
        };
        let both = read("-c columnseal.introspection=PLAIN -c columnseal.keyset=a").expect("understood");
        assert_eq!((both.introspection, both.keyset.is_some()), (Some(Introspection::Plain), true));
        assert_eq!(read("-c columnseal.keyset=a").expect("understood").introspection, None);
        assert!(read("-c columnseal.introspection=clear").is_err());
    }

    #[test]
    fn the_keyset_is_found_in_every_form() {
        let tenant = |spelling| Ok(Some((spelling, "tenant 1".to_owned())));
        for options in [
            r"-c columnseal.keyset=tenant\ 1",
            r"-ccolumnseal.keyset=tenant\ 1",
            r"  --columnseal.KEYSET=tenant\ 1  ",
            r"-c search_path=a -c work_mem=1MB -c Columnseal.Keyset=tenant\ 1 -e",
            r"-c columnseal.keyset=other --columnseal.keyset=tenant\ 1",
        ] {
            assert_eq!(read(&[("user", "u"), ("options", options)]), tenant(Spelling::Keyset), "{options}");
        }
        let options = [("options", r"--cipherstash.keyset-name=tenant\ 1")];
        assert_eq!(read(&options), tenant(Spelling::Name));
        assert_eq!(read(&[("CIPHERSTASH.KEYSET_ID", "tenant 1")]), tenant(Spelling::Id));
        assert_eq!(
            read(&[("columnseal.keyset", "tenant 1"), ("options", "-c columnseal.keyset=x")]),
            tenant(Spelling::Keyset)
        );
    }

    #[test]
    fn what_names_no_keyset_is_none() {
        for options in ["", "-c", "-c columnseal", "-c x=columnseal.keyset", "-c a=b -e -d 5", "--", r"\"] {
            assert_eq!(read(&[("options", options), ("application_name", "columnseal.keyset")]), Ok(None), "{options}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        for options in
            ["-ec columnseal.keyset=x", "-c columnseal.status=x", "--cipherstash.other=x", "columnseal.keyset=x"]
        {
            assert!(read(&[("options", options)]).is_err(), "{options}");
        }
        assert!(read(&[("columnseal.version", "1")]).is_err());
    }
}
