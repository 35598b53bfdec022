//! What a page answers.

use axum::body::Body;
use axum::http::StatusCode;
use maud::Markup;

use crate::keys::error::KeysError;

/// What goes back to the browser.
pub(super) enum Answer {
    /// A page, with this title.
    Page { status: StatusCode, title: String, body: Markup, live: Option<u32> },
    /// Look there: after everything that was done.
    See(String),
    /// A file to keep.
    File { name: &'static str, kind: &'static str, body: Body },
}

/// Why there is none.
pub(super) enum Fault {
    /// The key service's word.
    Keys(KeysError),
    /// There is no such page, or thing.
    NotFound(String),
    /// Somebody else changed what this was about. Where to look at it.
    Changed { what: String, back: String },
}

/// What pages return.
pub(super) type Result<T = Answer> = std::result::Result<T, Fault>;

impl From<KeysError> for Fault {
    fn from(error: KeysError) -> Self {
        Self::Keys(error)
    }
}

impl Answer {
    /// A page.
    pub(super) fn page(title: impl Into<String>, body: Markup) -> Self {
        Self::Page { status: StatusCode::OK, title: title.into(), body, live: None }
    }

    /// A page whose form was not right.
    pub(super) fn wrong(title: impl Into<String>, body: Markup) -> Self {
        Self::Page { status: StatusCode::UNPROCESSABLE_ENTITY, title: title.into(), body, live: None }
    }

    /// The page looks for news every few seconds.
    pub(super) fn live(self, seconds: u32) -> Self {
        match self {
            Self::Page { status, title, body, .. } => Self::Page { status, title, body, live: Some(seconds) },
            other => other,
        }
    }
}
