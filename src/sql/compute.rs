//! Expressions of encrypted values in the select list and in RETURNING, which the proxy computes of opened values.
//!
//! ```text
//! e -> 'a' ->> 'b'    =>   (e).c
//! e + f               =>   ARRAY[(e).c, (f).c]
//! ```
//!
//! Values of plain columns beside them come with them. All else of such an expression stays here: operators, functions, casts, and what the client gives beside the values, which might be
//! one of them. Such a column goes through subqueries, CTEs and LATERAL to the output; any other use of it is refused.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, AIndirection, Node, ResTarget, TypeCast, a_const};

use super::analyzer::Analyzer;
use super::built::{Built, Kind, Made};
use super::computable::{computes, function, holds, operator, plain_column, sent};
use super::expr::{Enc, Open, Val};
use super::formula::{Expr, Formula, Input};
use super::plan::{Refusal, Source};
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Found, Scope, Span};
use super::site::Decision;
use super::tree;
use super::types::{self, Named};
use crate::wire::value::{self, Oid, PlainType, Scalar, Signature, Sort};

/// Values that one column may be computed of.
const MAX_INPUTS: usize = 64;

/// A part of an expression.
enum Part {
    /// It is computed of values.
    Value(Expr, PlainType),
    /// The client gives it: the site, and what it is, as far as that is told.
    Given(usize, Option<Sort>),
    /// `ARRAY[...]` of what the client gives.
    Texts(Vec<usize>),
}

impl Part {
    fn sort(&self) -> Option<Sort> {
        match self {
            Part::Value(_, plain) => Some(Sort::Value(*plain)),
            Part::Given(_, sort) => *sort,
            Part::Texts(_) => Some(Sort::Texts),
        }
    }
}

/// A value of the row that something is computed of.
#[derive(Clone)]
enum Leaf {
    Sealed(Enc),
    /// Of a plain column, of a type that [`sent`] knows.
    Plain(PlainType, Span),
}

impl Leaf {
    fn span(&self) -> Span {
        match self {
            Leaf::Sealed(enc) => enc.span,
            Leaf::Plain(_, span) => *span,
        }
    }

    fn input(&self) -> Input {
        match self {
            Leaf::Sealed(enc) => Input::Sealed { enc: enc.ty.clone(), column: enc.column.to_string() },
            Leaf::Plain(plain, _) => Input::Plain(*plain),
        }
    }

    /// What stands before and after it among several: as the statement is described, and as it is run.
    fn around(&self) -> [(String, String); 2] {
        match self {
            Leaf::Sealed(enc) => {
                let ty = types::sql_name(&enc.ty);
                [("COALESCE(".into(), String::new()), (format!(", NULL::{ty})"), String::new())]
            }
            Leaf::Plain(plain, _) => {
                let run = format!("pg_catalog.{}(", sent(*plain).unwrap_or_default());
                [(String::new(), run), (String::new(), ")".into())]
            }
        }
    }
}

/// An expression while it is looked at.
struct Work {
    inputs: Vec<Leaf>,
    /// For errors, once there is one.
    column: Rc<str>,
    /// Where it begins.
    at: i32,
    /// Sites of what the client gives.
    held: Vec<usize>,
}

