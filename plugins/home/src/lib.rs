//! The home strategy: what a visitor sees first.
//!
//! A page of shelves, each with its own candidates; no item stands on two of them, and shelves of a fixed size choose
//! first. The shelf `for_you` mixes what is
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
        // Filters, models and spaces are parameters.
        needs: Needs { sources: &["*"], spaces: &["*"], models: &["*"], columns: &["*"], ..Needs::NOTHING },
    };

    fn compose(request: &Request, parameters: Parameters) -> Result<Page> {
        let shelves = parameters.shelves();
        let mut filled: Vec<Option<Set>> = shelves.iter().map(|_| None).collect();
        let mut taken = Vec::new();
        for at in order(&shelves) {
            let size = size(&shelves, at, request.limit, taken.len() as u32, &filled);
            if size > 0 {
                let shelf = &shelves[at];
                let set = fill(&parameters, shelf, size, &taken).map_err(|e| e.at(&format!("shelf {}", shelf.id)))?;
                taken.extend(set.rows());
                filled[at] = Some(set);
            }
        }
        let mut page = Page::new();
        for (shelf, set) in shelves.iter().zip(filled) {
            if let Some(set) = set {
                page.push(&shelf.id, &shelf.title, set, Vec::new());
            }
        }
        Ok(page)
    }
}

/// Shelves of a fixed size choose first: few items fit them, while the others find something for everybody.
fn order(shelves: &[ShelfSpec]) -> impl Iterator<Item = usize> {
    let of = |open: bool| (0..shelves.len()).filter(move |at| shelves[*at].size.is_none() == open);
    of(false).chain(of(true))
}

/// The slots of shelf `at` when `taken` are gone: fixed ones get their size, but leave half of the page to the others;
/// those share what is left.
fn size<T>(shelves: &[ShelfSpec], at: usize, limit: u32, taken: u32, filled: &[Option<T>]) -> u32 {
    let left = limit.saturating_sub(taken);
    let open = || shelves.iter().zip(filled).filter(|(shelf, done)| shelf.size.is_none() && done.is_none()).count();
    match shelves[at].size {
        Some(size) if open() > 0 => size.min((limit / 2).saturating_sub(taken)),
        Some(size) => size.min(left),
        None => left.div_ceil(open().max(1) as u32),
    }
}

fn fill(parameters: &Parameters, shelf: &ShelfSpec, size: u32, taken: &[Row]) -> Result<Set> {
    let kinds = shelf.kinds.as_ref().unwrap_or(&parameters.kinds);
    let mix = mix(parameters, shelf.from);
    let set = mix.retrieve(&kinds.0)?;
    set.without(taken);
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
