//! Every key there is. `config/example.toml`, the reader and the unknown-key check all go by this table.

use std::borrow::Cow;

/// A setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// `section.key`.
    pub name: &'static str,
    /// May be given as `<key>_file`, a path whose content is the value; never shown.
    pub secret: bool,
}

const fn plain(name: &'static str) -> Known {
    Known { name, secret: false }
}

const fn secret(name: &'static str) -> Known {
    Known { name, secret: true }
}

/// Every key, in the order of `config/example.toml`.
pub const KEYS: &[Known] = &[
    plain("server.host"),
    plain("server.port"),
    plain("server.socket_mode"),
    plain("server.require_tls"),
    plain("server.max_connections"),
    plain("server.shutdown_timeout"),
    plain("server.startup_timeout"),
    plain("server.login_timeout"),
    plain("server.idle_timeout"),
    plain("server.idle_transaction_timeout"),
    plain("server.max_aggregate_mib"),
    plain("server.proxy_protocol"),
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
    plain("auth.users"),
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
    plain("keys.min_revision"),
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
    plain("keyserver.devices"),
    plain("keyserver.dashboard"),
    plain("keyserver.session"),
    plain("policy.encrypted"),
    plain("policy.trusted_functions"),
    plain("policy.unsigned_types"),
    plain("policy.keyset_scope"),
    plain("policy.introspection"),
    plain("policy.roles.<role>.decrypt"),
    plain("policy.roles.<role>.types"),
    plain("policy.roles.<role>.mask"),
    plain("log.level"),
    plain("log.format"),
    plain("log.slow_statement"),
    plain("metrics.listen"),
    plain("traces.endpoint"),
    plain("traces.sample"),
    plain("audit.sink"),
    plain("audit.required"),
    plain("audit.interval"),
];

/// What the keys of every role begin with.
pub(super) const ROLES: &str = "policy.roles.";
/// Stands for the role in the names of those keys.
const ROLE: &str = "<role>";

/// The entry of `section.key`.
pub(super) fn find(name: &str) -> Option<&'static Known> {
    let name = general(name);
    KEYS.iter().find(|known| known.name == name)
}

/// The role that a key is for. Roles may have points in their names, keys have none.
pub(super) fn role_of(name: &str) -> Option<&str> {
    let (role, _) = name.strip_prefix(ROLES)?.rsplit_once('.')?;
    (!role.is_empty()).then_some(role)
}

/// The key as the table has it.
fn general(name: &str) -> Cow<'_, str> {
    match role_of(name) {
        Some(role) => Cow::Owned(format!("{ROLES}{ROLE}{}", &name[ROLES.len() + role.len()..])),
        None => Cow::Borrowed(name),
    }
}

/// The key nearest to a mistyped one, if one is near.
pub(super) fn nearest(name: &str) -> Option<String> {
    let wanted = general(name);
    KEYS.iter()
        .map(|known| (distance(known.name, &wanted), known.name))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, near)| near.replace(ROLE, role_of(name).unwrap_or(ROLE)))
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
        assert_eq!(nearest("server.prot").as_deref(), Some("server.port"));
        assert_eq!(nearest("databse.host").as_deref(), Some("database.host"));
        assert_eq!(nearest("policy.roles.a.b.decript").as_deref(), Some("policy.roles.a.b.decrypt"));
        assert_eq!(nearest("colour.of_the_sky"), None);
    }

    #[test]
    fn keys_of_roles_are_known_whatever_the_role_is_called() {
        for role in ["analyst", "Jane.Doe", "*", "a b", "decrypt", "roles.x"] {
            let key = format!("policy.roles.{role}.decrypt");
            assert!(find(&key).is_some(), "{key}");
            assert_eq!(role_of(&key), Some(role));
        }
        for bad in
            ["policy.roles.decrypt", "policy.roles..decrypt", "policy.roles.a.", "policy.roles.a.b", "policy.roles."]
        {
            assert!(find(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn names_are_sections_and_keys_and_stand_once() {
        for (index, known) in KEYS.iter().enumerate() {
            let depth = if known.name.starts_with(ROLES) { 4 } else { 2 };
            assert_eq!(known.name.split('.').count(), depth, "{}", known.name);
            assert!(KEYS[index + 1..].iter().all(|other| other.name != known.name), "{} twice", known.name);
        }
    }
}
