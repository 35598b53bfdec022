//! Statement to plan: which values must be sealed, which result columns opened, and what to send instead.
//!
//! Pure: no I/O, no keys. Default deny: what touches an encrypted column and is not proven is refused.
//!
//! The way of a text: [`lex`] gives its tokens; `untouched` decides most statements by their words alone; `parse` gives
//! libpg_query's tree of the others, `statement` splits it and hands each to an `analyzer`, whose parts follow encrypted
//! values through the tree and note `site`s and edits: queries in `select`, `setops`, `from`, `joins`, `outputs`, `group`, `distinct`, `sort`, `extreme`, `finish`;
//! expressions in `expr`, `combine`, `choices`, `compare`, `search`, `cased`, `rows`, `alone`, `windows`, `arrays`, `built`, `joined`, `computable`, `compute`, `reach`; other statements in `dml`, `copy`, `conflict`, `merge`, `ddl`, `utility`,
//! `cursor`, `execute`, `own`; what the server is given to run in `body`, and calls of it in `routine`; catalogs that are read as plain in [`introspect`];
//! `rewrite` makes templates of the edits, [`render`] a statement of a template, [`steps`] several where one does not do. [`cache`] keeps what was found. [`shape`] is
//! what an audit may say of a statement, `comment` what a client says of it.

mod acts;
mod alone;
mod analyzer;
mod arrays;
mod body;
mod built;
pub mod cache;
mod cased;
mod choices;
mod combine;
mod comment;
mod compare;
mod computable;
mod compute;
mod conflict;
pub mod copy;
pub mod cursor;
mod ddl;
mod distinct;
mod dml;
mod documents;
mod escape;
pub mod execute;
mod expr;
mod extreme;
mod finish;
pub mod formula;
mod from;
mod group;
pub mod introspect;
mod joined;
mod joins;
pub mod lex;
pub mod literal;
mod merge;
mod outputs;
pub mod own;
mod parse;
mod paths;
pub mod pattern;
pub mod plan;
mod reach;
mod refuse;
pub mod render;
mod rewrite;
mod routine;
mod rows;
mod scope;
mod search;
mod select;
mod setops;
pub mod shape;
mod site;
mod skeleton;
mod sort;
mod statement;
pub mod steps;
mod touch;
mod tree;
mod types;
mod unnest;
mod untouched;
mod utility;
mod windows;
mod words;

#[cfg(test)]
mod tests;

pub use acts::{Act, acts};
pub use cache::PlanCache;
pub use comment::commented;
pub use literal::{Literal, Literals, literals};
pub use refuse::WHAT_WORKS;
pub use render::{PositionMap, Rendered};
pub use routine::judge_routine;
pub use shape::{Shape, ShapeId};
pub use statement::{after_failure, analyze};
pub use untouched::{holds_ours, names_ours};
