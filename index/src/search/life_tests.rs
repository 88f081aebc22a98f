//! Whole searches: the same on every set of instructions, and right for whatever was put, replaced and deleted.

use super::tests::{DIM, N, Random, brute, build, clustered, large, recall};
use crate::generation::Generation;
use crate::isa::all;
use crate::spec::{Metric, Mode, SpaceSpec};
use crate::{Change, Filter, Query, Way};
use proptest::prelude::*;
use qianmian_core::ItemRow;
use std::collections::BTreeMap;
use std::sync::Arc;

#[test]
fn every_set_of_instructions_finds_the_same() {
    let (dim, n) = (33, 6_000);
    let mut values = clustered(n + 40, dim, 40, 5);
    let queries = values.split_off(n * dim);
    let most = Filter::new((0..n as u32).filter(|row| row % 5 > 0).map(ItemRow));
    let few = Filter::new((0..n as u32).step_by(15).map(ItemRow));
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let mut generation = build(SpaceSpec::new("s", metric), &values, dim);
        assert!(generation.has_graph() && generation.has_codes());
        let mut expected: Vec<Vec<(ItemRow, f32)>> = Vec::new();
        for (turn, arch) in all().into_iter().enumerate() {
            Arc::get_mut(&mut generation.parts[0].base).expect("nobody else has it").arch = arch;
            let mut found = Vec::new();
            for query in queries.chunks_exact(dim) {
                for mode in [Mode::Exact, Mode::Auto, Mode::Graph] {
                    for (filter, codes) in [(None, true), (None, false), (Some(&most), true), (Some(&few), true)] {
                        let query = Query { mode, filter, codes, ..Query::new(query, 20) };
                        found.push(generation.find(&query).expect("a good query").rows);
                    }
                }
            }
            if turn == 0 {
                expected = found;
                continue;
            }
            let (mut same, mut asked) = (0, 0);
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.len(), expected.len());
                for ((_, score), (_, other)) in found.iter().zip(expected) {
                    // walks over f32 may part where scores differ in their last bits
                    asked += 1;
                    same += u32::from((score - other).abs() <= 1e-5 * other.abs().max(1.0));
                }
            }
            assert!(same * 1_000 >= asked * 999, "{metric:?}, {arch:?}: {same} of {asked}");
        }
    }
}

#[test]
fn the_way_follows_from_the_filter() {
    let (values, queries, all) = large();
    let (_, generation) = &all[0];
    let way = |k: usize, filter: Option<&Filter>| {
        let found = generation.find(&Query { filter, ..Query::new(&queries[..DIM], k) }).expect("a good query");
        (found.plan.way, found.plan.share_near.is_some(), found.plan.to_string())
    };
    let every = |step: usize| Filter::new((0..N as u32).step_by(step).map(ItemRow));
    assert_eq!(way(10, None).0, Way::Walk);
    assert_eq!(way(0, None).0, Way::Nothing);
    assert_eq!(way(N / 4, None).0, Way::Scan, "nearly all is wanted");
    assert_eq!(way(N / 16, None).0, Way::CodeScan);
    let most = Filter::new((0..N as u32).filter(|row| row % 10 > 0).map(ItemRow));
    let walked = queries.chunks_exact(DIM).filter(|query| {
        let query = Query { filter: Some(&most), width: Some(32), ..Query::new(query, 10) };
        let plan = generation.find(&query).expect("a good query").plan;
        let told = plan.to_string();
        assert!(
            plan.share_near.is_some() && told.contains(": 90.0% let through, ") && told.contains("% of what is near")
        );
        plan.way == Way::FilteredWalk
    });
    assert!(walked.count() > 50);
    assert_eq!(way(10, Some(&every(20))).0, Way::CodeGather);
    assert_eq!(way(10, Some(&every(200))).0, Way::Gather);
    assert_eq!(way(10, Some(&Filter::new([]))).0, Way::Nothing);
    // half of the rows, but none of those near the query
    let truth = brute(Metric::Cosine, values, &queries[..DIM], |_| true);
    let far = Filter::new(truth[N / 2..].iter().map(|(row, _)| *row));
    assert_eq!(way(10, Some(&far)).0, Way::SignGather);
}

/// What a space should hold after some changes, and the changes: good vectors, bad ones and deletions.
fn changed(random: &mut Random, dim: usize, rows: u32, metric: Metric, model: &mut Model) -> Vec<Change> {
    let changes = (0..random.next() % 200).map(|_| {
        let row = (random.next() % u64::from(rows)) as u32;
        if random.next().is_multiple_of(3) {
            model.remove(&row);
            return Change::Delete(ItemRow(row));
        }
        let vector = vector(random, dim);
        if storable(&vector, dim, metric) {
            model.insert(row, vector.clone());
        }
        Change::Upsert(ItemRow(row), vector)
    });
    changes.collect()
}

/// Vectors by row.
type Model = BTreeMap<u32, Vec<f32>>;

/// Mostly small whole numbers; sometimes one that is no vector, or of another length.
fn vector(random: &mut Random, dim: usize) -> Vec<f32> {
    let mut vector: Vec<f32> = (0..dim).map(|_| (random.next() % 7) as f32 - 3.0).collect();
    match random.next() % 20 {
        0 => vector[0] = f32::NAN,
        1 => vector[dim - 1] = f32::INFINITY,
        2 => vector.fill(0.0),
        3 => vector[0] = f32::MAX,
        4 => vector.push(1.0),
        _ => {}
    }
    vector
}

