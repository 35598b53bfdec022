//! The dashboard: pages for admins, made on the server, that work without script. A server that serves a page also serves its
//! script, so there are two places: the key server's page shows, disables and revokes and holds no key; the whole one is served
//! by `columnseal dashboard` on the admin's own machine, where the device key is. Both are these pages, and what they ask goes
//! through [`Workspace`](crate::keyserver::Workspace), as the command line does.
//!
//! ```text
//! place      where pages are served: local on the admin's machine, served by the key server
//! door       before any page: host, origin, session, form token; behind it: headers, cookie
//! session    the cookie            form       fields            answer   what a page answers
//! visit      one request, as pages see it     desk     jobs, and keys that are shown once
//! routes     address -> page
//! frame      what stands around every page    parts    what pages are made of
//! plot       small pictures        leakage    what a type tells       usage   what proxies tell
//! overview, clients, client, create, confirm, keysets, devices, types, audit      the pages
//! ```

mod answer;
mod assets;
mod audit;
mod client;
mod clients;
mod confirm;
mod create;
mod desk;
mod devices;
mod door;
mod edit;
mod form;
mod frame;
mod keysets;
mod leakage;
mod local;
mod overview;
mod parts;
mod place;
mod plot;
mod presence;
mod routes;
mod served;
mod session;
mod sign_in;
mod types;
mod usage;
mod visit;

pub use local::{Dashboard, LocalError, LocalSettings};
pub use served::pages;
