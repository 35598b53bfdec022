//! Sites: places of the text where the client gives a value, and what is decided about each.

use std::sync::Arc;

use super::analyzer::Analyzer;
use super::expr::Open;
use super::plan::{Given, Param, Role, Source};
use super::refuse::{self, Detail, INDETERMINATE_DATATYPE, Result};
use super::scope::Span;
use super::types::{self, Named, term_name};
use crate::schema::catalog::{EncType, Oid};
use crate::wire::sqlstate::SqlState;
use crate::wire::value::{Digits, PlainType, Sort};

/// The type is left to PostgreSQL.
const UNSPECIFIED: Oid = 0;

/// What is made of a site.
#[derive(Clone, Debug)]
pub(super) enum Decision {
    Plain,
    Store(Arc<EncType>),
    Equal(Arc<EncType>),
    EqualArray(Arc<EncType>),
    /// A pattern of LIKE, or a part of one.
    Pattern(Arc<EncType>),
    /// An array of them.
    Patterns(Arc<EncType>),
    /// A part of a condition on JSON.
    Given(Arc<EncType>, Given),
    /// For what the proxy computes.
    Held(Sort),
}

impl Decision {
    /// The encrypted type it is sealed as, if it is.
    pub(super) fn enc(&self) -> Option<&Arc<EncType>> {
        match self {
            Decision::Plain | Decision::Held(_) => None,
            Decision::Store(t) | Decision::Equal(t) | Decision::EqualArray(t) => Some(t),
            Decision::Pattern(t) | Decision::Patterns(t) | Decision::Given(t, _) => Some(t),
        }
    }

    /// It is sent in another form than the client gave it.
    fn replaces(&self) -> bool {
        !matches!(
            self,
            Decision::Plain | Decision::Pattern(_) | Decision::Patterns(_) | Decision::Given(..) | Decision::Held(_)
        )
    }

    fn same(&self, other: &Decision) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && self.enc().map(|t| t.oid) == other.enc().map(|t| t.oid)
            && !matches!((self, other), (Decision::Given(_, one), Decision::Given(_, other)) if one != other)
    }
}

/// A parameter or literal of the text.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// The tokens that give the value, without casts.
    pub(super) span: Span,
    /// `None` for NULL.
    pub(super) source: Option<Source>,
    /// Casts that the client wrote around it, innermost first.
    pub(super) casts: Vec<Named>,
    /// A cast that may change the value stands around a column that gives it, not around the value itself.
    pub(super) recast: bool,
    /// What is decided; plain when nothing was decided to the end.
    pub(super) decision: Option<Decision>,
    /// Column that an encrypted decision was made for.
    pub(super) column: Box<str>,
    /// Stored in a plain column or compared with a plain expression: a value of its own.
    pub(super) firm: bool,
    /// As of [`Param`].
    pub(super) listed: bool,
    /// It gives an array, and what is decided is about its elements.
    pub(super) element: bool,
    /// It stands in `ARRAY[...]`, and what is decided is about that array.
    pub(super) in_array: bool,
    /// Casts around that array.
    pub(super) array_casts: Vec<Named>,
    /// It is an `ARRAY[]`.
    pub(super) empty: bool,
    /// A literal that is a number, whose type is the first of `casts`.
    pub(super) is_number: bool,
    /// What stands around it is written anew, without it.
    pub(super) covered: bool,
}

impl Site {
    /// It is for no encrypted place.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.decision, None | Some(Decision::Plain))
    }
}

