//! The compose strategy: a scenario without code. Its parameters are shelves, each a list of steps, and it does them.
//!
//! ```json
//! {"shelves": [{"id": "deals", "title": "Deals", "size": 6, "steps": [
//!     {"retrieve": [{"source": "trending", "scope": "region", "limit": 200}, {"source": "newest", "limit": 50}]},
//!     {"keep": "item.price < 50.0 && item.stock > 0.0"},
//!     {"without_seen": ["purchase"]},
//!     {"score": "ranker"},
//!     {"compute": {"column": "lifted", "formula": "score * (1.0 + 0.2 * item.ctr)"}},
//!     {"order_by": "lifted"},
//!     {"cap": {"column": "item.brand", "most": 2}},
//!     {"pin": ["sku-1"]}
//! ]}]}
//! ```
//!
//! A shelf begins with `retrieve`; items that stand on an earlier shelf are left out of it. A model or a space that is
//! not there is passed over: `score` blends all sources instead, `spread` leaves the order. Anything else that is wrong
//! refuses the request and names its place: `shelf 2, step 3, keep: ...`. A shelf without items is left out.

mod steps;

use qianmian_sdk::prelude::*;
use serde_json::Value;
use steps::{SourceSpec, Step};

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    kinds: Kinds,
    shelves: Option<Vec<ShelfSpec>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShelfSpec {
    id: String,
    #[serde(default)]
    title: String,
    size: Option<u32>,
    /// Read one by one, so that an error names its step.
    steps: Vec<Value>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { kinds: Kinds(vec![ItemKind::Product]), shelves: None }
    }
}

struct Compose;

impl Strategy for Compose {
    type Parameters = Parameters;
    const ABOUT: About = About {
        name: "compose",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Shelves of steps given as parameters: a strategy without code.",
        parameters_schema: include_str!("schema.json"),
        needs: Needs::EVERYTHING,
    };

    fn compose(request: &Request, parameters: Parameters) -> Result<Page> {
        let mut page = Page::new();
        let Some(shelves) = &parameters.shelves else {
            let mix = Mix::new().with(Source::trending("trending", 200), 1.0).with(Source::newest("newest", 100), 0.2);
            let set = mix.retrieve(&parameters.kinds.0)?;
            set.without(&request.items);
            mix.rank(&set, None)?;
            set.take(request.limit);
            return Ok(page.shelf("popular", "", set));
        };
        for (at, shelf) in shelves.iter().enumerate() {
            let size = shelf.size.unwrap_or(u32::MAX).min(page.room(request.limit));
            let set = run(at + 1, shelf, &parameters.kinds.0, &page)?;
            set.take(size);
            page.push(&shelf.id, &shelf.title, set, Vec::new());
        }
        Ok(page)
    }
}

/// Does the steps of the shelf `number`, from 1.
fn run(number: usize, shelf: &ShelfSpec, kinds: &[ItemKind], page: &Page) -> Result<Set> {
    let mut set = None;
    for (at, step) in shelf.steps.iter().enumerate() {
        let name = step.as_object().and_then(|step| step.keys().next()).map_or("", String::as_str);
        let place = |error: Error| error.at(&format!("shelf {number}, step {}, {name}", at + 1));
        let step = Step::read(step).map_err(place)?;
        match (&set, step) {
            (None, Step::Retrieve(sources)) => {
                let built = |(at, source): (usize, &SourceSpec)| {
                    source.build(kinds).map_err(|error| place(error.at(&format!("source {}", at + 1))))
                };
                let sources = sources.iter().enumerate().map(built).collect::<Result<Vec<_>>>()?;
                let found = Set::retrieve(sources).map_err(place)?;
                found.without(page.rows());
                set = Some(found);
            }
            (None, _) => return Err(place(Error::reject("expected retrieve: a shelf begins with it"))),
            (Some(_), Step::Retrieve(_)) => {
                return Err(place(Error::reject("a second retrieve: name all sources in the first step")));
            }
            (Some(set), step) => step.apply(set).map_err(place)?,
        }
    }
    set.ok_or_else(|| Error::reject(format!("shelf {number}: no steps: a shelf begins with retrieve")))
}

qianmian_sdk::export!(Compose);
