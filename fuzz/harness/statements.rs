//! Analysis of statements: nothing panics, what the cache gives is what analysis gives, and no literal that is to be
//! encrypted stands in what is sent.

use std::sync::LazyLock;

use columnseal::schema::catalog::Catalog;
use columnseal::sql::lex::Kind;
use columnseal::sql::plan::{Action, Analysis, Plan, Refusal, SessionState, Source};
use columnseal::sql::{PlanCache, analyze, literals};

use super::catalog;

static CATALOG: LazyLock<Catalog> = LazyLock::new(catalog::catalog);
/// Longer texts find nothing that shorter ones do not, and take long.
const LONGEST: usize = 4096;

/// The first byte chooses `standard_conforming_strings`; the rest is the text.
pub fn statements(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    if text.len() > LONGEST || text.contains('\0') {
        return;
    }
    let path = ["pg_catalog", "public"].map(String::from);
    let session = SessionState { search_path: Some(&path), standard_conforming_strings: choice % 8 != 0 };
    let cache = PlanCache::new(16);
    let mut marked = text.to_owned();
    for round in 0..3 {
        let direct = told(&marked, &analyze(&marked, &[], &CATALOG, &session));
        let cached =
            told(&marked, &cache.analyze(&marked, &[], &CATALOG, &session).map_err(|refusal| Refusal::clone(&refusal)));
        assert_eq!(direct, cached, "{marked}");
        marked = mark(text, round);
    }
}

/// The text with each of its literals another one, which stands there once.
fn mark(text: &str, round: usize) -> String {
    let mut marked = text.to_owned();
    for (k, literal) in literals(text).list.iter().enumerate().rev() {
        let other = match literal.kind {
            Kind::Str(_) => format!("'qz{round}x{k}v'"),
            Kind::Int => format!("7{round}{k:04}77"),
            _ => format!("7{round}.{k:04}77"),
        };
        // A literal keeps what stands beside it.
        if marked.is_char_boundary(literal.span.start) && marked.is_char_boundary(literal.span.end) {
            marked.replace_range(literal.span.clone(), &other);
        }
    }
    marked
}

/// All that a session does by an analysis.
fn told(text: &str, outcome: &Result<Analysis, Refusal>) -> String {
    let analysis = match outcome {
        Ok(analysis) => analysis,
        Err(refusal) => return format!("{refusal:?}"),
    };
    let Analysis::Statements(statements) = analysis else { return format!("{analysis:?}") };
    let one = |statement: &columnseal::sql::plan::Statement| {
        let own = &text[statement.span.clone()];
        let action = match &statement.action {
            Action::Run(plan) => sent(own, plan),
            other => format!("{other:?}"),
        };
        format!("{:?} {:?} {} {action}\n", statement.span, statement.effects, statement.renew)
    };
    statements.iter().map(one).collect()
}

/// What a plan sends, in which no literal stands that belongs to an encrypted column.
fn sent(text: &str, plan: &Plan) -> String {
    let literals = literals(text);
    let templates = plan.described.iter().chain([&plan.executed]);
    let sent: Vec<String> = templates.map(|template| template.render(text, &literals).sql).collect();
    for param in plan.params.iter().filter(|param| param.role.enc().is_some()) {
        let (Source::Literal(k) | Source::Negated(k)) = param.source else { continue };
        let literal = &text[literals.list[k].span.clone()];
        if literal.contains("qz") || literal.starts_with('7') && literal.len() > 6 {
            let bare = literal.trim_matches('\'');
            assert!(text.matches(bare).count() > 1 || !sent.iter().any(|sql| sql.contains(bare)), "{text}\n{sent:?}");
        }
    }
    format!(
        "{sent:?} {:?} {:?} {} {:?} {:?}",
        plan.params, plan.loose.params, plan.client_params, plan.columns, plan.reads
    )
}
