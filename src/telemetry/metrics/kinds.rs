//! What metrics are told apart by: commands, parts of a statement's time, phases of a connection, who is to blame.

/// What was made of a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It touches nothing encrypted and went on as it was.
    Plain,
    /// It was rewritten.
    Encrypted,
    /// The proxy refused it.
    Refused,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Kind; 3] = [Kind::Plain, Kind::Encrypted, Kind::Refused];

    /// As labels and logs have it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Plain => "plain",
            Kind::Encrypted => "encrypted",
            Kind::Refused => "refused",
        }
    }
}

/// What a statement does, by its first word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "named as SQL names them")]
pub enum Command {
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    Copy,
    /// FETCH, MOVE, DECLARE, CLOSE.
    Cursor,
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT and the like.
    Transaction,
    /// CREATE, ALTER, DROP, GRANT and the like.
    Ddl,
    /// SET, RESET, SHOW, DISCARD.
    Setting,
    /// CALL, DO.
    Call,
    #[default]
    Other,
}

/// First words, in capitals.
const WORDS: [(&[u8], Command); 36] = [
    (b"SELECT", Command::Select),
    (b"WITH", Command::Select),
    (b"VALUES", Command::Select),
    (b"TABLE", Command::Select),
    (b"INSERT", Command::Insert),
    (b"UPDATE", Command::Update),
    (b"DELETE", Command::Delete),
    (b"MERGE", Command::Merge),
    (b"COPY", Command::Copy),
    (b"FETCH", Command::Cursor),
    (b"MOVE", Command::Cursor),
    (b"DECLARE", Command::Cursor),
    (b"CLOSE", Command::Cursor),
    (b"BEGIN", Command::Transaction),
    (b"START", Command::Transaction),
    (b"COMMIT", Command::Transaction),
    (b"END", Command::Transaction),
    (b"ROLLBACK", Command::Transaction),
    (b"ABORT", Command::Transaction),
    (b"SAVEPOINT", Command::Transaction),
    (b"RELEASE", Command::Transaction),
    (b"CREATE", Command::Ddl),
    (b"ALTER", Command::Ddl),
    (b"DROP", Command::Ddl),
    (b"TRUNCATE", Command::Ddl),
    (b"COMMENT", Command::Ddl),
    (b"GRANT", Command::Ddl),
    (b"REVOKE", Command::Ddl),
    (b"REINDEX", Command::Ddl),
    (b"REFRESH", Command::Ddl),
    (b"SET", Command::Setting),
    (b"RESET", Command::Setting),
    (b"SHOW", Command::Setting),
    (b"DISCARD", Command::Setting),
    (b"CALL", Command::Call),
    (b"DO", Command::Call),
];

impl Command {
    /// How many there are.
    pub(super) const COUNT: usize = Command::Other as usize + 1;
    const NAMES: [&'static str; Command::COUNT] = [
        "select",
        "insert",
        "update",
        "delete",
        "merge",
        "copy",
        "cursor",
        "transaction",
        "ddl",
        "setting",
        "call",
        "other",
    ];

    /// Of a text or command tag: what its first word says, in any case.
    pub fn of(text: &[u8]) -> Command {
        let text = text.trim_ascii_start();
        let word = text.split(|b| !b.is_ascii_alphabetic()).next().unwrap_or_default();
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map_or(Command::Other, |(_, command)| *command)
    }

    /// As labels and logs have it.
    pub fn name(self) -> &'static str {
        Command::NAMES[self as usize]
    }

    pub(super) fn names() -> [&'static str; Command::COUNT] {
        Command::NAMES
    }
}

/// What a statement's time is spent on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spent {
    /// The client sends no more of it, or does not read its rows.
    Client,
    /// The proxy reads, judges and rewrites it.
    Analysis,
    /// The proxy waits for the key service.
    Keys,
    /// Values are encrypted.
    Sealing,
    /// PostgreSQL runs it.
    Server,
    /// Rows are handed on, their values decrypted.
    Opening,
}

impl Spent {
    /// How many there are.
    pub const COUNT: usize = Spent::Opening as usize + 1;
}

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It has not logged in yet.
    Starting,
    /// It waits for its client, outside a transaction.
    Idle,
    /// It waits for its client, in a transaction.
    Transaction,
    /// A statement is under way.
    Active,
}

impl Phase {
    pub(super) const ALL: [Phase; 4] = [Phase::Starting, Phase::Idle, Phase::Transaction, Phase::Active];

    pub(super) fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Idle => "idle",
            Phase::Transaction => "transaction",
            Phase::Active => "active",
        }
    }
}

