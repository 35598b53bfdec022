//! Spans as the JSON that OTLP over HTTP takes: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>. Ids are
//! hexadecimal, 64-bit numbers are texts.

use std::time::SystemTime;

use serde_json::{Value as Json, json};

use super::{Span, Value};

/// The body of one request.
pub(super) fn body(spans: &[Span]) -> Json {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [attribute("service.name", &"columnseal".into()), attribute("service.version", &version.into())];
    let scope = json!({ "name": "columnseal", "version": version });
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": scope, "spans": spans }],
    }]})
}

fn span(span: &Span) -> Json {
    let attributes: Vec<Json> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    let mut json = json!({
        "traceId": hex::encode(span.context.trace),
        "spanId": hex::encode(span.context.span),
        "name": span.name,
        "kind": span.kind as u8,
        "startTimeUnixNano": nanos(span.time.0),
        "endTimeUnixNano": nanos(span.time.1),
        "attributes": attributes,
    });
    if let Some(parent) = span.parent {
        json["parentSpanId"] = hex::encode(parent).into();
    }
    if let Some(link) = span.link {
        json["links"] = json!([{ "traceId": hex::encode(link.trace), "spanId": hex::encode(link.span) }]);
    }
    if let Some(error) = &span.error {
        /// STATUS_CODE_ERROR.
        const ERROR: u8 = 2;
        json["status"] = json!({ "code": ERROR, "message": error });
    }
    json
}

fn attribute(name: &str, value: &Value) -> Json {
    let value = match value {
        Value::Text(text) => json!({ "stringValue": text }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Real(number) => json!({ "doubleValue": number }),
    };
    json!({ "key": name, "value": value })
}

fn nanos(time: SystemTime) -> String {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}
