//! JSON documents, and conditions on them.

use super::Generator;

pub(super) const JSONB: u32 = 3802;

const KEYS: &[&str] = &["a", "b", "c", "0", "", "é", "a b"];

const SCALARS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "1",
    "1.0",
    "-1.50",
    "1e3",
    "\"a\"",
    "\"1\"",
    "\"true\"",
    "\"\"",
    "\"banana\"",
    "\"日本\"",
];

/// What a part of a document may be as a text.
const TEXTS: &[&str] = &["1", "1.0", "true", "a", "banana", "", "{}", "[]", "[1]", "null", "1000"];

impl Generator<'_> {
    fn document(&mut self, depth: usize) -> String {
        match self.random.below(6) {
            0 | 1 if depth > 0 => {
                let items: Vec<String> = (0..self.random.below(4)).map(|_| self.document(depth - 1)).collect();
                format!("[{}]", items.join(", "))
            }
            2..5 if depth > 0 => {
                let entry = |g: &mut Self| {
                    let key = *g.random.pick(KEYS);
                    format!("\"{key}\": {}", g.document(depth - 1))
                };
                let entries: Vec<String> = (0..self.random.below(4)).map(|_| entry(self)).collect();
                format!("{{{}}}", entries.join(", "))
            }
            _ => (*self.random.pick(SCALARS)).to_string(),
        }
    }

    /// A document, or what is compared with one.
    fn given_document(&mut self, depth: usize) -> String {
        let document = self.document(depth);
        self.given_as(&document, "jsonb", JSONB)
    }

    pub(super) fn document_or_null(&mut self) -> String {
        if self.random.chance(8) { "NULL".into() } else { self.given_document(3) }
    }

    /// The way to a part of a document: as JSON, or as a text.
    fn part(&mut self, alias: &str, text: bool) -> String {
        let mut part = format!("{alias}.m_json");
        let steps = 1 + self.random.below(3);
        for step in 1..=steps {
            let text = text && step == steps;
            let key = *self.random.pick(KEYS);
            let arrow = if text { ">>" } else { ">" };
            part = match self.random.below(6) {
                0 => format!("({part} -{arrow} {})", [0, 1, -1][self.random.below(3)]),
                1 => format!("({part} #{arrow} '{{{}}}')", ["a", "a,b", "a,0", "0", ""][self.random.below(5)]),
                2 if !text => format!("({part})['{key}']"),
                3 => format!("{part} -{arrow} {}", self.given(key)),
                _ => format!("({part} -{arrow} '{key}')"),
            };
        }
        part
    }

    /// A condition on a column of documents.
    pub(super) fn on_document(&mut self, alias: &str) -> String {
        let column = match self.random.chance(65) {
            true => format!("{alias}.m_json"),
            false => self.part(alias, false),
        };
        let key = *self.random.pick(KEYS);
        match self.random.below(14) {
            0..3 => format!("{column} @> {}", self.given_document(2)),
            3 => format!("{column} <@ {}", self.given_document(3)),
            4 => format!("{column} ? {}", self.given(key)),
            5 => format!("{column} {} '{{a,b,1}}'", self.random.pick(&["?|", "?&"])),
            6 => {
                let operator = *self.random.pick(&["=", "<>"]);
                format!("{} {operator} {}", self.part(alias, false), self.given_document(1))
            }
            7 | 8 => {
                let (operator, text) = (*self.random.pick(&["=", "<>", "LIKE", "NOT ILIKE"]), *self.random.pick(TEXTS));
                format!("{} {operator} {}", self.part(alias, true), self.given(text))
            }
            9 => {
                let (one, other) = (*self.random.pick(TEXTS), *self.random.pick(TEXTS));
                let (one, other) = (self.given(one), self.given(other));
                format!("{} {} ({one}, {other})", self.part(alias, true), self.random.pick(&["IN", "NOT IN"]))
            }
            10 | 11 => {
                let text = self.random.chance(50);
                format!("{} IS {}NULL", self.part(alias, text), self.random.pick(&["", "NOT "]))
            }
            12 => {
                let path = *self.random.pick(&[
                    "$.a",
                    "$.a.b",
                    "$[*].a ? (@ == 1)",
                    "$.a ? (@ > \"a\")",
                    "$ ? (@.a == 1 || @.b != null)",
                ]);
                format!("{column} @? '{path}'")
            }
            _ => {
                let path = *self.random.pick(&["$.a == 1", "$.a.b > 0 && $.c == null", "$.a", "!($.b == true)"]);
                format!("{column} @@ '{path}'")
            }
        }
    }
}
