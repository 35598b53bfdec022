//! Which columns of a view could carry an encrypted value that is no longer of its type.
//!
//! A column is clean only if its query tree proves it: built from clean columns by PostgreSQL's own functions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::closure;
use crate::schema::catalog::{Catalog, Oid, Relation, RelationKind};
use crate::schema::node_tree::Node;

/// Expression nodes through which a value can only come from the nodes below them.
const TRANSPARENT: &[&str] = &[
    "TARGETENTRY",
    "CONST",
    "RELABELTYPE",
    "COERCEVIAIO",
    "ARRAYCOERCEEXPR",
    "OPEXPR",
    "DISTINCTEXPR",
    "NULLIFEXPR",
    "SCALARARRAYOPEXPR",
    "FUNCEXPR",
    "NAMEDARGEXPR",
    "AGGREF",
    "WINDOWFUNC",
    "BOOLEXPR",
    "NULLTEST",
    "BOOLEANTEST",
    "CASE",
    "CASEEXPR",
    "WHEN",
    "CASEWHEN",
    "CASETESTEXPR",
    "COALESCE",
    "COALESCEEXPR",
    "MINMAX",
    "MINMAXEXPR",
    "ARRAY",
    "ARRAYEXPR",
    "COLLATE",
    "COLLATEEXPR",
    "SQLVALUEFUNCTION",
    "SORTGROUPCLAUSE",
    "GROUPINGFUNC",
];

/// Fields that hold the OID of a function a node calls.
const CALLS: &[&str] = &["funcid", "opfuncid", "aggfnoid", "winfnoid"];

/// First OID that `initdb` does not give.
const FIRST_USER_OID: i64 = 16384;

/// Expressions nested deeper than this, counted through views of views, are not proven clean.
const MAX_DEPTH: usize = 500;

/// `count("any")`.
const COUNT: i64 = 2147;

const RELATION: i64 = 0;
const SUBQUERY: i64 = 1;
const JOIN: i64 = 2;
const GROUP: i64 = 9;

/// Marks the tainted columns of the catalog's views. `trees`: query tree by view.
pub(super) fn mark(catalog: &mut Catalog, trees: &HashMap<Oid, &str>) {
    let calling: HashSet<Oid> = {
        let functions = closure::touching_functions(catalog);
        catalog.facts.rule_functions.iter().filter(|(_, f)| functions.contains(f)).map(|(r, _)| *r).collect()
    };
    let relations: HashMap<Oid, Arc<Relation>> =
        catalog.relations.values().flat_map(HashMap::values).map(|r| (r.oid, Arc::clone(r))).collect();
    let mut prover = Prover { relations: &relations, trees, calling: &calling, clean: HashMap::new(), depth: 0 };
    let mut tainted: HashMap<Oid, HashSet<i16>> = HashMap::new();
    for relation in relations.values().filter(|r| is_view(r) && r.touching) {
        let clean = prover.view(relation.oid);
        let own = relation.columns.iter().filter(|c| !c.direct && !clean.contains(&c.attnum));
        tainted.insert(relation.oid, own.map(|c| c.attnum).collect());
    }
    for relation in catalog.relations.values_mut().flat_map(HashMap::values_mut) {
        let Some(columns) = tainted.get(&relation.oid).filter(|columns| !columns.is_empty()) else { continue };
        for column in &mut Arc::make_mut(relation).columns {
            column.tainted |= columns.contains(&column.attnum);
        }
    }
}

fn is_view(relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView)
}

struct Prover<'a> {
    relations: &'a HashMap<Oid, Arc<Relation>>,
    trees: &'a HashMap<Oid, &'a str>,
    /// Views that call a touching function.
    calling: &'a HashSet<Oid>,
    /// Clean columns of views already looked at; a view in the making has none.
    clean: HashMap<Oid, HashSet<i16>>,
    /// Expressions being looked at, through views of views: bounds the stack.
    depth: usize,
}

