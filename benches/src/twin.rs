//! The native twin of `plugins/home`: the same composition over the same traits, without a sandbox.
//!
//! It exists to measure what the sandbox costs, and is never served. [`crate::sandbox`] checks that both compose the
//! same pages before it measures.

use qianmian_core::expr::Expression;
use qianmian_core::source::Attribute;
use qianmian_core::{
    Basis, Candidates, ColumnValues, ItemKind, ItemRow, Page, Reach, ReachError, RequestContext, Retrieved, Scope,
    Shelf, Source, SourceSpec, diversity,
};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Deserialize;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

type Result<T> = std::result::Result<T, ReachError>;

/// Constant of reciprocal-rank fusion, as the host has it.
const RANK_SHIFT: f32 = 60.0;

/// The parameters of `home` that the twin knows; the meaning is in the plugin's schema.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    model: Option<String>,
    space: Option<String>,
    keep: Option<String>,
    kinds: Option<Vec<String>>,
    only_new: bool,
    flat: bool,
    sources: BTreeMap<String, u32>,
    weights: BTreeMap<String, f32>,
    spread: Option<f32>,
    per_category: Option<u32>,
    #[serde(skip)]
    prepared: Prepared,
}

#[derive(Clone, Debug, Default)]
struct Prepared {
    kinds: Vec<ItemKind>,
    keep: Option<Expression>,
}

#[derive(Clone, Copy)]
enum From {
    ForYou,
    BuyAgain,
    New,
}

impl Parameters {
    /// Reads the JSON of a scenario once, as a native strategy would at its release.
    ///
    /// # Errors
    /// JSON that does not fit, an unknown kind, a wrong expression.
    pub fn parse(json: &str) -> anyhow::Result<Self> {
        let mut parameters: Self = serde_json::from_str(json)?;
        let kinds = parameters.kinds.clone().unwrap_or_else(|| vec!["product".to_owned()]);
        parameters.prepared.kinds = kinds
            .iter()
            .map(|kind| kind.parse())
            .collect::<std::result::Result<_, String>>()
            .map_err(anyhow::Error::msg)?;
        parameters.prepared.keep = parameters.keep.as_deref().map(Expression::parse).transpose()?;
        Ok(parameters)
    }
}

/// Composes a page.
///
/// # Errors
/// What the reach refuses and `home` does not go on without.
pub fn compose(ctx: &RequestContext, reach: &Reach, parameters: &Parameters) -> Result<Page> {
    let limit = ctx.request.limit;
    let shelves: &[(&str, &str, From, Option<u32>)] = if parameters.flat {
        &[("items", "", From::ForYou, None)]
    } else {
        &[
            ("for-you", "For you", From::ForYou, None),
            ("buy-again", "Buy again", From::BuyAgain, Some(4)),
            ("new", "New", From::New, Some(4)),
        ]
    };
    let fixed: u32 = shelves.iter().filter_map(|shelf| shelf.3).sum();
    let rest = limit.saturating_sub(fixed).max(limit.div_ceil(2));
    let mut page = Page::default();
    let mut taken: FxHashSet<ItemRow> = FxHashSet::default();
    for &(id, title, from, size) in shelves {
        let size = size.unwrap_or(rest).min(limit.saturating_sub(taken.len() as u32));
        if size > 0 {
            let slots = fill(ctx, reach, parameters, from, size, &taken)?;
            if !slots.is_empty() {
                taken.extend(slots.rows());
                page.shelves.push(Shelf { id: id.to_owned(), title: title.to_owned(), slots, copies: Vec::new() });
            }
        }
    }
    Ok(page)
}

fn fill(
    ctx: &RequestContext,
    reach: &Reach,
    parameters: &Parameters,
    from: From,
    size: u32,
    taken: &FxHashSet<ItemRow>,
) -> Result<Candidates> {
    let mix = mix(parameters, from);
    let mut set = retrieve(ctx, reach, &mix)?;
    retain(&mut set, |row| !taken.contains(row));
    if parameters.only_new {
        retain(&mut set, |row| ctx.visitor.items.get(row).is_none_or(|item| item.orders == 0));
    }
    if let Some(keep) = &parameters.prepared.keep {
        let read = |name: &str| match set.column(name) {
            Some(values) => Ok(ColumnValues::Numbers(values.to_vec())),
            None => reach.columns.column(ctx, set.rows(), name),
        };
        let mask = keep.mask(set.len(), &read)?;
        set.keep(&mask).map_err(ReachError::Invalid)?;
    }
    rank(ctx, reach, &mut set, &mix, parameters.model.as_deref())?;
    spread(reach, &mut set, parameters, size)?;
    cap(ctx, reach, &mut set, parameters)?;
    set.take(size as usize);
    Ok(set)
}

