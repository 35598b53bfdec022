//! Before any page: assets, the name by which the server was found, where a form comes from, the session and the form's token.
//! Behind it: headers and the cookie.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http_body_util::{BodyExt, Limited};
use percent_encoding::percent_decode_str;

use crate::crypto::ClientId;
use crate::keys::error::KeysError;
use crate::keys::request::Origin;
use crate::keyserver::http::Peer;

use super::answer::{Answer, Fault};
use super::desk::Desk;
use super::form::Form;
use super::frame::{Frame, bare, whole};
use super::place::{Kind, Place};
use super::session::{Ended, Session};
use super::visit::Visit;
use super::{assets, routes, sign_in};

/// Longest form, in bytes.
const MAX_FORM: usize = 64 * 1024;
/// For a form to come.
const FORM_TIME: Duration = Duration::from_secs(10);
/// What the script's looks for news carry: they do not keep a session alive.
const LIVE: &str = "columnseal-live";

/// On everything that goes out. `same-origin`: a form of ours says where it comes from, and nobody else hears of it.
const HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("x-robots-tag", "noindex"),
];

/// One place with its sessions.
pub(super) struct Door {
    pub(super) place: Arc<dyn Place>,
    pub(super) ended: Ended,
    desk: Arc<Desk>,
    /// Names of those who are signed in.
    names: Mutex<HashMap<ClientId, String>>,
}

/// What is known of a request before its page.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Form,
    pub(super) form: Option<Form>,
    pub(super) origin: Origin,
    pub(super) address: Option<IpAddr>,
    /// The script looks for news.
    live: bool,
    cookie: Option<String>,
}

/// The pages of a place.
pub(super) fn router(place: Arc<dyn Place>) -> Router {
    let local = place.kind() == Kind::Local;
    let door = Arc::new(Door { place, ended: Ended::default(), desk: Arc::default(), names: Mutex::default() });
    let mut router = Router::new().route("/", get(enter).post(enter));
    for room in routes::ROOMS {
        router = router.route(&format!("/{room}"), get(enter).post(enter));
        router = router.route(&format!("/{room}/{{*rest}}"), get(enter).post(enter));
    }
    if local {
        router = router.fallback(enter);
    }
    router.with_state(door)
}

