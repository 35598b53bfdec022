//! `columnseal type …`: encrypted types, and the pins that hold columns to them.

use columnseal::config::load_database;
use columnseal::keyserver::workspace::{PinInfo, TypeInfo, Workspace};
use columnseal::schema::catalog::{Terms, TypeDef};
use columnseal::schema::pins::{Found, look};
use columnseal::schema::{SchemaError, database, paths, registry};

use super::Context;
use super::db::{self, reach, target};
use super::output::{Exit, Failure, Outcome};
use super::workspace::{failure, json, open};

/// Subcommands of `type`.
#[derive(clap::Subcommand, Debug)]
pub(super) enum Type {
    /// Make an encrypted type in the database and sign its definition
    Create(Create),
    /// List the types that this workspace has signed
    List,
    /// Sign a type that was made by SQL alone
    Adopt {
        /// Name within schema seal
        name: String,
        /// The database [default: that of the settings]
        #[arg(long, value_name = "URL")]
        database: Option<String>,
    },
    /// List what has been seen encrypted, and with which type
    Pins {
        /// Of this database only
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Confirm that a pinned column has another encrypted type now, and hold it to that
    #[command(long_about = "Confirm that a pinned column has another encrypted type now, and hold it to that.\n\n\
        Looks into the database, and pins the column to the type that it has there. Statements on its table run again \
        within about a second. A column that is plain or gone cannot be confirmed: see `type unpin`.")]
    Confirm {
        /// As `columnseal type pins` shows it, such as "column public.users.email"
        object: String,
        /// The database's configured name [default: that of the settings]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// The database [default: that of the settings]
        #[arg(long, value_name = "URL")]
        database: Option<String>,
    },
    /// Confirm that a pinned column is plain or gone now, and forget its pin
    #[command(long_about = "Confirm that a pinned column is plain or gone now, and forget its pin.\n\n\
        Statements on its table run again within about a second: values for a plain column are then sent and stored \
        as they are. A column that is encrypted is pinned again, to whatever type it has, with the next statement.")]
    Unpin {
        /// As `columnseal type pins` shows it, such as "column public.users.email"
        object: String,
        /// The database's configured name [default: that of the settings]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
}

/// Arguments of `type create`.
#[derive(clap::Args, Debug)]
pub(super) struct Create {
    /// Name within schema seal
    name: String,
    /// The plaintext type
    #[arg(long = "as", value_name = "TYPE", default_value = "text")]
    plain: String,
    /// Search terms, separated by commas; none for storage only
    #[arg(long, value_name = "TERMS", default_value = "")]
    terms: String,
    /// Further options as a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    options: String,
    /// A path of a jsonb with search terms of its own, as NAME=TYPE:TERMS; may be given several times
    #[arg(
        long = "path",
        value_name = "PATH",
        long_help = "A path of a jsonb with search terms of its own, as NAME=TYPE:TERMS, such as total=numeric:ord or customer.name=text:eq,match; may be \
            given several times.\n\nNAME: keys with dots between, or an array of such as '{customer,last.name}'. What stands there is then compared and sorted as a \
            column of TYPE is: (doc ->> 'total')::numeric > 5."
    )]
    paths: Vec<String>,
    /// The database [default: that of the settings]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Type {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        match self {
            Type::Create(create) => create.run(context),
            Type::List => list(context),
            Type::Adopt { name, database } => adopt(context, name, database.as_deref()),
            Type::Pins { name } => pins(context, name.as_deref()),
            Type::Confirm { object, name, database } => {
                confirm(context, object, (name.as_deref(), database.as_deref()))
            }
            Type::Unpin { object, name } => unpin(context, object, name.as_deref()),
        }
    }
}

impl Create {
    fn run(&self, context: &Context) -> Outcome {
        let attempted = format!("create encrypted type {}", self.name);
        let paths = self.paths(&attempted)?;
        let target = target(context, self.database.as_deref(), &attempted)?;
        // Opened first, so that no type is made that cannot be signed.
        let workspace = open(context, &attempted)?;
        let failed = |error: SchemaError| db::failure(&attempted, &error);
        let (made, info) = context.block_on(&attempted, async {
            let mut client = reach(&target, &attempted).await?;
            let transaction = client.transaction().await.map_err(|error| failed(error.into()))?;
            let more = (self.options.as_str(), paths.as_str());
            let made = database::create_type(transaction.client(), &self.name, &self.plain, &self.terms, more)
                .await
                .map_err(failed)?;
            // Whoever sees the type finds it signed.
            let info = tokio::task::block_in_place(|| signed(&workspace, &attempted, &made))?;
            transaction.commit().await.map_err(|error| failed(error.into()))?;
            Ok((made, info))
        })?;
        tell(context, &made, &info);
        for told in leaks(made.terms) {
            context.output.note(told);
        }
        for path in paths::paths(&made).unwrap_or_default() {
            context.output.note(&format!("Path {} ({}):", path.shown(), path.plain.name()));
            for told in leaks(path.terms) {
                context.output.note(told);
            }
        }
        Ok(())
    }