fn storable(vector: &[f32], dim: usize, metric: Metric) -> bool {
    let zero = vector.iter().all(|x| *x == 0.0);
    vector.len() == dim && vector.iter().all(|x| x.abs() <= 3.0) && !(zero && metric == Metric::Cosine)
}

/// Scores are those of brute force place by place; rows are there once, with the scores that are theirs.
fn check(
    found: &[(ItemRow, f32)],
    metric: Metric,
    model: &Model,
    query: &[f32],
    k: usize,
) -> Result<(), TestCaseError> {
    let rows: Vec<u32> = model.keys().copied().collect();
    let values: Vec<f32> = model.values().flatten().copied().collect();
    let truth = brute(metric, &values, query, |_| true);
    let of: BTreeMap<u32, f64> = truth.iter().map(|(at, score)| (rows[at.index()], *score)).collect();
    prop_assert_eq!(found.len(), k.min(truth.len()));
    for ((row, score), (_, best)) in found.iter().zip(&truth) {
        let near = |other: f64| (f64::from(*score) - other).abs() < 1e-4;
        prop_assert!(near(*best) && of.get(&row.0).is_some_and(|own| near(*own)), "{row:?} {score}, {best} is there");
    }
    let mut unique: Vec<ItemRow> = found.iter().map(|f| f.0).collect();
    unique.sort_unstable();
    unique.dedup();
    prop_assert_eq!(unique.len(), found.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever was put, good and bad, twice and again, and replaced and deleted since: what is found is what is there.
    #[test]
    fn what_came_and_went_is_as_brute_force_says(
        metric in prop_oneof![Just(Metric::Cosine), Just(Metric::Dot), Just(Metric::L2)],
        dim in 1usize..24,
        n in 1usize..600,
        k in 0usize..700,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let mut model = Model::new();
        let (mut rows, mut values, mut refused) = (Vec::new(), Vec::new(), 0);
        for _ in 0..n {
            let row = (random.next() % n as u64) as u32;
            let mut own = vector(&mut random, dim);
            own.truncate(dim);
            // the first good vector of a row is the one that counts
            if storable(&own, dim, metric) && !model.contains_key(&row) {
                model.insert(row, own.clone());
            } else {
                refused += 1;
            }
            rows.push(ItemRow(row));
            values.extend(own);
        }
        let built = crate::base::Base::build(SpaceSpec::new("s", metric), &rows, &values, dim);
        prop_assume!(!model.is_empty());
        let (base, rejected) = built.expect("some are good");
        prop_assert_eq!(rejected.len(), refused);
        let mut generation = Generation::new(1, base);
        let mut query: Vec<f32> = (0..dim).map(|_| (random.next() % 7) as f32 - 3.0).collect();
        query[0] += 0.5;
        for _ in 0..3 {
            let changes = changed(&mut random, dim, n as u32, metric, &mut model);
            generation = generation.changed(&changes).0;
            prop_assert_eq!(generation.len(), model.len());
            for mode in [Mode::Auto, Mode::Exact, Mode::Graph] {
                let found = generation.search(&query, k, None, mode).expect("a good query");
                check(&found, metric, &model, &query, k)?;
            }
        }
    }
}

#[test]
fn graphs_find_what_is_left_and_what_came() {
    let (values, queries, all) = large();
    for (metric, generation) in all {
        let mut random = Random(9);
        let mut model: Model =
            values.chunks_exact(DIM).map(<[f32]>::to_vec).zip(0..).map(|(v, row)| (row, v)).collect();
        let come = clustered(600, DIM, 150, 11);
        let mut changes: Vec<Change> = (0..N / 3)
            .map(|_| (random.next() % N as u64) as u32)
            .map(|row| {
                model.remove(&row);
                Change::Delete(ItemRow(row))
            })
            .collect();
        for vector in come.chunks_exact(DIM) {
            let row = (random.next() % (N as u64 + 500)) as u32;
            model.insert(row, vector.to_vec());
            changes.push(Change::Upsert(ItemRow(row), vector.to_vec()));
        }
        let (generation, _) = generation.changed(&changes);
        let rows: Vec<u32> = model.keys().copied().collect();
        let left: Vec<f32> = model.values().flatten().copied().collect();
        for mode in [Mode::Auto, Mode::Graph] {
            let mut sum = 0.0;
            for query in queries.chunks_exact(DIM) {
                let truth = brute(*metric, &left, query, |_| true);
                let truth: Vec<(ItemRow, f64)> =
                    truth[..10].iter().map(|(at, s)| (ItemRow(rows[at.index()]), *s)).collect();
                let found = generation.search(query, 10, None, mode).expect("a good query");
                assert!(found.len() == 10 && found.iter().all(|(row, _)| model.contains_key(&row.0)));
                sum += recall(&found, &truth);
            }
            let mean = sum / 100.0;
            assert!(mean >= 0.95, "{metric:?} {mode:?}: recall@10 {mean}");
        }
    }
}
