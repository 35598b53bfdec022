//! Output columns of queries: select lists, RETURNING, `*`.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, ResTarget, SubLinkType};

use super::analyzer::{Analyzer, Label, TopColumn};
use super::built::{Built, Kind, Made, only_selected};
use super::expr::Val;
use super::from::FromTree;
use super::refuse::{self, Detail, Result};
use super::rewrite::{MARK, Part};
use super::scope::{ColVal, Derived, Found, Item, Scope, Seen};
use super::tree;
use super::types::always_quoted;

/// What a query gives.
#[derive(Default)]
pub(super) struct Outputs {
    pub(super) columns: Vec<Derived>,
    /// There may be more columns than these, all plain: `*` over a function.
    pub(super) opaque: bool,
}

impl Outputs {
    /// The first column that is encrypted.
    pub(super) fn encrypted(&self) -> Option<&Rc<str>> {
        self.columns.iter().find_map(|c| match &c.val {
            ColVal::Enc(_, column) | ColVal::Tainted(column) | ColVal::Built(Built { column, .. }) => Some(column),
            _ => None,
        })
    }
}

/// A column of a select list, with what the outermost statement needs of it.
pub(super) struct Target {
    pub(super) column: Derived,
    /// Item and column it is, if it is a bare column.
    pub(super) origin: Option<(u32, usize)>,
    /// The same of a promoted path, and its number.
    pub(super) path: Option<((u32, usize), usize)>,
    /// The result column, when this is the outermost statement.
    pub(super) top: TopColumn,
    /// How an encrypted one is written where another clause names it.
    pub(super) written: Written,
}

/// How the value of an output column is written in another clause of its query.
#[derive(Clone)]
pub(super) enum Written {
    /// So.
    Text(String),
    /// As the part of the text that computes it.
    Copy(Part),
    /// There is no way.
    Not,
}

impl Target {
    pub(super) fn new(name: String, val: ColVal, top: TopColumn) -> Target {
        Target { column: Derived { name, val }, origin: None, path: None, top, written: Written::Not }
    }
}