    /// The paths as `seal.create_type` takes them.
    fn paths(&self, attempted: &str) -> Result<String, Failure> {
        let mut all: Vec<(&str, &str)> = Vec::with_capacity(self.paths.len());
        for path in &self.paths {
            let named = path.rsplit_once('=').filter(|(name, of)| !name.is_empty() && of.contains(':'));
            let Some((name, of)) = named else {
                let why = format!("{path:?} is no path with a type and terms");
                let advice =
                    "write it as NAME=TYPE:TERMS: `--path total=numeric:ord --path customer.name=text:eq,match`";
                return Err(Failure::new(Exit::Failed, "path-unreadable", attempted, why, advice));
            };
            if all.iter().any(|(known, _)| *known == name) {
                let why = format!("path {name} is given twice");
                return Err(Failure::new(Exit::Failed, "path-twice", attempted, why, "give each path once"));
            }
            all.push((name, of));
        }
        // In the order in which they are given, which no map would keep.
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let all: Vec<String> = all.into_iter().map(|(name, of)| format!("{}:{}", text(name), text(of))).collect();
        Ok(format!("{{{}}}", all.join(",")))
    }
}

/// What the terms of a type tell, in plain words.
fn leaks(terms: Terms) -> impl Iterator<Item = &'static str> {
    let eq = terms.eq.then_some(
        "Stored beside each value: an equality term. A thief of the database learns which values of this\n\
         type are equal and how often each occurs (docs/leakage.md).",
    );
    let ord = terms.ord.then_some(
        "Stored beside each value: an order term. A thief of the database learns the order of all values of this\n\
         type, which are equal, where each two first differ, and how long they are. With values that are few or can be\n\
         guessed (ages, birthdays, scores) that is close to the values themselves (docs/leakage.md).",
    );
    let matching = terms.matching.then_some(
        "Stored beside each value: a match term. A thief of the database learns which values of this type share runs\n\
         of three characters, and finds the common ones by counting. Not for card or ID numbers (docs/leakage.md).",
    );
    let json = terms.json.then_some(
        "Stored beside each document: a json term. A thief of the database learns which documents of this type have equal\n\
         values at equal paths and how often each occurs, and finds common paths and values by counting (docs/leakage.md).",
    );
    eq.into_iter().chain(ord).chain(matching).chain(json)
}

fn adopt(context: &Context, name: &str, url: Option<&str>) -> Outcome {
    let attempted = format!("adopt encrypted type {name}");
    let target = target(context, url, &attempted)?;
    let found = context.block_on(&attempted, async {
        let client = reach(&target, &attempted).await?;
        database::definition(&client, name).await.map_err(|error| db::failure(&attempted, &error))
    })?;
    let Some(found) = found else {
        let advice = "make it: `columnseal type create NAME --as text --terms eq,ord`";
        return Err(Failure::new(Exit::Failed, "type-unknown", attempted, "seal.types has no such type", advice));
    };
    let info = signed(&open(context, &attempted)?, &attempted, &found)?;
    tell(context, &found, &info);
    Ok(())
}

fn signed(workspace: &Workspace, attempted: &str, definition: &TypeDef) -> Result<TypeInfo, Failure> {
    let text = registry::canonical(definition).map_err(|error| db::failure(attempted, &error))?;
    workspace.sign_type(&text, definition.id).map_err(|error| failure(attempted, &error))
}

fn tell(context: &Context, definition: &TypeDef, info: &TypeInfo) {
    context.output.result(&json(info), &format!("seal.{} ({}) is signed", definition.name, info.id));
}

fn list(context: &Context) -> Outcome {
    let attempted = "list encrypted types";
    let types = open(context, attempted)?.types().map_err(|error| failure(attempted, &error))?;
    let rows: Vec<Vec<String>> = types.iter().map(row).collect();
    context.output.list(&json(&types), &["id", "name", "plain", "terms", "signed by"], &rows);
    context.output.note("Ready-made types (seal.text, seal.text_eq, …) need no signature and are not listed.");
    Ok(())
}

fn row(info: &TypeInfo) -> Vec<String> {
    let (name, plain, terms) = match registry::parse(&info.definition) {
        Ok(definition) => {
            let terms = terms(&definition);
            let plain = format!("{:?}", definition.plain).to_lowercase();
            (definition.name, plain, if terms.is_empty() { "-".to_owned() } else { terms })
        }
        Err(_) => ("(unreadable)".to_owned(), "-".to_owned(), "-".to_owned()),
    };
    let signer = if info.admin { format!("{} (admin)", info.signer) } else { info.signer.clone() };
    vec![info.id.clone(), name, plain, terms, signer]
}

