//! Where a logical unit is: `iscsi://HOST:PORT/TARGET/LUN`, as `diptych serve` prints it.

use std::fmt;
use std::str::FromStr;

/// The port that targets usually listen on.
const PORT: u16 = 3260;

/// The address of a logical unit.
///
/// ```
/// use diptych_iscsi::client::IscsiUrl;
/// let url: IscsiUrl = "iscsi://[::1]/iqn.2026-01.example.diptych:7.cl1-a/3".parse().unwrap();
/// assert_eq!((url.host.as_str(), url.port, url.lun), ("::1", 3260, 3));
/// assert!("http://127.0.0.1/".parse::<IscsiUrl>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IscsiUrl {
    /// The host, by its name or address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The name of the target.
    pub target: String,
    /// The logical unit.
    pub lun: u8,
}

/// Why a text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It does not begin as one, or has not its parts.
    #[error("a logical unit is at iscsi://HOST:PORT/TARGET/LUN")]
    Shape,
    /// The port is none.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// The LUN is none.
    #[error("a LUN is a number from 0 to 255")]
    Lun,
    /// A user, or a password, stands in it.
    #[error("a user does not belong into the address, where others see it")]
    User,
}

impl FromStr for IscsiUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let rest = text.strip_prefix("iscsi://").ok_or(UrlError::Shape)?;
        let mut parts = rest.split('/');
        let (Some(portal), Some(target), Some(lun), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(UrlError::Shape);
        };
        if portal.contains('@') {
            return Err(UrlError::User);
        }
        let (host, port) = match portal.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or(UrlError::Port)?)),
            None => match portal.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (portal, None),
            },
        };
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port {
            None => PORT,
            Some(port) if is_number(port) => {
                port.parse().ok().filter(|port| *port > 0).ok_or(UrlError::Port)?
            }
            Some(_) => return Err(UrlError::Port),
        };
        if host.is_empty() || target.is_empty() {
            return Err(UrlError::Shape);
        }
        let lun = is_number(lun).then(|| lun.parse().ok()).flatten().ok_or(UrlError::Lun)?;
        Ok(Self { host: host.to_owned(), port, target: target.to_owned(), lun })
    }
}

impl fmt::Display for IscsiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, target, lun } = self;
        match host.contains(':') {
            true => write!(f, "iscsi://[{host}]:{port}/{target}/{lun}"),
            false => write!(f, "iscsi://{host}:{port}/{target}/{lun}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        #[track_caller]
        fn check(text: &str, expected: Result<&str, UrlError>) {
            let found = text.parse::<IscsiUrl>().map(|url| url.to_string());
            assert_eq!(found, expected.map(str::to_owned), "{text}");
        }
        check("iscsi://127.0.0.1:3261/iqn.x/0", Ok("iscsi://127.0.0.1:3261/iqn.x/0"));
        check(
            "iscsi://array.example/iqn.x:y.cl1-a/255",
            Ok("iscsi://array.example:3260/iqn.x:y.cl1-a/255"),
        );
        check("iscsi://[2001:db8::1]:7/iqn.x/1", Ok("iscsi://[2001:db8::1]:7/iqn.x/1"));
        for text in
            ["", "nbd://x/y/0", "iscsi://x/y", "iscsi://x/y/0/1", "iscsi:///y/0", "iscsi://x//0"]
        {
            check(text, Err(UrlError::Shape));
        }
        for port in ["", "0", "65536", "+1", "x"] {
            check(&format!("iscsi://x:{port}/y/0"), Err(UrlError::Port));
        }
        check("iscsi://[::1]7/y/0", Err(UrlError::Port));
        for lun in ["", "256", "-1", "+1", "x"] {
            check(&format!("iscsi://x/y/{lun}"), Err(UrlError::Lun));
        }
        check("iscsi://me%secret@x/y/0", Err(UrlError::User));
    }
}
