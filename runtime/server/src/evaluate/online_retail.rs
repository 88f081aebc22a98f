//! Protocol `online-retail`: temporal split at 2011-11-01. P1 next basket (repeats allowed), P2 the same among items new
//! to the customer, P3 the last line of a cart. Only what was sold before the split can be recommended or asked for.

use super::{Client, Line, Ranked, mean};
use crate::import::online_retail::lines;
use crate::recommend::{RecommendRequest, answer::VisitorIds};
use qianmian_core::TimeMs;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// 2011-11-01T00:00:00Z.
pub const SPLIT: TimeMs = 1_320_105_600_000;
/// A day of milliseconds.
const DAY: TimeMs = 86_400_000;
/// Days of questions after a split: as many as the file has after the published one.
const ASKED_DAYS: TimeMs = 39;
/// Enough of a list for every metric here; what comes after counts as missed.
const LIST: u64 = 200;

/// The scenarios that answer, by protocol.
pub const SCENARIOS: [&str; 3] = ["next-basket", "new-items", "cart-completion"];

struct Queries {
    next: Vec<(String, HashSet<String>)>,
    new: Vec<(String, HashSet<String>)>,
    carts: Vec<(Vec<String>, String)>,
}

/// Asks the server, which must hold the shop as of `split`, and compares. An earlier split than [`SPLIT`] is for choosing
/// settings: it asks about the 39 days after it, never about what the published one holds out, and has no references.
///
/// # Errors
/// When the file cannot be read or a request fails.
pub fn run(client: &Client, file: &Path, split: TimeMs) -> anyhow::Result<Vec<Line>> {
    let queries = queries(file, split)?;
    let mut report = Vec::new();
    // Best simple references of the data's own baselines.
    report.extend(baskets(
        client,
        &queries.next,
        SCENARIOS[0],
        "online-retail/P1 next basket",
        [
            ("hr@10", "personal frequency", 0.7796, None),
            ("recall@20", "personal frequency", 0.2510, None),
            ("ndcg@10", "personal frequency", 0.2773, Some(0.285)),
            ("mrr", "personal frequency", 0.4671, None),
        ],
    )?);
    report.extend(baskets(
        client,
        &queries.new,
        SCENARIOS[1],
        "online-retail/P2 new items",
        [
            ("hr@10", "iALS", 0.3589, None),
            ("recall@20", "iALS", 0.0879, None),
            ("ndcg@10", "iALS", 0.0755, Some(0.090)),
            ("mrr", "iALS", 0.1674, None),
        ],
    )?);
    let requests: Vec<RecommendRequest> = queries
        .carts
        .iter()
        .map(|(cart, _)| RecommendRequest {
            scenario: SCENARIOS[2].to_owned(),
            items: cart.clone(),
            limit: Some(LIST),
            ..RecommendRequest::default()
        })
        .collect();
    let ranked: Vec<Ranked> = client
        .recommend_all(&requests, SCENARIOS[2])?
        .iter()
        .zip(&queries.carts)
        .map(|(list, (_, hidden))| Ranked::new(list, &HashSet::from([hidden.as_str()])))
        .collect();
    report.extend(lines_of(
        "online-retail/P3 cart",
        &ranked,
        [
            ("hr@10", "item-item", 0.1768, Some(0.26)),
            ("hr@20", "item-item", 0.2331, None),
            ("ndcg@10", "item-item", 0.1063, None),
            ("mrr", "item-item", 0.0942, None),
        ],
    ));
    if split != SPLIT {
        report.iter_mut().for_each(Line::forget_reference);
    }
    Ok(report)
}

type Reference = (&'static str, &'static str, f64, Option<f64>);

fn baskets(
    client: &Client,
    queries: &[(String, HashSet<String>)],
    scenario: &'static str,
    case: &str,
    references: [Reference; 4],
) -> anyhow::Result<Vec<Line>> {
    let requests: Vec<RecommendRequest> = queries
        .iter()
        .map(|(visitor, _)| RecommendRequest {
            scenario: scenario.to_owned(),
            visitor: Some(VisitorIds { id: Some(visitor.clone()), anonymous_id: None }),
            limit: Some(LIST),
            ..RecommendRequest::default()
        })
        .collect();
    let ranked: Vec<Ranked> = client
        .recommend_all(&requests, scenario)?
        .iter()
        .zip(queries)
        .map(|(list, (_, bought))| Ranked::new(list, &bought.iter().map(String::as_str).collect()))
        .collect();
    Ok(lines_of(case, &ranked, references))
}

fn lines_of(case: &str, ranked: &[Ranked], references: [Reference; 4]) -> Vec<Line> {
    references
        .into_iter()
        .map(|(metric, peer, theirs, target)| {
            let ours = match metric {
                "hr@10" => mean(ranked, |r| r.hit(10)),
                "hr@20" => mean(ranked, |r| r.hit(20)),
                "recall@20" => mean(ranked, |r| r.recall(20)),
                "mrr" => mean(ranked, Ranked::reciprocal_rank),
                _ => mean(ranked, |r| r.ndcg(10)),
            };
            Line::quality(case, metric, ours, &format!("{peer} (numpy)"), theirs, target)
        })
        .collect()
}

fn queries(file: &Path, split: TimeMs) -> anyhow::Result<Queries> {
    let until = if split < SPLIT { SPLIT.min(split + ASKED_DAYS * DAY) } else { TimeMs::MAX };
    let (sales, _) = lines(file, Some(until))?;
    let known: HashSet<&str> = sales.iter().filter(|l| l.time < split).map(|l| l.item.as_str()).collect();
    let mut bought: HashMap<&str, HashSet<&str>> = HashMap::new();
    for line in sales.iter().filter(|l| l.time < split && !l.customer.is_empty()) {
        bought.entry(&line.customer).or_default().insert(&line.item);
    }
    let mut after: Vec<_> = sales.iter().filter(|l| l.time >= split && known.contains(l.item.as_str())).collect();
    let mut first: HashMap<&str, &str> = HashMap::new();
    let mut answers: BTreeMap<&str, HashSet<String>> = BTreeMap::new();
    let mut carts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in &after {
        let cart = carts.entry(&line.invoice).or_default();
        if !cart.contains(&line.item) {
            cart.push(line.item.clone());
        }
    }
    after.sort_by_key(|l| l.time);
    for line in after.into_iter().filter(|l| bought.contains_key(l.customer.as_str())) {
        if *first.entry(&line.customer).or_insert(&line.invoice) == line.invoice {
            answers.entry(&line.customer).or_default().insert(line.item.clone());
        }
    }
    let next: Vec<_> = answers.iter().map(|(who, items)| ((*who).to_owned(), items.clone())).collect();
    let new = answers
        .into_iter()
        .map(|(who, mut items)| {
            items.retain(|id| !bought[who].contains(id.as_str()));
            (who.to_owned(), items)
        })
        .filter(|(_, items)| !items.is_empty())
        .collect();
    let carts = carts
        .into_values()
        .filter_map(|mut cart| {
            let hidden = cart.pop()?;
            (!cart.is_empty()).then_some((cart, hidden))
        })
        .collect();
    Ok(Queries { next, new, carts })
}
