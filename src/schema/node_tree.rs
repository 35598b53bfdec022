//! Reads `pg_node_tree` text: PostgreSQL's printed query trees, as `pg_rewrite.ev_action` holds them.
//!
//! Generic: nodes with named fields and lists. It knows no node types, so it reads every version's trees.

/// A value in a tree.
#[derive(Debug, PartialEq)]
pub enum Node<'a> {
    /// `{LABEL :field value ...}`.
    Struct(&'a str, Vec<(&'a str, Vec<Node<'a>>)>),
    /// `(...)`, also of integers and OIDs.
    List(Vec<Node<'a>>),
    /// Any other token. `<>` is the null node.
    Token(&'a str),
}

/// Trees nested deeper than this are not read.
const MAX_DEPTH: usize = 400;

impl<'a> Node<'a> {
    /// Reads one value; `None` where the text is not a tree.
    pub fn parse(text: &'a str) -> Option<Node<'a>> {
        let mut reader = Reader { text, at: 0 };
        let first = reader.token()?;
        let node = reader.value(first, 0)?;
        reader.token().is_none().then_some(node)
    }

    /// The label of a struct, else "".
    pub fn label(&self) -> &'a str {
        match self {
            Node::Struct(label, _) => label,
            _ => "",
        }
    }

    /// A field's single value.
    pub fn field(&self, name: &str) -> Option<&Node<'a>> {
        let Node::Struct(_, fields) = self else { return None };
        fields.iter().find(|(n, _)| *n == name).and_then(|(_, values)| values.first())
    }

    /// A field that holds a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        match self.field(name)? {
            Node::Token(t) => t.parse().ok(),
            _ => None,
        }
    }

    /// A field that holds a list; the null node is the empty one.
    pub fn list(&self, name: &str) -> &[Node<'a>] {
        match self.field(name) {
            Some(Node::List(items)) => items,
            _ => &[],
        }
    }

    /// Every value directly below this one.
    pub fn children(&self) -> Box<dyn Iterator<Item = &Node<'a>> + '_> {
        match self {
            Node::Struct(_, fields) => Box::new(fields.iter().flat_map(|(_, values)| values)),
            Node::List(items) => Box::new(items.iter()),
            Node::Token(_) => Box::new(std::iter::empty()),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next token: a bracket, or a run without white space and brackets, in which a backslash escapes.
    fn token(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        let start = self.at;
        if matches!(bytes.get(start)?, b'(' | b')' | b'{' | b'}') {
            self.at += 1;
            return self.text.get(start..self.at);
        }
        if bytes[start] == b'"' {
            self.quoted();
            return self.text.get(start..self.at);
        }
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'(' | b')' | b'{' | b'}' => break,
                b if b.is_ascii_whitespace() => break,
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(bytes.len());
        self.text.get(start..self.at)
    }

    /// A string node, `"..."`.
    fn quoted(&mut self) {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            self.at += if *byte == b'\\' { 2 } else { 1 };
            if *byte == b'"' {
                break;
            }
        }
        self.at = self.at.min(bytes.len());
    }

    fn value(&mut self, first: &'a str, depth: usize) -> Option<Node<'a>> {
        if depth > MAX_DEPTH {
            return None;
        }
        match first {
            "{" => self.structure(depth),
            "(" => {
                let mut items = Vec::new();
                loop {
                    match self.token()? {
                        ")" => return Some(Node::List(items)),
                        token => items.push(self.value(token, depth + 1)?),
                    }
                }
            }
            ")" | "}" => None,
            token => Some(Node::Token(token)),
        }
    }

    fn structure(&mut self, depth: usize) -> Option<Node<'a>> {
        let label = self.token()?;
        let mut fields: Vec<(&'a str, Vec<Node<'a>>)> = Vec::new();
        loop {
            match self.token()? {
                "}" => return Some(Node::Struct(label, fields)),
                token if token.starts_with(':') && token.len() > 1 => fields.push((&token[1..], Vec::new())),
                token => {
                    let value = self.value(token, depth + 1)?;
                    fields.last_mut()?.1.push(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_structs_lists_and_strings() {
        let tree = Node::parse(
            r#"({QUERY :relid 12 :names ("a \"b" "c)") :none <> :cv 4 [ 1 0 -1 ] :bits (b 1 2) :name a\ b})"#,
        )
        .expect("a tree");
        let Node::List(items) = &tree else { panic!("{tree:?}") };
        let query = &items[0];
        assert_eq!(query.label(), "QUERY");
        assert_eq!(query.number("relid"), Some(12));
        assert_eq!(query.list("names").len(), 2);
        assert_eq!(query.list("none").len(), 0);
        assert_eq!(query.field("name"), Some(&Node::Token(r"a\ b")));
        assert_eq!(query.children().count(), 11);
    }

    #[test]
    fn what_is_no_tree_is_none() {
        let deep = "(".repeat(5000);
        for text in ["", "{", "(", "{}", "{A", "{A :b", "{A value}", ")", "(a))", "{A :b }}", &deep] {
            assert_eq!(Node::parse(text), None, "{text:.20}");
        }
    }
}
