//! The OpenAPI document, made from the types that are read and written and from the list that is dispatched.

use std::sync::OnceLock;

use axum::body::Bytes;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::keys::request::Body as _;
use crate::keys::service::{SERVICE_PATH, ServiceInfo, Watch};

use super::super::bootstrap::{AskOffer, FOUND_PATH, Founding, OFFER_PATH, ServiceOffer};
use super::super::engine::ROUTES;

/// The document.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(make)
}

/// The document's text.
pub(super) fn text() -> Bytes {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    TEXT.get_or_init(|| document().to_string().into()).clone()
}

fn make() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator();
    let mut paths = Map::new();
    for route in ROUTES {
        let (body, answer) = ((route.body)(&mut generator), (route.answer)(&mut generator));
        let operation = operation(route.path, route.summary, answer, Some(body), true);
        paths.insert(route.path.to_owned(), json!({ "post": operation }));
    }
    open_paths(&mut paths, &mut generator);
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Columnseal key server",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": DESCRIPTION,
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "signature": {
                "type": "apiKey", "in": "header", "name": "Authorization", "description": SCHEME,
            } },
        },
    })
}

const DESCRIPTION: &str = "The key service of one Columnseal workspace. Ids are uuids, key ids 16 hexadecimal digits, all \
    other bytes base64url without padding; unknown fields are refused. Every answer to a request with an Authorization \
    header carries Columnseal-Signature: the service's Ed25519 signature over `\"columnseal answer v1\" || client id \
    16 || u32 length, method || u32 length, path || nonce 16 || u32 status || SHA-256(body)`, the first four of them the \
    request's, numbers big-endian.";

const SCHEME: &str = "`Columnseal client=UUID,time=MS,nonce=B64,signature=B64`, in this order. The signature is Ed25519, by \
    the client's key, over `\"columnseal req v1\" || service id 16 || client id 16 || u32 length, method || u32 length, path \
    || u64 time || nonce 16 || SHA-256(body)`. The time is in milliseconds since 1970 and may be 60 s off. A nonce serves \
    for one change.";

const EVENTS: &str = "Each event has `event` (standing, refused, end), `id` (generation.revision) and two lines of `data`: a \
    JSON object {counter, event}, and the service's signature over `\"columnseal answer v1\" || client id 16 || u32 \
    length, method || u32 length, path || nonce 16 || u32 0 || u64 counter || SHA-256(first line)`. Counters begin with 1. `standing` comes at once, at each \
    change and every 2 s; after `refused` and `end` the stream ends.";

/// What needs no client key, and the event stream.
fn open_paths(paths: &mut Map<String, Value>, generator: &mut SchemaGenerator) {
    let info = generator.subschema_for::<ServiceInfo>();
    let service = operation(SERVICE_PATH, "Which key service answers here", info, None, false);
    paths.insert(SERVICE_PATH.to_owned(), json!({ "get": service }));
    let (ask, offered) = (generator.subschema_for::<AskOffer>(), generator.subschema_for::<ServiceOffer>());
    let offer = operation(OFFER_PATH, "The server's public keys, for the first admin", offered, Some(ask), false);
    paths.insert(OFFER_PATH.to_owned(), json!({ "post": offer }));
    let (founding, done) = (generator.subschema_for::<Founding>(), generator.subschema_for::<()>());
    let found = operation(FOUND_PATH, "Founds the workspace, once", done, Some(founding), false);
    paths.insert(FOUND_PATH.to_owned(), json!({ "post": found }));
    let nothing = generator.subschema_for::<()>();
    let mut events = operation(Watch::PATH, "The client's standing, as it changes", nothing, None, true);
    events["description"] = EVENTS.into();
    events["responses"]["200"]["content"] = json!({ "text/event-stream": { "schema": { "type": "string" } } });
    events["parameters"] = json!([{
        "name": "Last-Event-ID", "in": "header", "required": false,
        "description": "The last id that was seen.",
        "schema": { "type": "string", "pattern": "^[0-9]{1,19}\\.[0-9]{1,19}$" },
    }]);
    paths.insert(Watch::PATH.to_owned(), json!({ "get": events }));
    let text = |summary: &str, id: &str, failing: bool| {
        let content = json!({ "text/plain": { "schema": { "type": "string" } } });
        let mut responses = json!({ "200": { "description": "Yes", "content": content } });
        if failing {
            responses["503"] = json!({ "description": "No, and why", "content": content });
        }
        json!({ "get": { "operationId": id, "summary": summary, "security": [], "responses": responses } })
    };
    paths.insert("/healthz".to_owned(), text("The process runs", "healthz", false));
    paths.insert("/readyz".to_owned(), text("It can serve", "readyz", true));
    let whole = json!({ "200": {
        "description": "OpenAPI 3.1", "content": { "application/json": { "schema": { "type": "object" } } },
    } });
    let document = json!({ "operationId": "openapi", "summary": "This document", "security": [], "responses": whole });
    paths.insert("/openapi.json".to_owned(), json!({ "get": document }));
}

fn operation(path: &str, summary: &str, answer: Schema, body: Option<Schema>, signed: bool) -> Value {
    let id = path.trim_start_matches("/v1/").replace('/', "_");
    let mut responses = json!({ "200": {
        "description": "The answer", "content": { "application/json": { "schema": answer } },
    } });
    for (status, description) in STATUSES {
        responses[status] = json!({
            "description": description,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
    }
    for status in ["429", "503"] {
        responses[status]["headers"] = json!({ "Retry-After": {
            "description": "Seconds.", "schema": { "type": "integer", "minimum": 1 },
        } });
    }
    let security = if signed { json!([{ "signature": [] }]) } else { json!([]) };
    let mut operation = json!({ "operationId": id, "summary": summary, "security": security, "responses": responses });
    if let Some(schema) = body {
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

const STATUSES: [(&str, &str); 12] = [
    ("400", "The request is malformed or cannot be done with these inputs"),
    ("401", "The request is not signed by a known client, or its time is off"),
    ("403", "The client may not do this"),
    ("404", "There is no such thing"),
    ("408", "The body did not come in time"),
    ("409", "Somebody else changed the workspace meanwhile, or the thing exists"),
    ("413", "The body is too long"),
    ("415", "The body is not JSON"),
    ("429", "The client asks too often"),
    ("431", "The head is too long"),
    ("500", "The key server failed, or its store was altered"),
    ("503", "The store cannot be used just now, or there is no workspace yet"),
];

/// Further fields go by the code.
fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["code", "message", "hint"],
        "properties": {
            "code": { "type": "string", "pattern": "^[a-z_]+$", "description": "What went wrong, for programs." },
            "message": { "type": "string", "description": "What went wrong, in one line." },
            "hint": { "type": "string", "description": "What to do about it." },
        },
        "examples": [{
            "code": "revoked", "keyset": "default",
            "message": "the client's grant for keyset \"default\" was revoked",
            "hint": "An admin can grant it with `columnseal client grant`.",
        }],
    })
}