impl Analyzer<'_> {
    /// A select list or RETURNING list. `star`: what `*` means, as items of the scope. `top`: these are the columns
    /// that the client sees.
    pub(super) fn targets(
        &mut self,
        list: &[Node],
        scope: &Scope<'_>,
        star: &Star,
        top: bool,
    ) -> Result<(Vec<Target>, bool)> {
        let mut targets = Vec::with_capacity(list.len());
        let mut opaque = false;
        for node in list {
            let Some(NodeEnum::ResTarget(target)) = tree::kind(node) else { continue };
            match star_of(target) {
                Some(names) => opaque |= self.star(target, &names, scope, star, top, &mut targets)?,
                None => targets.push(self.target(target, scope, top, targets.len())?),
            }
        }
        if top && opaque {
            return Err(refuse::unsupported("* over a function is not supported in a statement on encrypted columns")
                .hint("Name the columns one by one."));
        }
        Ok((targets, opaque))
    }

    /// `index`: which output column it is.
    fn target(&mut self, target: &ResTarget, scope: &Scope<'_>, top: bool, index: usize) -> Result<Target> {
        let Some(node) = tree::child(&target.val) else {
            return Err(refuse::unsupported(
                "an empty select item is not supported in a statement on encrypted columns",
            ));
        };
        let name = if target.name.is_empty() { column_name(node) } else { target.name.clone() };
        let val = match self.made(node, scope)? {
            Made::Val(val) => val,
            Made::Built(built) => {
                let key = scope.group.outputs.contains(&index);
                return self.built_target(target, name, built, (top, key));
            }
        };
        let respelled = respelled(node, scope);
        let simple = matches!(tree::kind(node), Some(NodeEnum::ColumnRef(_))) && !respelled;
        let label = target.name.is_empty() && !simple && !respelled;
        if respelled && target.name.is_empty() && !matches!(val, Val::Enc(_)) {
            let first = self.token(tree::location(node))?;
            self.name_target(target, self.span(first, self.name_end(first)), &name)?;
        }
        Ok(match val {
            Val::Plain => Target::new(name, ColVal::Plain, TopColumn::Plain),
            Val::Open(open) => {
                if top {
                    // A constant column is the statement's own.
                    open.sites.iter().for_each(|&site| self.sites[site].firm = true);
                }
                if label {
                    let at = self.target_end(target, open.span)?;
                    let order = self.edits.next_order();
                    self.labels.push(Label { site: open.sites[0], at, order, name: always_quoted(&name) });
                }
                let val = ColVal::Open(open.sites.clone());
                Target::new(name, val, TopColumn::Open(open.sites))
            }
            Val::Enc(enc) => {
                let part = self.edits.part(enc.span);
                let key = scope.group.outputs.contains(&index) && !enc.grouped;
                match (key, top) {
                    (true, _) => self.grouped_by(&enc, part, top)?,
                    (false, true) => self.enveloped(&enc),
                    (false, false) => self.kept(&enc),
                }
                if target.name.is_empty() && (top || !simple || enc.grouped || key) {
                    // The rewriting would change the column's name, which ORDER BY and outer queries may use.
                    let at = self.target_end(target, enc.span)?;
                    let text = format!(" AS {}", always_quoted(&name));
                    let described = (!simple || enc.grouped).then(|| text.clone().into());
                    self.edits.each((at, at), described, Some(text.into()));
                }
                let val = ColVal::Enc(enc.ty.clone(), enc.column.clone());
                let top = match enc.ty.is_array() {
                    true => TopColumn::Composite(enc.ty.clone(), enc.column.clone()),
                    false => TopColumn::Envelope(enc.ty.clone(), enc.column.clone()),
                };
                // Between groups of several keys one may be NULL for reasons of its own.
                let origin = enc.origin.filter(|_| !(enc.grouped && scope.group.sets || key));
                let path = enc.bare.as_ref().filter(|_| !enc.grouped).and_then(|b| Some((b.column, b.path?)));
                let written = enc.bare.map_or(Written::Copy(part), |bare| Written::Text(bare.text.clone()));
                Target { column: Derived { name, val }, origin, path, top, written }
            }
        })
    }

    /// Names a select item whose core is `span`: what is written in its place would give it another name.
    pub(super) fn name_target(&mut self, target: &ResTarget, span: super::scope::Span, name: &str) -> Result<()> {
        let at = self.target_end(target, span)?;
        self.edits.both((at, at), format!(" AS {}", always_quoted(name)));
        Ok(())
    }

    /// Where a select item ends whose core is `span`: after the parentheses and casts around it.
    pub(super) fn target_end(&self, target: &ResTarget, span: super::scope::Span) -> Result<u32> {
        let first = self.token(target.location)?;
        let mut last = self.lexed.tokens.partition_point(|t| t.start < span.1) - 1;
        loop {
            if self.is(last + 1, "::") {
                last = self.type_end(last + 2)?;
            } else if self.is(last + 1, ")") && self.partner(last + 1)? >= first {
                last += 1;
            } else if self.is_word(last + 1, "as") && self.enclosed_by_cast(last, first) {
                last = self.type_end(last + 2)?;
            } else {
                return Ok(self.lexed.tokens[last].end);
            }
        }
    }

    /// The innermost bracket around `token` opens a CAST that stands at or after `first`.
    fn enclosed_by_cast(&self, token: usize, first: usize) -> bool {
        let open = (first..=token).rev().find(|&i| self.is(i, "(") && self.partner[i] as usize > token);
        open.is_some_and(|i| i > first && self.is_word(i - 1, "cast"))
    }

    /// `*` or `t.*`. Returns whether there may be columns that are not known.
    fn star(
        &mut self,
        target: &ResTarget,
        names: &[&str],
        scope: &Scope<'_>,
        star: &Star,
        top: bool,
        out: &mut Vec<Target>,
    ) -> Result<bool> {
        let at = self.here(target.location);
        let qualified;
        let (items, columns, expandable): (Vec<&Item>, &[(usize, usize)], bool) = match names {
            [] => (scope.items.iter().collect(), &star.columns, star.expandable),
            [.., alias] => {
                let schema = if names.len() > 1 { names.get(names.len() - 2).copied() } else { None };
                let item = scope.item(schema, alias).ok_or_else(|| {
                    refuse::with(refuse::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{alias}\""))
                        .at(at)
                })?;
                qualified = (0..item.len()).map(|c| (0, c)).collect::<Vec<_>>();
                (vec![item], &qualified, item.has_unique_names())
            }
        };
        let opaque = items.iter().any(|i| i.opaque);
        let encrypted = columns.iter().any(|&(i, c)| !items[i].val(c).is_plain());
        let keys = columns.iter().any(|&(i, c)| scope.sees((items[i].id, c)) == Seen::Key);
        // Columns that PostgreSQL would not list as they are here.
        let other = keys || columns.iter().any(|&(i, _)| items[i].spelled.is_some());
        // TABLE t has a star that stands nowhere in the text.
        let reduces = top && !self.explains;
        let expand = (reduces && encrypted || other) && expandable && !opaque && target.location >= 0;
        if other && !expand {
            return Err(refuse::unsupported("* is not supported here over columns by which the query groups or joins")
                .hint("Name the columns one by one.")
                .at(at));
        }
        let (mut described, mut executed) = (Vec::new(), Vec::new());
        for &(i, c) in columns {
            let (item, name) = (items[i], items[i].name(c));
            let found = Found { val: item.val(c), origin: Some((item.id, c)) };
            let text = item.written(c);
            let form = (expand && reduces, expandable.then(|| text.clone()));
            let column = self.star_column(name, found, form).map_err(|r| r.at(at))?;
            if expand {
                let forms = match &column.column.val {
                    ColVal::Enc(ty, _) if scope.sees((item.id, c)) == Seen::Key => {
                        let (described, executed) = Self::key_of_star(ty, &text, top);
                        let name = always_quoted(name);
                        (format!("{described} AS {name}"), format!("{executed} AS {name}"))
                    }
                    _ if item.spelled.is_some() => {
                        let name = always_quoted(name);
                        let reduced = matches!(&column.top, TopColumn::Envelope(..));
                        let executed = if reduced { format!("({text}).c") } else { text.clone() };
                        (format!("{text} AS {name}"), format!("{executed} AS {name}"))
                    }
                    // Also of given values that have become ones of the type.
                    _ if matches!(column.top, TopColumn::Envelope(..)) => {
                        (text.clone(), format!("({text}).c AS {}", always_quoted(name)))
                    }
                    _ => (text.clone(), text),
                };
                described.push(forms.0);
                executed.push(forms.1);
            }
            out.push(column);
        }
        if expand {
            let first = self.token(target.location)?;
            let span = self.span(first, self.name_end(first));
            let described = other.then(|| described.join(", ").into());
            self.edits.each(span, described, Some(executed.join(", ").into()));
        }
        Ok(opaque)
    }

    /// `form`: whether it is reduced to its envelope, and how it can be written.
    fn star_column(&mut self, name: &str, found: Found, form: (bool, Option<String>)) -> Result<Target> {
        let (val, origin) = (found.val.clone(), found.origin);
        let (reduced, text) = form;
        if let ColVal::Built(built) = &val {
            return match built.kind {
                Kind::Row => Err(only_selected(built)),
                _ => Ok(Target::new(name.to_string(), val.clone(), built.top())),
            };
        }
        let top = match self.found(found, (0, 0))? {
            Val::Plain => TopColumn::Plain,
            Val::Open(open) => TopColumn::Open(open.sites),
            Val::Enc(enc) if reduced && !enc.ty.is_array() => TopColumn::Envelope(enc.ty, enc.column),
            Val::Enc(enc) => TopColumn::Composite(enc.ty, enc.column),
        };
        let written = text.map_or(Written::Not, Written::Text);
        Ok(Target { column: Derived { name: name.to_string(), val }, origin, path: None, top, written })
    }

    /// Text that gives the value of an encrypted output column in another clause of its query.
    pub(super) fn write(&mut self, written: &Written, construct: &str, column: &str) -> Result<String> {
        let no = |construct: String| {
            refuse::on_column(&construct, column)
                .hint("Compute it in a subquery in FROM: SELECT ... FROM (SELECT ... AS x FROM ...) AS q ORDER BY q.x.")
        };
        match written {
            Written::Text(text) => Ok(text.clone()),
            Written::Copy(part) if self.varying.iter().any(|&at| (part.span.0..part.span.1).contains(&at)) => {
                Err(no(format!("{construct} of an expression with a function that may give another value each time")))
            }
            Written::Copy(part) if !self.text.contains(MARK) => Ok(self.edits.copy(*part)),
            Written::Copy(_) | Written::Not => Err(no(format!("{construct} of this output column"))),
        }
    }

    /// Outputs of which none may be encrypted.
    pub(super) fn plain_outputs(&mut self, outputs: &Outputs, construct: &str) -> Result<()> {
        if let Some(column) = outputs.encrypted() {
            return Err(refuse::on_column(construct, column));
        }
        for column in &outputs.columns {
            if let ColVal::Open(sites) = &column.val {
                self.decide_plain(sites)?;
            }
        }
        Ok(())
    }
}

