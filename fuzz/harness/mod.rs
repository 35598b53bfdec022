//! What the fuzz targets assert of any bytes. Used by the targets of cargo-fuzz and, over their corpora, by the test suite.

pub mod catalog;
mod copy;
mod envelopes;
mod messages;
mod statements;
mod values;

pub use copy::copy;
pub use envelopes::envelopes;
pub use messages::{client_messages, errors, frames, server_messages, startup};
pub use statements::statements;
pub use values::{arrays, documents, patterns, values};

/// Every target, by its name.
pub const TARGETS: [(&str, fn(&[u8])); 12] = [
    ("frames", frames),
    ("startup", startup),
    ("client_messages", client_messages),
    ("server_messages", server_messages),
    ("errors", errors),
    ("values", values),
    ("arrays", arrays),
    ("patterns", patterns),
    ("documents", documents),
    ("copy", copy),
    ("envelopes", envelopes),
    ("statements", statements),
];
