//! `client create`, `request`, `approve` and `rotate`: keys that are made here, elsewhere, or anew.

use std::time::Duration;

use columnseal::config::{load_store, parse_span};
use columnseal::crypto::client_request::ClientRequest;
use columnseal::crypto::root::RootFingerprint;
use columnseal::keys::permissions::Permissions;
use columnseal::keyserver::workspace::{ClientKind, NewClient, RequestedClient};
use serde_json::json;

use super::super::Context;
use super::super::output::{Exit, Failure, Outcome};
use super::super::workspace::{failure, json as as_json, lifetime, open};
use super::output::{Form, Handed, Place, form};
use super::shown;

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub(super) enum Kind {
    Application,
    Device,
}

impl From<Kind> for ClientKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Application => Self::Application,
            Kind::Device => Self::Device,
        }
    }
}

/// What a new client is and may do.
#[derive(clap::Args, Debug)]
struct Terms {
    /// A keyset to grant; may be repeated [default: none]
    #[arg(long = "keyset", value_name = "KEYSET")]
    keysets: Vec<String>,
    /// What the key is for; device keys may have development keysets only
    #[arg(long, value_enum, default_value_t = Kind::Application)]
    kind: Kind,
    /// What the grants allow
    #[arg(long, value_name = "PERMISSIONS", default_value_t = Permissions::APPLICATION)]
    allow: Permissions,
    /// The client ends after this, as 90d [default: never]
    #[arg(long, value_name = "SPAN", value_parser = lifetime)]
    expires: Option<Duration>,
    /// Whose it is: a person or a team
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    owner: String,
}

impl Terms {
    fn client(&self, name: &str) -> NewClient {
        NewClient {
            keysets: self.keysets.clone(),
            permissions: self.allow,
            expires: self.expires,
            owner: self.owner.clone(),
            ..NewClient::named(name, self.kind.into())
        }
    }

    fn remark(&self, context: &Context) {
        if self.keysets.is_empty() {
            context.output.note("No keyset is granted yet: `columnseal client grant ID KEYSET`.");
        }
    }
}

/// Arguments of `client create`.
#[derive(clap::Args, Debug)]
pub(in super::super) struct Create {
    /// A name, unique in the workspace
    name: String,
    #[command(flatten)]
    terms: Terms,
    /// Form of the result: env, json or file:PATH (mode 0600)
    #[arg(long, value_name = "FORM", default_value = "env", value_parser = form)]
    output: Form,
}

impl Create {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let attempted = format!("create client key {}", self.name);
        let workspace = open(context, &attempted)?;
        let mut place = Place::prepare(&self.output, &attempted)?;
        let created = workspace.create_client(&self.terms.client(&self.name)).map_err(|error| {
            place.abandon();
            failure(&attempted, &error)
        })?;
        self.terms.remark(context);
        let (id, secret) = (&created.client.id, &created.secret);
        let handed = Handed { id, secret, beside: ("client", as_json(&created.client)), more: None };
        place.hand_over(context, &handed).map_err(|why| {
            // A key that nobody has is of no use to anybody.
            place.abandon();
            let advice = match workspace.delete_client(id) {
                Ok(_) => "the client was removed again; give the output another way, or --output file:PATH".to_owned(),
                Err(_) => format!("delete the client ({id}) and make another"),
            };
            Failure::new(Exit::Failed, "files", &attempted, why, advice)
        })
    }
}

/// Arguments of `client request`.
#[derive(clap::Args, Debug)]
pub(in super::super) struct Request {
    /// A name to propose to the admin
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// The workspace's root fingerprint [default: of this device's key, or of the key store]
    #[arg(long, value_name = "FINGERPRINT")]
    root: Option<RootFingerprint>,
    /// Where the key goes: env, json or file:PATH (mode 0600) [default: file:client-ID.env]
    #[arg(long, value_name = "FORM", value_parser = form)]
    output: Option<Form>,
}

