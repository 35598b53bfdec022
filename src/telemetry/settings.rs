//! Settings of this room.

/// Form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// `[log]` and `[metrics]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter as `tracing` reads it.
    pub level: String,
    /// Form of log lines.
    pub format: LogFormat,
    /// Where `/metrics`, `/healthz` and `/readyz` are served; `None`: nowhere.
    pub listen: Option<std::net::SocketAddr>,
}
