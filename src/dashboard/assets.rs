//! The stylesheet, the script and the icon: one of each, within the program. Their addresses change with their contents, so
//! browsers keep them.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/script.js");
const ICON: &str = include_str!("assets/icon.svg");

/// A file as it is sent.
pub(super) struct Asset {
    kind: &'static str,
    text: &'static str,
}

struct Addresses {
    style: String,
    script: String,
    icon: String,
}

fn addresses() -> &'static Addresses {
    static ADDRESSES: OnceLock<Addresses> = OnceLock::new();
    let of = |text: &str, ending: &str| format!("/assets/{}.{ending}", hex::encode(&Sha256::digest(text)[..8]));
    ADDRESSES.get_or_init(|| Addresses { style: of(STYLE, "css"), script: of(SCRIPT, "js"), icon: of(ICON, "svg") })
}

/// Where the stylesheet is.
pub(super) fn style() -> &'static str {
    &addresses().style
}

/// Where the script is.
pub(super) fn script() -> &'static str {
    &addresses().script
}

/// Where the icon is.
pub(super) fn icon() -> &'static str {
    &addresses().icon
}

/// The file at an address.
pub(super) fn find(path: &str) -> Option<Asset> {
    let all = addresses();
    let found = |kind, text| Some(Asset { kind, text });
    match path {
        _ if path == all.style => found("text/css; charset=utf-8", STYLE),
        _ if path == all.script => found("text/javascript; charset=utf-8", SCRIPT),
        _ if path == all.icon => found("image/svg+xml", ICON),
        _ => None,
    }
}

impl IntoResponse for Asset {
    fn into_response(self) -> Response {
        let keep = "public, max-age=31536000, immutable";
        ([(header::CONTENT_TYPE, self.kind), (header::CACHE_CONTROL, keep)], self.text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_page_brings_is_small_and_asks_nobody_else() {
        assert!(STYLE.len() + SCRIPT.len() + ICON.len() < 40 * 1024);
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("@import"));
        }
        assert!(!SCRIPT.contains("innerHTML") && !SCRIPT.contains("eval("), "nothing is made of text");
        assert!(find("/assets/x.css").is_none() && find(style()).is_some());
    }
}
