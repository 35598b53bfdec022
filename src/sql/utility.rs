//! Statements that are not queries, where they touch encrypted columns.
//!
//! What carries no value of an encrypted column is forwarded as it is; what may carry one, or would make the server
//! run text that is not looked into, is refused.

use pg_query::NodeEnum;
use pg_query::protobuf::{CreateFunctionStmt, CreateTrigStmt, ExplainStmt, FuncCall, Node, SelectStmt};

use super::analyzer::{Analyzer, TopColumn};
use super::execute;
use super::lex::{Kind, StringKind};
use super::own;
use super::refuse::{self, Detail, Result};
use super::scope::Scope;
use super::site::{Decision, Site};
use super::statement::Outcome;
use super::tree;
use super::untouched::names_ours;

const OVER: &str = "on a relation with encrypted columns is not supported";

impl Analyzer<'_> {
    /// Any statement but SELECT, INSERT, UPDATE, DELETE and MERGE.
    pub(super) fn utility(&mut self, node: &Node) -> Result<Outcome> {
        let Some(kind) = tree::kind(node) else { return Ok(Outcome::Forward) };
        match kind {
            NodeEnum::VariableSetStmt(set) if names_ours(&set.name) => return self.set_own(set),
            NodeEnum::VariableShowStmt(show) if names_ours(&show.name) => {
                return own::show(&show.name).map(Outcome::Show);
            }
            // Strings with what the server is to run, or a setting for later sessions and calls.
            NodeEnum::DoStmt(_) if self.holds_own_setting() => return Err(own::not_followed("DO")),
            NodeEnum::VariableSetStmt(_) | NodeEnum::VariableShowStmt(_) | NodeEnum::DoStmt(_) => {}
            _ if (own::may_keep(kind) || self.calls_set_config()) && self.holds_own_setting() => {
                return Err(own::not_followed("this statement"));
            }
            _ => {}
        }
        match kind {
            NodeEnum::DoStmt(_) => return self.body("DO", true),
            kind if let Some((execute, alone)) = execute::executed(kind) => return self.execute(execute, alone),
            NodeEnum::FetchStmt(fetch) if !fetch.ismove => return self.fetch(fetch),
            NodeEnum::CreateFunctionStmt(create) if !self.touches_but_for_name(create) => {
                return self.body("CREATE FUNCTION", false);
            }
            _ if !self.touches(node) => return Ok(Outcome::Forward),
            _ => {}
        }
        match kind {
            // Names and options alone.
            NodeEnum::DropStmt(_)
            | NodeEnum::TruncateStmt(_)
            | NodeEnum::CommentStmt(_)
            | NodeEnum::GrantStmt(_)
            | NodeEnum::VacuumStmt(_)
            | NodeEnum::LockStmt(_)
            | NodeEnum::ReindexStmt(_)
            | NodeEnum::ClusterStmt(_)
            | NodeEnum::AlterOwnerStmt(_)
            | NodeEnum::AlterObjectSchemaStmt(_)
            | NodeEnum::AlterObjectDependsStmt(_)
            | NodeEnum::RenameStmt(_)
            | NodeEnum::SecLabelStmt(_)
            | NodeEnum::RefreshMatViewStmt(_)
            | NodeEnum::CreateSeqStmt(_)
            | NodeEnum::AlterSeqStmt(_)
            | NodeEnum::AlterPublicationStmt(_)
            | NodeEnum::CreatePublicationStmt(_)
                if !has_conditions(kind) =>
            {
                Ok(Outcome::Forward)
            }
            NodeEnum::CreateStmt(create) => self.create_table(create),
            NodeEnum::AlterTableStmt(alter) => self.alter_table(alter),
            NodeEnum::IndexStmt(index) => self.create_index(index),
            NodeEnum::ExplainStmt(explain) => self.explain(explain),
            NodeEnum::PrepareStmt(prepare) => self.prepare_statement(prepare),
            NodeEnum::DeclareCursorStmt(declare) => self.declare_cursor(declare),
            NodeEnum::CopyStmt(copy) => self.copy(copy),
            NodeEnum::CreateTrigStmt(trigger) => self.create_trigger(trigger),
            NodeEnum::CreatePolicyStmt(policy) => {
                self.table_conditions(&policy.table, &[&policy.qual, &policy.with_check], "a policy's condition")
            }
            NodeEnum::AlterPolicyStmt(policy) => {
                self.table_conditions(&policy.table, &[&policy.qual, &policy.with_check], "a policy's condition")
            }
            NodeEnum::ViewStmt(view) => self.stored_query(&view.query, "CREATE VIEW"),
            NodeEnum::CreateTableAsStmt(create) => self.stored_query(&create.query, "CREATE TABLE AS"),
            other => Err(refused(other)),
        }
    }

    /// EXPLAIN of a query: as the query runs, with literals as parameters.
    fn explain(&mut self, explain: &ExplainStmt) -> Result<Outcome> {
        self.outermost(explain.query.as_deref(), "EXPLAIN")?;
        self.columns = Some(vec![TopColumn::Plain]);
        self.checks.clear();
        Ok(Outcome::Described)
    }

    fn create_trigger(&mut self, trigger: &CreateTrigStmt) -> Result<Outcome> {
        match trigger.when_clause {
            None => Ok(Outcome::Forward),
            Some(_) => Err(refuse::unsupported(format!("CREATE TRIGGER with WHEN {OVER}"))
                .hint("Test the condition in the trigger function, with OLD *<> NEW to compare rows.")),
        }
    }

    /// Conditions kept with a table: the server stores and prints them, so no encrypted value may stand in them.
    fn table_conditions(
        &mut self,
        range: &Option<pg_query::protobuf::RangeVar>,
        conditions: &[&Option<Box<Node>>],
        construct: &str,
    ) -> Result<Outcome> {
        let Some(range) = range else { return Ok(Outcome::Forward) };
        let item = self.range_var(range, true)?;
        let scope = Scope::new(vec![item], None);
        for condition in conditions {
            self.plain_some(condition, &scope, construct)?;
        }
        self.unedited(construct)
    }

    /// A query that the server keeps and runs later: only one that holds no value of an encrypted column.
    fn stored_query(&mut self, query: &Option<Box<Node>>, construct: &str) -> Result<Outcome> {
        let Some(query) = tree::child(query) else { return Ok(Outcome::Forward) };
        self.query(query, None)?;
        match self.sites.iter().all(is_plain) && !self.edits.is_empty() {
            true => Ok(Outcome::Utility),
            false => self.unedited(construct),
        }
    }

    /// SELECT INTO: as CREATE TABLE AS.
    pub(super) fn select_into(&mut self, select: &SelectStmt) -> Result<Outcome> {
        let query = SelectStmt { into_clause: None, ..select.clone() };
        self.select(&query, None, false)?;
        self.unedited("SELECT INTO")
    }

    /// Forwarded if analysis found nothing to rewrite.
    pub(super) fn unedited(&mut self, construct: &str) -> Result<Outcome> {
        match self.edits.is_empty() && self.sites.iter().all(is_plain) {
            true => Ok(Outcome::Forward),
            false => {
                let column = self.sites.iter().find(|s| !s.column.is_empty()).map_or("", |s| &s.column);
                let of =
                    if column.is_empty() { "encrypted columns".into() } else { format!("encrypted column {column}") };
                Err(refuse::unsupported(format!("comparing or holding values of {of} in {construct} is not supported"))
                    .hint("Put the comparison into the statements that use it."))
            }
        }
    }

    /// A block or function whose text is run by the server. Its words are looked at wherever they stand, also in
    /// strings and comments.
    fn body(&mut self, construct: &str, runs_now: bool) -> Result<Outcome> {
        self.fixed.extend(0..self.literals.len());
        for token in self.lexed.tokens.iter().filter(|t| matches!(t.kind, Kind::Str(_))) {
            let value = super::literal::value(self.text, token);
            let text = value.as_deref().unwrap_or_else(|| token.text(self.text));
            let dynamic = runs_now && words_of(text).any(|w| w == "execute");
            if dynamic {
                return Err(refuse::unsupported(format!(
                    "{construct} with dynamic SQL is not supported in a database with encrypted columns"
                ))
                .hint("Run the statements one by one.")
                .at(token.start as i32));
            }
            if let Some(name) = self.named_in(text) {
                return Err(refuse::unsupported(format!(
                    "{construct} whose text names {name} is not supported, since {name} touches encrypted columns"
                ))
                .at(token.start as i32));
            }
        }
        Ok(Outcome::Forward)
    }

    /// Of a function that is made or replaced: what it is by now does not matter.
    fn touches_but_for_name(&self, create: &CreateFunctionStmt) -> bool {
        self.touches(&CreateFunctionStmt { funcname: Vec::new(), ..create.clone() })
    }

    /// A function that runs SQL given as text runs one that is written out here, and all that could act in it is plain.
    pub(super) fn runs_plain_text(&mut self, name: &str, call: &FuncCall) -> bool {
        let place = match name {
            // With a third argument it runs nothing.
            "ts_rewrite" if call.args.len() == 3 => return true,
            "ts_rewrite" => 1,
            "ts_stat" | "query_to_xml" | "query_to_xmlschema" | "query_to_xml_and_xmlschema" => 0,
            "table_to_xml" | "table_to_xmlschema" | "table_to_xml_and_xmlschema" => 0,
            _ => return false,
        };
        let literal = match call.args.get(place).and_then(tree::kind) {
            Some(NodeEnum::AConst(constant)) => self.token(constant.location).ok(),
            _ => None,
        };
        let Some(token) = literal else { return false };
        self.fixed.extend(self.literal(token));
        let token = &self.lexed.tokens[token];
        let text = match token.kind {
            Kind::Str(StringKind::Plain | StringKind::Dollar) => super::literal::value(self.text, token),
            _ => None,
        };
        text.is_some_and(|text| {
            let first = words_of(&text).next().unwrap_or_default();
            let reads = name.starts_with("table") || matches!(&*first, "select" | "values" | "table" | "with");
            // A number stands for whatever relation has it as its OID.
            let named = !text.trim_start().starts_with(|c: char| c.is_ascii_digit());
            reads && named && !text.to_lowercase().contains("u&") && self.named_in(&text).is_none()
        })
    }

    /// The first name of the closure in a text.
    fn named_in(&self, text: &str) -> Option<String> {
        let catalog = self.catalog;
        let mut last = String::new();
        for word in words_of(text) {
            let sealed = last == "seal" && catalog.touching_types.contains(&word);
            let runs = super::untouched::runs_sql(&word);
            if sealed || runs || catalog.touching_names.contains(&word) || catalog.touching_functions.contains(&word) {
                return Some(if sealed { format!("seal.{word}") } else { word });
            }
            last = word;
        }
        // Names that are not made of one word, as they stand.
        let odd = |name: &&String| words_of(name).next().as_deref() != Some(name.as_str());
        catalog.touching_names.iter().filter(odd).find(|name| text.contains(name.as_str())).cloned()
    }
}

