//! What every request passes and every answer gets: who may talk to a loopback server, headers, and problems in one form.

use crate::app::App;
use crate::error::ApiError;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// Until there are access tokens, whoever reaches the port may do anything. A web page that somebody on this machine looks
/// at must not be one of them: neither by a request across sites nor by a name that resolves to this machine.
pub(super) async fn same_site(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match check(request.headers(), &app.config.allowed_hosts) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn check(headers: &HeaderMap, allowed: &[String]) -> Result<(), ApiError> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).unwrap_or_default();
    if !host.is_empty() && !is_local(host) && !allowed.iter().any(|name| name.eq_ignore_ascii_case(host)) {
        let detail = format!("this server is not {host:?}: use localhost, or name the host in allowed_hosts");
        return Err(ApiError::new(StatusCode::FORBIDDEN, "wrong_host", detail));
    }
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    match origin {
        Some(origin) if !origin.eq_ignore_ascii_case(host) => {
            let detail = format!("a page of {origin:?} may not use this server");
            Err(ApiError::new(StatusCode::FORBIDDEN, "cross_origin", detail))
        }
        // "null" and the like: a page of nowhere.
        None if headers.contains_key(header::ORIGIN) => {
            Err(ApiError::new(StatusCode::FORBIDDEN, "cross_origin", "a page of no origin may not use this server"))
        }
        _ => Ok(()),
    }
}

/// Whether an authority names this machine: localhost or a loopback address, with any port.
fn is_local(host: &str) -> bool {
    let Some(name) = host.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)) else { return false };
    let bare = name.trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Longest text of a foreign error that is kept.
const MOST_TEXT: usize = 4_096;

/// Errors of the framework (too large, a broken path, query or form) as problem documents, and fixed headers on all.
pub(super) async fn finish(response: Response) -> Response {
    let status = response.status();
    let problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"));
    let plain =
        response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let mut response = if (status.is_client_error() || status.is_server_error()) && !problem && plain {
        let body = to_bytes(response.into_body(), MOST_TEXT).await.unwrap_or_default();
        let said = String::from_utf8_lossy(&body).into_owned();
        let (code, detail) = match status {
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", format!("{said}: send less at once, or raise max_body")),
            StatusCode::NOT_FOUND => ("not_found", said),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_media_type", said),
            _ if status.is_server_error() => ("internal", said),
            _ => ("bad_request", said),
        };
        ApiError::new(status, code, detail).into_response()
    } else {
        response
    };
    // Nothing here is to be framed, sniffed or run from elsewhere.
    const FIXED: [(HeaderName, &str); 4] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ];
    for (name, value) in FIXED {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(host: &str, origin: Option<&str>) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).expect("a host"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).expect("an origin"));
        }
        check(&headers, &["shop.example".to_owned()]).map_or_else(|error| error.code, |()| "ok")
    }

    #[test]
    fn pages_from_elsewhere_are_kept_out() {
        for host in ["localhost", "localhost:7700", "127.0.0.1:7700", "127.8.9.1", "[::1]:7700", "shop.example"] {
            assert_eq!(code(host, None), "ok", "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:7700", "10.0.0.1", "[::2]"] {
            assert_eq!(code(host, None), "wrong_host", "{host}");
        }
        assert_eq!(code("localhost:7700", Some("http://localhost:7700")), "ok");
        for origin in ["http://evil.example", "http://localhost:8080", "null"] {
            assert_eq!(code("localhost:7700", Some(origin)), "cross_origin", "{origin}");
        }
    }
}
