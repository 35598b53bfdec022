//! Confirm with PostgreSQL: its description of the described form must agree with the plan before anything is bound.

use super::errors;
use super::own::Description;
use crate::schema::catalog::{Catalog, EncType, Oid};
use crate::schema::routine::RECORD;
use crate::sql::formula::Input;
use crate::sql::plan::{Confirmed, Of, OutColumn, Param, Plan, Role, Source};
use crate::wire::error::PgError;
use crate::wire::frame::HEADER;
use crate::wire::server::{Field, RowDescription, row_description};
use crate::wire::value::PlainType;

const BOOL: Oid = 16;
const BYTEA_ARRAY: Oid = 1001;
const UUID_ARRAY: Oid = 2951;
const TEXT: Oid = 25;
const VARCHAR: Oid = 1043;
const TEXT_ARRAY: Oid = 1009;
const INT4_ARRAY: Oid = 1007;
const INT8_ARRAY: Oid = 1016;
const RECORD_ARRAY: Oid = 2287;

fn declared(param: &Param, declared: &[Oid]) -> Oid {
    match (&param.role, param.source) {
        // It stands nowhere in the text.
        (Role::Held(sort), _) => sort.oid(),
        (Role::Plain, Source::Client(n)) => declared.get(n).copied().unwrap_or(0),
        _ => 0,
    }
}

/// Parameter types declared for the described form: those of encrypted places are left to PostgreSQL.
pub(super) fn described_oids(plan: &Plan, client: &[Oid]) -> Vec<Oid> {
    plan.params.iter().map(|p| declared(p, client)).collect()
}

/// Parameter types declared for the executed form.
pub(super) fn executed_oids(plan: &Plan, client: &[Oid]) -> Vec<Oid> {
    let one = |param: &Param| match &param.role {
        Role::Plain | Role::Held(_) => declared(param, client),
        Role::Store(enc) => enc.oid,
        Role::Equal(enc) => enc.def.terms.compared().1,
        Role::EqualArray(enc) => {
            if enc.def.terms.ord {
                BYTEA_ARRAY
            } else {
                UUID_ARRAY
            }
        }
        Role::Test(_) => BOOL,
        Role::Shown(_) | Role::Pattern(_) | Role::Mark => TEXT,
        Role::Patterns(_) => TEXT_ARRAY,
        Role::Given(_, given) => given.oid(),
        Role::Tokens(n) => tokens(plan, *n),
        Role::Matching(_) | Role::Others(_) => BYTEA_ARRAY,
    };
    plan.params.iter().map(one).collect()
}

/// The type of the tokens of a search.
fn tokens(plan: &Plan, search: usize) -> Oid {
    match plan.searches.get(search) {
        Some(search) if search.part.is_some() => INT8_ARRAY,
        _ => INT4_ARRAY,
    }
}

/// Checks PostgreSQL's answer against the plan.
///
/// # Errors
/// They disagree: the statement is refused.
pub(super) fn confirm(
    plan: &Plan,
    said: &Description,
    client: &[Oid],
    catalog: &Catalog,
) -> Result<Confirmed, PgError> {
    if said.params.len() != plan.params.len() {
        return Err(errors::disagreement("the number of parameters"));
    }
    for (param, &oid) in plan.params.iter().zip(&said.params) {
        let agrees = match &param.role {
            Role::Plain => !may_be_encrypted(oid, catalog),
            Role::Test(_) => oid == BOOL,
            Role::Shown(_) | Role::Pattern(_) | Role::Mark => oid == TEXT,
            Role::Patterns(_) => oid == TEXT_ARRAY,
            Role::Given(_, given) => oid == given.oid(),
            Role::Tokens(n) => oid == tokens(plan, *n),
            Role::Matching(_) | Role::Others(_) => oid == BYTEA_ARRAY,
            Role::Store(enc) | Role::Equal(enc) => oid == enc.oid,
            Role::EqualArray(enc) => oid == enc.array_oid,
            Role::Held(sort) => oid == sort.oid(),
        };
        if !agrees {
            return Err(errors::disagreement("the type of a parameter"));
        }
    }
    Ok(Confirmed {
        client_param_oids: client_params(plan, &said.params, client),
        row_description: rows(plan.described_columns(), said.row.as_deref(), catalog)?,
    })
}

/// The type is or may contain an encrypted one.
fn may_be_encrypted(oid: Oid, catalog: &Catalog) -> bool {
    matches!(oid, RECORD | RECORD_ARRAY) || catalog.containing.contains(&oid)
}

