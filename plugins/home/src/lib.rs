//! The home strategy: what a visitor sees first.
//!
//! A page of shelves, each with its own candidates; no item stands on two of them. The shelf `for_you` mixes what is
//! near the visitor, bought together with, viewed together with and following what they had, what they buy again, what
//! trends with everybody and in their region, what is new, and a little exploration; it is ranked by a model, or by
//! blending where there is none, and alike items are kept apart. For a visitor nobody knows only what trends, what is
//! new and exploration find anything, so there is a page for everybody.
//!
//! With `flat` the page is one shelf of `limit` slots, ranked: for clients that want a list, and for evaluation.
//!
//! Names of the sources, for `sources`, `weights`, and the features of a model (`source.NAME.rank`): `near`,
//! `bought_together`, `viewed_together`, `next_after`, `buy_again`, `same_category`, `trending`, `trending_region`,
//! `newest`, `exploration`.

mod parameters;

use parameters::{From, Parameters, ShelfSpec};
use qianmian_sdk::prelude::*;

struct Home;

impl Strategy for Home {
    type Parameters = Parameters;
    const ABOUT: About = About {
        name: "home",
        version: env!("CARGO_PKG_VERSION"),
        summary: "What a visitor sees first: for you, buy again, new.",
        parameters_schema: include_str!("schema.json"),
        attributes: &[],
    };

    fn compose(request: &Request, parameters: Parameters) -> Result<Page> {
        let mut page = Page::new();
        let shelves = parameters.shelves();
        let sizes = sizes(&shelves, request.limit);
        for (shelf, size) in shelves.iter().zip(sizes) {
            let size = size.min(page.room(request.limit));
            if size > 0 {
                let set = fill(&parameters, shelf, size, &page).map_err(|e| e.at(&format!("shelf {}", shelf.id)))?;
                page.push(&shelf.id, &shelf.title, set, Vec::new());
            }
        }
        Ok(page)
    }
}

/// Fixed sizes as they are; shelves without one share what is left, at least half of the page.
fn sizes(shelves: &[ShelfSpec], limit: u32) -> Vec<u32> {
    let fixed: u32 = shelves.iter().filter_map(|shelf| shelf.size).sum();
    let open = shelves.iter().filter(|shelf| shelf.size.is_none()).count().max(1) as u32;
    let rest = limit.saturating_sub(fixed).max(limit.div_ceil(2)).div_ceil(open);
    shelves.iter().map(|shelf| shelf.size.unwrap_or(rest)).collect()
}

fn fill(parameters: &Parameters, shelf: &ShelfSpec, size: u32, page: &Page) -> Result<Set> {
    let kinds = shelf.kinds.as_ref().unwrap_or(&parameters.kinds);
    let mix = mix(parameters, shelf.from);
    let set = mix.retrieve(&kinds.0)?;
    set.without(page.rows());
    if parameters.only_new {
        set.without_seen(&[EventKind::Purchase]);
    }
    if let Some(keep) = &parameters.keep {
        set.keep(keep)?;
    }
    mix.rank(&set, parameters.model.as_deref())?;
    parameters.diversity().apply(&set, size)?;
    Ok(set)
}

fn mix(parameters: &Parameters, from: From) -> Mix {
    let mix = match from {
        From::ForYou => for_you(parameters),
        From::BuyAgain => Mix::new().with(Source::buy_again("buy_again", 60), 1.0),
        From::New => Mix::new().with(Source::newest("newest", 60), 1.0),
        From::Trending => Mix::new()
            .with(Source::trending_in("trending_region", Scope::Region, 60), 1.0)
            .with(Source::trending("trending", 100), 0.5),
    };
    let mix = mix.tuned(&parameters.sources, &parameters.weights);
    if parameters.only_new { mix.without("buy_again") } else { mix }
}

fn for_you(parameters: &Parameters) -> Mix {
    Mix::new()
        .near(parameters.space.as_deref(), |space| Source::near_visitor("near", space, 100), 1.0)
        .with(Source::bought_together("bought_together", Basis::History, 100), 1.0)
        .with(Source::viewed_together("viewed_together", Basis::History, 50), 0.8)
        .with(Source::next_after("next_after", Basis::History, 50), 0.8)
        .with(Source::buy_again("buy_again", 50), 1.0)
        .with(Source::same("same_category", Attribute::Category, 30), 0.3)
        .with(Source::trending("trending", 50), 0.4)
        .with(Source::trending_in("trending_region", Scope::Region, 30), 0.4)
        .with(Source::newest("newest", 20), 0.2)
        .with(Source::exploration("exploration", 5), 0.1)
}

qianmian_sdk::export!(Home);
