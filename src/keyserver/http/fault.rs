//! What a request is told that cannot be answered: a status, and `{"code", …, "message", "hint"}`.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::keys::error::KeysError;

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The engine's word.
    Keys(KeysError),
    /// HTTP's.
    Http { status: StatusCode, code: &'static str, message: String, hint: &'static str },
}

impl From<KeysError> for Fault {
    fn from(error: KeysError) -> Self {
        Self::Keys(error)
    }
}

impl Fault {
    fn http(status: StatusCode, code: &'static str, message: impl Into<String>, hint: &'static str) -> Self {
        Self::Http { status, code, message: message.into(), hint }
    }

    pub(super) fn not_found() -> Self {
        Self::http(StatusCode::NOT_FOUND, "not_found", "there is no such path", "See /openapi.json.")
    }

    pub(super) fn wrong_method() -> Self {
        Self::http(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "the path takes another method",
            "See /openapi.json.",
        )
    }

    pub(super) fn not_json() -> Self {
        let message = "the body is not said to be application/json";
        Self::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message, "Set Content-Type.")
    }

    pub(super) fn too_long(most: usize) -> Self {
        let message = format!("the body is longer than {most} bytes");
        Self::http(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message, "Send less at a time, or raise max_body.")
    }

    pub(super) fn too_slow() -> Self {
        let message = "the body did not come in time";
        Self::http(StatusCode::REQUEST_TIMEOUT, "too_slow", message, "Send the request at once.")
    }

    pub(super) fn cut_off() -> Self {
        Self::http(StatusCode::BAD_REQUEST, "cut_off", "the body did not come whole", "Send it again.")
    }

    pub(super) fn not_signed() -> Self {
        let message = "there is no Authorization header as a client key makes it";
        Self::http(StatusCode::UNAUTHORIZED, "not_signed", message, "Sign requests with a client key.")
    }

    pub(super) fn no_workspace() -> Self {
        let message = "this key server has no workspace yet";
        let hint = "Run `columnseal init --server URL` with the token that the key server wrote.";
        Self::http(StatusCode::SERVICE_UNAVAILABLE, "no_workspace", message, hint)
    }

    pub(super) fn internal() -> Self {
        let (message, hint) = ("the key server failed", "Look at its log, and please report it.");
        Self::http(StatusCode::INTERNAL_SERVER_ERROR, "internal", message, hint)
    }

    /// HTTP's status.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Keys(error) => status(error),
            Self::Http { status, .. } => *status,
        }
    }

    /// Nothing shows that a client's key signed the request.
    pub(super) fn is_unproven(&self) -> bool {
        use KeysError as E;
        match self {
            Self::Keys(error) => {
                matches!(error, E::Refused { .. } | E::ClientUnknown { .. } | E::ClockSkew { .. } | E::Invalid { .. })
            }
            Self::Http { .. } => true,
        }
    }

    /// What the log may know of it, and the client may not: paths of this machine.
    pub(super) fn cause(&self) -> Option<String> {
        match self {
            Self::Keys(error) => Some(error.to_string()),
            Self::Http { .. } => None,
        }
    }

    /// Seconds after which to ask again.
    pub(super) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Keys(KeysError::TooManyRequests { retry_ms }) => Some(retry_ms.div_ceil(1000).max(1)),
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => Some(1),
            _ => None,
        }
    }

    /// The body.
    pub(super) fn json(self) -> Value {
        let error = match self {
            Self::Http { code, message, hint, .. } => {
                return json!({ "code": code, "message": message, "hint": hint });
            }
            Self::Keys(error) => error.abroad(),
        };
        let (message, hint) = (error.to_string(), error.hint());
        let mut body = serde_json::to_value(&error).unwrap_or_else(|_| json!({ "code": "unavailable", "why": "" }));
        if let Some(body) = body.as_object_mut() {
            body.insert("message".to_owned(), message.into());
            body.insert("hint".to_owned(), hint.into());
        }
        body
    }
}

fn status(error: &KeysError) -> StatusCode {
    use KeysError as E;
    match error {
        E::Refused { .. } | E::ClientUnknown { .. } | E::ClockSkew { .. } => StatusCode::UNAUTHORIZED,
        E::ClientDisabled { .. }
        | E::ClientExpired { .. }
        | E::NoGrant { .. }
        | E::Revoked { .. }
        | E::GrantExpired { .. }
        | E::KeysetDisabled { .. }
        | E::PermissionMissing { .. }
        | E::NotAdmin { .. }
        | E::Policy { .. } => StatusCode::FORBIDDEN,
        E::UnknownKeyset { .. } => StatusCode::NOT_FOUND,
        E::GrantChanged | E::Conflict | E::Exists { .. } | E::OtherWorkspace { .. } => StatusCode::CONFLICT,
        E::Invalid { .. } | E::NoKeysetChosen => StatusCode::BAD_REQUEST,
        E::Tampered { .. } | E::RolledBack { .. } | E::BadAnswer { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        E::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_travels_and_comes_back() {
        for error in [
            KeysError::Revoked { keyset: "k".into() },
            KeysError::GrantChanged,
            KeysError::ClockSkew { skew_ms: -70_000 },
            KeysError::refused("it was made before"),
        ] {
            let body = Fault::Keys(error.clone()).json();
            assert!(body["message"].is_string() && body["hint"].is_string());
            assert_eq!(serde_json::from_value::<KeysError>(body).expect("it is read"), error);
        }
    }

    #[test]
    fn paths_of_this_machine_stay_here() {
        let path = std::path::PathBuf::from("/secret/store.db");
        let body = Fault::Keys(KeysError::StoreCorrupt { path, what: "page 7".into() }).json().to_string();
        assert!(!body.contains("secret") && !body.contains("page 7"), "{body}");
    }
}
