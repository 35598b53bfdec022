//! What names mean in a body beside columns: arguments and variables.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::sql::plan::Refusal;
use crate::sql::refuse::{self, Detail, Result};
use crate::sql::scope::{ColVal, Columns, Derived, Item, Scope};

/// Arguments and variables of one body.
const MOST_VARIABLES: usize = 1_000;

/// Arguments and variables of a body.
#[derive(Clone, Default)]
pub(in crate::sql) struct Frame {
    /// The function's name, which may stand before that of a variable.
    owner: String,
    /// What `$1`, `$2` and so on hold.
    pub(super) numbered: Vec<ColVal>,
    /// By name.
    scalars: Vec<Derived>,
    /// Records and rows, by name; the columns of those that were given a row.
    records: Vec<(String, Option<Rc<[Derived]>>)>,
    /// A name that a column has too means neither, as in PL/pgSQL.
    strict: bool,
    /// What queries see of it, once one did.
    scope: OnceCell<Rc<Scope<'static>>>,
}

/// What a name of a variable stands for.
pub(super) enum Variable {
    /// One value.
    Scalar(ColVal),
    /// A row.
    Record,
}

impl Frame {
    /// Without arguments yet. `strict`: as PL/pgSQL, a name that a column has too means neither.
    pub(super) fn new(owner: &str, strict: bool) -> Frame {
        Frame { owner: owner.to_string(), strict, ..Frame::default() }
    }

    /// What `$n` holds, counted from 0.
    pub(in crate::sql) fn numbered(&self, n: usize) -> Option<ColVal> {
        self.numbered.get(n).cloned()
    }

    /// The variable of this name.
    pub(super) fn variable(&self, name: &str) -> Option<Variable> {
        let scalar = self.scalars.iter().find(|v| v.name == name).map(|v| Variable::Scalar(v.val.clone()));
        scalar.or_else(|| self.records.iter().any(|r| r.0 == name).then_some(Variable::Record))
    }

    /// Adds a variable of one value. Two of one name in different blocks must hold the same kind of value: which of them is
    /// meant is not followed.
    pub(super) fn declare(&mut self, name: &str, val: ColVal) -> Result<()> {
        match self.variable(name) {
            None => {
                self.grow()?;
                self.scalars.push(Derived { name: name.to_string(), val });
            }
            Some(Variable::Scalar(before)) if same(&before, &val) => {}
            Some(_) => return Err(twice(name)),
        }
        Ok(())
    }

    /// Adds a record, or a row with these columns.
    pub(super) fn declare_record(&mut self, name: &str, columns: Option<Rc<[Derived]>>) -> Result<()> {
        if self.variable(name).is_some() {
            return Err(twice(name));
        }
        self.grow()?;
        self.records.push((name.to_string(), columns));
        Ok(())
    }

    /// There is room for another.
    fn grow(&mut self) -> Result<()> {
        self.scope.take();
        match self.scalars.len() + self.records.len() < MOST_VARIABLES {
            true => Ok(()),
            false => Err(refuse::unsupported(format!("it declares more than {MOST_VARIABLES} variables"))),
        }
    }

    /// The record of this name is given a row with these columns: always the same ones.
    pub(super) fn fill(&mut self, name: &str, given: Vec<Derived>) -> Result<()> {
        let Some((_, columns)) = self.records.iter_mut().find(|r| r.0 == name) else { return Err(unknown(name)) };
        let alike = |one: &Derived, other: &Derived| one.name == other.name && same(&one.val, &other.val);
        match columns {
            None => {
                *columns = Some(given.into());
                self.scope.take();
            }
            Some(before) if before.len() == given.len() && before.iter().zip(&given).all(|(b, g)| alike(b, g)) => {}
            Some(_) => {
                return Err(refuse::unsupported(format!("variable {name} is given rows of several kinds"))
                    .hint("Declare a record for each kind of row."));
            }
        }
        Ok(())
    }

    /// What `record.column` holds.
    pub(super) fn field(&self, record: &str, column: &str) -> Option<ColVal> {
        let columns = self.records.iter().find(|r| r.0 == record)?.1.as_ref()?;
        columns.iter().find(|c| c.name == column).map(|c| c.val.clone())
    }

    /// The outermost scope of every query of the body.
    pub(in crate::sql) fn scope(&self) -> Rc<Scope<'static>> {
        Rc::clone(self.scope.get_or_init(|| Rc::new(self.seen())))
    }

    fn seen(&self) -> Scope<'static> {
        let scalars = (!self.scalars.is_empty()).then(|| (self.owner.clone(), self.scalars.clone().into(), false));
        let filled = self.records.iter().filter_map(|(name, columns)| Some((name.clone(), columns.clone()?, true)));
        let items = scalars.into_iter().chain(filled).zip(1..).map(|((alias, columns, record), n)| Item {
            qualified_only: record,
            variables: self.strict && !record,
            ..Item::new(u32::MAX - n, &alias, Columns::Derived(columns))
        });
        Scope::new(items.collect(), None)
    }
}

/// Both are plain, or of one encrypted type.
fn same(one: &ColVal, other: &ColVal) -> bool {
    match (one, other) {
        (ColVal::Plain, ColVal::Plain) => true,
        (ColVal::Enc(one, _), ColVal::Enc(other, _)) => one.oid == other.oid,
        _ => false,
    }
}

fn twice(name: &str) -> Box<Refusal> {
    refuse::unsupported(format!("variable {name} is declared twice, of different types"))
}

pub(super) fn unknown(name: &str) -> Box<Refusal> {
    refuse::unsupported(format!("{name} is no variable that can be followed"))
}
