//! What a plan says of a result column that the proxy computes of opened values: of which ones, and how.

use std::sync::Arc;

use crate::schema::catalog::EncType;
use crate::wire::value::{Digits, PlainType, Scalar};

/// How a result column is computed of encrypted values of the same row.
#[derive(Clone, Debug)]
pub struct Formula {
    /// The values, an encrypted one at least: one alone comes as its envelope, several as an array of envelopes and of plain values in
    /// binary form (`bytea[]`).
    pub inputs: Vec<Input>,
    /// What is computed of them.
    pub expr: Expr,
    /// The type of the result.
    pub gives: PlainType,
    /// Names it for errors.
    pub column: String,
}

/// A value that something is computed of.
#[derive(Clone, Debug)]
pub enum Input {
    /// An encrypted one.
    Sealed {
        /// Its type.
        enc: Arc<EncType>,
        /// Names its column for errors.
        column: String,
    },
    /// One of a plain column, of this type.
    Plain(PlainType),
}

/// What is computed.
#[derive(Clone, Debug)]
pub enum Expr {
    /// The value of this input.
    Input(usize),
    /// The value of this parameter of the plan, which is held by the proxy.
    Held(usize),
    /// NULL.
    Null,
    /// A word of the statement.
    Word(Box<str>),
    /// An integer that stands for what the statement leaves away.
    Number(i32),
    /// A function, and the type of its first argument.
    Call(Scalar, PlainType, Vec<Expr>),
    /// A cast, of the one type to the other.
    Cast(PlainType, PlainType, Box<Expr>),
    /// Rounded to precision and scale.
    Fit(Digits, Box<Expr>),
    /// The first that is not NULL.
    Coalesce(Vec<Expr>),
}

impl Formula {
    /// Types of its encrypted values, and what names their columns.
    pub fn sealed(&self) -> impl Iterator<Item = (&Arc<EncType>, &str)> {
        self.inputs.iter().filter_map(|input| match input {
            Input::Sealed { enc, column } => Some((enc, column.as_str())),
            Input::Plain(_) => None,
        })
    }

    /// The envelopes come in an array.
    pub fn gathers(&self) -> bool {
        self.inputs.len() > 1 || !self.expr.is_strict()
    }

    /// `pg_attribute.atttypmod` of the result.
    pub fn typmod(&self) -> i32 {
        match &self.expr {
            Expr::Fit(digits, _) => digits.typmod(),
            _ => -1,
        }
    }
}

impl Expr {
    /// It is NULL where a value is.
    fn is_strict(&self) -> bool {
        !matches!(self, Expr::Coalesce(_)) && self.parts().iter().all(Expr::is_strict)
    }

    fn parts(&self) -> &[Expr] {
        match self {
            Expr::Input(_) | Expr::Held(_) | Expr::Null | Expr::Word(_) | Expr::Number(_) => &[],
            Expr::Call(_, _, parts) | Expr::Coalesce(parts) => parts,
            Expr::Cast(_, _, part) | Expr::Fit(_, part) => std::slice::from_ref(part),
        }
    }

    /// What the database makes of letters must be known.
    pub fn tells_case(&self) -> bool {
        matches!(self, Expr::Call(function, ..) if function.tells_case()) || self.parts().iter().any(Expr::tells_case)
    }

    /// It may fail on values of its types.
    pub fn may_fail(&self) -> bool {
        let own = match self {
            Expr::Call(function, of, _) => function.may_fail(*of),
            Expr::Cast(_, to, _) => !matches!(to, PlainType::Text | PlainType::Varchar),
            Expr::Fit(..) => true,
            Expr::Input(_) | Expr::Held(_) | Expr::Null | Expr::Word(_) | Expr::Number(_) | Expr::Coalesce(_) => false,
        };
        own || self.parts().iter().any(Expr::may_fail)
    }

    /// The same, with other numbers for what the proxy holds; NULL where there is none.
    pub(super) fn renumbered(self, number: &impl Fn(usize) -> Option<usize>) -> Expr {
        self.mapped(&|leaf| match leaf {
            Expr::Held(site) => number(site).map_or(Expr::Null, Expr::Held),
            other => other,
        })
    }

    /// The same, with other numbers for inputs.
    pub(super) fn reordered(self, number: &impl Fn(usize) -> usize) -> Expr {
        self.mapped(&|leaf| match leaf {
            Expr::Input(at) => Expr::Input(number(at)),
            other => other,
        })
    }

    fn mapped(self, leaf: &dyn Fn(Expr) -> Expr) -> Expr {
        let one = |part: Box<Expr>| Box::new(part.mapped(leaf));
        let all = |parts: Vec<Expr>| parts.into_iter().map(|part| part.mapped(leaf)).collect();
        match self {
            Expr::Call(function, of, parts) => Expr::Call(function, of, all(parts)),
            Expr::Coalesce(parts) => Expr::Coalesce(all(parts)),
            Expr::Cast(from, to, part) => Expr::Cast(from, to, one(part)),
            Expr::Fit(digits, part) => Expr::Fit(digits, one(part)),
            Expr::Input(_) | Expr::Held(_) | Expr::Null | Expr::Word(_) | Expr::Number(_) => leaf(self),
        }
    }
}
