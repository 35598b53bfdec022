//! `columnseal encrypt`: what encrypting a column would need.

use columnseal::config::{load, load_database};
use columnseal::doctor::{Effect, Forecast, ForecastError, Wish, forecast};
use columnseal::schema::database;
use serde_json::{Value, json};

use super::Context;
use super::db::{self, reach};
use super::doctor::entry;
use super::output::{Exit, Failure, Outcome};

/// Arguments of `encrypt`.
#[derive(clap::Args, Debug)]
#[command(long_about = "Say what encrypting a column would need.\n\n\
    With --dry-run, reads the table's rows and every object that the column concerns, and says which values could not be \
    stored, which objects must be written otherwise and which made anew. Nothing is changed, no value is printed. The exit \
    code is 0 where everything can be made anew as it stands, else 6.")]
pub(super) struct Encrypt {
    /// The column, as public.users.email
    #[arg(value_name = "TABLE.COLUMN")]
    column: String,
    /// The encrypted type, as seal.text_eq
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// Change nothing, and say what would have to change
    #[arg(long)]
    dry_run: bool,
    /// The database [default: that of the settings]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Encrypt {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let attempted = format!("encrypt {}", self.column);
        if !self.dry_run {
            let why = "this version does not convert columns while they are in use";
            let advice =
                "see what it needs with --dry-run, then go by docs/sql.md#ddl: \"To encrypt an existing column\"";
            return Err(Failure::new(Exit::Failed, "encrypt", attempted, why, advice));
        }
        let attempted = format!("look ahead at encrypting {}", self.column);
        let target = context
            .settings(&attempted, load_database(&context.environment, &context.sources, self.database.as_deref()))?;
        let signed = db::signed(context).unwrap_or_else(|why| {
            context.output.note(&format!("Whether the type is signed is not looked at: {why}"));
            Vec::new()
        });
        let config = load(&context.environment, &context.sources);
        let trusted = config.map(|config| config.session.policy.trusted_functions).unwrap_or_else(|faults| {
            context.output.note(&format!(
                "No function counts as trusted: the settings of a proxy have faults: {}",
                faults.to_string().replace("\n", "; ")
            ));
            Vec::new()
        });
        let wish = Wish { column: self.column.clone(), kind: self.kind.clone() };
        let found = context.block_on(&attempted, async {
            let client = reach(&target, &attempted).await?;
            let catalog =
                database::load(&client, &signed, &trusted, false).await.map_err(|e| db::failure(&attempted, &e))?;
            forecast(&client, &catalog, &wish).await.map_err(|error| failure(&attempted, error))
        })?;
        context.output.result(&as_json(&found), &as_text(&found));
        match found.is_smooth() {
            true => Ok(()),
            false => context.output.exit(Exit::Database),
        }
    }
}

fn failure(attempted: &str, error: ForecastError) -> Failure {
    match error {
        ForecastError::Schema(error) => db::failure(attempted, &error),
        ForecastError::Wish(why) => {
            let advice =
                "name a plain column of a table, and an encrypted type: `columnseal type list`, docs/sql.md#types";
            Failure::new(Exit::Failed, "encrypt", attempted, why, advice)
        }
    }
}

fn as_json(found: &Forecast) -> Value {
    let values =
        |v: &columnseal::doctor::ValueFault| json!({ "sqlstate": v.sqlstate, "why": v.why, "values": v.values });
    let item = |i: &columnseal::doctor::Item| json!({ "effect": i.effect.word(), "kind": i.what, "object": i.name, "why": i.why, "advice": i.advice });
    json!({
        "column": found.column,
        "from": found.from,
        "to": found.to,
        "terms": found.terms,
        "rows": found.counted.rows,
        "nulls": found.counted.nulls,
        "cannot_be_stored": found.counted.faults.iter().map(values).collect::<Vec<_>>(),
        "objects": found.items.iter().map(item).collect::<Vec<_>>(),
    })
}

fn as_text(found: &Forecast) -> String {
    let terms =
        if found.terms.is_empty() { "no terms".to_owned() } else { format!("terms {}", found.terms.join(", ")) };
    let counted = &found.counted;
    let mut out = vec![
        format!("{} ({}) as {} ({terms}); nothing was changed", found.column, found.from, found.to),
        format!("{} rows, {} of them NULL", counted.rows, counted.nulls),
    ];
    for fault in &counted.faults {
        let values = if fault.values == 1 { "1 value".to_owned() } else { format!("{} values", fault.values) };
        out.push(entry(
            "fault",
            "values",
            (&format!("{values} cannot be stored"), &format!("{} ({})", fault.why, fault.sqlstate)),
            "",
        ));
    }
    out.extend(found.items.iter().map(|i| entry(i.effect.word(), i.what, (&i.name, &i.why), &i.advice)));
    let many = |effect: Effect| found.items.iter().filter(|i| i.effect == effect).count();
    out.push(format!(
        "{} to write otherwise, {} to make anew through the proxy",
        many(Effect::Change),
        many(Effect::Again)
    ));
    out.join("\n")
}
