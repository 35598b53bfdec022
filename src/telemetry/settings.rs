//! Settings of this room.

/// Form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// `[traces]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Traces {
    /// Where spans are posted to.
    pub endpoint: hyper::Uri,
    /// Which share of traces that begin in the proxy is kept, from 0 to 1.
    pub sample: f64,
}

/// `[log]`, `[metrics]` and `[traces]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter as `tracing` reads it.
    pub level: String,
    /// Form of log lines.
    pub format: LogFormat,
    /// From when on a statement is slow; `None`: none is.
    pub slow_statement: Option<std::time::Duration>,
    /// Where traces go; `None`: nowhere.
    pub traces: Option<Traces>,
    /// Where `/metrics`, `/healthz` and `/readyz` are served; `None`: nowhere.
    pub listen: Option<std::net::SocketAddr>,
}
