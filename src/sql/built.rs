//! JSON that the server builds of encrypted values, for the result alone.
//!
//! ```text
//! json_build_object('name', e)   =>   json_build_object('name', $mark || 'NN' || encode((e).c, 'hex') || ';')
//! row_to_json(t)                 =>   row_to_json(CASE WHEN t.* IS DISTINCT FROM NULL THEN
//!                                                      (SELECT w FROM (SELECT t.id AS id, … AS name) AS w) END)
//! ```
//!
//! The mark is random and known to the session alone. In the result columns that the plan says, the proxy puts values where their
//! marks stand. Such a column goes through subqueries, CTEs and LATERAL to the output; any other use of it is refused.

use std::rc::Rc;
use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{CoalesceExpr, ColumnRef, FuncCall, Node, ResTarget, SubLink, SubLinkType, TypeCast};

use super::analyzer::{Analyzer, TopColumn};
use super::expr::{Enc, Open, Val};
use super::finish;
use super::group::is_aggregate;
use super::joined;
use super::outputs::Target;
use super::plan::{BuiltValue, Param, Refusal, Role, Source, Written};
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Columns, Found, Item, Scope, Seen, Span};
use super::tree;
use super::types::{self, Named, always_quoted};
use crate::schema::catalog::EncType;
use crate::wire::value::PlainType;

/// Types of values that one statement may put into JSON.
const MAX_VALUES: usize = 256;

/// What is built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A whole row, which only becomes JSON.
    Row,
    Json,
    Jsonb,
    /// JSON that was cast to text.
    Text,
    /// No JSON, but text of values as they are.
    Joined,
    /// No JSON, but an aggregate that the proxy computes, by its number.
    Finished(usize),
    /// No JSON, but an expression that the proxy computes, by its number.
    Computed(usize),
}

impl Kind {
    /// It can become a part of JSON.
    fn is_part(self) -> bool {
        !matches!(self, Kind::Text | Kind::Joined | Kind::Finished(_) | Kind::Computed(_))
    }
}

/// Something that holds encrypted values.
#[derive(Clone, Debug)]
pub(super) struct Built {
    pub(super) kind: Kind,
    /// A column it is built of, for errors.
    pub(super) column: Rc<str>,
}

impl Built {
    /// As a column of the outermost statement.
    pub(super) fn top(&self) -> TopColumn {
        match self.kind {
            Kind::Finished(at) => TopColumn::Finished(at),
            Kind::Computed(at) => TopColumn::Computed(at),
            Kind::Joined => TopColumn::Joined(self.column.clone()),
            _ => TopColumn::Built(self.column.clone()),
        }
    }
}

/// An expression that may be built.
pub(super) enum Made {
    Val(Val),
    Built(Built),
}

impl Made {
    fn val(self) -> Option<Val> {
        if let Made::Val(val) = self { Some(val) } else { None }
    }

    /// The encrypted column that it is of.
    pub(super) fn column(&self) -> Option<Rc<str>> {
        match self {
            Made::Val(Val::Enc(Enc { column, .. })) | Made::Built(Built { column, .. }) => Some(Rc::clone(column)),
            Made::Val(_) => None,
        }
    }
}

/// Which arguments a function takes values as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Keys and values in turn.
    Pairs,
    Values,
    /// The first one.
    First,
    /// The second one, after a key.
    Second,
}

impl Takes {
    fn value(self, index: usize) -> bool {
        match self {
            Takes::Pairs => index % 2 == 1,
            Takes::Values => true,
            Takes::First => index == 0,
            Takes::Second => index == 1,
        }
    }
}

/// Encrypted values in what is built, until parameters are numbered.
#[derive(Default)]
pub(super) struct Marked {
    values: Vec<BuiltValue>,
    places: Vec<Place>,
    /// `json` and `jsonb` hold one another, or there is jsonb.
    binary: bool,
}

enum Place {
    /// A value in the text. `text`: what is built is text, and the value of this type.
    Value { span: Span, orders: (usize, usize), value: usize, text: Option<PlainType> },
    /// A whole row.
    Row { span: Span, alias: String, columns: Vec<RowColumn> },
}

struct RowColumn {
    name: String,
    text: String,
    value: Option<usize>,
}

