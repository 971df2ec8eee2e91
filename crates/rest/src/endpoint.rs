//! Where a unit is asked.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a unit is asked: `http://127.0.0.1:8080`, or `unix:` and the path of a socket.
///
/// ```
/// use diptych_rest::Endpoint;
/// let endpoint: Endpoint = "http://127.0.0.1:8080/".parse().unwrap();
/// assert_eq!(endpoint.to_string(), "http://127.0.0.1:8080");
/// assert!("https://127.0.0.1".parse::<Endpoint>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Over TCP: host and port.
    Http(String),
    /// Over a Unix socket.
    Unix(PathBuf),
}

/// A text that is no [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no unit's address: say http://127.0.0.1:8080 or unix:DIR/control.sock")]
pub struct EndpointError {
    text: String,
}

impl Endpoint {
    /// What a request says as its host.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Http(host) => host,
            Self::Unix(_) => "localhost",
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let error = || EndpointError { text: text.to_owned() };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(error()) } else { Ok(Self::Unix(path.into())) };
        }
        let host = text.strip_prefix("http://").ok_or_else(error)?;
        let host = host.strip_suffix('/').unwrap_or(host);
        let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if name.is_empty() || !name.chars().all(plain) || port.parse::<u16>().is_err() {
            return Err(error());
        }
        Ok(Self::Http(format!("{name}:{port}")))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(host) => write!(f, "http://{host}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        fn check(text: &str, expected: Option<&str>) {
            let shown = text.parse::<Endpoint>().ok().map(|endpoint| endpoint.to_string());
            assert_eq!(shown.as_deref(), expected, "{text:?}");
        }
        check("http://127.0.0.1:8080", Some("http://127.0.0.1:8080"));
        check("http://[::1]:8080/", Some("http://[::1]:8080"));
        check("http://array", Some("http://array:80"));
        check("unix:/run/control.sock", Some("unix:/run/control.sock"));
        check("unix:", None);
        check("http://", None);
        check("http://a b:1", None);
        check("http://host:port", None);
        check("http://host:1/v1", None);
        check("127.0.0.1:8080", None);
        check("", None);
    }
}