/// Terms of a type and its promoted paths.
fn terms(definition: &TypeDef) -> String {
    let listed = |terms: Terms| registry::terms_list(terms).join(",");
    let paths = paths::paths(definition).unwrap_or_default();
    let paths = paths.iter().map(|path| format!("{}={}:{}", path.shown(), path.plain.name(), listed(path.terms)));
    let own = Some(listed(definition.terms)).filter(|own| !own.is_empty());
    own.into_iter().chain(paths).collect::<Vec<_>>().join(" ")
}

fn pins(context: &Context, name: Option<&str>) -> Outcome {
    let attempted = "list pins";
    let pins = open(context, attempted)?.pins(name).map_err(|error| failure(attempted, &error))?;
    let row = |pin: &PinInfo| vec![pin.database.clone(), pin.object.clone(), pin.type_id.clone()];
    let rows: Vec<Vec<String>> = pins.iter().map(row).collect();
    context.output.list(&json(&pins), &["database", "object", "type"], &rows);
    Ok(())
}

fn confirm(context: &Context, object: &str, (name, url): (Option<&str>, Option<&str>)) -> Outcome {
    let attempted = format!("confirm the type of {object}");
    let name = name_or_configured(context, name, &attempted)?;
    let target = target(context, url, &attempted)?;
    let workspace = open(context, &attempted)?;
    let told = |error| failure(&attempted, &error);
    if !workspace.pins(Some(&name)).map_err(told)?.iter().any(|pin| pin.object == object) {
        return Err(not_pinned(&attempted, &name));
    }
    // Definitions that only a proxy has adopted say nothing here.
    let signed = workspace.types().map_err(told)?.into_iter().filter(|info| info.admin);
    let signed = signed.filter_map(|info| Some((info.id.parse().ok()?, info.definition))).collect::<Vec<_>>();
    let catalog = context.block_on(&attempted, async {
        let client = reach(&target, &attempted).await?;
        database::load(&client, &signed, &[], true).await.map_err(|error| db::failure(&attempted, &error))
    })?;
    let (id, kind) = match look(&catalog, object) {
        Some(Found::Encrypted(id, kind)) => (id, kind),
        found => return Err(not_confirmed(&attempted, found)),
    };
    let moved = workspace.confirm_pin(&name, object, id).map_err(told)?;
    let value = serde_json::json!({ "database": name, "object": object, "type_id": id.to_string(), "changed": moved });
    let text = match moved {
        true => format!("{object} in {name} is held to seal.{kind} ({id}) from now on"),
        false => format!("{object} in {name} has the type it is held to, seal.{kind} ({id})"),
    };
    context.output.result(&value, &text);
    Ok(())
}

fn not_confirmed(attempted: &str, found: Option<Found>) -> Failure {
    let gone = "if that is meant, forget the pin: `columnseal type unpin`; if not, somebody changed the database";
    let (why, advice) = match found {
        Some(Found::Unsigned(kind)) => {
            let advice = "look at its definition, and sign it: `columnseal type adopt`";
            (format!("its type seal.{kind} is not signed, or is not as it was signed"), advice)
        }
        Some(Found::Plain) => ("the column is plain".to_owned(), gone),
        _ => ("the column is not there".to_owned(), gone),
    };
    Failure::new(Exit::Failed, "pin-unconfirmed", attempted, why, advice)
}

fn not_pinned(attempted: &str, name: &str) -> Failure {
    let why = format!("database {name} has no pin of that object");
    let advice = "`columnseal type pins` shows every pin; write the object as it stands there";
    Failure::new(Exit::Failed, "pin-unknown", attempted, why, advice)
}

fn unpin(context: &Context, object: &str, name: Option<&str>) -> Outcome {
    let attempted = format!("remove the pin of {object}");
    let name = name_or_configured(context, name, &attempted)?;
    let workspace = open(context, &attempted)?;
    if !workspace.remove_pin(&name, object).map_err(|error| failure(&attempted, &error))? {
        return Err(not_pinned(&attempted, &name));
    }
    let value = serde_json::json!({ "database": name, "object": object, "removed": true });
    context.output.result(&value, &format!("the pin of {object} in {name} is removed"));
    Ok(())
}

fn name_or_configured(context: &Context, name: Option<&str>, attempted: &str) -> Result<String, Failure> {
    if let Some(name) = name {
        return Ok(name.to_owned());
    }
    let database = context.settings(attempted, load_database(&context.environment, &context.sources, None))?;
    database.name.ok_or_else(|| {
        let advice = "pass --name, or set [database] name";
        Failure::new(Exit::Settings, "settings", attempted, "no database is named", advice)
    })
}