impl Marked {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A column of which something is built.
    pub(super) fn column(&self) -> Option<&str> {
        self.values.first().map(|value| value.column.as_str())
    }
}

/// What a function builds, if it is one that builds JSON of its arguments.
fn builder(call: &FuncCall) -> Option<(Kind, Takes)> {
    let name = tree::own_name(&call.funcname)?;
    let odd = call.agg_distinct || call.func_variadic || call.agg_within_group || call.agg_star;
    let found = match name {
        "json_build_object" => (Kind::Json, Takes::Pairs),
        "jsonb_build_object" => (Kind::Jsonb, Takes::Pairs),
        "json_build_array" => (Kind::Json, Takes::Values),
        "jsonb_build_array" => (Kind::Jsonb, Takes::Values),
        "to_json" | "row_to_json" | "json_agg" => (Kind::Json, Takes::First),
        "to_jsonb" | "jsonb_agg" => (Kind::Jsonb, Takes::First),
        "json_object_agg" => (Kind::Json, Takes::Second),
        "jsonb_object_agg" => (Kind::Jsonb, Takes::Second),
        _ => return None,
    };
    (!odd).then_some(found)
}

impl Analyzer<'_> {
    /// A select item, or a part of one: what may be built of encrypted values.
    pub(super) fn made(&mut self, node: &Node, scope: &Scope<'_>) -> Result<Made> {
        // Keys of groups that are computed are told by their words, which what is built never is.
        let keys = !scope.group.computed.is_empty();
        match tree::kind(node) {
            _ if self.frame.is_some() || self.path_of(node, scope).is_some() => {}
            Some(NodeEnum::CoalesceExpr(expr)) if self.are_paths(&expr.args, scope) => {}
            _ if joined::joins(node, scope) => return self.joined_text(node, scope),
            Some(NodeEnum::TypeCast(cast)) if self.shows_text(cast, scope) => return self.joined_cast(cast, scope),
            _ if self.is_computed(node, scope) => return self.computed(node, scope),
            Some(NodeEnum::ColumnRef(reference)) => {
                if let Some(built) = self.built_column(reference, scope)? {
                    return Ok(Made::Built(built));
                }
            }
            _ if self.follows(node, scope) => return self.finished_then(node, scope),
            Some(NodeEnum::FuncCall(call)) => {
                let own =
                    tree::strings(&call.funcname).last().is_some_and(|n| self.catalog.touching_functions.contains(*n));
                if let Some(builder) = builder(call).filter(|_| !own) {
                    return self.build(call, builder, scope);
                }
                if let Some(function) = finish::aggregate(call).filter(|_| !own) {
                    return self.aggregated_here(call, function, scope);
                }
            }
            Some(NodeEnum::CoalesceExpr(expr)) if expr.args.iter().any(|arg| may_build(arg, scope)) => {
                return self.built_or_other(expr, scope);
            }
            Some(NodeEnum::TypeCast(cast)) if cast.arg.as_deref().is_some_and(|arg| may_build(arg, scope)) => {
                if let Some(made) = self.built_cast(cast, scope)? {
                    return Ok(made);
                }
            }
            Some(NodeEnum::SubLink(link)) if link.sub_link_type() == SubLinkType::ExprSublink && !keys => {
                return self.built_by_query(link, scope);
            }
            _ => {}
        }
        self.expr(node, scope).map(Made::Val)
    }

    fn built_column(&mut self, reference: &ColumnRef, scope: &Scope<'_>) -> Result<Option<Built>> {
        if let Some(item) = whole_row(reference, scope) {
            let first = self.token(reference.location)?;
            let span = self.span(first, self.name_end(first));
            return self.built_row(span, item, scope).map(Some);
        }
        let Some(Ok(Found { val: ColVal::Built(built), origin })) = scope.named(reference) else { return Ok(None) };
        if origin.is_some_and(|origin| scope.spelled(origin).is_some()) {
            return Err(only_selected(&built).at(self.here(reference.location)));
        }
        Ok(Some(built))
    }

    /// A call of a function that builds JSON.
    fn build(&mut self, call: &FuncCall, (kind, takes): (Kind, Takes), scope: &Scope<'_>) -> Result<Made> {
        let name = tree::strings(&call.funcname).last().copied().unwrap_or_default();
        self.is_postgresqls(call)?;
        self.note_call(call, name, true);
        let around = scope.group.inside.get();
        scope.group.inside.set(around || is_aggregate(call));
        let built = self.build_of(call, name, (kind, takes), scope);
        scope.group.inside.set(around);
        built
    }

    /// A function that takes anything gives way to one of the database's own that takes what marks are: text.
    pub(super) fn is_postgresqls(&self, call: &FuncCall) -> Result<()> {
        match tree::strings(&call.funcname).as_slice() {
            [name] if self.catalog.facts.has_function(name) => {
                let what =
                    format!("function {name} of encrypted values, beside one of the database's own, is not supported");
                Err(refuse::unsupported(&what).hint(format!("Write pg_catalog.{name}.")).at(self.here(call.location)))
            }
            _ => Ok(()),
        }
    }

    fn build_of(
        &mut self,
        call: &FuncCall,
        name: &str,
        (kind, takes): (Kind, Takes),
        scope: &Scope<'_>,
    ) -> Result<Made> {
        let parts = call.args.iter().map(|arg| self.made(arg, scope)).collect::<Result<Vec<_>>>()?;
        if parts.iter().all(|part| matches!(part, Made::Val(Val::Plain | Val::Open(_)))) {
            let vals: Vec<Val> = parts.into_iter().filter_map(Made::val).collect();
            self.plain_vals(&vals)?;
            self.aggregate_order(call, scope)?;
            self.call_tail(call, scope)?;
            return Ok(Made::Val(Val::Plain));
        }
        let beside = parts.iter().find_map(Made::column).unwrap_or_default();
        let mut column = None;
        for (index, part) in parts.into_iter().enumerate() {
            let key = |column: &str, at| refuse::on_column(&format!("a key of {name}"), column).at(at);
            match part {
                Made::Val(Val::Plain) => {}
                Made::Val(Val::Open(open)) if takes.value(index) && self.is_given(&open) => {
                    return Err(refuse::on_column(&format!("a value given beside it in {name}"), &beside)
                        .hint("It would be sent in plain. Add it after reading.")
                        .at(open.span.0 as i32));
                }
                Made::Val(Val::Open(open)) => self.decide_firm(&open.sites)?,
                Made::Val(Val::Enc(enc)) if !takes.value(index) => return Err(key(&enc.column, enc.span.0 as i32)),
                Made::Val(Val::Enc(enc)) => {
                    self.mark_value(&enc, name, Written::Json)?;
                    column.get_or_insert(enc.column);
                }
                Made::Built(built) if !takes.value(index) => return Err(key(&built.column, self.here(call.location))),
                Made::Built(built) if !built.kind.is_part() => {
                    return Err(only_selected(&built).at(self.here(call.location)));
                }
                Made::Built(built) => {
                    column.get_or_insert(built.column);
                }
            }
        }
        self.aggregate_order(call, scope)?;
        self.call_tail(call, scope)?;
        self.marked.binary |= kind == Kind::Jsonb;
        Ok(column.map_or(Made::Val(Val::Plain), |column| Made::Built(Built { kind, column })))
    }

    /// The client gives a value there, which is neither NULL nor true or false.
    pub(super) fn is_given(&self, open: &Open) -> bool {
        let given = |site: &usize| !matches!(self.sites[*site].source, None | Some(Source::Bool(_)));
        open.sites.iter().any(given)
    }

    /// `COALESCE(json_agg(…), '[]')`.
    fn built_or_other(&mut self, expr: &CoalesceExpr, scope: &Scope<'_>) -> Result<Made> {
        let parts = expr.args.iter().map(|arg| self.made(arg, scope)).collect::<Result<Vec<_>>>()?;
        let Some(built) = parts.iter().find_map(|p| if let Made::Built(b) = p { Some(b.clone()) } else { None }) else {
            let vals = parts.into_iter().filter_map(Made::val).collect();
            let first = self.token(expr.location)?;
            let span = self.span(first, self.partner(first + 1)?);
            return self.combine(vals, span, "COALESCE").map(Made::Val);
        };
        if matches!(built.kind, Kind::Joined | Kind::Finished(_) | Kind::Computed(_)) {
            return Err(only_selected(&built).at(self.here(expr.location)));
        }
        for part in parts {
            match part {
                Made::Val(Val::Plain) => {}
                Made::Val(Val::Open(open)) => self.decide_firm(&open.sites)?,
                Made::Built(other) if other.kind == built.kind => {}
                Made::Val(Val::Enc(_)) | Made::Built(_) => {
                    return Err(only_selected(&built).at(self.here(expr.location)));
                }
            }
        }
        Ok(Made::Built(built))
    }

    /// JSON that is cast to JSON of either kind or to text. `None`: nothing is built, and nothing was looked at.
    fn built_cast(&mut self, cast: &TypeCast, scope: &Scope<'_>) -> Result<Option<Made>> {
        let (Some(arg), Some(name)) = (tree::child(&cast.arg), &cast.type_name) else { return Ok(None) };
        let kind = match types::named(name, self.catalog, self.session) {
            Named::Builtin { plain, array: false, modified: false, .. } => match plain {
                PlainType::Json => Kind::Json,
                PlainType::Jsonb => Kind::Jsonb,
                PlainType::Text | PlainType::Varchar => Kind::Text,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        // A bare column could be of an encrypted type, which the cast takes off.
        let built = match self.made(arg, scope)? {
            Made::Built(built) => built,
            Made::Val(Val::Plain) => return Ok(Some(Made::Val(Val::Plain))),
            Made::Val(Val::Open(open)) => {
                self.decide_plain(&open.sites)?;
                return Ok(Some(Made::Val(Val::Plain)));
            }
            Made::Val(Val::Enc(enc)) => return Err(refuse::on_column("this cast", &enc.column).at(enc.span.0 as i32)),
        };
        if built.kind == Kind::Row || !built.kind.is_part() {
            return Err(only_selected(&built).at(self.here(tree::location(arg))));
        }
        self.marked.binary |= kind == Kind::Jsonb;
        Ok(Some(Made::Built(Built { kind, column: built.column })))
    }

    fn built_by_query(&mut self, link: &SubLink, scope: &Scope<'_>) -> Result<Made> {
        let Some(query) = tree::child(&link.subselect) else { return Ok(Made::Val(Val::Plain)) };
        let outputs = self.query(query, Some(scope))?;
        let first = self.token(link.location)?;
        let span = self.span(first, self.partner(first)?);
        match outputs.columns.into_iter().next() {
            Some(column) => match column.val {
                ColVal::Built(built) => Ok(Made::Built(built)),
                val => self.found(Found { val, origin: None }, span).map(Made::Val),
            },
            None => Ok(Made::Val(Val::Plain)),
        }
    }

    /// The type of a value that JSON is to hold, in the statement's list of them.
    fn value_of(&mut self, ty: &Arc<EncType>, column: &str, construct: &str, written: Written) -> Result<usize> {
        if ty.is_array() {
            return Err(refuse::on_column(construct, column).hint("Select the array by itself."));
        }
        let values = &mut self.marked.values;
        if let Some(at) = values.iter().position(|v| v.enc.oid == ty.oid && v.written == written) {
            return Ok(at);
        }
        if values.len() == MAX_VALUES {
            return Err(refuse::on_column("so many encrypted types in JSON", column));
        }
        values.push(BuiltValue { enc: Arc::clone(ty), column: column.to_owned(), written });
        Ok(values.len() - 1)
    }

    pub(super) fn mark_value(&mut self, enc: &Enc, name: &str, written: Written) -> Result<()> {
        let at = enc.span.0 as i32;
        let construct = if name.is_empty() { "text that is joined".to_owned() } else { format!("function {name}") };
        if enc.grouped {
            return Err(refuse::on_column(&format!("{construct} of a key of GROUP BY"), &enc.column)
                .hint("Group in a subquery in FROM, and build of its columns.")
                .at(at));
        }
        let value = self.value_of(&enc.ty, &enc.column, &construct, written).map_err(|r| r.at(at))?;
        let orders = (self.edits.next_order(), self.edits.next_order());
        let text = (written != Written::Json).then_some(enc.ty.def.plain);
        self.marked.places.push(Place::Value { span: enc.span, orders, value, text });
        Ok(())
    }

    /// A whole row, of which each column is known.
    fn built_row(&mut self, span: Span, item: &Item, scope: &Scope<'_>) -> Result<Built> {
        let at = span.0 as i32;
        let renamed = matches!(&item.columns, Columns::Relation(_, names) if !names.is_empty());
        let unknown = item.opaque || item.spelled.is_some() || item.qualified_only || item.variables;
        let keys = (0..item.len()).any(|i| scope.sees((item.id, i)) != Seen::Row);
        let mut column: Option<Rc<str>> = None;
        let mut columns = Vec::with_capacity(item.len());
        for i in 0..item.len() {
            let value = match item.val(i) {
                ColVal::Plain => None,
                ColVal::Enc(ty, name) => {
                    self.usable(&ty).map_err(|r| r.at(at))?;
                    self.touched = true;
                    let value = self.value_of(&ty, &name, "a whole row", Written::Json).map_err(|r| r.at(at))?;
                    column.get_or_insert(name);
                    Some(value)
                }
                ColVal::Built(built) if built.kind.is_part() => {
                    column.get_or_insert(built.column);
                    None
                }
                ColVal::Built(Built { column, .. }) | ColVal::Tainted(column) => {
                    return Err(refuse::on_column("a whole row", &column).at(at));
                }
                ColVal::Open(_) => return Err(not_whole(&item.alias).at(at)),
            };
            columns.push(RowColumn { name: item.name(i).to_owned(), text: item.written(i), value });
        }
        match column {
            Some(column) if !(renamed || unknown || keys) => {
                let alias = always_quoted(&item.alias);
                self.marked.places.push(Place::Row { span, alias, columns });
                Ok(Built { kind: Kind::Row, column })
            }
            _ => Err(not_whole(&item.alias).at(at)),
        }
    }

    /// A select item that is built.
    pub(super) fn built_target(
        &mut self,
        target: &ResTarget,
        name: String,
        built: Built,
        (top, key): (bool, bool),
    ) -> Result<Target> {
        let node = tree::child(&target.val);
        let at = node.map_or(-1, |node| self.here(tree::location(node)));
        if key || (top && built.kind == Kind::Row) {
            return Err(only_selected(&built).at(at));
        }
        if built.kind == Kind::Row
            && target.name.is_empty()
            && let Some(NodeEnum::ColumnRef(reference)) = node.and_then(tree::kind)
        {
            let first = self.token(reference.location)?;
            self.name_target(target, self.span(first, self.name_end(first)), &name)?;
        }
        if matches!(built.kind, Kind::Finished(_)) && target.name.is_empty() {
            self.name_finished(target, &name)?;
        }
        if let (Kind::Computed(_), true, Some(node)) = (built.kind, target.name.is_empty(), node) {
            self.name_computed(target, node, &name)?;
        }
        if built.kind == Kind::Joined && target.name.is_empty() {
            self.name_joined(target, &name)?;
        }
        let top = built.top();
        Ok(Target::new(name, ColVal::Built(built), top))
    }

    /// Numbers the mark and puts it where values stand. Returns the values' types.
    pub(super) fn place_built(&mut self, params: &mut Vec<Param>) -> Result<Vec<BuiltValue>> {
        let Marked { values, places, binary } = std::mem::take(&mut self.marked);
        let Some(first) = values.first() else { return Ok(values) };
        // Numbers and documents that jsonb writes in its own way.
        let own = |value: &&BuiltValue| {
            value.written == Written::Json
                && matches!(value.enc.def.plain, PlainType::Float4 | PlainType::Float8 | PlainType::Json)
        };
        if binary && let Some(value) = values.iter().find(own) {
            return Err(refuse::on_column("jsonb that holds a value of this type", &value.column)
                .hint("Build json, not jsonb."));
        }
        params.push(Param::new(Source::Search, Role::Mark, &first.column));
        let mark = format!("${}::pg_catalog.text", params.len());
        let before = |value: usize| {
            format!(
                "({mark} OPERATOR(pg_catalog.||) '{value:02x}'::pg_catalog.text OPERATOR(pg_catalog.||) pg_catalog.encode(("
            )
        };
        let after = ").c, 'hex') OPERATOR(pg_catalog.||) ';'::pg_catalog.text)";
        for place in places {
            match place {
                Place::Value { span, orders, value, text } => {
                    let described = match text {
                        None => ("ROW(".into(), format!(", {mark})")),
                        Some(plain) => (
                            "CASE WHEN ROW(".into(),
                            format!(", {mark}) IS NULL THEN NULL::pg_catalog.{} END", server_name(plain)),
                        ),
                    };
                    self.edits.insert_each(span.0, orders.0, Some(described.0), Some(before(value)));
                    self.edits.insert_each(span.1, orders.1, Some(described.1), Some(after.into()));
                }
                Place::Row { span, alias, columns } => {
                    let one = |c: RowColumn| {
                        let value =
                            c.value.map_or(c.text.clone(), |value| format!("{}{}{after}", before(value), c.text));
                        format!("{value} AS {}", always_quoted(&c.name))
                    };
                    let columns: Vec<String> = columns.into_iter().map(one).collect();
                    let executed = format!(
                        "CASE WHEN {alias}.* IS DISTINCT FROM NULL THEN (SELECT columnseal_w FROM (SELECT {}) AS columnseal_w) END",
                        columns.join(", ")
                    );
                    let described = format!("ROW({alias}.*, {mark})");
                    self.edits.each(span, Some(described.into()), Some(executed.into()));
                }
            }
        }
        Ok(values)
    }
}

/// A type of PostgreSQL's own that stands for a plaintext type.
fn server_name(plain: PlainType) -> &'static str {
    match plain {
        PlainType::Citext | PlainType::Enum => "text",
        other => other.name(),
    }
}