/// What `*` means in a scope.
#[derive(Default)]
pub(super) struct Star {
    columns: Vec<(usize, usize)>,
    expandable: bool,
}

/// An output column of a select list, before it is looked at.
pub(super) enum Slot<'n> {
    /// A select item.
    Target(&'n ResTarget),
    /// A column that `*` stands for, and how it can be written.
    Column(Found, String),
}

impl Star {
    /// The output columns of a select list, as far as they are known: up to a `*` over columns that are not.
    pub(super) fn slots<'n>(&self, list: &'n [Node], scope: &Scope<'_>) -> Vec<Slot<'n>> {
        let mut slots = Vec::with_capacity(list.len());
        let column = |item: &Item, c: usize| {
            Slot::Column(Found { val: item.val(c), origin: Some((item.id, c)) }, item.written(c))
        };
        for node in list {
            let Some(NodeEnum::ResTarget(target)) = tree::kind(node) else { continue };
            match star_of(target).as_deref() {
                None => slots.push(Slot::Target(target)),
                Some([]) if self.expandable && !scope.items.iter().any(|i| i.opaque) => {
                    slots.extend(self.columns.iter().map(|&(i, c)| column(&scope.items[i], c)));
                }
                Some([alias]) => match scope.item(None, alias).filter(|i| !i.opaque && i.has_unique_names()) {
                    Some(item) => slots.extend((0..item.len()).map(|c| column(item, c))),
                    None => break,
                },
                Some(_) => break,
            }
        }
        slots
    }

