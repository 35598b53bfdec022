//! What can go wrong with the `seal` schema and the catalog.

/// Causes, told apart by who can mend them.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The database refused or could not be reached.
    #[error("the database refused: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// An answer of the server that its catalogs cannot give.
    #[error("the database's answer about its catalog cannot be understood: {0}")]
    Answer(&'static str),
    /// `seal.types` is not there or cannot be read, though the schema is installed.
    #[error("the registry seal.types cannot be read; run: columnseal db install")]
    Registry,
    /// The installed schema is newer than this program.
    #[error("the installed seal schema has version {installed}, this program knows {known}; use a newer columnseal")]
    Newer {
        /// Version in the database.
        installed: u32,
        /// Version of this program.
        known: u32,
    },
    /// Transactions from before do not end.
    #[error("transactions that began earlier are still open, or prepared: what they wrote cannot be seen")]
    StillOpen,
    /// The schema is not installed.
    #[error("the seal schema is not installed; run: columnseal db install")]
    NotInstalled,
    /// A type definition that is not well formed.
    #[error("type definition: {0}")]
    Definition(String),
}