impl Analyzer<'_> {
    /// A new site, undecided.
    pub(super) fn site(&mut self, span: Span, source: Option<Source>) -> usize {
        self.sites.push(Site {
            span,
            source,
            casts: Vec::new(),
            recast: false,
            decision: None,
            column: "".into(),
            firm: false,
            listed: false,
            element: false,
            in_array: false,
            array_casts: Vec::new(),
            empty: false,
            is_number: false,
            covered: false,
        });
        self.sites.len() - 1
    }

    /// These sites flow to plain places.
    pub(super) fn decide_plain(&mut self, sites: &[usize]) -> Result<()> {
        sites.iter().try_for_each(|&site| self.decide(site, Decision::Plain, ""))
    }

    /// As [`Self::decide_plain`], for values that belong to a plain column or expression.
    pub(super) fn decide_firm(&mut self, sites: &[usize]) -> Result<()> {
        sites.iter().for_each(|&site| self.sites[site].firm = true);
        self.decide_plain(sites)
    }

    /// This site is of this use. Refused if it was decided otherwise before.
    pub(super) fn decide(&mut self, site: usize, decision: Decision, column: &str) -> Result<()> {
        let at = self.sites[site].span.0 as i32;
        match &self.sites[site].decision {
            // Casts are noted of the value, so one that is used twice must have the same ones in both places.
            Some(before) if before.same(&decision) && self.sites[site].recast => {
                return Err(refuse::on_column("a value that is used twice and cast", column)
                    .hint("Give the value once for each use.")
                    .at(at));
            }
            Some(before) if before.same(&decision) => return Ok(()),
            Some(_) => {
                let column = if column.is_empty() { self.sites[site].column.to_string() } else { column.to_string() };
                return Err(refuse::unsupported(format!(
                    "one value is used for encrypted column {column} and in another way"
                ))
                .hint("Give the value once for each use.")
                .at(at));
            }
            None => {}
        }
        self.check_casts(site, &decision, column).map_err(|r| r.at(at))?;
        self.sites[site].column = column.into();
        self.sites[site].decision = Some(decision);
        Ok(())
    }

    fn check_casts(&self, site: usize, decision: &Decision, column: &str) -> Result<()> {
        let (site, Some(ty)) = (&self.sites[site], decision.enc()) else { return Ok(()) };
        let literal = matches!(site.source, Some(Source::Literal(_) | Source::Negated(_)));
        let whole = ty.is_array() && !site.in_array;
        let operands =
            matches!(decision, Decision::EqualArray(_) | Decision::Patterns(_) | Decision::Given(_, Given::Texts));
        let array = site.element || whole || (operands && !site.in_array);
        let arrays = ty.is_array() || operands;
        if (site.element && ty.is_array()) || ((site.in_array || site.empty) && !arrays) {
            return Err(refuse::on_column("an array in place of a value, or a value in place of an array,", column));
        }
        if !site.array_casts.iter().all(|cast| fits_array(cast, ty)) {
            return Err(refuse::on_column("this cast of an array", column)
                .hint("Cast it to an array of the column's plaintext type, or not at all."));
        }
        if site.element && !matches!(decision, Decision::Store(_)) {
            return Err(refuse::on_column("an element of a given array as an operand", column)
                .hint("Give the value itself, or write column = ANY (array)."));
        }
        if !site.casts.iter().all(|cast| fits(cast, decision, array, ty, literal))
            || !is_declared_as_cast(site, &self.declared)
        {
            return Err(refuse::unsupported(format!(
                "the type or cast of a value for encrypted column {column} is not supported"
            ))
            .hint(
                "Give a value of the column's plaintext type, without a cast or with one to that type and no length.",
            ));
        }
        let modified = |cast: &Named| matches!(cast, Named::Builtin { modified: true, .. });
        if cast_of(site, ty.def.plain).is_err() || site.casts.iter().rev().skip(1).any(modified) {
            return Err(refuse::on_column("a value with several casts", column)
                .hint("Cast the value once, to the column's plaintext type, or not at all."));
        }
        // A narrowing conversion of an operand could make unequal values equal; other pairs are converted or refused when bound.
        if let (Decision::Equal(_), Some(Source::Client(n)), true) = (decision, site.source, site.casts.is_empty())
            && let Some(declared) = self.declared.get(n).and_then(|oid| types::plain_of(*oid))
            && types::converts(declared, ty.def.plain)
            && !types::compares(declared, ty.def.plain)
            && !types::is_text(declared)
        {
            return Err(refuse::unsupported(format!(
                "parameter ${} is declared of a wider type than encrypted column {column}, which is not supported",
                n + 1
            ))
            .hint("Declare the parameter with the column's plaintext type, or leave its type away."));
        }
        Ok(())
    }

    /// Notes a cast around undecided sites. `drop`: the spans of its tokens, which go if the value is sealed.
    pub(super) fn note_cast(&mut self, open: &Open, named: &Named, drop: &[Span]) {
        let same = matches!(named, Named::Builtin { plain, modified: false, .. } if types::is_plain_text(*plain));
        for &site in open.sites.iter() {
            let found = &mut self.sites[site];
            if found.in_array { &mut found.array_casts } else { &mut found.casts }.push(named.clone());
            self.sites[site].recast |= !open.simple && !same;
        }
        if let Some(&first) = open.sites.first() {
            self.drops.extend(drop.iter().map(|&span| (first, span)));
        }
    }

    /// Numbers the parameters of the rewritten statement and edits every site. Returns the parameters, and for
    /// each site the index of its parameter.
    pub(super) fn place_sites(&mut self) -> Result<(Vec<Param>, Vec<Option<usize>>)> {
        let mut order: Vec<usize> = (0..self.sites.len()).collect();
        order.sort_unstable_by_key(|&i| self.sites[i].span.0);
        let mut params = Vec::new();
        self.edits.values_follow();
        let gone = self.place_alone(&mut params);
        let mut index = vec![None; self.sites.len()];
        let mut plain: Vec<Option<usize>> = vec![None; self.client_params];
        for i in order.into_iter().filter(|&i| !gone[i]) {
            let site = self.sites[i].clone();
            match site.decision {
                None | Some(Decision::Plain) => {
                    let Some(Source::Client(n)) = site.source else { continue };
                    let k = *plain[n].get_or_insert_with(|| {
                        params.push(Param::new(Source::Client(n), Role::Plain, ""));
                        params.len() - 1
                    });
                    index[i] = Some(k);
                    if k != n {
                        self.edits.both(site.span, format!("${}", k + 1));
                    }
                }
                Some(ref decision) => {
                    index[i] = self.place(&site, decision.clone(), &mut params);
                }
            }
        }
        self.check_params(&params)?;
        for (site, span) in std::mem::take(&mut self.drops) {
            if self.sites[site].decision.as_ref().is_some_and(Decision::replaces) {
                self.edits.both(span, "");
            }
        }
        for unnest in std::mem::take(&mut self.unnests) {
            if unnest.sites.iter().any(|&site| !self.sites[site].is_plain()) {
                unnest.edits.into_iter().for_each(|(span, text)| self.edits.both(span, text));
            }
        }
        for label in std::mem::take(&mut self.labels) {
            if self.sites[label.site].decision.as_ref().is_some_and(Decision::replaces) {
                self.edits.insert(label.at, label.order, format!(" AS {}", label.name));
            }
        }
        Ok((params, index))
    }

    fn place(&mut self, site: &Site, decision: Decision, params: &mut Vec<Param>) -> Option<usize> {
        let span = site.span;
        let (role, described, executed) = match decision {
            Decision::Plain => return None,
            Decision::Held(sort) => return place_held(site, sort, params),
            Decision::Pattern(t) => return self.place_pattern(site, Role::Pattern(t), "text", params),
            Decision::Patterns(t) => return self.place_pattern(site, Role::Patterns(t), "text[]", params),
            Decision::Given(t, given) => return self.place_pattern(site, Role::Given(t, given), "text", params),
            Decision::Store(t) => {
                let t = match (site.element, site.in_array) {
                    (true, _) => t.array(),
                    (_, true) => Arc::clone(t.single()),
                    _ => t,
                };
                let name = types::sql_name(&t);
                (Role::Store(t), name.clone(), name)
            }
            Decision::EqualArray(t) if !site.in_array => {
                let name = types::sql_name(&t) + "[]";
                let executed = format!("{}[]", term_name(&t));
                (Role::EqualArray(t), name, executed)
            }
            Decision::Equal(t) | Decision::EqualArray(t) => {
                let name = types::sql_name(&t);
                let executed = term_name(&t).to_string();
                (Role::Equal(t), name, executed)
            }
        };
        let Some(source) = site.source else {
            let value = if site.empty { "'{}'" } else { "NULL" };
            let form = |ty: String| Some(format!("{value}::{ty}").into());
            self.edits.each(span, form(described), form(executed));
            return None;
        };
        let cast = role.enc().and_then(|ty| cast_of(site, ty.def.plain).ok().flatten());
        let digits = digits_of(site);
        params.push(Param { source, role, column: site.column.to_string(), listed: site.listed, cast, digits });
        let k = params.len();
        self.edits.each(span, Some(format!("${k}::{described}").into()), Some(format!("${k}::{executed}").into()));
        Some(k - 1)
    }

    /// Patterns stand in the described form alone.
    fn place_pattern(&mut self, site: &Site, role: Role, ty: &str, params: &mut Vec<Param>) -> Option<usize> {
        let Some(source) = site.source else {
            if !site.covered {
                self.edits.each(site.span, Some(format!("NULL::pg_catalog.{ty}").into()), None);
            }
            return None;
        };
        let cast = cast_of(site, PlainType::Text).ok().flatten();
        params.push(Param { source, role, column: site.column.to_string(), listed: false, cast, digits: None });
        let k = params.len();
        if !site.covered {
            self.edits.each(site.span, Some(format!("${k}::pg_catalog.{ty}").into()), None);
        }
        Some(k - 1)
    }

    /// Where the client's `$n` is used for an encrypted column.
    fn place_of(&self, n: usize) -> i32 {
        let sealed = |s: &&Site| s.source == Some(Source::Client(n)) && !s.is_plain();
        self.sites.iter().find(sealed).map_or(-1, |site| site.span.0 as i32)
    }

    fn check_params(&self, params: &[Param]) -> Result<()> {
        let mut used = vec![false; self.client_params];
        for site in &self.sites {
            if let Some(Source::Client(n)) = site.source {
                used[n] = true;
            }
        }
        // A value said to be of an encrypted type must have become one.
        let said = |s: &&Site| {
            let mut casts = s.casts.iter().chain(&s.array_casts);
            casts.any(|cast| matches!(cast, Named::Enc(_) | Named::EncArray(_)))
        };
        let left = |s: &&Site| s.source.is_some() && s.is_plain();
        if let Some(site) = self.sites.iter().filter(said).find(left) {
            return Err(refuse::unsupported("a cast to an array of an encrypted type is not supported here")
                .hint("Compare a column with it: column = ANY (array).")
                .at(site.span.0 as i32));
        }
        if let Some(n) = (0..used.len()).find(|&n| !used[n] && self.declared.get(n).copied().unwrap_or(0) == 0) {
            return Err(refuse::with(
                INDETERMINATE_DATATYPE,
                format!("could not determine data type of parameter ${}", n + 1),
            ));
        }
        if params.len() > usize::from(u16::MAX) {
            return Err(refuse::with(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("statement needs {} parameters, PostgreSQL takes {} at most", params.len(), u16::MAX),
            )
            .hint("Use fewer rows a statement."));
        }
        let mut plain = vec![false; self.client_params];
        for p in params.iter().filter(|p| matches!(p.role, Role::Plain)) {
            if let Source::Client(n) = p.source {
                plain[n] = true;
            }
        }
        let mut held: Vec<Option<Oid>> = vec![None; self.client_params];
        for p in params {
            if let (Role::Held(sort), Source::Client(n)) = (&p.role, p.source)
                && let told = p.cast.unwrap_or(sort.oid())
                && *held[n].get_or_insert(told) != told
            {
                return Err(refuse::unsupported(format!(
                    "parameter ${} is used as values of different types beside encrypted column {}",
                    n + 1,
                    p.column
                ))
                .hint("Give the value once for each use.")
                .at(self.place_of(n)));
            }
        }
        for p in params.iter().filter(|p| p.role.holds()) {
            match p.source {
                Source::Client(n) if plain[n] => {
                    return Err(refuse::unsupported(format!(
                        "parameter ${} is used for encrypted column {} and also as a plain value",
                        n + 1,
                        p.column
                    ))
                    .hint("Compute what depends on the value before sending it.")
                    .at(self.place_of(n)));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The type as which a value is read before it becomes one of `own`, if the client said one.
///
/// # Errors
/// Several casts that one reading and one assignment cannot stand for.
fn cast_of(site: &Site, own: PlainType) -> Result<Option<Oid>, ()> {
    let builtin = |cast: &Named| match cast {
        Named::Builtin { plain, oid, .. } => Some((*plain, *oid)),
        _ => None,
    };
    let mut chain: Vec<(PlainType, Oid)> = site.casts.iter().filter_map(builtin).collect();
    // The first is a number's own type where the literal is one. As a wider type it reads the same.
    let number = matches!(site.source, Some(Source::Literal(_) | Source::Negated(_))) && site.is_number;
    if let (true, [first, next, ..]) = (number, chain.as_slice())
        && types::is_number(next.0)
        && (types::is_float(next.0) || first.0 != PlainType::Numeric)
    {
        chain.remove(0);
    }
    chain.dedup_by(|b, a| a.0 == b.0 || (types::is_plain_text(a.0) && types::is_plain_text(b.0)));
    match chain.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.1)),
        [first, last] if last.0 == own && types::is_number(own) && types::is_number(first.0) => Ok(Some(first.1)),
        _ => Err(()),
    }
}

/// What the proxy holds stands in neither form: the expression around it is gone.
fn place_held(site: &Site, sort: Sort, params: &mut Vec<Param>) -> Option<usize> {
    // A number's own type is no cast.
    let cast = site.casts.get(usize::from(site.is_number)..).and_then(<[Named]>::last);
    let cast = cast.and_then(|cast| if let Named::Builtin { oid, .. } = cast { Some(*oid) } else { None });
    let column = site.column.to_string();
    params.push(Param { cast, ..Param::new(site.source?, Role::Held(sort), &column) });
    Some(params.len() - 1)
}

/// Precision and scale that the last cast rounds to.
fn digits_of(site: &Site) -> Option<Digits> {
    match site.casts.last()? {
        Named::Builtin { digits, .. } => *digits,
        _ => None,
    }
}

/// An array that is cast is not declared of another type: its elements are read once.
fn is_declared_as_cast(site: &Site, declared: &[Oid]) -> bool {
    let given = match site.source {
        Some(Source::Client(n)) if site.element => declared.get(n).copied().unwrap_or(UNSPECIFIED),
        _ => return true,
    };
    let same = |cast: &Named| matches!(cast, Named::Builtin { oid, .. } if *oid == given);
    given == UNSPECIFIED || site.casts.iter().all(same)
}

/// Whether `ARRAY[...]` that was cast to this may be one of the type.
fn fits_array(cast: &Named, ty: &EncType) -> bool {
    match cast {
        Named::Builtin { plain, array: true, modified: false, .. } => types::is_identity(ty.def.plain, *plain),
        Named::EncArray(other) => other.array_oid == ty.array_oid,
        _ => false,
    }
}

/// Whether a value that was cast to this may be sealed so.
fn fits(cast: &Named, decision: &Decision, array: bool, ty: &EncType, literal: bool) -> bool {
    let own = ty.def.plain;
    match cast {
        Named::Builtin { array: a, .. } if *a != array => false,
        Named::Builtin { modified: true, digits, .. } if digits.is_none() || own != PlainType::Numeric => false,
        Named::Builtin { plain, .. } => match decision {
            Decision::Pattern(_) | Decision::Patterns(_) => types::is_plain_text(*plain),
            Decision::Given(_, Given::Text | Given::Texts) => types::is_plain_text(*plain),
            Decision::Given(_, Given::Index) => matches!(plain, PlainType::Int2 | PlainType::Int4),
            Decision::Given(_, Given::Document) => *plain == PlainType::Jsonb,
            Decision::Given(_, Given::Path) => false,
            // A number as it is written, stored as text.
            Decision::Store(_) if literal && types::is_text(own) && types::is_number(*plain) => true,
            Decision::Store(_) => types::converts(*plain, own),
            _ => types::compares(*plain, own),
        },
        Named::Enc(other) => !array && other.oid == ty.oid,
        Named::EncArray(other) => array && other.array_oid == ty.array_oid,
        Named::Touching => false,
        Named::Other => matches!(own, PlainType::Enum | PlainType::Citext),
    }
}