impl Request {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let attempted = "make a client key to be approved";
        let (settings, _) = context.settings(attempted, load_store(&context.environment, &context.sources))?;
        let made = RequestedClient::make(&self.name, self.root, &settings.home, &settings.store.clone().into());
        let made = made.map_err(|error| failure(attempted, &error))?;
        let output = self
            .output
            .clone()
            .unwrap_or_else(|| Form::File(context.environment.directory().join(format!("client-{}.env", made.id))));
        let mut place = Place::prepare(&output, attempted)?;
        let text = made.request.to_text();
        let more = match output {
            Form::File(_) => text.clone(),
            Form::Env | Form::Json => format!("CS_CLIENT_REQUEST={text}\n"),
        };
        let handed = Handed { id: &made.id, secret: &made.secret, beside: ("request", json!(text)), more: Some(more) };
        place.hand_over(context, &handed).map_err(|why| {
            place.abandon();
            Failure::new(Exit::Failed, "files", attempted, why, "nobody knows of this key: make another")
        })?;
        context.output.note(&format!(
            "It works once an admin of workspace {} has run: columnseal client approve {text} --keyset KEYSET",
            made.request.root
        ));
        Ok(())
    }
}

/// Arguments of `client approve`.
#[derive(clap::Args, Debug)]
pub(in super::super) struct Approve {
    /// What `client request` printed: csrq1_…
    request: String,
    /// The client's name [default: the one it asks for]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    terms: Terms,
}

impl Approve {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let attempted = "approve a client key";
        let request = read_request(attempted, &self.request)?;
        let workspace = open(context, attempted)?;
        let new = self.terms.client(self.name.as_ref().unwrap_or(&request.name));
        let client = workspace.approve_request(&request, &new).map_err(|error| failure(attempted, &error))?;
        self.terms.remark(context);
        context.output.result(&as_json(&client), &format!("{} is let in", shown(&client)));
        Ok(())
    }
}

/// Arguments of `client rotate`.
#[derive(clap::Args, Debug)]
pub(in super::super) struct Rotate {
    /// Id or name
    client: String,
    /// The old key goes on for this long; 0 ends it at once
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = overlap)]
    overlap: Duration,
    /// The new key was made where it will be used: what `client request` printed there
    #[arg(long, value_name = "STRING", conflicts_with = "output")]
    to: Option<String>,
    /// Form of the result: env, json or file:PATH (mode 0600)
    #[arg(long, value_name = "FORM", default_value = "env", value_parser = form)]
    output: Form,
}

impl Rotate {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let attempted = format!("rotate client {}", self.client);
        let request = self.to.as_deref().map(|text| read_request(&attempted, text)).transpose()?;
        let workspace = open(context, &attempted)?;
        let mut place = match request {
            Some(_) => None,
            None => Some(Place::prepare(&self.output, &attempted)?),
        };
        let rotated = workspace.rotate_client(&self.client, self.overlap, request.as_ref()).map_err(|error| {
            place.iter().for_each(Place::abandon);
            failure(&attempted, &error)
        })?;
        let (client, old) = (&rotated.client, &rotated.old);
        match (&mut place, &rotated.secret) {
            (Some(place), Some(secret)) => {
                let beside = ("client", json!({ "new": as_json(client), "old": as_json(old) }));
                let handed = Handed { id: &client.id, secret, beside, more: None };
                place.hand_over(context, &handed).map_err(|why| {
                    place.abandon();
                    let advice = format!("the old key goes on as \"{}\"; rotate {} again", old.name, client.name);
                    Failure::new(Exit::Failed, "files", &attempted, why, advice)
                })?;
            }
            _ => {
                let value = json!({ "new": as_json(client), "old": as_json(old) });
                context.output.result(&value, &format!("{} has its new key", shown(client)));
            }
        }
        let until = old.expires.as_deref().unwrap_or("never");
        context.output.note(&format!("The old key is now \"{}\" and ends {until}.", old.name));
        Ok(())
    }
}

fn overlap(text: &str) -> Result<Duration, String> {
    parse_span(text).ok_or_else(|| "write a time span such as 7d or 12h, or 0".to_owned())
}

fn read_request(attempted: &str, text: &str) -> Result<ClientRequest, Failure> {
    ClientRequest::from_text(text.trim()).map_err(|error| {
        let advice = "copy the whole string that `columnseal client request` printed on the other machine";
        Failure::new(Exit::Failed, "client-request", attempted, format!("the string {error}"), advice)
    })
}
