//! Search terms: what the database compares instead of plaintext. What each leaks is in `docs/keys.md`.
//!
//! A term is made from the canonical form of a value; making that form is not done here.

pub mod equality;