fn mix(parameters: &Parameters, from: From) -> Vec<(SourceSpec, f32)> {
    let near = |space: &String| Source::NearVisitor { space: space.clone() };
    let sources: Vec<(&str, Option<Source>, u32, f32)> = match from {
        From::ForYou => vec![
            ("near", parameters.space.as_ref().map(near), 100, 1.0),
            ("bought_together", Some(Source::BoughtTogether(Basis::History)), 100, 1.0),
            ("viewed_together", Some(Source::ViewedTogether(Basis::History)), 50, 0.8),
            ("next_after", Some(Source::NextAfter(Basis::History)), 50, 0.8),
            ("buy_again", Some(Source::BuyAgain), 50, 1.0),
            ("same_category", Some(Source::Same(Attribute::Category)), 30, 0.3),
            ("trending", Some(Source::Trending(Scope::All)), 50, 0.4),
            ("trending_region", Some(Source::Trending(Scope::Region)), 30, 0.4),
            ("newest", Some(Source::Newest), 20, 0.2),
            ("exploration", Some(Source::Exploration), 5, 0.1),
        ],
        From::BuyAgain => vec![("buy_again", Some(Source::BuyAgain), 60, 1.0)],
        From::New => vec![("newest", Some(Source::Newest), 60, 1.0)],
    };
    sources
        .into_iter()
        .filter(|(name, ..)| !(parameters.only_new && *name == "buy_again"))
        .filter_map(|(name, source, limit, weight)| {
            let limit = parameters.sources.get(name).copied().unwrap_or(limit);
            let weight = parameters.weights.get(name).copied().unwrap_or(weight);
            let kinds = parameters.prepared.kinds.clone();
            (limit > 0)
                .then_some((SourceSpec { name: name.to_owned(), source: source?, limit, kinds, filter: None }, weight))
        })
        .collect()
}

fn retrieve(ctx: &RequestContext, reach: &Reach, mix: &[(SourceSpec, f32)]) -> Result<Candidates> {
    let found: Vec<Retrieved> = mix
        .iter()
        // A source that cannot answer finds nothing.
        .map(|(spec, _)| (Arc::from(spec.name.as_str()), reach.retrieval.retrieve(ctx, spec).unwrap_or_default()))
        .collect();
    Candidates::union(&found).map_err(ReachError::Invalid)
}

/// By the model, or by blending where there is none or it cannot score.
fn rank(
    ctx: &RequestContext,
    reach: &Reach,
    set: &mut Candidates,
    mix: &[(SourceSpec, f32)],
    model: Option<&str>,
) -> Result<()> {
    let scores = match model.map(|model| reach.scoring.score(ctx, set, model)) {
        Some(Ok(scores)) => scores,
        Some(Err(error @ ReachError::Invalid(_))) => return Err(error),
        Some(Err(_)) | None => blended(set, mix),
    };
    set.put("score", scores).map_err(ReachError::Invalid)?;
    let rows = set.rows().to_vec();
    let ids: OnceCell<FxHashMap<ItemRow, Arc<str>>> = OnceCell::new();
    set.order_by("score", |row| {
        ids.get_or_init(|| rows.iter().copied().zip(reach.columns.ids(&rows)).collect()).get(&row).cloned()
    })
    .map_err(ReachError::Invalid)
}

fn blended(set: &Candidates, mix: &[(SourceSpec, f32)]) -> Vec<f32> {
    let mut scores = vec![0f32; set.len()];
    for (spec, weight) in mix {
        let ranks = set.column(&format!("source.{}.rank", spec.name)).unwrap_or_default();
        for (score, rank) in scores.iter_mut().zip(ranks).filter(|(_, rank)| !rank.is_nan()) {
            *score += weight / (RANK_SHIFT + rank);
        }
    }
    scores
}

fn spread(reach: &Reach, set: &mut Candidates, parameters: &Parameters, size: u32) -> Result<()> {
    let default = if parameters.flat { 0.0 } else { 0.3 };
    let strength = parameters.spread.unwrap_or(default);
    let Some(space) = parameters.space.as_deref().filter(|_| strength > 0.0) else { return Ok(()) };
    let count = set.len().min(size.saturating_mul(3).max(30) as usize);
    let (vectors, dim) = match reach.columns.vectors(&set.rows()[..count], space) {
        Ok(found) => found,
        Err(error @ ReachError::Invalid(_)) => return Err(error),
        Err(_) => return Ok(()),
    };
    let scores = set.column("score").unwrap_or_default();
    let relevance: Vec<f32> =
        scores.iter().take(count).map(|&s| if s > f32::MIN / 2.0 { s } else { f32::NAN }).collect();
    set.select(&diversity::spread(&relevance, &vectors, dim, strength, count));
    Ok(())
}

/// At most so many of a category; what is beyond goes last.
fn cap(ctx: &RequestContext, reach: &Reach, set: &mut Candidates, parameters: &Parameters) -> Result<()> {
    let default = if parameters.flat || parameters.space.is_some() { 0 } else { 4 };
    let most = parameters.per_category.unwrap_or(default);
    if most == 0 {
        return Ok(());
    }
    let ColumnValues::Texts(categories) = reach.columns.column(ctx, set.rows(), "item.category")? else {
        return Err(ReachError::Invalid("item.category is not a text".to_owned()));
    };
    let mut seen: FxHashMap<&str, u32> = FxHashMap::default();
    let (mut order, mut beyond) = (Vec::with_capacity(set.len()), Vec::new());
    for (at, category) in categories.iter().enumerate() {
        let used = seen.entry(category).or_default();
        if category.is_empty() || *used < most {
            *used += 1;
            order.push(at as u32);
        } else {
            beyond.push(at as u32);
        }
    }
    order.append(&mut beyond);
    set.select(&order);
    Ok(())
}