/// Why a connection was not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// `server.max_connections`.
    Limit,
    /// It is not as the settings ask: TLS, certificate, PROXY protocol header, channel binding.
    Policy,
    /// What it sent is no startup of PostgreSQL's protocol, or asks for what is not there.
    Startup,
    /// The login took too long.
    Timeout,
    /// The database is out of reach.
    Database,
    /// PostgreSQL refused the login, or the proxy did where it checks passwords itself.
    Login,
    /// The proxy is shutting down.
    Shutdown,
}

impl Refused {
    pub(super) const ALL: [Refused; 7] = [
        Refused::Limit,
        Refused::Policy,
        Refused::Startup,
        Refused::Timeout,
        Refused::Database,
        Refused::Login,
        Refused::Shutdown,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Refused::Limit => "limit",
            Refused::Policy => "policy",
            Refused::Startup => "startup",
            Refused::Timeout => "timeout",
            Refused::Database => "database",
            Refused::Login => "login",
            Refused::Shutdown => "shutdown",
        }
    }

    /// Of an error that the proxy tells before a login.
    pub fn of(sqlstate: &str) -> Refused {
        match sqlstate {
            "53300" => Refused::Limit,
            "28000" => Refused::Policy,
            "28P01" => Refused::Login,
            "57014" => Refused::Timeout,
            "08001" | "08006" => Refused::Database,
            "57P03" => Refused::Shutdown,
            _ => Refused::Startup,
        }
    }
}

/// Who has to act on an error. `ours`: the proxy raised it, not PostgreSQL.
pub(super) fn blame(ours: bool, sqlstate: &str) -> &'static str {
    let class = sqlstate.get(..2).unwrap_or_default();
    match (ours, sqlstate) {
        (true, "42501" | "57P03" | "38000") => "keys",
        (true, "XX001") => "data",
        (true, "42P17" | "40001") => "schema",
        (true, "57P01") => "operator",
        (true, _) if class == "XX" => "proxy",
        (false, "57014") => "client",
        (false, _) if matches!(class, "53" | "57" | "58" | "F0" | "XX") => "database",
        _ => "client",
    }
}

/// A SQLSTATE class as a label: whoever can write functions can raise any class, so what is none of PostgreSQL's is one.
pub(super) fn class(sqlstate: &str) -> &'static str {
    const CLASSES: [&str; 43] = [
        "00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "20", "21", "22", "23", "24", "25",
        "26", "27", "28", "2B", "2D", "2F", "34", "38", "39", "3B", "3D", "3F", "40", "42", "44", "53", "54", "55",
        "57", "58", "72", "F0", "HV", "P0", "XX",
    ];
    let class = sqlstate.get(..2).unwrap_or_default();
    CLASSES.iter().find(|known| **known == class).copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_go_by_their_first_word() {
        for (text, command) in [
            ("SELECT 5", Command::Select),
            ("  select(1)", Command::Select),
            ("INSERT 0 1", Command::Insert),
            ("commit", Command::Transaction),
            ("CREATE TABLE", Command::Ddl),
            ("", Command::Other),
            ("/* c */ SELECT", Command::Other),
            ("VACUUM", Command::Other),
        ] {
            assert_eq!(Command::of(text.as_bytes()), command, "{text}");
        }
        assert_eq!(Command::Other.name(), "other");
        assert_eq!(Command::Call.name(), "call");
    }

    #[test]
    fn who_was_not_let_in_is_told_apart() {
        for (state, refused) in [
            ("53300", Refused::Limit),
            ("28000", Refused::Policy),
            ("28P01", Refused::Login),
            ("57014", Refused::Timeout),
            ("08001", Refused::Database),
            ("57P03", Refused::Shutdown),
            ("08P01", Refused::Startup),
        ] {
            assert_eq!(Refused::of(state), refused, "{state}");
        }
    }

    #[test]
    fn everyone_is_blamed_for_their_own() {
        for (ours, state, expected) in [
            (true, "0A000", "client"),
            (true, "57P03", "keys"),
            (true, "XX001", "data"),
            (true, "XX000", "proxy"),
            (false, "XX000", "database"),
            (false, "57014", "client"),
            (false, "57P01", "database"),
            (false, "23505", "client"),
            (false, "42501", "client"),
        ] {
            assert_eq!(blame(ours, state), expected, "{ours} {state}");
        }
        assert_eq!((class("23505"), class("ZZ001"), class("é"), class("")), ("23", "other", "other", "other"));
    }
}
