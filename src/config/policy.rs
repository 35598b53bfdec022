//! `[policy.roles.<role>]` and `[audit]`: who may read what, and what is recorded of it.

use std::time::Duration;

use crate::crypto::TypeId;
use crate::session::roles::{ANY, Mask, Roles, Rule, TypeRef};
use crate::session::settings::{Audit, Sink};

use super::known::ROLES;
use super::reader::Reader;

/// Longest name that PostgreSQL gives a role or a type, in bytes.
const MAX_NAME: usize = 63;
const MASKS: [(&str, Mask); 5] = [
    ("error", Mask::Error),
    ("null", Mask::Null),
    ("last4", Mask::Last4),
    ("first4", Mask::First4),
    ("full", Mask::Full),
];

/// Every role's rule.
pub(super) fn roles(reader: &mut Reader<'_>) -> Roles {
    let names = reader.roles();
    Roles::new(names.into_iter().map(|role| {
        let rule = rule(reader, &role);
        (role, rule)
    }))
}

fn rule(reader: &mut Reader<'_>, role: &str) -> Rule {
    let key = |key: &str| format!("{ROLES}{role}.{key}");
    if role.is_empty() || role.len() > MAX_NAME {
        let problem = "is not the name of a role";
        reader.fault(
            &key("decrypt"),
            problem,
            format!("name a role of 1 to {MAX_NAME} bytes, or \"{ANY}\" for all others"),
        );
    }
    let (decrypt, types, mask) = (key("decrypt"), key("types"), key("mask"));
    let reads = reader.flag(&decrypt);
    let listed = reader.has(&types).then(|| type_refs(reader, &types));
    let chosen = reader.choice(&mask, &MASKS);
    // A rule that says one thing and does another would show what was meant to be hidden.
    if reads == Some(false) && listed.is_some() {
        let advice = "remove one of the two: types lists what may be decrypted";
        reader.fault(&types, "stands beside decrypt = false", advice);
    }
    if chosen.is_some() && reads != Some(false) && listed.is_none() {
        let advice = "write decrypt = false, or the types that may be read; or remove the mask";
        reader.fault(&mask, "masks nothing, since the role may read every type", advice);
    }
    Rule { decrypt: reads.unwrap_or(true), types: listed, mask: chosen.unwrap_or_default() }
}

fn type_refs(reader: &mut Reader<'_>, key: &str) -> Vec<TypeRef> {
    let mut refs = Vec::new();
    for item in reader.list(key) {
        match type_ref(&item) {
            Some(found) => refs.push(found),
            None => {
                let advice = "write every item as the type's name without its schema (\"email\"), or as its id";
                reader.fault(key, format!("has {item:?}"), advice);
            }
        }
    }
    refs
}

fn type_ref(item: &str) -> Option<TypeRef> {
    if let Ok(id) = item.parse::<TypeId>() {
        return Some(TypeRef::Id(id));
    }
    let is_name = !item.is_empty() && item.len() <= MAX_NAME && !item.contains('.') && item.trim() == item;
    is_name.then(|| TypeRef::Name(item.to_owned()))
}

/// `[audit]`.
pub(super) fn audit(reader: &mut Reader<'_>) -> Audit {
    let fallback = Audit::default();
    let sink = match reader.text("audit.sink").as_deref() {
        None => fallback.sink,
        Some("keystore") => Sink::Keystore,
        Some("stdout") => Sink::Stdout,
        Some("off") => Sink::Off,
        Some(text) => match text.strip_prefix("file:").filter(|path| !path.trim().is_empty()) {
            Some(path) => Sink::File(reader.base("audit.sink").join(path)),
            None => {
                let advice = "write \"keystore\", \"stdout\", \"file:PATH\" or \"off\"";
                reader.fault("audit.sink", format!("is {text:?}"), advice);
                fallback.sink
            }
        },
    };
    let required = reader.flag("audit.required").unwrap_or(fallback.required);
    if required && sink == Sink::Off {
        reader.fault(
            "audit.required",
            "is true while audit.sink is \"off\"",
            "choose a sink, or remove one of the two",
        );
    }
    let limit = Duration::from_secs(1)..=Duration::from_secs(300);
    Audit { sink, required, interval: reader.span("audit.interval", fallback.interval, limit) }
}
