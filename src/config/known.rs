//! Every key there is. `config/example.toml`, the reader and the unknown-key check all go by this table.

/// A setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// `section.key`.
    pub name: &'static str,
    /// May be given as `<key>_file`, a path whose content is the value; never shown.
    pub secret: bool,
    /// Not available in this version: naming it is a fault that says so.
    pub later: Option<&'static str>,
}

const fn plain(name: &'static str) -> Known {
    Known { name, secret: false, later: None }
}

const fn secret(name: &'static str) -> Known {
    Known { name, secret: true, later: None }
}

const fn later(name: &'static str, instead: &'static str) -> Known {
    Known { name, secret: false, later: Some(instead) }
}

/// Every key, in the order of `config/example.toml`.
pub const KEYS: &[Known] = &[
    plain("server.host"),
    plain("server.port"),
    plain("server.require_tls"),
    plain("server.max_connections"),
    plain("server.shutdown_timeout"),
    plain("tls.certificate"),
    secret("tls.private_key"),
    plain("tls.client_ca"),
    secret("database.url"),
    plain("database.host"),
    plain("database.port"),
    plain("database.name"),
    plain("database.user"),
    secret("database.password"),
    plain("database.tls"),
    plain("database.root_certificate"),
    plain("database.connect_timeout"),
    plain("auth.mode"),
    plain("auth.accept_database_auth"),
    plain("keys.service"),
    plain("keys.service_ca"),
    plain("keys.store"),
    plain("keys.root_key"),
    plain("keys.keyset"),
    plain("keys.values_per_key"),
    plain("keys.key_lifetime"),
    plain("keys.lease"),
    plain("keys.pool"),
    plain("keyserver.listen"),
    secret("keyserver.store"),
    plain("keyserver.root_key"),
    plain("keyserver.bootstrap_token"),
    plain("keyserver.max_body"),
    plain("keyserver.max_connections"),
    plain("keyserver.request_timeout"),
    plain("keyserver.shutdown_timeout"),
    plain("keyserver.client_rate"),
    plain("keyserver.failure_rate"),
    plain("policy.encrypted"),
    plain("policy.trusted_functions"),
    plain("policy.unsigned_types"),
    plain("policy.keyset_scope"),
    later("policy.roles", "remove it; use one client key per right, with grants that differ"),
    plain("log.level"),
    plain("log.format"),
    plain("metrics.listen"),
    later("audit.sink", "remove it; the key store records every act on keys"),
];

/// The entry of `section.key`.
pub(super) fn find(name: &str) -> Option<&'static Known> {
    KEYS.iter().find(|known| known.name == name)
}

/// The key nearest to a mistyped one, if one is near.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    KEYS.iter()
        .map(|known| (distance(known.name, name), known.name))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, name)| name)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_finds_its_neighbour() {
        assert_eq!(nearest("server.prot"), Some("server.port"));
        assert_eq!(nearest("databse.host"), Some("database.host"));
        assert_eq!(nearest("colour.of_the_sky"), None);
    }

    #[test]
    fn names_are_sections_and_keys_and_stand_once() {
        for (index, known) in KEYS.iter().enumerate() {
            assert_eq!(known.name.split('.').count(), 2, "{}", known.name);
            assert!(KEYS[index + 1..].iter().all(|other| other.name != known.name), "{} twice", known.name);
        }
    }
}
