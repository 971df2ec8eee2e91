//! The routes. Each file has those of one noun.

mod content;
mod groups;
mod history;
mod host_groups;
mod ldevs;
mod lus;
mod pairs;
mod schedules;
mod status;
mod users;

use crate::guard::guard;
use crate::management::App;
use crate::problem::Failure;
use crate::server::RestLimits;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use serde::de::DeserializeOwned;

/// All routes, within the limits.
pub(crate) fn router(app: App, limits: RestLimits) -> Router {
    let whole = Router::new()
        .route("/healthz", get(status::health))
        .route("/metrics", get(status::metrics))
        .route("/v1/status", get(status::status))
        .route("/v1/ldevs", get(ldevs::list).post(ldevs::create))
        .route("/v1/ldevs/{ldev}", get(ldevs::show).patch(ldevs::change).delete(ldevs::delete))
        .route("/v1/ldevs/{ldev}/format", post(ldevs::format))
        .route("/v1/ldevs/{ldev}/release", post(ldevs::release))
        .route("/v1/ldevs/{ldev}/accept", post(ldevs::accept))
        .route("/v1/pairs", get(pairs::list).post(pairs::create))
        .route("/v1/pairs/{primary}/{secondary}", get(pairs::show).patch(pairs::pace))
        .route("/v1/pairs/{primary}/{secondary}/{command}", post(pairs::command))
        .route("/v1/history", get(history::history))
        .route("/v1/groups", get(groups::list))
        .route("/v1/groups/{name}", get(groups::show).put(groups::define).delete(groups::remove))
        .route("/v1/groups/{name}/{command}", post(groups::command))
        .route("/v1/lus", get(lus::list).post(lus::add))
        .route("/v1/lus/{path}", delete(lus::remove))
        .route("/v1/host-groups", get(host_groups::list).post(host_groups::create))
        .route(
            "/v1/host-groups/{group}",
            get(host_groups::show).patch(host_groups::rename).delete(host_groups::delete),
        )
        .route("/v1/host-groups/{group}/initiators", post(host_groups::admit))
        .route("/v1/host-groups/{group}/initiators/{name}", delete(host_groups::dismiss))
        .route("/v1/users", get(users::list).post(users::add))
        .route("/v1/users/{name}", patch(users::change_secret).delete(users::remove))
        .route("/v1/schedules", get(schedules::list).post(schedules::add))
        .route("/v1/schedules/{id}", delete(schedules::remove))
        .with_state(app.clone())
        .layer(from_fn_with_state(limits, whole_body));
    let streamed = Router::new()
        .route("/v1/ldevs/{ldev}/content", get(content::export).put(content::import))
        .layer(DefaultBodyLimit::disable())
        .with_state((app, limits));
    whole.merge(streamed).fallback(nothing).layer(from_fn(guard))
}

async fn nothing(request: Request) -> Failure {
    let (method, path) = (request.method(), request.uri().path());
    Failure::missing("no-route", format_args!("there is no {method} {path}"))
}

/// Receives the body as a whole, in time and within its limit, before anybody acts on it.
async fn whole_body(State(limits): State<RestLimits>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let received = tokio::time::timeout(limits.stalled, to_bytes(body, limits.body_bytes)).await;
    let bytes = match received {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let most = limits.body_bytes;
            let message = format_args!("a body has at most {most} bytes");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Failure::new(status, "too-large", message).into_response();
        }
        Err(_) => {
            let status = StatusCode::REQUEST_TIMEOUT;
            return Failure::new(status, "too-slow", "the body did not come in time")
                .into_response();
        }
    };
    let method = parts.method.clone();
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    // The framework answers this one without a body.
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return no_method(&method).into_response();
    }
    response
}

fn no_method(method: &Method) -> Failure {
    let message = format_args!("this path does not know {method}");
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "no-method", message)
}

/// A body of JSON. Its type must be said: a page of another origin cannot say it unasked.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let asked = axum::Json::<T>::from_request(request, state).await;
        asked.map(|axum::Json(asked)| Self(asked)).map_err(|refused| match refused.status() {
            // Whatever of the body makes no sense.
            StatusCode::UNPROCESSABLE_ENTITY => Failure::bad(refused.body_text()),
            status => Failure::new(status, "bad-request", refused.body_text()),
        })
    }
}

/// What stands behind the question mark.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> axum::extract::FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Failure> {
        let asked = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        asked
            .map(|axum::extract::Query(asked)| Self(asked))
            .map_err(|refused| Failure::bad(refused.body_text()))
    }
}