impl Prover<'_> {
    /// Attribute numbers of a view's clean columns.
    fn view(&mut self, oid: Oid) -> HashSet<i16> {
        if let Some(known) = self.clean.get(&oid) {
            return known.clone();
        }
        self.clean.insert(oid, HashSet::new());
        let clean = self.prove(oid).unwrap_or_default();
        self.clean.insert(oid, clean.clone());
        clean
    }

    fn prove(&mut self, oid: Oid) -> Option<HashSet<i16>> {
        let tree = Node::parse(self.trees.get(&oid)?)?;
        let Node::List(queries) = &tree else { return None };
        let [query] = queries.as_slice() else { return None };
        let calls = self.calling.contains(&oid);
        let columns = self.relations.get(&oid)?.columns.iter().map(|c| c.attnum);
        Some(columns.filter(|number| self.output(query, i64::from(*number), calls)).collect())
    }

    /// An output column of a query is clean.
    fn output(&mut self, query: &Node<'_>, number: i64, calls: bool) -> bool {
        if matches!(query.field("setOperations"), Some(Node::Struct(..))) {
            let mut arms =
                query.list("rtable").iter().filter_map(|rte| rte.field("subquery")).filter(|q| !q.label().is_empty());
            return arms.all(|arm| self.output(arm, number, calls));
        }
        let entry = query.list("targetList").iter().find(|entry| entry.number("resno") == Some(number));
        match entry.and_then(|entry| entry.field("expr")) {
            // A view that calls a touching function: only plain columns.
            Some(expr) if calls => expr.label() == "VAR" && self.expression(query, expr),
            Some(expr) => self.expression(query, expr),
            None => false,
        }
    }

    fn expression(&mut self, query: &Node<'_>, node: &Node<'_>) -> bool {
        self.depth += 1;
        let clean = self.depth <= MAX_DEPTH && self.below(query, node);
        self.depth -= 1;
        clean
    }

    fn below(&mut self, query: &Node<'_>, node: &Node<'_>) -> bool {
        match node {
            Node::Struct("VAR", _) => self.variable(query, node),
            // How many there are tells no value.
            Node::Struct("AGGREF", _) if node.number("aggfnoid") == Some(COUNT) => true,
            Node::Struct(label, _) => {
                TRANSPARENT.contains(label)
                    && CALLS.iter().all(|field| node.number(field).is_none_or(|oid| oid < FIRST_USER_OID))
                    && node.children().all(|child| self.expression(query, child))
            }
            Node::List(items) => items.iter().all(|item| self.expression(query, item)),
            Node::Token(_) => true,
        }
    }

    fn variable(&mut self, query: &Node<'_>, var: &Node<'_>) -> bool {
        let (Some(table), Some(column), Some(0)) =
            (var.number("varno"), var.number("varattno"), var.number("varlevelsup"))
        else {
            return false;
        };
        if column == 0 {
            return false;
        }
        let entry = usize::try_from(table - 1).ok().and_then(|index| query.list("rtable").get(index));
        let Some(entry) = entry else { return false };
        let listed =
            |field: &'static str| usize::try_from(column - 1).ok().and_then(|index| entry.list(field).get(index));
        match entry.number("rtekind") {
            // System columns carry no values.
            Some(RELATION) => column < 0 || self.column(entry.number("relid"), column),
            Some(SUBQUERY) => entry.field("subquery").is_some_and(|sub| self.output(sub, column, false)),
            Some(JOIN) => listed("joinaliasvars").is_some_and(|expr| self.expression(query, expr)),
            Some(GROUP) => listed("groupexprs").is_some_and(|expr| self.expression(query, expr)),
            _ => false,
        }
    }

    fn column(&mut self, relation: Option<i64>, number: i64) -> bool {
        let known = relation.and_then(|oid| Oid::try_from(oid).ok()).and_then(|oid| self.relations.get(&oid));
        let Some(relation) = known.cloned() else { return false };
        let Some(column) = relation.columns.iter().find(|c| i64::from(c.attnum) == number) else { return false };
        let view = || is_view(&relation) && relation.touching;
        column.enc.is_none() && !column.tainted && (!view() || self.view(relation.oid).contains(&column.attnum))
    }
}