fn retain(set: &mut Candidates, keep: impl Fn(&ItemRow) -> bool) {
    let kept: Vec<u32> = (0..set.len() as u32).filter(|&at| keep(&set.rows()[at as usize])).collect();
    if kept.len() < set.len() {
        set.select(&kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qianmian_core::{Columns, Request, Retrieval, Scoring, Visitor};

    /// Every source finds rows 0, 1, 2 and so on; the model likes high rows; there are three categories.
    struct Shop;

    impl Retrieval for Shop {
        fn retrieve(&self, _: &RequestContext, spec: &SourceSpec) -> Result<Vec<(ItemRow, f32)>> {
            Ok((0..spec.limit).map(|row| (ItemRow(row), 1.0 / (row + 1) as f32)).collect())
        }
    }

    impl Columns for Shop {
        fn column(&self, _: &RequestContext, rows: &[ItemRow], name: &str) -> Result<ColumnValues> {
            Ok(match name {
                "item.category" => {
                    ColumnValues::Texts(rows.iter().map(|row| Arc::from(format!("c{}", row.0 % 3))).collect())
                }
                _ => ColumnValues::Numbers(rows.iter().map(|row| row.0 as f32).collect()),
            })
        }

        fn ids(&self, rows: &[ItemRow]) -> Vec<Arc<str>> {
            rows.iter().map(|row| Arc::from(format!("{:04}", row.0))).collect()
        }

        fn rows(&self, ids: &[String]) -> Vec<Option<ItemRow>> {
            ids.iter().map(|id| id.parse().ok().map(ItemRow)).collect()
        }

        fn vectors(&self, rows: &[ItemRow], _: &str) -> Result<(Vec<f32>, usize)> {
            Ok((rows.iter().flat_map(|row| [1.0, row.0 as f32]).collect(), 2))
        }
    }

    impl Scoring for Shop {
        fn score(&self, _: &RequestContext, set: &Candidates, model: &str) -> Result<Vec<f32>> {
            match model {
                "up" => Ok(set.rows().iter().map(|row| row.0 as f32).collect()),
                other => Err(ReachError::Unknown { what: "model", name: other.to_owned(), known: "up".to_owned() }),
            }
        }
    }

    fn rows(parameters: &str) -> Vec<Vec<u32>> {
        let shop = Arc::new(Shop);
        let reach = Reach { retrieval: Arc::clone(&shop) as _, columns: Arc::clone(&shop) as _, scoring: shop };
        let request = Request { limit: 12, personalised: true, ..Request::default() };
        let ctx = RequestContext::new(request, Arc::new(Visitor::default()), 0, 1);
        let page = compose(&ctx, &reach, &Parameters::parse(parameters).expect("parameters")).expect("page");
        page.shelves.iter().map(|shelf| shelf.slots.rows().iter().map(|row| row.0).collect()).collect()
    }

    const NEAR: &str = r#""flat":true,"space":"s","sources":{"near":50,"bought_together":0,"viewed_together":0,
        "next_after":0,"buy_again":0,"same_category":0,"trending":0,"trending_region":0,"newest":0,"exploration":0}"#;

    #[test]
    fn a_flat_page_is_ranked_and_capped() {
        assert_eq!(rows(&format!(r#"{{{NEAR},"model":"up"}}"#)), [(38..50).rev().collect::<Vec<_>>()]);
        let capped = rows(&format!(r#"{{{NEAR},"model":"up","per_category":2}}"#));
        assert_eq!(capped, [[49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38]]);
        assert_eq!(rows(&format!(r#"{{{NEAR},"model":"up","keep":"x < 5.0"}}"#)), [[4, 3, 2, 1, 0]]);
    }

    #[test]
    fn without_its_model_it_blends() {
        assert_eq!(rows(&format!(r#"{{{NEAR},"model":"gone"}}"#)), [(0..12).collect::<Vec<_>>()]);
    }

    #[test]
    fn no_item_stands_on_two_shelves() {
        let shelves = rows("{}");
        let all: Vec<u32> = shelves.iter().flatten().copied().collect();
        assert_eq!(all.len(), 12);
        assert_eq!(all.iter().collect::<FxHashSet<_>>().len(), 12);
        assert_eq!(shelves.len(), 3);
    }

    #[test]
    fn parameters_it_does_not_know_are_refused() {
        assert!(Parameters::parse(r#"{"shelves":[]}"#).is_err());
        assert!(Parameters::parse(r#"{"kinds":["nothing"]}"#).is_err());
        assert!(Parameters::parse(r#"{"keep":"1 +"}"#).is_err());
    }
}
