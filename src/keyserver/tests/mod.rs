//! Tests over real stores: workspace and engine, and the ring on top of them. What holds on every store is compiled once
//! for each.
#![cfg_attr(test, expect(clippy::duplicate_mod, reason = "the same tests on another store"))]

mod database;
mod herd;
mod home;
mod http;
mod http_admins;
mod kinds;
mod middle;
mod migrate;
mod on_postgres;
mod on_sqlite;
mod root_key;
mod store;
mod support;
