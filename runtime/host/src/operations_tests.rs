//! Operations over a handful of candidates: what they keep, in which order, and what they refuse.

use super::*;
use crate::expressions::Expressions;
use crate::needs::Grants;
use crate::{Limits, Needs};
use qianmian_core::{
    Columns, Interaction, ItemHistory, Reach, Request, RequestContext, Retrieval, Scoring, Source, Visitor,
};

/// Item n has id `9 - n`, price n, category `a` (even) or none (odd), and stands at angle n in space `s`.
struct Few;

impl Retrieval for Few {
    fn retrieve(&self, _: &RequestContext, spec: &SourceSpec) -> std::result::Result<Vec<(ItemRow, f32)>, ReachError> {
        match &spec.source {
            Source::Listed(rows) => Ok(rows.iter().map(|row| (*row, 1.0)).collect()),
            _ => Err(ReachError::Failed { what: "search".to_owned(), detail: "no luck".to_owned() }),
        }
    }
}

impl Columns for Few {
    fn column(
        &self,
        _: &RequestContext,
        rows: &[ItemRow],
        name: &str,
    ) -> std::result::Result<ColumnValues, ReachError> {
        Ok(match name {
            "item.price" => ColumnValues::Numbers(rows.iter().map(|row| row.0 as f32).collect()),
            "item.category" => {
                ColumnValues::Texts(rows.iter().map(|row| if row.0 % 2 == 0 { "a" } else { "" }.into()).collect())
            }
            _ => return Err(ReachError::Unknown { what: "column", name: name.to_owned(), known: String::new() }),
        })
    }

    fn ids(&self, rows: &[ItemRow]) -> Vec<Arc<str>> {
        rows.iter().map(|row| (9 - row.0).to_string().into()).collect()
    }

    fn rows(&self, ids: &[String]) -> Vec<Option<ItemRow>> {
        ids.iter().map(|id| id.parse::<u32>().ok().map(|n| ItemRow(9 - n))).collect()
    }

    fn vectors(&self, rows: &[ItemRow], _: &str) -> std::result::Result<(Vec<f32>, usize), ReachError> {
        Ok((rows.iter().flat_map(|row| [(row.0 as f32).cos(), (row.0 as f32).sin()]).collect(), 2))
    }
}

impl Scoring for Few {
    fn score(&self, _: &RequestContext, set: &Candidates, _: &str) -> std::result::Result<Vec<f32>, ReachError> {
        Ok(vec![0.5; set.len()])
    }
}

fn call(visitor: Visitor) -> Call {
    let few = Arc::new(Few);
    let reach = Reach { retrieval: Arc::clone(&few) as _, columns: Arc::clone(&few) as _, scoring: few };
    let ctx = Arc::new(RequestContext::new(Request::default(), Arc::new(visitor), 0, 0));
    let grants = Grants { needs: Needs::everything(), allowed: None };
    let patient = Limits { wall: std::time::Duration::from_secs(20), ..Limits::default() };
    Call::new(ctx, reach, patient, Arc::new(Expressions::new(9)), Arc::new(grants))
}

fn listed(name: &str, rows: &[u32]) -> SourceSpec {
    let rows: Vec<ItemRow> = rows.iter().copied().map(ItemRow).collect();
    let limit = rows.len() as u32;
    SourceSpec { name: name.to_owned(), source: Source::Listed(rows), limit, kinds: Vec::new(), filter: None }
}

fn set(call: &mut Call, rows: &[u32]) -> Candidates {
    retrieve(call, &[listed("listed", rows)]).unwrap()
}

fn rows(set: &Candidates) -> Vec<u32> {
    set.rows().iter().map(|row| row.0).collect()
}

#[test]
fn a_source_that_fails_degrades_the_answer_once() {
    let mut call = call(Visitor::default());
    let broken = SourceSpec { source: Source::Newest, ..listed("new", &[1]) };
    for _ in 0..2 {
        assert_eq!(rows(&retrieve(&mut call, &[listed("a", &[1, 2]), broken.clone()]).unwrap()), [1, 2]);
    }
    assert_eq!(call.degraded, ["source:new"]);
    assert_eq!(call.log, ["degraded source:new: search failed: no luck"]);
    assert!(retrieve(&mut call, &[listed("bad name", &[1])]).is_err());
    assert!(retrieve(&mut call, &[SourceSpec { limit: 5_001, ..listed("a", &[1]) }]).is_err());
}

#[test]
fn ties_go_to_the_lower_id() {
    let mut call = call(Visitor::default());
    let mut few = set(&mut call, &[1, 2, 3]);
    score(&call, &mut few, "any").unwrap();
    assert_eq!(rows(&few), [3, 2, 1], "ids 6, 7, 8");
}

