//! LIKE and its kin, in every place where a condition may stand.

use super::{Generator, Parameter};

/// Values that meet: parts of one another, of both cases, with wildcards in them.
const WORDS: &[&str] = &[
    "",
    "a",
    "A",
    "ab",
    "Ab",
    "abc",
    "ABC",
    "abcd",
    "bcd",
    "banana",
    "Banana",
    "bandana",
    "nab",
    "a%b",
    "a_b",
    "a\\b",
    "%",
    "_",
    " ab ",
    "äbc",
    "ÄBC",
    "straße",
    "日本語",
    "日本語テキスト",
    "O'Brien",
    "line\nbreak",
    "banana split",
    "abcabcabcabc",
];

/// Of which patterns are made. None ends in the escape character.
const PIECES: &[&str] = &[
    "%", "%", "%", "_", "a", "A", "ab", "abc", "ban", "ana", "an", "\\%", "\\_", "\\\\", "ä", "日本", "語", " ", "'",
    "b", "c", "d%", "__",
];

const COLUMNS: [&str; 3] = ["m_text", "m_varchar", "m_bpchar"];

impl Generator<'_> {
    /// A text as a literal or a parameter.
    pub(super) fn given(&mut self, text: &str) -> String {
        self.given_as(text, "text", 25)
    }

    /// The same, of a type that reads it.
    pub(super) fn given_as(&mut self, text: &str, kind: &'static str, oid: u32) -> String {
        match &mut self.parameters {
            Some(parameters) if self.random.chance(70) => {
                let format = u16::from(self.random.chance(40));
                let bytes = Some(text.as_bytes().to_vec());
                let format = if kind == "text" { format } else { 0 };
                parameters.push(Parameter { oid, kind, value: None, bytes, format });
                format!("${}::{kind}", parameters.len())
            }
            _ => format!("'{}'", text.replace('\'', "''")),
        }
    }

    fn word(&mut self) -> String {
        let word = *self.random.pick(WORDS);
        if self.random.chance(8) { "NULL".into() } else { self.given(word) }
    }

    fn pattern_text(&mut self) -> String {
        let mut pattern = String::new();
        for _ in 0..1 + self.random.below(4) {
            let piece: &&str = self.random.pick(PIECES);
            pattern.push_str(piece);
        }
        pattern
    }

    fn pattern(&mut self) -> String {
        let text = self.pattern_text();
        let word = *self.random.pick(WORDS);
        let word = word.trim_end_matches('\\');
        match self.random.below(12) {
            0 => "NULL".into(),
            1 => format!("'%' || {} || '%'", self.given(word)),
            2 => format!("{} || '%'", self.given(word)),
            3 => format!("concat('%', {}, NULL, '_')", self.given(word)),
            4 => format!("({})", self.given(&text)),
            _ => self.given(&text),
        }
    }

    /// A condition on a column that has match terms.
    fn like(&mut self, alias: &str, depth: usize) -> String {
        if depth > 0 && self.random.chance(50) {
            let (left, right) = (self.like(alias, depth - 1), self.like(alias, depth - 1));
            return match self.random.below(4) {
                0 => format!("({left} AND {right})"),
                1 => format!("({left} OR {right})"),
                2 => format!("(NOT ({left}) OR {alias}.grp = 1)"),
                _ => format!("(({left}) IS NULL OR {right})"),
            };
        }
        if self.random.chance(35) {
            return self.on_document(alias);
        }
        let column = format!("{alias}.{}", self.random.pick(&COLUMNS));
        let operator = *self.random.pick(&["LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE", "~~", "!~~*"]);
        match self.random.below(12) {
            0 if !column.ends_with("bpchar") => format!("starts_with({column}, {})", self.word()),
            1 => {
                let (quantifier, list) =
                    (*self.random.pick(&["ANY", "ALL"]), [self.pattern_text(), self.pattern_text()]);
                let list = list.map(|text| self.given(&text));
                format!("{column} {operator} {quantifier} (ARRAY[{}, {}])", list[0], list[1])
            }
            2 => format!("{column} LIKE {} ESCAPE '!'", self.given("a!_%")),
            3 => format!("{column} = {}", self.given("banana"))
                .replace("m_bpchar", "m_varchar")
                .replace("m_text", "m_varchar"),
            // Operators of one precedence are read from the left.
            _ if operator.contains('~') => format!("{column} {operator} ({})", self.pattern()),
            _ => format!("{column} {operator} {}", self.pattern()),
        }
    }

    /// A statement with such conditions.
    pub(super) fn searched(&mut self) -> (String, bool) {
        let (one, two) = (self.like("x", 2), self.like("x", 1));
        match self.random.below(16) {
            0..5 => (format!("SELECT x.* FROM m x WHERE {one}"), false),
            5 => (format!("SELECT id, m_text FROM m x WHERE {one} ORDER BY id LIMIT 3 OFFSET 1"), true),
            6 => (format!("SELECT id, {one} AS first, ({two}) IS TRUE AS second FROM m x ORDER BY id"), true),
            7 => {
                (format!("SELECT grp, count(*) FILTER (WHERE {one}), max(id) FROM m x GROUP BY grp ORDER BY grp"), true)
            }
            8 => {
                let inner = self.like("y", 1);
                (
                    format!(
                        "SELECT x.id, y.id FROM m x LEFT JOIN m y ON y.grp = x.grp AND {inner} WHERE {one} ORDER BY 1, 2"
                    ),
                    true,
                )
            }
            9 => {
                let inner = self.like("y", 1);
                (
                    format!(
                        "SELECT id FROM m x WHERE EXISTS (SELECT FROM m y WHERE y.grp = x.grp AND {inner}) OR {one} ORDER BY id"
                    ),
                    true,
                )
            }
            10 => (
                format!(
                    "WITH w AS (SELECT id, m_varchar AS v FROM m x WHERE {one}) SELECT * FROM w WHERE v = {}",
                    self.given("banana")
                ),
                false,
            ),
            11 => (format!("UPDATE m x SET grp = grp + 1 WHERE {one} RETURNING id, m_bpchar"), false),
            12 => (format!("UPDATE m x SET m_text = {} WHERE {one} AND {two}", self.word()), false),
            13 => (format!("DELETE FROM m x WHERE {one} AND {two} AND grp = 1 RETURNING m_varchar"), false),
            _ => {
                let mut rows = Vec::new();
                for _ in 0..3 {
                    let (id, grp) = (self.id(), self.random.below(3));
                    let document = self.document_or_null();
                    rows.push(format!("({id}, {grp}, {}, {}, {}, {document})", self.word(), self.word(), self.word()));
                }
                (
                    format!("INSERT INTO m (id, grp, m_text, m_varchar, m_bpchar, m_json) VALUES {}", rows.join(", ")),
                    false,
                )
            }
        }
    }
}