/// A value that is sent as it is.
fn is_plain(site: &Site) -> bool {
    matches!(site.decision, None | Some(Decision::Plain))
}

/// Words of a text, in lower case.
fn words_of(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| c.is_ascii() && !super::lex::is_word_part(c as u8))
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
}

/// A publication with row filters.
fn has_conditions(kind: &NodeEnum) -> bool {
    let objects = match kind {
        NodeEnum::CreatePublicationStmt(p) => &p.pubobjects,
        NodeEnum::AlterPublicationStmt(p) => &p.pubobjects,
        _ => return false,
    };
    objects.iter().any(|o| match tree::kind(o) {
        Some(NodeEnum::PublicationObjSpec(o)) => o.pubtable.as_ref().is_some_and(|t| t.where_clause.is_some()),
        _ => false,
    })
}

/// The refusal for a kind that is not supported.
fn refused(kind: &NodeEnum) -> Box<super::plan::Refusal> {
    let (what, hint) = match kind {
        NodeEnum::CreateFunctionStmt(_) => {
            ("CREATE FUNCTION on encrypted columns", "Work with encrypted columns in the application's statements.")
        }
        NodeEnum::CallStmt(_) => (
            "CALL of a procedure that touches encrypted columns or runs dynamic SQL",
            "List it in [policy] trusted_functions if it does neither.",
        ),
        NodeEnum::RuleStmt(_) => ("CREATE RULE on a relation with encrypted columns", "Use a trigger."),
        NodeEnum::CreateStatsStmt(_) => (
            "CREATE STATISTICS on a relation with encrypted columns",
            "Encrypted values have no statistics that would help.",
        ),
        NodeEnum::CreateDomainStmt(_) | NodeEnum::CompositeTypeStmt(_) => {
            ("a type made of an encrypted type", "Give the columns the encrypted type itself.")
        }
        _ => (
            "this kind of statement on encrypted columns",
            "Statements that name only plain relations are not affected.",
        ),
    };
    refuse::unsupported(format!("{what} is not supported")).hint(hint)
}