#[test]
fn blending_sums_reciprocal_ranks() {
    let mut call = call(Visitor::default());
    let both = [listed("a", &[1, 2]), listed("b", &[3, 2])];
    let mut few = retrieve(&mut call, &both).unwrap();
    blend(&call, &mut few, &[]).unwrap();
    assert_eq!(rows(&few), [2, 3, 1]);
    assert_eq!(few.column(SCORE).unwrap()[0], 1.0 / 62.0 + 1.0 / 62.0);
    blend(&call, &mut few, &[("a".to_owned(), 1.0)]).unwrap();
    assert_eq!(rows(&few), [1, 2, 3]);
    assert!(matches!(blend(&call, &mut few, &[("c".to_owned(), 1.0)]), Err(ReachError::Unknown { .. })));
    assert!(matches!(blend(&call, &mut few, &[("a".to_owned(), f32::NAN)]), Err(ReachError::Invalid(_))));
    assert_eq!(rows(&few), [1, 2, 3], "an error leaves the set as it was");
}

#[test]
fn what_is_out_of_time_ends_early_and_leaves_the_set() {
    let mut call = call(Visitor::default());
    let mut few = set(&mut call, &[1, 2, 3]);
    call.deadline = std::time::Instant::now();
    assert!(matches!(keep(&call, &mut few, "item.price > 1.0"), Err(ReachError::Failed { .. })));
    assert!(matches!(spread(&call, &mut few, "s", 0.5, 3), Err(ReachError::Failed { .. })));
    assert!(matches!(retrieve(&mut call, &[listed("a", &[1])]), Err(ReachError::Failed { .. })));
    assert_eq!(rows(&few), [1, 2, 3]);
}

#[test]
fn more_weights_than_sources_are_refused() {
    let mut call = call(Visitor::default());
    let mut few = set(&mut call, &[1, 2, 3]);
    let weights = vec![("a".to_owned(), 1.0); 33];
    assert!(matches!(blend(&call, &mut few, &weights), Err(ReachError::Invalid(_))));
    assert!(few_enough("sources", 32).is_ok() && few_enough("sources", 33).is_err());
}

#[test]
fn expressions_read_the_sets_own_columns_first() {
    let mut call = call(Visitor::default());
    let mut few = set(&mut call, &[1, 2, 3]);
    compute(&call, &mut few, "item.price", "10.0 - item.price").unwrap();
    assert_eq!(keep(&call, &mut few, "item.price >= 8.0").unwrap(), 1);
    assert_eq!(rows(&few), [1, 2]);
    assert_eq!(keep(&call, &mut few, "source.other.rank < 5.0").unwrap(), 2, "a source that found nothing is missing");
    assert!(keep(&call, &mut few, "item.nothing < 1.0").is_err());
    assert!(compute(&call, &mut few, "bad name", "1.0").is_err());
}

#[test]
fn what_is_beyond_a_cap_goes_last_or_out() {
    let mut call = call(Visitor::default());
    let mut few = set(&mut call, &[2, 4, 1, 6, 3]);
    cap(&call, &mut few, "item.category", 1, true).unwrap();
    assert_eq!(rows(&few), [2, 1, 3, 4, 6]);
    cap(&call, &mut few, "item.category", 1, false).unwrap();
    assert_eq!(rows(&few), [2, 1, 3]);
    assert!(matches!(cap(&call, &mut few, "item.price", 1, true), Err(ReachError::Invalid(_))));
}

#[test]
fn spreading_does_not_let_one_missing_score_set_the_scale() {
    let mut call = call(Visitor::default());
    let mut few = set(&mut call, &[0, 1, 2, 3]);
    few.put(SCORE, vec![1.0, 0.9, 0.1, f32::MIN]).unwrap();
    spread(&call, &mut few, "s", 0.0, 9).unwrap();
    assert_eq!(rows(&few), [0, 1, 2, 3]);
    spread(&call, &mut few, "s", 0.5, 3).unwrap();
    assert_eq!(few.len(), 3, "what is beyond the window leaves");
    assert!(spread(&call, &mut few, "s", 1.5, 3).is_err());
    assert!(spread(&call, &mut few, "s", f32::NAN, 3).is_err());
}

#[test]
fn pinned_and_seen() {
    let mut visitor = Visitor { events: 3, ..Visitor::default() };
    visitor.items.insert(ItemRow(1), ItemHistory { orders: 1, ..ItemHistory::default() });
    visitor.items.insert(ItemRow(2), ItemHistory { views: 1, ..ItemHistory::default() });
    visitor.recent.push(Interaction { item: ItemRow(3), kind: EventKind::Rating, time: 1 });
    let mut call = call(visitor);
    let mut few = set(&mut call, &[1, 2, 3, 4]);
    pin(&call, &mut few, &["6".to_owned(), "x".to_owned(), "0".to_owned()]);
    assert_eq!(rows(&few), [3, 1, 2, 4]);
    assert_eq!(without_seen(&call, &mut few, &[EventKind::Purchase, EventKind::Rating]), 2);
    assert_eq!(rows(&few), [2, 4]);
    assert_eq!(without_seen(&call, &mut few, &[EventKind::Click]), 1);
    assert_eq!(without(&mut few, &[ItemRow(4), ItemRow(9)]), 1);
    assert!(few.is_empty());
    score(&call, &mut few, "any").unwrap();
    spread(&call, &mut few, "s", 0.3, 3).unwrap();
    cap(&call, &mut few, "item.category", 1, true).unwrap();
}
