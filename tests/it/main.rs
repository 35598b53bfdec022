//! Tests against real parts: PostgreSQL, drivers, the binary.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "test code: a panic is the report, and not every test uses every part of the support"
)]

mod support;

mod access;
mod aggregates;
mod arrays;
mod balancers;
mod bench;
mod bodies;
mod built;
mod cased;
mod catalog;
mod clients;
mod commands;
mod computed;
mod copy;
mod cursors;
mod dashboard;
mod differential;
mod doctor;
mod documents;
mod drivers;
mod faults;
mod flow;
mod fuzz;
mod handshake;
mod harness;
mod introspection;
mod joined;
mod keyserver;
mod leaks;
mod managed;
mod matching;
mod observe;
mod order;
mod orms;
mod paths;
mod pipelines;
mod plain;
mod prepared;
mod protocol;
mod recorded;
mod replication;
mod revocation;
mod roles;
mod root_keys;
mod rotation;
mod rust_drivers;
mod scaling;
mod schema;
mod sizes;
mod soak;
mod statistics;
mod stored;
mod tenants;
mod values;
