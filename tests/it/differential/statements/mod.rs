//! Statements of every kind over encrypted columns: the same as on plain tables.

mod arrays;
mod computed;
mod joins;
mod queries;
mod windows;
mod writes;

use super::cases::{Case, filled, steps};
use super::generate;
use crate::support::Twin;

fn same(cases: &[&[Case]]) {
    let twin = Twin::start();
    generate::tables(&twin);
    let mut pair = filled(&twin);
    let script: Vec<_> = cases.iter().flat_map(|cases| steps(cases)).collect();
    let differences = pair.run_all(&script);
    assert!(differences.is_empty(), "{} statements differ:\n{}", differences.len(), differences.join("\n"));
}
