//! The storefront page: the same composition every storefront gets, rendered to HTML.

use super::recommend::request_id;
use crate::app::App;
use crate::error::ApiError;
use crate::recommend::{Answer, RecommendRequest, answer::VisitorIds, now_ms, recommend};
use crate::storefront::{self, CONTENT_SECURITY_POLICY, Lang, Learned, Query, Storefront, Visit};
use axum::Router;
use axum::extract::{Path, Query as QueryString, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use qianmian_core::ItemKind;
use qianmian_state::Item;
use std::sync::{Arc, LazyLock};

/// The templates, parsed once.
static STOREFRONT: LazyLock<Result<Storefront, minijinja::Error>> = LazyLock::new(Storefront::demo);

pub(super) fn routes() -> Router<Arc<App>> {
    storefront::assets().iter().fold(
        Router::new()
            .route("/", get(home))
            .route("/item/{id}", get(item))
            .route("/cart", get(cart))
            .route("/compare", get(compare)),
        |router, asset| {
            let head = [(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, "max-age=300")];
            router.route(asset.path, get(move || async move { (head, asset.bytes) }))
        },
    )
}

fn shop() -> Result<&'static Storefront, ApiError> {
    STOREFRONT.as_ref().map_err(ApiError::internal)
}

fn language(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok())
}

fn html(page: Result<String, minijinja::Error>) -> Result<Response, ApiError> {
    let mut response = page.map(|page| axum::response::Html(page).into_response()).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn home(
    State(app): State<Arc<App>>,
    QueryString(query): QueryString<Query>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let visit = shop()?.visit(&query, language(&headers));
    let answer = ask(&app, &visit, "home", Vec::new(), &headers).await?;
    let items = items(&app);
    html(shop()?.home(&visit, &answer, &learned(&app, &visit), &items))
}

async fn item(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    QueryString(query): QueryString<Query>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let visit = shop()?.visit(&query, language(&headers));
    let items = items(&app);
    let Some(item) = items(&id) else {
        let page = shop()?.message(&visit, 404, &format!("no item with id {id:?}"));
        let mut response = html(page)?;
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    };
    let scenario = if item.kind == ItemKind::Content { "content" } else { "product" };
    let answer = ask(&app, &visit, scenario, vec![id], &headers).await?;
    html(shop()?.item(&visit, &item, &answer, &learned(&app, &visit), &items))
}

async fn cart(
    State(app): State<Arc<App>>,
    QueryString(query): QueryString<Query>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let visit = shop()?.visit(&query, language(&headers));
    let answer =
        if visit.cart.is_empty() { None } else { Some(ask(&app, &visit, "cart", visit.cart.clone(), &headers).await?) };
    let items = items(&app);
    html(shop()?.cart(&visit, answer.as_ref(), &learned(&app, &visit), &items))
}

async fn compare(
    State(app): State<Arc<App>>,
    QueryString(query): QueryString<Query>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (left, right) = shop()?.visits(&query, language(&headers));
    let left_answer = ask(&app, &left, "home", Vec::new(), &headers).await?;
    let right_answer = ask(&app, &right, "home", Vec::new(), &headers).await?;
    let items = items(&app);
    html(shop()?.compare(
        (&left, &left_answer, &learned(&app, &left)),
        (&right, &right_answer, &learned(&app, &right)),
        &items,
    ))
}

/// The request any storefront would send.
async fn ask(
    app: &Arc<App>,
    visit: &Visit,
    scenario: &str,
    anchors: Vec<String>,
    headers: &HeaderMap,
) -> Result<Answer, ApiError> {
    let lang = if visit.lang == Lang::Zh { "zh" } else { "en" };
    let mut context = std::collections::BTreeMap::from([("lang".to_owned(), lang.to_owned())]);
    if !visit.region.is_empty() {
        context.insert("region".to_owned(), visit.region.clone());
    }
    let asked = RecommendRequest {
        scenario: scenario.to_owned(),
        visitor: Some(VisitorIds { id: Some(visit.id.clone()), anonymous_id: None }),
        channel: Some(visit.channel.clone()),
        context,
        items: anchors,
        limit: Some(24),
        personalised: Some(visit.personalised),
        ..RecommendRequest::default()
    };
    recommend(app, asked, request_id(headers)).await
}

fn items(app: &App) -> impl Fn(&str) -> Option<Arc<Item>> + use<> {
    let catalogue = app.state.catalogue.current();
    move |id| catalogue.item(id).cloned()
}

fn learned(app: &App, visit: &Visit) -> Learned {
    let catalogue = app.state.catalogue.current();
    if !visit.personalised {
        return Learned { now: now_ms(), ..Learned::default() };
    }
    let visitor = app.state.visitor(&visit.id);
    Learned {
        events: visitor.events,
        recent: visitor.recent.iter().take(12).map(|i| catalogue.ids[i.item.index()].to_string()).collect(),
        now: now_ms(),
    }
}