impl Analyzer<'_> {
    /// Surely computed of an encrypted value: also where that is only cast to another type.
    pub(super) fn is_computed(&self, node: &Node, scope: &Scope<'_>) -> bool {
        let recast = match tree::kind(node) {
            Some(NodeEnum::TypeCast(cast)) => self.recasts(cast, scope).is_some_and(|(_, other)| other),
            _ => false,
        };
        recast || computes(node, scope)
    }

    /// What a cast of an encrypted column gives, and whether that is another type than the column's.
    fn recasts(&self, cast: &TypeCast, scope: &Scope<'_>) -> Option<(PlainType, bool)> {
        let arg = cast.arg.as_deref()?;
        let (from, other) = match tree::kind(arg)? {
            NodeEnum::TypeCast(inner) => self.recasts(inner, scope)?,
            NodeEnum::ColumnRef(column) => match scope.named(column) {
                Some(Ok(Found { val: ColVal::Enc(ty, _), .. })) if !ty.is_array() => (ty.def.plain, false),
                _ => return None,
            },
            _ => return None,
        };
        match types::named(cast.type_name.as_ref()?, self.catalog, self.session) {
            Named::Enc(_) if !other => Some((from, false)),
            Named::Builtin { plain, array: false, modified, digits, .. } if !modified || digits.is_some() => {
                let identity = !modified && !other && types::is_identity(from, plain);
                let casts = identity || from == plain || value::recasts(from, plain);
                casts.then_some((if identity { from } else { plain }, other || !identity))
            }
            _ => None,
        }
    }

    /// Gives a column the name that PostgreSQL takes of its expression.
    pub(super) fn name_computed(&mut self, target: &ResTarget, node: &Node, name: &str) -> Result<()> {
        if matches!(tree::kind(node), Some(NodeEnum::ColumnRef(_) | NodeEnum::SubLink(_))) {
            return Ok(());
        }
        let (first, last) = self.reach(node)?;
        self.name_target(target, self.span(first, last), name)
    }

    /// What is computed of encrypted values. It is one of [`computes`].
    pub(super) fn computed(&mut self, node: &Node, scope: &Scope<'_>) -> Result<Made> {
        let (first, last) = self.reach(node)?;
        let span = self.span(first, last);
        let before = self.edits.next_order();
        let mut work = Work { inputs: Vec::new(), column: "".into(), at: span.0 as i32, held: Vec::new() };
        let part = self.part_of(node, scope, &mut work)?;
        let (Part::Value(expr, gives), false) = (part, work.column.is_empty()) else {
            return Err(
                refuse::unsupported("this expression is not supported in a statement on encrypted columns").at(work.at)
            );
        };
        let column = Rc::clone(&work.column);
        for &site in &work.held {
            self.sites[site].column = (*column).into();
        }
        // In the order in which they stand in the text.
        let mut order: Vec<usize> = (0..work.inputs.len()).collect();
        order.sort_by_key(|&at| work.inputs[at].span().0);
        let expr = expr.reordered(&|input| order.iter().position(|&at| at == input).unwrap_or(input));
        let leaves: Vec<Leaf> = order.iter().map(|&at| work.inputs[at].clone()).collect();
        let inputs = leaves.iter().map(Leaf::input).collect();
        let formula = Formula { inputs, expr, gives, column: column.to_string() };
        self.gather_inputs(&leaves, span, formula.gathers(), before);
        self.formulas.push(formula);
        Ok(Made::Built(Built { kind: Kind::Computed(self.formulas.len() - 1), column }))
    }

    /// Leaves of an expression the values alone. `before`: its place among the insertions where it begins.
    fn gather_inputs(&mut self, inputs: &[Leaf], span: Span, gathers: bool, before: usize) {
        let (mut from, mut order) = (span.0, before);
        let (mut described, mut executed) = match gathers {
            true => ("ROW(".to_owned(), "ARRAY[".to_owned()),
            false => (String::new(), String::new()),
        };
        for (index, leaf) in inputs.iter().enumerate() {
            if let Leaf::Sealed(enc) = leaf {
                self.enveloped(enc);
            }
            let [begin, end] = match gathers {
                true => leaf.around(),
                false => Default::default(),
            };
            let comma = if index == 0 { "" } else { ", " };
            (described, executed) = (described + comma + &begin.0, executed + comma + &begin.1);
            self.replace_gap((from, leaf.span().0), order, described, &executed);
            (from, order) = (leaf.span().1, self.edits.next_order());
            (described, executed) = end;
        }
        let end = if gathers { (")", "]") } else { ("", "") };
        self.replace_gap((from, span.1), order, described + end.0, &(executed + end.1));
    }

    fn replace_gap(&mut self, gap: Span, order: usize, described: String, executed: &str) {
        match gap.0 == gap.1 {
            true if executed.is_empty() => {}
            true => self.edits.insert_each(gap.0, order, Some(described), Some(executed.into())),
            false => self.edits.each(gap, Some(described.into()), Some(executed.to_string().into())),
        }
    }

    fn part_of(&mut self, node: &Node, scope: &Scope<'_>, work: &mut Work) -> Result<Part> {
        match tree::kind(node) {
            Some(NodeEnum::AExpr(expr)) if operator(expr).is_some() => {
                let name = operator(expr).unwrap_or_default();
                let sides = [&expr.lexpr, &expr.rexpr].into_iter().flatten();
                let parts = sides.map(|side| self.part_of(side, scope, work)).collect::<Result<Vec<_>>>()?;
                let sorts: Vec<Option<Sort>> = parts.iter().map(Part::sort).collect();
                let signature = Scalar::operator(name, &sorts);
                let signature = signature.ok_or_else(|| work.refusal(&format!("operator {name} of these operands")))?;
                self.call_of(signature, parts, work)
            }
            Some(NodeEnum::FuncCall(call)) if function(call).is_some() => {
                let name = function(call).unwrap_or_default();
                self.is_postgresqls(call)?;
                self.note_call(call, name, true);
                let parts = call.args.iter().map(|arg| match self.word(arg) {
                    Some(word) if name == "extract" => Ok(Part::Value(Expr::Word(word), PlainType::Text)),
                    // substring(e FOR 2), where the grammar puts the start and a cast.
                    _ => match written(arg) {
                        Ok(arg) => self.part_of(arg, scope, work),
                        Err(number) => Ok(Part::Value(Expr::Number(number), PlainType::Int4)),
                    },
                });
                let parts = parts.collect::<Result<Vec<_>>>()?;
                let sorts: Vec<Option<Sort>> = parts.iter().map(Part::sort).collect();
                if name == "format" && parts.iter().skip(1).any(|part| self.is_loose(part)) {
                    return Err(work.refusal("function format of a number, or of a parameter of no type,"));
                }
                let signature = Scalar::function(name, &sorts);
                let signature =
                    signature.ok_or_else(|| work.refusal(&format!("function {name} of these arguments")))?;
                self.call_of(signature, parts, work)
            }
            Some(NodeEnum::AIndirection(expr)) if computes(node, scope) => self.subscripts(expr, scope, work),
            Some(NodeEnum::TypeCast(cast)) => self.part_cast(node, cast, scope, work),
            Some(NodeEnum::CoalesceExpr(expr)) if computes(node, scope) => {
                let parts = expr.args.iter().map(|arg| self.part_of(arg, scope, work)).collect::<Result<Vec<_>>>()?;
                self.first_of(parts, work)
            }
            Some(NodeEnum::AArrayExpr(expr)) => {
                let one = |site: Part| match site {
                    Part::Given(site, None | Some(Sort::Value(PlainType::Text))) => Some(site),
                    _ => None,
                };
                let mut sites = Vec::with_capacity(expr.elements.len());
                for element in &expr.elements {
                    let part = self.part_of(element, scope, work)?;
                    sites.push(one(part).ok_or_else(|| work.refusal("this array beside it"))?);
                }
                Ok(Part::Texts(sites))
            }
            _ => self.part_leaf(node, scope, work),
        }
    }

    /// The client gives it, and it is a text neither as it stands nor by a cast.
    fn is_loose(&self, part: &Part) -> bool {
        match part {
            Part::Given(_, Some(sort)) => !matches!(sort, Sort::Value(PlainType::Text | PlainType::Varchar)),
            Part::Given(site, None) => matches!(self.sites[*site].source, Some(Source::Client(_))),
            _ => false,
        }
    }

    /// A word that the grammar made a constant of, as in `extract(year FROM e)`.
    fn word(&self, node: &Node) -> Option<Box<str>> {
        let Some(NodeEnum::AConst(AConst { val: Some(a_const::Val::Sval(word)), location, .. })) = tree::kind(node)
        else {
            return None;
        };
        let token = self.token(*location).ok()?;
        self.is_word(token, &word.sval).then(|| word.sval.as_str().into())
    }

    /// A value of the row, or one that the client gives.
    fn part_leaf(&mut self, node: &Node, scope: &Scope<'_>, work: &mut Work) -> Result<Part> {
        let val = match self.made(node, scope)? {
            Made::Val(val) => val,
            Made::Built(built) => return Err(super::built::only_selected(&built).at(work.at)),
        };
        if work.inputs.len() == MAX_INPUTS {
            return Err(work.refusal("an expression of so many values"));
        }
        match val {
            Val::Enc(enc) if !enc.ty.is_array() => {
                if work.column.is_empty() {
                    work.column = Rc::clone(&enc.column);
                }
                let (plain, shown) = (enc.ty.def.plain, enc.ty.shown);
                let text = [plain, shown].iter().all(|plain| types::is_plain_text(*plain));
                work.inputs.push(Leaf::Sealed(enc));
                if (shown != plain && !text) || matches!(plain, PlainType::Citext | PlainType::Enum) {
                    return Err(work.refusal(&format!("an expression of type {}", plain.sql_name())));
                }
                Ok(Part::Value(Expr::Input(work.inputs.len() - 1), shown))
            }
            Val::Enc(enc) => Err(refuse::on_column("an expression of an array", &enc.column).at(enc.span.0 as i32)),
            Val::Open(open) => self.part_given(&open, work),
            Val::Plain => {
                let plain = plain_column(node, scope);
                let plain =
                    plain.ok_or_else(|| work.refusal("a plain value of this kind beside it in an expression"))?;
                let (first, last) = self.reach(node)?;
                work.inputs.push(Leaf::Plain(plain, self.span(first, last)));
                Ok(Part::Value(Expr::Input(work.inputs.len() - 1), plain))
            }
        }
    }

    /// What the client gives, as far as its type is told.
    fn part_given(&mut self, open: &Open, work: &Work) -> Result<Part> {
        let &[at] = &*open.sites else { return Err(work.refusal("this value given beside it")) };
        let site = &self.sites[at];
        if !open.simple || site.element || site.in_array {
            return Err(work.refusal("this value given beside it"));
        }
        let sort = |named: &Named| match named {
            Named::Builtin { plain, array: false, modified: false, .. } => Some(Sort::Value(*plain)),
            Named::Builtin { plain: PlainType::Text | PlainType::Varchar, array: true, modified: false, .. } => {
                Some(Sort::Texts)
            }
            _ => None,
        };
        let told = match (site.casts.as_slice(), site.is_number) {
            ([], _) => match site.source {
                Some(Source::Client(n)) => match self.declared.get(n).copied().unwrap_or(0) {
                    0 | types::UNKNOWN => None,
                    oid => Some(types::named_by(oid).as_ref().and_then(sort)),
                },
                _ => None,
            },
            ([one], _) => Some(sort(one)),
            ([own, last], true) if widens(own, last) => Some(sort(last)),
            _ => Some(None),
        };
        match told {
            Some(None) => Err(work.refusal("a value of this type given beside it")),
            told => Ok(Part::Given(at, told.flatten())),
        }
    }

    /// The function of its parts, each as what it takes.
    fn call_of(&mut self, signature: Signature, parts: Vec<Part>, work: &mut Work) -> Result<Part> {
        let Signature { mut function, takes, gives } = signature;
        let Some(&Sort::Value(of)) = takes.first() else { return Err(work.refusal("this function")) };
        let mut arguments = Vec::with_capacity(parts.len());
        for (part, takes) in parts.into_iter().zip(takes) {
            if let Part::Texts(sites) = part {
                function = match function {
                    Scalar::Path => Scalar::Steps,
                    Scalar::PathText => Scalar::StepsText,
                    _ => return Err(work.refusal("this array beside it")),
                };
                for site in sites {
                    arguments.push(self.hold(site, Sort::Value(PlainType::Text), work)?);
                }
                continue;
            }
            let argument = self.as_sort(part, takes, work)?;
            let argument = match function {
                Scalar::Format if !arguments.is_empty() => Expr::Coalesce(vec![argument, Expr::Word("".into())]),
                _ => argument,
            };
            arguments.push(argument);
        }
        Ok(Part::Value(Expr::Call(function, of, arguments), gives))
    }

    fn as_sort(&mut self, part: Part, sort: Sort, work: &mut Work) -> Result<Expr> {
        match (part, sort) {
            (Part::Value(expr, plain), Sort::Value(to)) if plain == to => Ok(expr),
            (Part::Value(expr, plain), Sort::Value(to)) => Ok(Expr::Cast(plain, to, Box::new(expr))),
            (Part::Given(site, _), sort) => self.hold(site, sort, work),
            _ => Err(work.refusal("this array beside it")),
        }
    }

    /// What the client gives stays with the proxy.
    fn hold(&mut self, site: usize, sort: Sort, work: &mut Work) -> Result<Expr> {
        if self.sites[site].source.is_none() {
            return Ok(Expr::Null);
        }
        self.decide(site, Decision::Held(sort), &work.column)?;
        work.held.push(site);
        Ok(Expr::Held(site))
    }

    /// `e['a'][0]`
    fn subscripts(&mut self, expr: &AIndirection, scope: &Scope<'_>, work: &mut Work) -> Result<Part> {
        let Some(arg) = tree::child(&expr.arg) else { return Err(work.refusal("this form of a subscript")) };
        let doc = self.part_of(arg, scope, work)?;
        let mut parts = vec![doc];
        for part in &expr.indirection {
            let index = match tree::kind(part) {
                Some(NodeEnum::AIndices(indices)) if !indices.is_slice => tree::child(&indices.uidx),
                _ => None,
            };
            let Some(index) = index else { return Err(work.refusal("this form of a subscript")) };
            let part = self.part_of(index, scope, work)?;
            let fits = matches!(
                part,
                Part::Given(_, None | Some(Sort::Value(PlainType::Text | PlainType::Int2 | PlainType::Int4)))
            );
            if !fits {
                return Err(work.refusal("this subscript"));
            }
            parts.push(part);
        }
        let signature = match parts[0] {
            Part::Value(_, doc) => Scalar::subscript(doc, parts.len() - 1),
            _ => None,
        };
        let signature = signature.ok_or_else(|| work.refusal("a subscript"))?;
        self.call_of(signature, parts, work)
    }

    fn part_cast(&mut self, node: &Node, cast: &TypeCast, scope: &Scope<'_>, work: &mut Work) -> Result<Part> {
        let (Some(arg), Some(name)) = (tree::child(&cast.arg), &cast.type_name) else {
            return self.part_leaf(node, scope, work);
        };
        if !holds(arg, scope) && plain_column(arg, scope).is_none() {
            return self.part_leaf(node, scope, work);
        }
        let part = self.part_of(arg, scope, work)?;
        let Part::Value(expr, from) = part else { return Err(work.refusal("this cast")) };
        self.fix_type(name)?;
        let (to, digits) = match types::named(name, self.catalog, self.session) {
            Named::Builtin { plain, array: false, modified: false, .. } => (plain, None),
            Named::Builtin { plain, array: false, digits: Some(digits), .. } => (plain, Some(digits)),
            Named::Enc(ty) if matches!(expr, Expr::Input(at) if work.is_of(at, ty.oid)) => (from, None),
            _ => return Err(work.refusal("this cast")),
        };
        if from != to && !value::recasts(from, to) {
            return Err(work.refusal(&format!("a cast from {} to {}", from.sql_name(), to.sql_name())));
        }
        let expr = if from == to { expr } else { Expr::Cast(from, to, Box::new(expr)) };
        let expr = digits.map_or(expr.clone(), |digits| Expr::Fit(digits, Box::new(expr)));
        Ok(Part::Value(expr, to))
    }

    /// COALESCE
    fn first_of(&mut self, parts: Vec<Part>, work: &mut Work) -> Result<Part> {
        let told = parts.iter().filter_map(Part::sort).map(|sort| match sort {
            Sort::Value(plain) => Some(plain),
            Sort::Texts => None,
        });
        let plain = told.collect::<Option<Vec<_>>>().and_then(value::coalesced);
        let plain = plain.ok_or_else(|| work.refusal("COALESCE of different types"))?;
        let all = parts.into_iter().map(|part| self.as_sort(part, Sort::Value(plain), work));
        let all = all.collect::<Result<Vec<_>>>()?;
        Ok(Part::Value(Expr::Coalesce(all), plain))
    }
}

