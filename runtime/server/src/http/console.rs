//! The console: pages where tags and segments are defined and visitors looked up. They are files that use the API as
//! anybody does; which page an address is, the browser decides.

use crate::app::App;
use crate::storefront::Asset;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Nothing inline, nothing from elsewhere, and no text that becomes elements.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The addresses of the page.
const PAGES: [&str; 9] = [
    "/console",
    "/console/",
    "/console/tags",
    "/console/tags/{name}",
    "/console/new-tag",
    "/console/segments",
    "/console/segments/{name}",
    "/console/new-segment",
    "/console/visitor",
];

const PAGE: Asset = Asset {
    path: "/console",
    content_type: "text/html; charset=utf-8",
    bytes: include_bytes!("../../assets/console/index.html"),
};

macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        Asset {
            path: concat!("/console/assets/", $name),
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../assets/console/", $name)),
        }
    };
    ($name:literal) => {
        asset!($name, "text/javascript; charset=utf-8")
    };
}

const FILES: [Asset; 20] = [
    asset!("console.css", "text/css; charset=utf-8"),
    asset!("api.js"),
    asset!("app.js"),
    asset!("columns.js"),
    asset!("condition.js"),
    asset!("dom.js"),
    asset!("estimate.js"),
    asset!("forms.js"),
    asset!("list-page.js"),
    asset!("lists.js"),
    asset!("messages.js"),
    asset!("person.js"),
    asset!("recent.js"),
    asset!("segment.js"),
    asset!("segments.js"),
    asset!("tag-kinds.js"),
    asset!("tag.js"),
    asset!("tags.js"),
    asset!("visitor.js"),
    asset!("words.js"),
];

pub(super) fn routes() -> Router<Arc<App>> {
    let pages = PAGES.into_iter().map(|path| Asset { path, ..PAGE });
    pages.chain(FILES).fold(Router::new(), |router, asset| {
        let tag = digest(asset.bytes);
        router.route(asset.path, get(move |asked: HeaderMap| async move { answer(&asked, asset, tag) }))
    })
}

/// What a file is known by: browsers ask whether theirs is still the one.
fn digest(bytes: &[u8]) -> HeaderValue {
    let digest = hex::encode(&Sha256::digest(bytes)[..16]);
    HeaderValue::try_from(format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn answer(asked: &HeaderMap, asset: Asset, tag: HeaderValue) -> Response {
    let same = asked.get(header::IF_NONE_MATCH) == Some(&tag);
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::ETAG, tag),
    ];
    if same { (StatusCode::NOT_MODIFIED, head).into_response() } else { (head, asset.bytes).into_response() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn text(asset: &Asset) -> &'static str {
        std::str::from_utf8(asset.bytes).expect("UTF-8")
    }

    fn file(name: &str) -> &'static str {
        FILES.iter().find(|asset| asset.path.ends_with(&format!("/{name}"))).map(text).expect("a file")
    }

    /// Each key with its Chinese and its English text.
    fn messages() -> BTreeMap<String, [String; 2]> {
        let (_, json) = file("messages.js").split_once("MESSAGES = ").expect("the messages");
        serde_json::from_str(json.trim_end().trim_end_matches(';')).expect("strict JSON")
    }

    /// The values a text has room for; words that follow their number are a language's own.
    fn places(text: &str) -> BTreeSet<&str> {
        let inside = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
        inside.map(|(name, _)| name).filter(|name| !name.contains(':')).collect()
    }

    #[test]
    fn both_languages_say_everything() {
        let messages = messages();
        assert_eq!(messages.len(), file("messages.js").matches("\": [\"").count(), "no key stands there twice");
        for (key, [chinese, english]) in &messages {
            assert!(!chinese.trim().is_empty() && !english.trim().is_empty(), "{key} is empty");
            assert_eq!(places(chinese), places(english), "{key} has the same values in both");
        }
    }

    #[test]
    fn every_message_that_is_said_is_there() {
        let messages = messages();
        // columns of visitors look like keys
        let mut areas: BTreeSet<&str> = messages.keys().filter_map(|key| key.split('.').next()).collect();
        areas.remove("visitor");
        let is_key = |text: &str| {
            let plain = |b: u8| b.is_ascii_lowercase() || b == b'.' || b == b'_';
            let area = text.split_once('.').map(|(area, rest)| (area, !rest.is_empty() && !rest.ends_with('.')));
            text.bytes().all(plain) && area.is_some_and(|(area, whole)| whole && areas.contains(area))
        };
        let mut seen = 0;
        for script in FILES.iter().filter(|asset| asset.path.ends_with(".js")).map(text) {
            for key in script.split('"').filter(|text| is_key(text)) {
                seen += 1;
                assert!(messages.contains_key(key), "{key} is no message");
            }
        }
        assert!(seen > 200, "the scripts say {seen} messages");
    }

    #[test]
    fn every_file_says_what_it_is_for_and_makes_no_elements_of_texts() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/console");
        let there = std::fs::read_dir(folder).expect("a folder").count();
        assert_eq!(there, FILES.len() + 1, "every file is served");
        for asset in &FILES {
            let text = text(asset);
            assert!(text.starts_with("//! ") || text.starts_with("/*! "), "{} says what it is for", asset.path);
            assert!(text.lines().count() <= 600, "{} is long", asset.path);
            for banned in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "://"] {
                assert!(!text.contains(banned), "{} has {banned}", asset.path);
            }
        }
        let page = text(&PAGE);
        assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=\"/console/").count());
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("://"));
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let tag = digest(PAGE.bytes);
        let mut asked = HeaderMap::new();
        assert_eq!(answer(&asked, PAGE, tag.clone()).status(), StatusCode::OK);
        asked.insert(header::IF_NONE_MATCH, tag.clone());
        let response = answer(&asked, PAGE, tag);
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert!(response.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    }
}