/// Whether an expression may be built of encrypted values.
fn may_build(node: &Node, scope: &Scope<'_>) -> bool {
    match tree::kind(node) {
        Some(NodeEnum::FuncCall(call)) => builder(call).is_some(),
        Some(NodeEnum::CoalesceExpr(expr)) => expr.args.iter().any(|arg| may_build(arg, scope)),
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(|arg| may_build(arg, scope)),
        Some(NodeEnum::SubLink(link)) => {
            let query = tree::child(&link.subselect).and_then(tree::select);
            let target = query.and_then(|q| q.target_list.first()).and_then(tree::kind);
            let Some(NodeEnum::ResTarget(target)) = target else { return false };
            // Its own tables are not known here, only its words.
            let none = Scope::new(Vec::new(), None);
            link.sub_link_type() == SubLinkType::ExprSublink
                && target.val.as_deref().is_some_and(|val| may_build(val, &none))
        }
        Some(NodeEnum::ColumnRef(reference)) => {
            matches!(scope.named(reference), Some(Ok(Found { val: ColVal::Built(_), .. })))
        }
        _ => false,
    }
}

/// The item that a reference means as a whole, if it has encrypted columns.
fn whole_row<'s>(reference: &ColumnRef, scope: &'s Scope<'_>) -> Option<&'s Item> {
    let names = tree::strings(&reference.fields);
    let item = match names.as_slice() {
        [alias] if reference.fields.len() == 2 => scope.item(None, alias),
        [name] if reference.fields.len() == 1 => scope.row_named(name),
        _ => None,
    };
    item.filter(|item| item.any_encrypted())
}

/// What is built is used otherwise than as a result.
pub(super) fn only_selected(built: &Built) -> Box<Refusal> {
    if let Kind::Finished(_) = built.kind {
        return refuse::on_column("another use of an aggregate", &built.column).hint(
            "Aggregates of encrypted values can be selected, and nothing else; compute with the values that are read.",
        );
    }
    if let Kind::Computed(_) = built.kind {
        return refuse::on_column("another use of an expression", &built.column)
            .hint("What is computed of encrypted values can be selected, and nothing else.");
    }
    if built.kind == Kind::Joined {
        return refuse::on_column("another use of text built", &built.column)
            .hint("What is joined of encrypted values can be selected, and nothing else.");
    }
    refuse::on_column("another use of JSON built", &built.column)
        .hint("What is built of encrypted values can be selected and put into other JSON, and nothing else.")
}

fn not_whole(alias: &str) -> Box<Refusal> {
    refuse::unsupported(format!("a whole row of {alias}, which has encrypted columns, is not supported here"))
        .hint("Name the columns one by one.")
}
