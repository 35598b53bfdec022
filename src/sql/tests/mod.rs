//! Tests of the room as a whole.

mod fixtures;
pub(crate) mod support;
