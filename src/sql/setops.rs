//! UNION, INTERSECT and EXCEPT. PostgreSQL would compare whole rows; here encrypted columns count by their terms, so
//! what the two arms give together is made distinct, or grouped, around them.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, SelectStmt, SetOperation};

use super::analyzer::{Analyzer, TopColumn};
use super::built::Built;
use super::compare::{no_equality, term_of};
use super::expr::Open;
use super::group;
use super::outputs::{Outputs, Written};
use super::plan::Source;
use super::refuse::{self, Detail, Result, SYNTAX_ERROR};
use super::scope::{ColVal, Derived, Scope};
use super::sort::{Keys, names_encrypted};
use super::tree;
use super::types::{always_quoted, shown_together};

/// What a set operation keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    /// UNION ALL: every row.
    Every,
    /// UNION.
    Distinct,
    /// INTERSECT, with ALL or not.
    Both(bool),
    /// EXCEPT, with ALL or not.
    Left(bool),
}

impl Keeps {
    fn of(select: &SelectStmt) -> Keeps {
        match select.op() {
            SetOperation::SetopIntersect => Keeps::Both(select.all),
            SetOperation::SetopExcept => Keeps::Left(select.all),
            _ if select.all => Keeps::Every,
            _ => Keeps::Distinct,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Keeps::Every | Keeps::Distinct => "UNION",
            Keeps::Both(_) => "INTERSECT",
            Keeps::Left(_) => "EXCEPT",
        }
    }
}

