//! What comments of a statement tell, as sqlcommenter writes them: `/*action='list',traceparent='00-…-01'*/`.

use super::lex::Lexed;

/// The value of a key in the comments of a text, the last one if there are several. Literals that look like comments are
/// none; where it depends on settings what is a literal, nothing is told.
pub fn commented<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let lexed = Lexed::new(text, true).ok()?;
    if !lexed.is_sure(text) {
        return None;
    }
    let comments = lexed.comments.iter().rev().map(|&(start, end)| &text[start as usize..end as usize]);
    comments.filter_map(|comment| value(comment.strip_prefix("/*")?.strip_suffix("*/")?, key)).next()
}

fn value<'t>(comment: &'t str, key: &str) -> Option<&'t str> {
    comment.split(',').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name.trim_end() == key).then_some(value.strip_prefix('\'')?.strip_suffix('\'')?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_comments_are_found_and_those_of_literals_are_not() {
        for (text, expected) in [
            ("SELECT 1 /*action='a%20b',traceparent='00-1'*/", Some("00-1")),
            ("/* traceparent='00-2' , x='y' */ SELECT 1;", Some("00-2")),
            ("/*traceparent='00-1'*/ SELECT 1 /*traceparent='00-2'*/", Some("00-2")),
            ("SELECT '/*traceparent=''00-3''*/'", None),
            ("SELECT $$/*traceparent='00-3'*/$$", None),
            ("SELECT \"/*traceparent='00-3'*/\"", None),
            ("SELECT 1 -- traceparent='00-4'", None),
            ("SELECT 1 /*traceparent=00-5*/", None),
            ("SELECT 1 /*nottraceparent='00-6'*/", None),
            ("SELECT 1 /*traceparent='00-7'", None),
            ("SELECT 'a\\' /*traceparent='00-8'*/ , '", None),
            ("SELECT 1", None),
        ] {
            assert_eq!(commented(text, "traceparent"), expected, "{text}");
        }
    }
}