async fn enter(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut response = match assets::find(head.uri.path()) {
        Some(asset) => asset.into_response(),
        None => door.answer(&head, body).await,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

impl Door {
    async fn answer(self: &Arc<Self>, head: &Parts, body: Body) -> Response {
        let address = address(head);
        if let Err(error) = self.place.admit(address) {
            return plain(StatusCode::TOO_MANY_REQUESTS, &error.to_string());
        }
        if let Err(why) = self.is_ours(head) {
            self.place.note(address, None);
            return plain(StatusCode::FORBIDDEN, why);
        }
        let form = match head.method {
            Method::POST => match read(&head.headers, body).await {
                Ok(form) => Some(form),
                Err((status, why)) => return plain(status, why),
            },
            _ => None,
        };
        let cookie = cookie(&head.headers, self.place.cookie());
        let asked = Asked {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: Form::read(head.uri.query().unwrap_or_default()).unwrap_or_default(),
            form,
            origin: Origin { address: address.map(|address| address.to_string()), version: None },
            address,
            live: head.headers.contains_key(LIVE),
            cookie,
        };
        let door = Arc::clone(self);
        // Pages ask the key service, and wait for it.
        let answered = tokio::task::spawn_blocking(move || door.page(&asked)).await;
        answered.unwrap_or_else(|error| {
            tracing::error!(%error, "a page failed");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the page failed: look at the log, and please report it")
        })
    }

    /// The server was called by a name of its own, and a form comes from a page of its own.
    fn is_ours(&self, head: &Parts) -> Result<(), &'static str> {
        let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let host = head.uri.authority().map(|authority| authority.as_str()).or_else(|| text(header::HOST));
        let host = host.ok_or("the request does not say which host it is for")?;
        let name = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(host, |(name, _)| name);
        if self.place.hosts().is_some_and(|hosts| !hosts.iter().any(|known| known == host || known == name)) {
            return Err("this is not the address of this page: open the one that columnseal printed");
        }
        if head.method != Method::POST {
            return Ok(());
        }
        let elsewhere = Err("the form comes from another page: nothing was done");
        if let Some(origin) = head.headers.get(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            let secure = origin.strip_prefix("https://");
            let from = if self.place.tls() { secure } else { secure.or_else(|| origin.strip_prefix("http://")) };
            return if from == Some(host) { Ok(()) } else { elsewhere };
        }
        match text(HeaderName::from_static("sec-fetch-site")) {
            None | Some("same-origin" | "none") => Ok(()),
            Some(_) => elsewhere,
        }
    }

    /// Everything behind the first checks. Blocks.
    fn page(self: &Arc<Self>, asked: &Asked) -> Response {
        if asked.path == "/login" {
            return sign_in::login(self, asked);
        }
        let session = match self.session(asked) {
            Ok(session) => session,
            Err(error) => return self.failed(asked, None, &Fault::Keys(error)),
        };
        let Some(session) = session else {
            self.place.note(asked.address, None);
            self.place.knocked();
            return sign_in::signed_out(self, asked);
        };
        self.place.note(asked.address, Some(session.client));
        if let Some(form) = &asked.form {
            if asked.path == "/resume" {
                return self.visit(asked, &session, Some(form));
            }
            if !session.made(form.text("csrf")) {
                return sign_in::kept(self, asked, "This form is from another session. Nothing was done.");
            }
            if asked.path == "/logout" {
                self.ended.end(&session);
                return sign_in::left(self);
            }
        }
        self.visit(asked, &session, None)
    }

    /// Who is signed in.
    fn session(&self, asked: &Asked) -> Result<Option<Session>, KeysError> {
        let (idle, mut found) = (self.place.idle(), None);
        if let Some(cookie) = &asked.cookie {
            self.place.signing(&mut |key| found = Session::read(cookie, key, idle))?;
        }
        Ok(found.filter(|session| !self.ended.has(session)))
    }

    /// `kept`: fields of a form that could not be taken before; its page is shown with them.
    fn visit(&self, asked: &Asked, session: &Session, kept: Option<&Form>) -> Response {
        let workspace = match self.place.workspace(session.client, asked.origin.clone()) {
            Ok(workspace) => workspace,
            Err(error) => return self.failed(asked, Some(session), &Fault::Keys(error)),
        };
        let (path, query, form) = match kept {
            Some(form) => {
                let to = form.text("to");
                let (path, query) = to.split_once('?').unwrap_or((to, ""));
                let behind = Form::read(query).unwrap_or_default();
                (path, form.without(&["to", "csrf", "stamp"]).and(behind), None)
            }
            None => (asked.path.as_str(), asked.query.clone(), asked.form.clone()),
        };
        let changes = form.is_some();
        let visit = Visit {
            kind: self.place.kind(),
            path: segments(path),
            query,
            form,
            token: session.token(),
            who: session.client,
            workspace,
            desk: Arc::clone(&self.desk),
        };
        let answer = routes::dispatch(&visit);
        if changes {
            self.place.changed();
            // Somebody may have another name now.
            self.names.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let response = match answer {
            Ok(Answer::Page { status, title, body, live }) => {
                let frame = Frame {
                    live,
                    flash: visit.query.text("done"),
                    who: Some(self.name(session.client, &visit)),
                    ..self.frame(&title, &visit.path, session)
                };
                html(status, whole(&frame, body).into_string())
            }
            Ok(Answer::See(to)) => see(&to),
            Ok(Answer::File { name, kind, body }) => file(name, kind, body),
            Err(fault) => self.failed(asked, Some(session), &fault),
        };
        self.keep_session(response, asked, session)
    }

    fn frame<'a>(&self, title: &'a str, path: &'a [String], session: &Session) -> Frame<'a> {
        Frame {
            kind: self.place.kind(),
            title,
            room: path.first().map_or("", String::as_str),
            who: None,
            token: session.token(),
            flash: "",
            live: None,
        }
    }

    fn name(&self, who: ClientId, visit: &Visit) -> String {
        let known = self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&who).cloned();
        known.unwrap_or_else(|| {
            let found = visit.workspace.client(&who.to_string()).map(|client| client.name);
            let Ok(name) = found else { return who.to_string()[..8].to_owned() };
            self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(who, name.clone());
            name
        })
    }

    /// A page about what went wrong.
    pub(super) fn failed(&self, asked: &Asked, session: Option<&Session>, fault: &Fault) -> Response {
        let (status, title, body) = sign_in::failure(fault, asked);
        let text = match session {
            None => bare(self.place.kind(), &title, body).into_string(),
            Some(session) => {
                let path = segments(&asked.path);
                whole(&self.frame(&title, &path, session), body).into_string()
            }
        };
        html(status, text)
    }

    fn keep_session(&self, response: Response, asked: &Asked, session: &Session) -> Response {
        if asked.live {
            return response;
        }
        match session.used(self.place.idle()) {
            Some(session) => self.signed_in(response, &session),
            None => response,
        }
    }

    /// Adds the cookie.
    pub(super) fn signed_in(&self, response: Response, session: &Session) -> Response {
        let mut value = None;
        let signed = self.place.signing(&mut |key| value = Some(session.write(key)));
        match (signed, value) {
            (Ok(()), Some(value)) => self.with_cookie(response, &value, ""),
            _ => response,
        }
    }

    /// Takes the cookie away.
    pub(super) fn signed_off(&self, response: Response) -> Response {
        self.with_cookie(response, "", "; Max-Age=0")
    }

    fn with_cookie(&self, mut response: Response, value: &str, more: &str) -> Response {
        let (name, secure) = (self.place.cookie(), if self.place.tls() { "; Secure" } else { "" });
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

fn segments(path: &str) -> Vec<String> {
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    path.split('/').filter(|part| !part.is_empty()).map(decoded).collect()
}

fn address(head: &Parts) -> Option<IpAddr> {
    let served = head.extensions.get::<Peer>().map(|peer| peer.0);
    let local = || head.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    served.or_else(local).map(|address| address.ip().to_canonical())
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Form, (StatusCode, &'static str)> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is no form"));
    }
    let whole = tokio::time::timeout(FORM_TIME, Limited::new(body, MAX_FORM).collect()).await;
    let too_long = (StatusCode::PAYLOAD_TOO_LARGE, "the form is longer than 64 KiB, or did not come whole");
    let bytes = match whole {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Err(too_long),
        Err(_) => return Err((StatusCode::REQUEST_TIMEOUT, "the form did not come in time")),
    };
    let text = std::str::from_utf8(&bytes).ok().and_then(Form::read);
    text.ok_or((StatusCode::BAD_REQUEST, "the form cannot be read"))
}

/// For programs and for what no page of ours leads to.
pub(super) fn plain(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n")).into_response()
}

pub(super) fn html(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

/// Look there, with GET.
pub(super) fn see(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

fn file(name: &str, kind: &'static str, body: Body) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
