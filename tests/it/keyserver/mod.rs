//! The key server as a process, with TLS: proxies on it, certificates, faults, its API's document.

mod api;
mod certificates;
mod faults;
mod proxies;
mod replicas;
mod revocation;
