//! The words of a function's source: all that could name a relation or a function in it.
//!
//! Conservative: words inside string literals count. Comments are left out where it is certain where strings end.

use std::collections::HashSet;

/// Lower-case words of SQL or PL/pgSQL source.
pub(super) fn words(source: &str) -> HashSet<Box<str>> {
    let lower = source.to_lowercase();
    let text = without_comments(&lower).unwrap_or(lower);
    text.split(|c: char| !is_word(c)).filter(|w| !w.is_empty()).map(Box::from).collect()
}

/// A name that [`words`] would find as one word, whatever its case.
pub(super) fn is_plain(name: &str) -> bool {
    name.chars().all(is_word)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// Comments become spaces. `None` where a string's end depends on settings (a backslash in a plain string), or
/// something does not end.
fn without_comments(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("--") {
            out.push(' ');
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
            continue;
        } else if rest.starts_with("/*") {
            out.push(' ');
            rest = &rest[comment(rest)?..];
            continue;
        } else {
            match first {
                '\'' => string(rest, '\'')?,
                '"' => string(rest, '"')?,
                '$' => dollar(rest),
                c => c.len_utf8(),
            }
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    Some(out)
}

/// Length of a quoted run, quotes included. Doubled quotes read as two runs, which comes to the same.
fn string(text: &str, quote: char) -> Option<usize> {
    let end = text[1..].find(quote)? + 2;
    (!text[..end].contains('\\')).then_some(end)
}

/// Length of a block comment, which may hold others.
fn comment(text: &str) -> Option<usize> {
    let (mut at, mut depth) = (0, 0usize);
    loop {
        let open = text[at..].find("/*");
        let close = text[at..].find("*/");
        match (open, close) {
            (Some(o), Some(c)) if o < c => (at, depth) = (at + o + 2, depth + 1),
            (_, Some(c)) => (at, depth) = (at + c + 2, depth - 1),
            (_, None) => return None,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Length of a dollar-quoted string, whose words all count; of the dollar alone where none begins here.
fn dollar(text: &str) -> usize {
    let tag = text[1..].find('$').map(|end| &text[..end + 2]);
    let Some(tag) = tag.filter(|t| t[1..t.len() - 1].chars().all(|c| is_word(c) && c != '$') && !digit(t)) else {
        return 1;
    };
    text[tag.len()..].find(tag).map_or(1, |end| end + 2 * tag.len())
}

fn digit(tag: &str) -> bool {
    tag[1..].starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(source: &str, word: &str) -> bool {
        words(source).contains(word)
    }

    #[test]
    fn finds_names_wherever_they_could_act() {
        for source in [
            "select * from Users",
            "select * from public.users;",
            "perform dblink('select from users')",
            "execute $q$ select -- x\n from users $q$",
            r#"select "users".id"#,
            "select 'a--b' , users",
            r"select 'a\' -- ', users from t",
            "select 'it''s -- ' || users",
            "select $1--\n+users",
            "/* never ended users",
            "select $a$ -- $b$ users $a$",
            "select x$y, 'a' -- \n, users",
        ] {
            assert!(has(source, "users"), "{source}");
        }
    }

    #[test]
    fn comments_do_not_count() {
        for source in ["-- execute this", "select 1 /* execute /* it */ now: execute */", "select 'a' -- 'execute'\n;"]
        {
            assert!(!has(source, "execute"), "{source}");
        }
    }

    #[test]
    fn odd_source_is_read() {
        for source in ["", "$", "$$", "$$ $", "'", "\"", "--", "/*", "*/", "é$é$é", "$é$ users $é$", "/*/"] {
            words(source);
        }
    }
}