/// An argument without a cast that the grammar put around it. `Err`: a number that stands nowhere in the text.
fn written(node: &Node) -> std::result::Result<&Node, i32> {
    match tree::kind(node) {
        Some(NodeEnum::AConst(AConst { val: Some(a_const::Val::Ival(number)), location: -1, .. })) => Err(number.ival),
        Some(NodeEnum::TypeCast(cast)) if cast.location < 0 => match (&cast.type_name, tree::child(&cast.arg)) {
            (Some(name), Some(arg))
                if name.location < 0
                    && !matches!(
                        tree::kind(arg),
                        Some(NodeEnum::AConst(AConst { val: Some(a_const::Val::Boolval(_)), .. }))
                    ) =>
            {
                Ok(arg)
            }
            _ => Ok(node),
        },
        _ => Ok(node),
    }
}

impl Work {
    /// A value is an encrypted one of this type.
    fn is_of(&self, input: usize, oid: Oid) -> bool {
        matches!(&self.inputs[input], Leaf::Sealed(enc) if enc.ty.oid == oid)
    }

    fn refusal(&self, construct: &str) -> Box<Refusal> {
        let refusal = match self.column.is_empty() {
            true => refuse::unsupported(format!("{construct} is not supported with an encrypted value")),
            false => refuse::on_column(construct, &self.column),
        };
        refusal.hint("Select the column, and compute with the values that are read.").at(self.at)
    }
}

/// A number as this other type is what PostgreSQL makes of it.
fn widens(own: &Named, other: &Named) -> bool {
    use PlainType::{Float4, Float8, Int2, Int4, Int8, Numeric};
    let (Named::Builtin { plain: own, .. }, Named::Builtin { plain: other, modified: false, array: false, .. }) =
        (own, other)
    else {
        return false;
    };
    match own {
        Int4 | Int8 => matches!(other, Int2 | Int4 | Int8 | Numeric),
        Numeric => matches!(other, Numeric | Float4 | Float8),
        _ => false,
    }
}
