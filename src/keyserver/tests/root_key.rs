//! Root keys over a store.
