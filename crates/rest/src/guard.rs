//! Nobody's browser is made to give commands.
//!
//! A page of any origin can make a browser send requests to this machine, and can have a name resolve
//! to it. So a request is let through only if it is to an address or to `localhost`, and if it does not
//! come from a page of another origin. Programs say no origin.

use crate::problem::Failure;
use axum::extract::Request;
use axum::http::header::{HOST, HeaderMap, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, SocketAddr};

/// Lets a request through, or refuses it.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    match look(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

fn look(uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
    let forbidden = |code, message: &str| Failure::new(StatusCode::FORBIDDEN, code, message);
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = uri.authority().map(Authority::as_str).or_else(|| text(HOST));
    let host = host.ok_or_else(|| Failure::bad("a request says to which host it is"))?;
    if !is_address(host) {
        let refused = forbidden("foreign-host", "the unit is asked by its address, not by a name");
        return Err(refused.or("use the address that diptych serve has said"));
    }
    match text(ORIGIN) {
        Some(origin) if origin.strip_prefix("http://") != Some(host) => {
            Err(forbidden("foreign-origin", "the request comes from a page of another origin"))
        }
        _ => Ok(()),
    }
}

/// Whether it is an address or `localhost`, with or without a port.
fn is_address(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    host.parse::<SocketAddr>().is_ok() || bare.parse::<IpAddr>().is_ok() || {
        let name = name.parse::<IpAddr>().map_or(name, |_| "localhost");
        name.eq_ignore_ascii_case("localhost")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_let_through() {
        #[track_caller]
        fn check(host: Option<&'static str>, origin: Option<&'static str>, expected: u16) {
            let mut headers = HeaderMap::new();
            let given = [(HOST, host), (ORIGIN, origin)];
            for (name, value) in given.into_iter().filter_map(|(name, v)| v.map(|v| (name, v))) {
                headers.insert(name, value.parse().expect("a value"));
            }
            let status = match look(&Uri::from_static("/v1/ldevs"), &headers) {
                Ok(()) => 200,
                Err(failure) => failure.into_response().status().as_u16(),
            };
            assert_eq!(status, expected, "{host:?} {origin:?}");
        }
        check(Some("127.0.0.1:8080"), None, 200);
        check(Some("127.0.0.1"), None, 200);
        check(Some("[::1]:8080"), None, 200);
        check(Some("[::1]"), None, 200);
        check(Some("localhost"), None, 200);
        check(Some("LOCALHOST:8080"), None, 200);
        check(Some("127.0.0.1:8080"), Some("http://127.0.0.1:8080"), 200);
        check(Some("127.0.0.1:8080"), Some("http://127.0.0.1:9"), 403);
        check(Some("127.0.0.1:8080"), Some("https://example.com"), 403);
        check(Some("127.0.0.1:8080"), Some("null"), 403);
        check(Some("example.com"), None, 403);
        check(Some("example.com:8080"), Some("http://example.com:8080"), 403);
        check(Some("localhost.example.com"), None, 403);
        check(Some(""), None, 403);
        check(None, None, 400);
    }
}