impl Analyzer<'_> {
    pub(super) fn set_operation(
        &mut self,
        select: &SelectStmt,
        outer: Option<&Scope<'_>>,
        top: bool,
    ) -> Result<Outputs> {
        let (Some(left), Some(right)) = (&select.larg, &select.rarg) else { return Ok(Outputs::default()) };
        let keeps = Keeps::of(select);
        let order = self.edits.next_order();
        let left = self.select(left, outer, false)?;
        let right = self.select(right, outer, false)?;
        let outputs = self.unite(select, left, right)?;
        let sorted = || select.sort_clause.iter().any(|key| self.sorts_encrypted(key, &outputs.columns));
        let rebuilt = outputs.encrypted().is_some() && (keeps != Keeps::Every || sorted());
        if rebuilt {
            self.rebuild(select, keeps, &outputs.columns, order, top)?;
        }
        let name = |i: usize| match rebuilt {
            true => Written::Text(format!("columnseal_u.c{}", i + 1)),
            false => Written::Not,
        };
        let written: Vec<Written> = (0..outputs.columns.len()).map(name).collect();
        self.set_tail(select, outer, Keys { columns: &outputs.columns, list: &[], written: &written })?;
        if top {
            self.top_composites(&outputs)?;
        }
        if let (true, Some(columns)) = (top && rebuilt, &mut self.columns) {
            for column in columns {
                if let TopColumn::Composite(ty, name) = column
                    && !ty.is_array()
                {
                    *column = TopColumn::Envelope(ty.clone(), name.clone());
                }
            }
        }
        Ok(outputs)
    }

    /// A key of ORDER BY names an encrypted output column.
    fn sorts_encrypted(&self, key: &Node, columns: &[Derived]) -> bool {
        let Some(NodeEnum::SortBy(sort)) = tree::kind(key) else { return false };
        tree::child(&sort.node).is_some_and(|node| names_encrypted(node, columns))
    }

    /// Columns of two branches, one by one.
    pub(super) fn unite(&mut self, select: &SelectStmt, left: Outputs, right: Outputs) -> Result<Outputs> {
        self.unite_columns(Keeps::of(select), left, right).map_err(|r| r.at(self.operator_place(select)))
    }

    /// Where the word of a set operation stands.
    pub(super) fn operator_place(&self, select: &SelectStmt) -> i32 {
        self.arms(select).map_or(-1, |arms| self.lexed.tokens[arms.operator].start as i32)
    }

    fn unite_columns(&mut self, keeps: Keeps, left: Outputs, right: Outputs) -> Result<Outputs> {
        let opaque = left.opaque || right.opaque;
        let encrypted = left.encrypted().or(right.encrypted()).cloned();
        if let Some(column) = encrypted.as_ref().filter(|_| opaque) {
            return Err(refuse::on_column(&format!("{} with * over a function", keeps.name()), column)
                .hint("Name the columns one by one."));
        }
        if left.columns.len() != right.columns.len() && !opaque {
            let message = format!("each {} query must have the same number of columns", keeps.name());
            return Err(refuse::with(SYNTAX_ERROR, message));
        }
        let mut columns = Vec::with_capacity(left.columns.len());
        for (l, r) in left.columns.into_iter().zip(right.columns) {
            if let (Some(column), Keeps::Both(_) | Keeps::Left(_)) = (&encrypted, keeps) {
                self.typed_sides(&l.val, &r.val, keeps, column)?;
            }
            columns.push(Derived { name: l.name, val: self.united(l.val, r.val, keeps)? });
        }
        Ok(Outputs { columns, opaque })
    }

    /// The rewriting parts the two arms, so that a value without a type would not get that of the column beside it.
    fn typed_sides(&self, left: &ColVal, right: &ColVal, keeps: Keeps, column: &str) -> Result<()> {
        let sites = |val: &ColVal| match val {
            ColVal::Open(sites) => sites.to_vec(),
            _ => Vec::new(),
        };
        let all = [sites(left), sites(right)].concat();
        let (untyped, typed): (Vec<usize>, Vec<usize>) = all.into_iter().partition(|&site| self.is_untyped(site));
        match untyped.first().filter(|_| !typed.is_empty() || left.is_plain() || right.is_plain()) {
            None => Ok(()),
            Some(&site) => Err(refuse::on_column(&format!("{} with a value that has no type", keeps.name()), column)
                .hint("Cast the value: $1::int, 'x'::text.")
                .at(self.sites[site].span.0 as i32)),
        }
    }

    /// PostgreSQL gives this value no type by itself.
    fn is_untyped(&self, site: usize) -> bool {
        let site = &self.sites[site];
        let declared = match site.source {
            Some(Source::Client(n)) => self.declared.get(n).copied().unwrap_or(0) != 0,
            _ => false,
        };
        site.casts.is_empty() && !declared
    }

    fn united(&mut self, left: ColVal, right: ColVal, keeps: Keeps) -> Result<ColVal> {
        let name = keeps.name();
        Ok(match (left, right) {
            (ColVal::Open(l), ColVal::Open(r)) if keeps == Keeps::Every => {
                ColVal::Open(l.iter().chain(r.iter()).copied().collect())
            }
            (ColVal::Open(l), ColVal::Open(r)) => {
                self.decide_plain(&l)?;
                self.decide_plain(&r)?;
                ColVal::Plain
            }
            (ColVal::Plain, ColVal::Plain) => ColVal::Plain,
            (ColVal::Open(sites), ColVal::Plain) | (ColVal::Plain, ColVal::Open(sites)) => {
                self.decide_plain(&sites)?;
                ColVal::Plain
            }
            (ColVal::Enc(ty, column), ColVal::Open(sites)) => {
                self.join_values(&Open { sites, simple: false, span: (0, 0) }, false, &ty, &column, name)?;
                ColVal::Enc(ty, column)
            }
            (ColVal::Open(sites), ColVal::Enc(ty, column)) => {
                self.join_values(&Open { sites, simple: false, span: (0, 0) }, true, &ty, &column, name)?;
                ColVal::Enc(ty, column)
            }
            (ColVal::Enc(l, column), ColVal::Enc(r, _)) if l.oid == r.oid => ColVal::Enc(shown_together(l, &r), column),
            (ColVal::Enc(_, column) | ColVal::Tainted(column) | ColVal::Built(Built { column, .. }), _)
            | (_, ColVal::Enc(_, column) | ColVal::Tainted(column) | ColVal::Built(Built { column, .. })) => {
                return Err(refuse::on_column(&format!("{name} with a column of another type"), &column));
            }
        })
    }

    /// Puts the query around the arms that keeps of their rows what the operation keeps. `order`: where its beginning stands.
    fn rebuild(
        &mut self,
        select: &SelectStmt,
        keeps: Keeps,
        columns: &[Derived],
        order: usize,
        top: bool,
    ) -> Result<()> {
        let arms = self.arms(select)?;
        let at = self.lexed.tokens[arms.first].start as i32;
        for column in columns {
            if let ColVal::Enc(ty, column) = &column.val
                && keeps != Keeps::Every
                && !ty.def.terms.equal()
            {
                return Err(no_equality(ty, column, keeps.name()).at(at));
            }
        }
        let (before, between, after) = match keeps {
            Keeps::Every | Keeps::Distinct => distinct(columns, keeps, top),
            Keeps::Both(all) | Keeps::Left(all) => grouped(columns, keeps, all, top),
        };
        let (start, end) = self.span(arms.first, arms.last);
        let operator = self.span(arms.operator, arms.second - 1);
        // Of the same types and names is what the two arms give together.
        let described = distinct(columns, Keeps::Every, false);
        self.edits.insert_each(start, order, Some(described.0), Some(before));
        self.edits.each(operator, Some(described.1.into()), Some(between.into()));
        let order = self.edits.next_order();
        self.edits.insert_each(end, order, Some(described.2), Some(after));
        Ok(())
    }
}