    pub(super) fn of(tree: &FromTree) -> Star {
        let unique = |i: &Item| {
            let twins = tree.items.iter().filter(|o| o.alias == i.alias).count();
            i.spelled.is_some() || (!i.alias.is_empty() && i.has_unique_names() && twins == 1)
        };
        Star { columns: tree.star.clone(), expandable: !tree.merged && tree.items.iter().all(unique) }
    }
}

/// A column that is written otherwise than the client named it.
fn respelled(node: &Node, scope: &Scope<'_>) -> bool {
    let reference = match tree::kind(node) {
        Some(NodeEnum::ColumnRef(reference)) => reference,
        // What takes its name from a column.
        Some(NodeEnum::TypeCast(cast)) => return tree::child(&cast.arg).is_some_and(|arg| respelled(arg, scope)),
        _ => return false,
    };
    let found = scope.named(reference).and_then(Result::ok);
    found.and_then(|f| f.origin).is_some_and(|origin| scope.spelled(origin).is_some())
}

/// Qualifiers of a `*`, if the target is one.
fn star_of(target: &ResTarget) -> Option<Vec<&str>> {
    match tree::kind(tree::child(&target.val)?)? {
        NodeEnum::ColumnRef(column) => match tree::kind(column.fields.last()?)? {
            NodeEnum::AStar(_) => Some(tree::strings(&column.fields)),
            _ => None,
        },
        _ => None,
    }
}

