//! Statements that are not queries, where they touch encrypted columns.
//!
//! What carries no value of an encrypted column is forwarded as it is; what may carry one, or would make the server
//! run text that is not looked into, is refused.

use pg_query::NodeEnum;
use pg_query::protobuf::{CreateTrigStmt, ExplainStmt, Node, ObjectType, SelectStmt};

use super::analyzer::{Analyzer, TopColumn};
use super::body::of_trigger;
use super::execute;
use super::outputs::Outputs;
use super::own;
use super::plan::Refusal;
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Derived, Item, Scope};
use super::site::Site;
use super::statement::Outcome;
use super::tree;
use super::untouched::names_ours;
use crate::wire::value::PlainType;

impl Analyzer<'_> {
    /// Any statement but SELECT, INSERT, UPDATE, DELETE and MERGE.
    pub(super) fn utility(&mut self, node: &Node) -> Result<Outcome> {
        let Some(kind) = tree::kind(node) else { return Ok(Outcome::Forward) };
        if let Some(outcome) = self.of_settings(kind) {
            return outcome;
        }
        match kind {
            NodeEnum::DoStmt(block) => return self.do_block(block),
            kind if let Some((execute, alone)) = execute::executed(kind) => return self.execute(execute, alone),
            NodeEnum::CommentStmt(comment) if comment.objtype() == ObjectType::ObjectTabconstraint => {
                return Ok(self.comment_on_constraint(comment));
            }
            NodeEnum::FetchStmt(fetch) if !fetch.ismove => return self.fetch(fetch),
            NodeEnum::CreateFunctionStmt(create) if !self.touches_but_for_name(create) => {
                return self.body("CREATE FUNCTION").or_else(|named| match self.create_routine(create) {
                    Err(why) if of_trigger(create) => {
                        Err(Box::new(Refusal { hint: named.hint.or(why.hint), ..*named }))
                    }
                    outcome => outcome,
                });
            }
            _ if !self.touches(node) => return Ok(Outcome::Forward),
            _ => {}
        }
        match kind {
            NodeEnum::RenameStmt(rename) if rename.rename_type() == ObjectType::ObjectTabconstraint => {
                Ok(self.rename_constraint(rename))
            }
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
            NodeEnum::CreateStatsStmt(create) => self.create_statistics(create),
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
            NodeEnum::CreateFunctionStmt(create) => self.create_routine(create),
            NodeEnum::CallStmt(call) => self.call_procedure(call),
            NodeEnum::ViewStmt(view) => self.stored_query(&view.query, "CREATE VIEW"),
            NodeEnum::CreateTableAsStmt(create) if create.objtype() == ObjectType::ObjectTable => {
                self.table_of(create.query.as_deref())
            }
            NodeEnum::CreateTableAsStmt(create) => self.stored_query(&create.query, "CREATE MATERIALIZED VIEW"),
            other => Err(refused(other)),
        }
    }

    /// What sets or shows a setting of ours, or may.
    fn of_settings(&mut self, kind: &NodeEnum) -> Option<Result<Outcome>> {
        match kind {
            NodeEnum::VariableSetStmt(set) if names_ours(&set.name) => Some(self.set_own(set)),
            NodeEnum::VariableShowStmt(show) if names_ours(&show.name) => {
                Some(own::show(&show.name).map(Outcome::Show))
            }
            // Strings with what the server is to run, or a setting for later sessions and calls.
            NodeEnum::DoStmt(_) if self.holds_own_setting() => Some(Err(own::not_followed("DO"))),
            NodeEnum::VariableSetStmt(_) | NodeEnum::VariableShowStmt(_) | NodeEnum::DoStmt(_) => None,
            _ if (own::may_keep(kind) || self.calls_set_config()) && self.holds_own_setting() => {
                Some(Err(own::not_followed("this statement")))
            }
            _ => None,
        }
    }

    /// EXPLAIN of a query: as the query runs, with literals as parameters.
    fn explain(&mut self, explain: &ExplainStmt) -> Result<Outcome> {
        let has = |name| {
            let mut options = explain.options.iter().filter_map(tree::kind);
            options.any(|option| matches!(option, NodeEnum::DefElem(option) if option.defname == name))
        };
        self.explains = has("verbose") && !has("analyze");
        match explain.query.as_deref().and_then(tree::kind) {
            Some(NodeEnum::CreateTableAsStmt(create)) if create.objtype() == ObjectType::ObjectTable => {
                self.table_of(create.query.as_deref())?;
            }
            Some(NodeEnum::DeclareCursorStmt(declare)) => self.outermost(declare.query.as_deref(), "EXPLAIN")?,
            _ => self.outermost(explain.query.as_deref(), "EXPLAIN")?,
        }
        self.columns = Some(vec![TopColumn::Plain]);
        self.checks.clear();
        Ok(Outcome::Described)
    }

    fn create_trigger(&mut self, trigger: &CreateTrigStmt) -> Result<Outcome> {
        let (Some(when), Some(range)) = (tree::child(&trigger.when_clause), &trigger.relation) else {
            return Ok(Outcome::Forward);
        };
        let mut rows = Vec::new();
        for alias in ["old", "new"] {
            let row = self.range_var(range, true)?;
            rows.push(Item { alias: alias.into(), qualified_only: true, ..row });
        }
        if !compares_images(when) {
            self.plain(when, &Scope::new(rows, None), "a trigger's WHEN")?;
        }
        self.kept_query("a trigger's WHEN")
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
        self.kept_query(construct)
    }

    /// A query that the server keeps and runs later: only one that holds no value of an encrypted column.
    fn stored_query(&mut self, query: &Option<Box<Node>>, construct: &str) -> Result<Outcome> {
        let Some(query) = tree::child(query) else { return Ok(Outcome::Forward) };
        let outputs = self.query(query, None)?;
        self.keeps_types(&outputs, construct)?;
        self.kept_query(construct)
    }

    /// What the server keeps and runs later may compare terms with one another, and hold no value.
    fn kept_query(&mut self, construct: &str) -> Result<Outcome> {
        match self.sites.iter().all(Site::is_plain) && !self.edits.is_empty() {
            true => Ok(Outcome::Utility),
            false => self.unedited(construct),
        }
    }

    /// CREATE TABLE AS: the query runs at once, and its values are parameters.
    fn table_of(&mut self, query: Option<&Node>) -> Result<Outcome> {
        if let Some(query) = query {
            let outputs = self.query(query, None)?;
            self.keeps_types(&outputs, "CREATE TABLE AS")?;
        }
        Ok(self.kept_rows())
    }

    /// SELECT INTO: as CREATE TABLE AS.
    pub(super) fn select_into(&mut self, select: &SelectStmt) -> Result<Outcome> {
        let query = SelectStmt { into_clause: None, ..select.clone() };
        let outputs = self.select(&query, None, false)?;
        self.keeps_types(&outputs, "SELECT INTO")?;
        Ok(self.kept_rows())
    }

    /// What the server keeps is of the columns' own types, and holds no mark of this session.
    fn keeps_types(&self, outputs: &Outputs, construct: &str) -> Result<()> {
        if let Some(formula) = self.formulas.first() {
            let construct = format!("an expression that the proxy computes in {construct}");
            return Err(refuse::on_column(&construct, &formula.column));
        }
        match (self.marked.column(), self.finished_column()) {
            (Some(column), _) => Err(refuse::on_column(&format!("JSON or text built of it in {construct}"), column)),
            (_, Some(column)) => {
                Err(refuse::on_column(&format!("an aggregate that the proxy computes in {construct}"), column))
            }
            _ => keeps_types(outputs, construct),
        }
    }

    fn kept_rows(&self) -> Outcome {
        match self.sites.iter().all(Site::is_plain) {
            true if self.edits.is_empty() => Outcome::Forward,
            true if self.client_params == 0 => Outcome::Utility,
            _ => Outcome::Described,
        }
    }

    /// Forwarded if analysis found nothing to rewrite.
    pub(super) fn unedited(&mut self, construct: &str) -> Result<Outcome> {
        match self.edits.is_empty() && self.sites.iter().all(Site::is_plain) {
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
}

/// `OLD *<> NEW`: whole rows, by their bytes.
fn compares_images(node: &Node) -> bool {
    let row = |node: &Option<Box<Node>>| match tree::child(node).and_then(tree::kind) {
        Some(NodeEnum::ColumnRef(column)) => matches!(tree::strings(&column.fields)[..], ["old" | "new"]),
        _ => false,
    };
    match tree::kind(node) {
        Some(NodeEnum::AExpr(expr)) => {
            matches!(tree::strings(&expr.name)[..], ["*<>" | "*="]) && row(&expr.lexpr) && row(&expr.rexpr)
        }
        _ => false,
    }
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
fn refused(kind: &NodeEnum) -> Box<Refusal> {
    let (what, hint) = match kind {
        NodeEnum::RuleStmt(_) => ("CREATE RULE on a relation with encrypted columns", "Use a trigger."),
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

/// What the server keeps is of the column's own type; of min and max of a cidr it would have to be inet.
fn keeps_types(outputs: &Outputs, construct: &str) -> Result<()> {
    let kept = |c: &Derived| match &c.val {
        ColVal::Enc(ty, column) if ty.shown == PlainType::Inet && ty.def.plain == PlainType::Cidr => {
            Some(column.clone())
        }
        _ => None,
    };
    match outputs.columns.iter().find_map(kept) {
        Some(column) => Err(refuse::on_column(&format!("min or max of cidr in {construct}"), &column)
            .hint("Take the minimum or maximum in the statements that use it.")),
        None => Ok(()),
    }
}
