//! Names that PostgreSQL gives to constraints without one.

/// `NAMEDATALEN` without the closing NUL.
const MAX_NAME: usize = 63;

/// The name for a constraint of a table over these columns, the first that is not taken. `label`: `key` or `pkey`.
pub(super) fn choose(table: &str, columns: &[&str], label: &str, taken: impl Fn(&str) -> bool) -> String {
    let addition = addition(columns);
    let labels = std::iter::once(label.to_owned()).chain((1..).map(|n: u32| format!("{label}{n}")));
    let mut names = labels.map(|label| join(table, &addition, &label));
    names.find(|name| !taken(name)).unwrap_or_default()
}

/// As PostgreSQL's `ChooseIndexNameAddition`.
fn addition(columns: &[&str]) -> String {
    let mut out = String::new();
    for column in columns {
        if !out.is_empty() {
            out.push('_');
        }
        out.push_str(column);
        if out.len() > MAX_NAME {
            break;
        }
    }
    out
}

/// As PostgreSQL's `makeObjectName`: the longer part is cut first.
fn join(table: &str, addition: &str, label: &str) -> String {
    let overhead = label.len() + 1 + usize::from(!addition.is_empty());
    let room = MAX_NAME.saturating_sub(overhead);
    let (mut first, mut second) = (table.len(), addition.len());
    while first + second > room {
        if first > second { first -= 1 } else { second -= 1 }
    }
    let (table, addition) =
        (&table[..table.floor_char_boundary(first)], &addition[..addition.floor_char_boundary(second)]);
    match addition {
        "" => format!("{table}_{label}"),
        addition => format!("{table}_{addition}_{label}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected names are what PostgreSQL 15 gives to constraints on columns of plain types.
    #[test]
    fn names_are_postgresqls() {
        let free = |_: &str| false;
        assert_eq!(choose("users", &["email"], "key", free), "users_email_key");
        assert_eq!(choose("users", &["tenant", "email"], "key", free), "users_tenant_email_key");
        assert_eq!(choose("users", &[], "pkey", free), "users_pkey");
        assert_eq!(choose("users", &["email"], "key", |n| n == "users_email_key"), "users_email_key1");
        let long = "a".repeat(40);
        let other = "b".repeat(40);
        let name = choose(&long, &[&other], "key", free);
        assert_eq!(name, format!("{}_{}_key", "a".repeat(29), "b".repeat(29)));
        assert_eq!(choose(&"ü".repeat(31), &["email"], "key", free), format!("{}_email_key", "ü".repeat(26)));
    }
}
