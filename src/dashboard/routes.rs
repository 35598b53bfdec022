//! From an address to its page.

use super::answer::{Fault, Result};
use super::visit::Visit;
use super::{audit, client, clients, confirm, create, devices, edit, keysets, overview, types};

/// The first part of every address but the overview's.
pub(super) const ROOMS: [&str; 11] =
    ["login", "logout", "resume", "assets", "clients", "keysets", "devices", "types", "audit", "jobs", "made"];

/// The page, or what came of a form.
pub(super) fn dispatch(visit: &Visit) -> Result {
    let path = visit.path.iter().map(String::as_str).collect::<Vec<_>>();
    match (path.as_slice(), &visit.form) {
        ([], None) => overview::show(visit),
        (["clients"], None) => clients::list(visit),
        (["clients", "new"], _) => create::new(visit),
        (["clients", "approve"], _) => create::approve(visit),
        (["clients", id], None) => client::show(visit, id),
        (["clients", id, "grant"], _) => edit::grant_to_client(visit, id),
        (["clients", id, "edit"], _) => edit::client(visit, id),
        (["clients", id, "rotate"], _) => create::rotate(visit, id),
        (["clients", id, act], _) => confirm::client(visit, id, act),
        (["keysets"], None) => keysets::list(visit),
        (["keysets", "new"], _) => keysets::new(visit),
        (["keysets", id], None) => keysets::show(visit, id),
        (["keysets", id, "grant"], _) => edit::grant_of_keyset(visit, id),
        (["keysets", id, "rename"], _) => keysets::rename(visit, id),
        (["keysets", id, act], _) => confirm::keyset(visit, id, act),
        (["devices"], None) => devices::list(visit),
        (["devices", id, "approve"], _) => devices::approve(visit, id),
        (["devices", id, "refuse"], _) => devices::refuse(visit, id),
        (["types"], None) => types::list(visit),
        (["audit"], None) => audit::list(visit),
        (["audit", "verify"], Some(_)) => audit::verify(visit),
        (["audit", "export"], None) => audit::export(visit),
        (["jobs", id], None) => confirm::job(visit, id),
        (["made", id], None) => create::made(visit, id),
        _ => Err(Fault::NotFound("there is no such page".to_owned())),
    }
}
