//! The SQL of the `seal` schema. What runs it is `database`.

use super::registry;
use crate::wire::value::PlainType;

/// Version of the schema that this program installs. Grows with every change to what is installed.
pub const VERSION: u32 = 7;

const TEMPLATE: &str = include_str!("seal.sql");

/// The whole schema as plain SQL: idempotent, upgrades an older version in place. To be run in one transaction by
/// the owner of the database; sets no session settings.
pub fn install_sql() -> String {
    let plains: Vec<&str> = PlainType::all().map(PlainType::name).collect();
    let ready = registry::ready_made();
    let names: Vec<&str> = ready.iter().map(|def| def.name.as_str()).collect();
    let calls: Vec<String> = ready
        .iter()
        .map(|def| {
            let (name, id, plain, options) = (&def.name, def.id, def.plain.name(), &def.options);
            let terms = registry::terms_list(def.terms).join(",");
            format!("  PERFORM seal.define_type('{name}', '{id}', '{plain}', '{terms}', '{options}', NULL);")
        })
        .collect();
    TEMPLATE
        .replace("{{VERSION}}", &VERSION.to_string())
        .replace("{{PLAINS}}", &plains.join(","))
        .replace("{{READY_NAMES}}", &names.join(","))
        .replace("{{READY_MADE}}", &calls.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_is_filled() {
        let sql = install_sql();
        assert!(!sql.contains("{{") && !sql.contains("}}"), "placeholders left");
        assert!(sql.contains("'SELECT 7'"), "the version stands in the function that the snapshot reads");
    }

    #[test]
    fn ready_made_types_need_no_quoting() {
        for def in registry::ready_made() {
            assert!(
                def.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{}",
                def.name
            );
        }
    }
}