/// The name that PostgreSQL gives an output column without alias (FigureColname).
pub(super) fn column_name(node: &Node) -> String {
    figure(node).map_or_else(|| "?column?".into(), |(name, _)| name)
}

/// Name and whether it is a strong one.
fn figure(node: &Node) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_string(), true));
    match tree::kind(node)? {
        NodeEnum::ColumnRef(n) => strong(tree::strings(&n.fields).last()?),
        NodeEnum::AIndirection(n) => match tree::strings(&n.indirection).last() {
            Some(name) => strong(name),
            None => figure(tree::child(&n.arg)?),
        },
        NodeEnum::FuncCall(n) => strong(tree::strings(&n.funcname).last()?),
        NodeEnum::AExpr(n) if n.kind() == pg_query::protobuf::AExprKind::AexprNullif => strong("nullif"),
        NodeEnum::TypeCast(n) => match n.arg.as_deref().and_then(figure) {
            Some((name, true)) => strong(&name),
            _ => Some((tree::strings(&n.type_name.as_ref()?.names).last()?.to_string(), false)),
        },
        NodeEnum::CollateClause(n) => figure(tree::child(&n.arg)?),
        NodeEnum::SubLink(n) => match n.sub_link_type() {
            SubLinkType::ExistsSublink => strong("exists"),
            SubLinkType::ArraySublink => strong("array"),
            SubLinkType::ExprSublink => {
                let first = tree::select(tree::child(&n.subselect)?)?.target_list.first()?;
                match tree::kind(first)? {
                    NodeEnum::ResTarget(t) if !t.name.is_empty() => strong(&t.name),
                    NodeEnum::ResTarget(t) => figure(tree::child(&t.val)?),
                    _ => None,
                }
            }
            _ => None,
        },
        NodeEnum::CaseExpr(n) => match n.defresult.as_deref().and_then(figure) {
            Some((name, true)) => strong(&name),
            _ => Some(("case".into(), false)),
        },
        NodeEnum::AArrayExpr(_) => strong("array"),
        NodeEnum::RowExpr(_) => strong("row"),
        NodeEnum::CoalesceExpr(_) => strong("coalesce"),
        NodeEnum::GroupingFunc(_) => strong("grouping"),
        NodeEnum::MinMaxExpr(n) => {
            strong(if n.op() == pg_query::protobuf::MinMaxOp::IsLeast { "least" } else { "greatest" })
        }
        NodeEnum::SqlvalueFunction(n) => strong(value_function(n.op())),
        _ => None,
    }
}

fn value_function(op: pg_query::protobuf::SqlValueFunctionOp) -> &'static str {
    use pg_query::protobuf::SqlValueFunctionOp as Op;
    match op {
        Op::SvfopCurrentDate => "current_date",
        Op::SvfopCurrentTime | Op::SvfopCurrentTimeN => "current_time",
        Op::SvfopCurrentTimestamp | Op::SvfopCurrentTimestampN => "current_timestamp",
        Op::SvfopLocaltime | Op::SvfopLocaltimeN => "localtime",
        Op::SvfopLocaltimestamp | Op::SvfopLocaltimestampN => "localtimestamp",
        Op::SvfopCurrentRole => "current_role",
        Op::SvfopCurrentUser => "current_user",
        Op::SvfopUser => "user",
        Op::SvfopSessionUser => "session_user",
        Op::SvfopCurrentCatalog => "current_catalog",
        Op::SvfopCurrentSchema => "current_schema",
        Op::SqlvalueFunctionOpUndefined => "?column?",
    }
}