/// Names of the columns inside: `c1, c2, ...`.
fn inner_names(columns: &[Derived]) -> String {
    (1..=columns.len()).map(|i| format!("c{i}")).collect::<Vec<_>>().join(", ")
}

/// What tells rows apart: encrypted columns count by their term.
fn keys(columns: &[Derived], alias: &str) -> String {
    let key = |(i, column): (usize, &Derived)| match column.val {
        ColVal::Enc(ref ty, _) => term_of(ty, &format!("{alias}.c{}", i + 1)),
        _ => format!("{alias}.c{}", i + 1),
    };
    columns.iter().enumerate().map(key).collect::<Vec<_>>().join(", ")
}

/// Text before, between and after the arms, for UNION. `top`: encrypted columns are reduced to envelopes.
fn distinct(columns: &[Derived], keeps: Keeps, top: bool) -> (String, String, String) {
    let output = |(i, column): (usize, &Derived)| {
        let name = format!("columnseal_u.c{}", i + 1);
        let reduced = top && matches!(&column.val, ColVal::Enc(ty, _) if !ty.is_array());
        let value = if reduced { format!("({name}).c") } else { name };
        format!("{value} AS {}", always_quoted(&column.name))
    };
    let outputs: Vec<String> = columns.iter().enumerate().map(output).collect();
    let on = match keeps {
        Keeps::Every => String::new(),
        _ => format!("DISTINCT ON ({}) ", keys(columns, "columnseal_u")),
    };
    let before = format!("SELECT {on}{} FROM (", outputs.join(", "));
    (before, "UNION ALL".into(), format!(") AS columnseal_u ({})", inner_names(columns)))
}

/// The same for INTERSECT and EXCEPT: rows of both arms are grouped, and `s` says which are the left one's. With ALL the
/// n-th row of its kind in the left arm meets the n-th in the right one.
fn grouped(columns: &[Derived], keeps: Keeps, all: bool, top: bool) -> (String, String, String) {
    const LEFT: &str = " FILTER (WHERE columnseal_u.s)";
    let output = |(i, column): (usize, &Derived)| {
        let name = format!("columnseal_u.c{}", i + 1);
        let value = match &column.val {
            ColVal::Enc(ty, _) => group::one_of(ty, &name, LEFT, top),
            _ => name,
        };
        format!("{value} AS {}", always_quoted(&column.name))
    };
    let outputs: Vec<String> = columns.iter().enumerate().map(output).collect();
    let (names, by) = (inner_names(columns), keys(columns, "columnseal_u"));
    let (number, n, by_n) = match all {
        true => (
            format!(
                "SELECT columnseal_v.*, pg_catalog.row_number() OVER (PARTITION BY columnseal_v.s, {}) FROM (",
                keys(columns, "columnseal_v")
            ),
            format!(") AS columnseal_v (s, {names})) AS columnseal_u (s, {names}, n)"),
            ", columnseal_u.n",
        ),
        false => (String::new(), format!(") AS columnseal_u (s, {names})"), ""),
    };
    let kept = match keeps {
        Keeps::Left(_) => "pg_catalog.bool_and(columnseal_u.s)",
        _ => "pg_catalog.bool_or(columnseal_u.s) AND NOT pg_catalog.bool_and(columnseal_u.s)",
    };
    (
        format!("SELECT {} FROM ({number}SELECT true, columnseal_l.* FROM (", outputs.join(", ")),
        ") AS columnseal_l UNION ALL SELECT false, columnseal_r.* FROM (".into(),
        format!(") AS columnseal_r{n} GROUP BY {by}{by_n} HAVING {kept}"),
    )
}