fn client_params(plan: &Plan, said: &[Oid], client: &[Oid]) -> Vec<Oid> {
    let mut told: Vec<Option<Oid>> = vec![None; plan.client_params];
    for (param, &oid) in plan.params.iter().zip(said) {
        if let Source::Client(n) = param.source
            && told[n].is_none()
        {
            told[n] = match &param.role {
                Role::Test(_) | Role::Shown(_) => None,
                Role::Tokens(_) | Role::Matching(_) | Role::Others(_) | Role::Mark => None,
                Role::Patterns(_) => Some(TEXT_ARRAY),
                Role::Plain => Some(oid),
                _ if param.cast.is_some() => param.cast,
                Role::Held(sort) => Some(sort.oid()),
                Role::Pattern(enc) if enc.def.plain == PlainType::Citext => Some(enc.plain_oid),
                Role::Pattern(_) => Some(TEXT),
                Role::Given(_, given) => Some(given.oid()),
                Role::Equal(enc) if !param.listed => Some(operand_oids(enc).0),
                Role::EqualArray(enc) if !param.listed => Some(operand_oids(enc).1),
                Role::EqualArray(enc) => Some(enc.plain_array_oid),
                Role::Store(enc) | Role::Equal(enc) => Some(enc.plain_oid),
            };
        }
    }
    let declared = |n: usize| client.get(n).copied().filter(|oid| *oid != 0);
    told.into_iter().enumerate().map(|(n, told)| declared(n).or(told).unwrap_or(TEXT)).collect()
}

/// Types of an operand and of an array of them: those of the operator that PostgreSQL would take.
fn operand_oids(enc: &EncType) -> (Oid, Oid) {
    let plain = enc.def.plain;
    match plain.compared() {
        own if own == plain => (enc.plain_oid, enc.plain_array_oid),
        other => (other.oid(), other.array_oid()),
    }
}

fn rows(planned: Option<&[OutColumn]>, said: Option<&[u8]>, catalog: &Catalog) -> Result<Option<Vec<u8>>, PgError> {
    let (columns, body) = match (planned, said) {
        (None, None) => return Ok(None),
        (Some(columns), Some(body)) => (columns, body),
        _ => return Err(errors::disagreement("whether rows are returned")),
    };
    let description = RowDescription::parse(body).map_err(|_| errors::disagreement("the result columns"))?;
    if description.len() != columns.len() {
        return Err(errors::disagreement("the number of result columns"));
    }
    let mut fields = Vec::with_capacity(columns.len());
    for (column, field) in columns.iter().zip(description.fields()) {
        fields.push(told(column, field, catalog)?);
    }
    let mut message = Vec::new();
    row_description(&mut message, fields).map_err(|_| errors::too_many())?;
    Ok(Some(message.split_off(HEADER)))
}

/// The column as the client is told of it.
fn told<'a>(column: &OutColumn, mut field: Field<'a>, catalog: &Catalog) -> Result<Field<'a>, PgError> {
    if let OutColumn::Finished(finish) = column {
        let gathered = match &finish.of {
            Of::Value(enc) => enc.array_oid,
            Of::Formula(formula) if formula.gathers() => RECORD_ARRAY,
            Of::Formula(formula) => formula.sealed().next().map_or(0, |(enc, _)| enc.array_oid),
        };
        if field.type_oid != gathered {
            return Err(errors::disagreement("the type of a result column"));
        }
        let result = finish.result();
        return Ok(Field {
            type_oid: result.oid(),
            typlen: result.typlen(),
            typmod: finish.typmod(),
            format: 0,
            ..field
        });
    }
    if let OutColumn::Computed(formula) = column {
        let one = match formula.inputs.as_slice() {
            _ if formula.gathers() => RECORD,
            [Input::Sealed { enc, .. }] => enc.oid,
            _ => 0,
        };
        if field.type_oid != one {
            return Err(errors::disagreement("the type of a result column"));
        }
        let (type_oid, typlen, typmod) = (formula.gives.oid(), formula.gives.typlen(), formula.typmod());
        return Ok(Field { type_oid, typlen, typmod, format: 0, table_oid: 0, attnum: 0, ..field });
    }
    if matches!(column, OutColumn::Joined(_)) && !matches!(field.type_oid, TEXT | VARCHAR) {
        return Err(errors::disagreement("the type of a result column"));
    }
    match column.enc() {
        None if may_be_encrypted(field.type_oid, catalog) => Err(errors::disagreement("the type of a result column")),
        None => Ok(field),
        Some(enc) if field.type_oid == enc.oid => {
            field.type_oid = enc.plain_oid;
            field.typlen = if enc.is_array() { -1 } else { enc.def.plain.typlen() };
            field.typmod = -1;
            field.format = 0;
            Ok(field)
        }
        Some(_) => Err(errors::disagreement("the type of a result column")),
    }
}
