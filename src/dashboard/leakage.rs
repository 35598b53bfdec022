//! What a stored value of a type tells a thief of the database, in one sentence.

use crate::schema::catalog::{Terms, TypeDef};
use crate::schema::paths::paths;
use crate::wire::value::PlainType;

/// The sentence.
pub(super) fn sentence(of: &TypeDef) -> String {
    if of.plain == PlainType::Bool && of.terms.eq {
        return "A thief counts the two groups and can mostly tell which is which: close to readable.".to_owned();
    }
    let told = told(of.terms);
    let mut sentence = match told.split_last() {
        None => "A thief learns about how long each value is, and no more of it.".to_owned(),
        Some((last, [])) => format!("A thief learns {last}."),
        Some((last, rest)) => format!("A thief learns {}; and {last}.", rest.join("; ")),
    };
    for path in paths(of).unwrap_or_default() {
        let told = self::told(path.terms).join("; and ");
        sentence
            .push_str(&format!(" Of what documents have at {}, which have something there; and {told}.", path.shown()));
    }
    sentence
}

/// What terms tell.
fn told(terms: Terms) -> Vec<&'static str> {
    let mut told = Vec::new();
    if terms.ord {
        told.push("the order of all values, so that guessable ones such as ages or salaries become readable");
    }
    if terms.matching {
        told.push("which values share runs of three letters, so that names and addresses become readable in part");
    }
    if terms.json {
        told.push("which documents have equal values at equal paths, so that common ones become readable by counting");
    }
    if terms.eq {
        told.push("which values are equal and how often each occurs");
    }
    told
}

/// How much that is: `little`, `some`, `much`.
pub(super) fn weight(of: &TypeDef) -> &'static str {
    let all = paths(of).unwrap_or_default().into_iter().map(|path| path.terms).chain([of.terms]);
    let all: Vec<Terms> = all.collect();
    let much = |terms: &Terms| terms.ord || terms.matching || terms.json || of.plain == PlainType::Bool && terms.eq;
    match () {
        () if all.iter().any(much) => "much",
        () if all.iter().any(|terms| terms.eq) => "some",
        () => "little",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::registry::ready_made;

    #[test]
    fn every_ready_made_type_has_its_sentence() {
        for of in ready_made() {
            let text = sentence(of);
            assert!(text.starts_with("A thief ") && text.ends_with('.'), "{}: {text}", of.name);
            assert_eq!(text.contains("equal"), of.terms.eq && of.name != "bool_eq", "{}: {text}", of.name);
            assert_eq!(text.contains("order"), of.terms.ord, "{}: {text}", of.name);
        }
        let named = |name: &str| ready_made().iter().find(|of| of.name == name).expect("it is ready-made");
        assert_eq!(weight(named("text")), "little");
        assert_eq!(weight(named("text_eq")), "some");
        assert_eq!((weight(named("int4_ord")), weight(named("bool_eq"))), ("much", "much"));
        assert_eq!(weight(named("jsonb_search")), "much");
        assert!(sentence(named("jsonb_search")).contains("paths"));
        let options = r#"{"paths":[{"keys":["a","b"],"plain":"int4","terms":["ord"]}]}"#.to_owned();
        let promoted = TypeDef { options, name: "deal".to_owned(), ..named("jsonb").clone() };
        assert!(sentence(&promoted).contains("at a.b, which have something there; and the order of all values"));
        assert_eq!((weight(named("jsonb")), weight(&promoted)), ("little", "much"));
    }
}
