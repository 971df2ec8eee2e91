//! Where a server listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// An address of a server: `127.0.0.1:10809`, `[::1]:10809`, or `unix:` and a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP. Port 0 is any free one.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A text that is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address: say 127.0.0.1:10809, [::1]:10809 or unix:/path/to/socket")]
pub struct AddressError {
    text: String,
}

impl Address {
    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError { text: text.to_owned() };
        match text.strip_prefix("unix:") {
            Some("") => Err(error()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| error()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn texts() {
        #[track_caller]
        fn check(text: &str, local: Option<bool>) {
            let address = text.parse::<Address>().ok();
            assert_eq!(address.as_ref().map(Address::is_local), local, "{text}");
            if let Some(address) = address {
                assert_eq!(address.to_string(), text);
            }
        }
        check("127.0.0.1:10809", Some(true));
        check("[::1]:0", Some(true));
        check("0.0.0.0:10809", Some(false));
        check("unix:/run/x y", Some(true));
        check("unix:", None);
        check("localhost:10809", None);
        check("127.0.0.1", None);
        check("", None);
    }
}
