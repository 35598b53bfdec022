//! Passwords by host, port, database and role, in a file as libpq's `.pgpass`: `host:port:database:role:password`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::dial::Address;

/// A password file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PassfileError {
    /// It cannot be read.
    #[error("cannot read password file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others than its owner may read it.
    #[error("password file {0} can be read by group or others; its mode must be 0600")]
    Mode(PathBuf),
}

/// The password of a role there, if the file has one. The first line that fits holds.
pub(super) async fn find(
    path: &Path,
    address: &Address,
    (database, role): (&str, &str),
) -> Result<Option<SecretString>, PassfileError> {
    let failed = |source| PassfileError::Read { path: path.to_owned(), source };
    let mode = tokio::fs::metadata(path).await.map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(PassfileError::Mode(path.to_owned()));
    }
    let text = Zeroizing::new(tokio::fs::read_to_string(path).await.map_err(failed)?);
    let (host, port) = match address {
        Address::Tcp(host, address) => (host.clone(), address.port().to_string()),
        Address::Unix(socket) => {
            let port = socket.extension().unwrap_or_default().to_string_lossy().into_owned();
            (socket.parent().unwrap_or(socket).display().to_string(), port)
        }
    };
    let local = matches!(address, Address::Unix(_));
    let fits = |line: &[Zeroizing<String>]| match line {
        [at, by, within, who, _] => {
            let is = |written: &str, wanted: &str| written == "*" || written == wanted;
            (is(at, &host) || (local && at.as_str() == "localhost"))
                && is(by, &port)
                && is(within, database)
                && is(who, role)
        }
        _ => false,
    };
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(fields);
    Ok(lines.into_iter().find(|line| fits(line)).map(|line| line[4].as_str().into()))
}

/// Parted by colons; a backslash takes the next letter as it is. The password is what is left after the fourth.
fn fields(line: &str) -> Vec<Zeroizing<String>> {
    // None grows: what is left behind where it was would not be wiped.
    let empty = || Zeroizing::new(String::with_capacity(line.len()));
    let (mut fields, mut field) = (Vec::new(), empty());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => field.extend(letters.next()),
            ':' if fields.len() < 4 => fields.push(std::mem::replace(&mut field, empty())),
            letter => field.push(letter),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[tokio::test]
    async fn the_first_line_that_fits_holds() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("pgpass");
        let lines = "# comment\ndb:5432:shop:app:one\n*:*:*:re\\:port:t\\\\w:o\nlocalhost:5433:*:app:three\nnonsense\n";
        std::fs::write(&path, lines).expect("written");
        let tcp = |host: &str, port| Address::Tcp(host.to_owned(), ([127, 0, 0, 1], port).into());
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("mode");
        assert!(matches!(find(&path, &tcp("db", 5432), ("shop", "app")).await, Err(PassfileError::Mode(_))));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("mode");
        for (address, database, role, password) in [
            (tcp("db", 5432), "shop", "app", Some("one")),
            (tcp("db", 5433), "shop", "app", None),
            (tcp("db", 5432), "other", "app", None),
            (tcp("x", 1), "y", "re:port", Some("t\\w:o")),
            (Address::Unix("/run/pg/.s.PGSQL.5433".into()), "shop", "app", Some("three")),
            (Address::Unix("/run/pg/.s.PGSQL.5432".into()), "shop", "app", None),
        ] {
            let found = find(&path, &address, (database, role)).await.expect("readable");
            assert_eq!(found.as_ref().map(|found| found.expose_secret()), password, "{address} {database} {role}");
        }
        assert!(matches!(
            find(&dir.path().join("none"), &tcp("db", 1), ("a", "b")).await,
            Err(PassfileError::Read { .. })
        ));
    }
}
