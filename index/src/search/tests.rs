//! Search held against brute force, on good input and bad.

use super::*;
use crate::error::{IndexError, Reason};
use crate::generation::Generation;
use crate::spec::{Metric, SpaceSpec};
use proptest::prelude::*;
use qianmian_core::ItemRow;
use std::sync::OnceLock;

/// A small generator of its own, so that the data never changes under the tests.
pub(super) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// About normal: the sum of four uniform numbers.
    pub fn normal(&mut self) -> f32 {
        (0..4).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32 - 0.5).sum::<f32>() * 1.73
    }
}

/// Clusters with a spread of their own, lengths from 0.3 to 3, then rows out of order.
pub(super) fn clustered(n: usize, dim: usize, clusters: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(seed);
    let centres: Vec<f32> = (0..clusters * dim).map(|_| random.normal()).collect();
    let mut values = Vec::with_capacity(n * dim);
    for _ in 0..n {
        let centre = (random.next() % clusters as u64) as usize * dim;
        let (spread, length) =
            (0.2 + (random.next() % 8) as f32 / 10.0, 0.3 * 10f32.powf((random.next() % 100) as f32 / 100.0));
        values.extend((0..dim).map(|i| length * (centres[centre + i] + spread * random.normal())));
    }
    values
}

fn rows(n: usize) -> Vec<ItemRow> {
    (0..n as u32).map(ItemRow).collect()
}

pub(super) fn build(spec: SpaceSpec, values: &[f32], dim: usize) -> Generation {
    let (base, _) = Base::build(spec, &rows(values.len() / dim), values, dim).expect("good vectors");
    Generation::new(1, base)
}

/// Brute force in f64, sharing nothing with the code under test.
pub(super) fn brute(
    metric: Metric,
    values: &[f32],
    query: &[f32],
    keep: impl Fn(ItemRow) -> bool,
) -> Vec<(ItemRow, f64)> {
    // From 0.0: a sum of nothing but -0.0 would sort below 0.0.
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).fold(0.0, |sum, (x, y)| sum + f64::from(*x) * f64::from(*y));
    let score = |v: &[f32]| match metric {
        Metric::Dot => dot(v, query),
        Metric::L2 => 2.0 * dot(v, query) - dot(v, v) - dot(query, query),
        Metric::Cosine => dot(v, query) / dot(v, v).sqrt() / dot(query, query).sqrt(),
    };
    let mut all: Vec<(ItemRow, f64)> = values
        .chunks_exact(query.len())
        .zip(0..)
        .filter(|(_, row)| keep(ItemRow(*row)))
        .map(|(v, row)| (ItemRow(row), score(v)))
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all
}

pub(super) const DIM: usize = 32;
pub(super) const N: usize = 20_000;

/// Vectors, queries of the same making, and a generation with a graph for each metric.
pub(super) type Large = (Vec<f32>, Vec<f32>, [(Metric, Generation); 3]);

/// 20k x 32, built once for all tests.
pub(super) fn large() -> &'static Large {
    static LARGE: OnceLock<Large> = OnceLock::new();
    LARGE.get_or_init(|| {
        let mut values = clustered(N + 100, DIM, 150, 11);
        let queries = values.split_off(N * DIM);
        let both = [Metric::Cosine, Metric::Dot, Metric::L2].map(|m| (m, build(SpaceSpec::new("s", m), &values, DIM)));
        (values, queries, both)
    })
}

pub(super) fn recall(found: &[(ItemRow, f32)], truth: &[(ItemRow, f64)]) -> f64 {
    truth.iter().filter(|(row, _)| found.iter().any(|f| f.0 == *row)).count() as f64 / truth.len() as f64
}

#[test]
fn the_graph_finds_nearly_all() {
    let (values, queries, both) = large();
    for (metric, generation) in both {
        assert!(generation.has_graph());
        for (k, mode) in [(10, Mode::Graph), (10, Mode::Auto), (300, Mode::Auto)] {
            let mut sum = 0.0;
            for query in queries.chunks_exact(DIM) {
                let truth = brute(*metric, values, query, |_| true);
                let found = generation.search(query, k, None, mode).expect("a good query");
                assert_eq!(found.len(), k);
                sum += recall(&found, &truth[..k]);
            }
            let mean = sum / 100.0;
            assert!(mean >= 0.95, "{metric:?} {mode:?}: recall@{k} {mean}");
        }
    }
}

#[test]
fn scores_do_not_depend_on_the_way() {
    let (_, queries, both) = large();
    for (_, generation) in both {
        for query in queries.chunks_exact(DIM).take(20) {
            let walked = generation.search(query, 50, None, Mode::Graph).expect("a good query");
            let scanned = generation.search(query, generation.len(), None, Mode::Exact).expect("a good query");
            for (row, score) in &walked {
                assert!(scanned.iter().any(|(r, s)| r == row && s.to_bits() == score.to_bits()));
            }
            let rows: Vec<ItemRow> = walked.iter().map(|f| f.0).collect();
            let scores: Vec<f32> = walked.iter().map(|f| f.1).collect();
            assert_eq!(generation.dots(query, &rows), scores);
            assert!(walked.is_sorted_by(|a, b| a.1 > b.1 || (a.1 == b.1 && a.0 < b.0)));
        }
    }
}

#[test]
fn filters_lose_nothing_but_what_they_should() {
    let (values, queries, both) = large();
    for (metric, generation) in both {
        // Restrictive, middling, permissive; and one that keeps what is farthest from the query.
        for every in [400u32, 40, 3, 2] {
            let keep = move |row: ItemRow| row.0.is_multiple_of(every);
            for mode in [Mode::Exact, Mode::Auto, Mode::Graph] {
                let mut sum = 0.0;
                for query in queries.chunks_exact(DIM).take(20) {
                    let truth = brute(*metric, values, query, keep);
                    let found = generation.search(query, 10, Some(&keep), mode).expect("a good query");
                    assert!(found.len() == 10 && found.iter().all(|f| keep(f.0)));
                    sum += recall(&found, &truth[..10]);
                }
                let least = if mode == Mode::Exact || (mode == Mode::Auto && every > 10) { 1.0 } else { 0.95 };
                assert!(sum / 20.0 >= least, "{metric:?} {mode:?} 1/{every}: recall {}", sum / 20.0);
            }
        }
        let query = &queries[..DIM];
        let far: Vec<ItemRow> = brute(*metric, values, query, |_| true)[N / 2..].iter().map(|f| f.0).collect();
        let far: std::collections::BTreeSet<ItemRow> = far.into_iter().collect();
        let keep = |row: ItemRow| far.contains(&row);
        let found = generation.search(query, 10, Some(&keep), Mode::Auto).expect("a good query");
        assert_eq!(recall(&found, &brute(*metric, values, query, keep)[..10]), 1.0, "{metric:?}");
        assert_eq!(generation.search(query, 10, Some(&|_| false), Mode::Graph), Ok(vec![]));
    }
}

#[test]
fn sizes_at_the_edges() {
    let (_, queries, both) = large();
    let query = &queries[..DIM];
    for (_, generation) in both {
        for mode in [Mode::Auto, Mode::Exact, Mode::Graph] {
            assert_eq!(generation.search(query, 0, None, mode), Ok(vec![]));
            for k in [N, N + 1, usize::MAX] {
                let all = generation.search(query, k, None, mode).expect("a good query");
                let mut rows: Vec<ItemRow> = all.iter().map(|f| f.0).collect();
                rows.sort_unstable();
                assert_eq!(rows, self::rows(N), "every row once");
            }
        }
    }
    let one = build(SpaceSpec::new("s", Metric::Dot), &[2.0], 1);
    assert_eq!(one.search(&[3.0], 5, None, Mode::Graph), Ok(vec![(ItemRow(0), 6.0)]));
    assert_eq!(one.search(&[0.0], 5, None, Mode::Auto), Ok(vec![(ItemRow(0), 0.0)]));
}

#[test]
fn filters_of_none_and_of_one() {
    let (_, queries, both) = large();
    for (metric, generation) in both {
        for mode in [Mode::Auto, Mode::Exact, Mode::Graph] {
            let found = |filter: &[u32], k: usize, width: Option<usize>| {
                let filter = crate::Filter::new(filter.iter().map(|&row| ItemRow(row)));
                let query =
                    crate::Query { mode, width, filter: Some(&filter), ..crate::Query::new(&queries[..DIM], k) };
                generation.find(&query).expect("a good query").rows.iter().map(|f| f.0.0).collect::<Vec<_>>()
            };
            for k in [0, 1, 10, usize::MAX] {
                assert_eq!(
                    (found(&[], k, None), found(&[9_999_999], k, None)),
                    (vec![], vec![]),
                    "{metric:?} {mode:?}"
                );
                let one = if k == 0 { vec![] } else { vec![77] };
                assert_eq!(found(&[77, 9_999_999], k, None), one, "{metric:?} {mode:?}");
            }
            // Narrower than what is wanted.
            let all: Vec<u32> = (0..N as u32).collect();
            assert_eq!(found(&all, 50, Some(1)).len(), 50, "{metric:?} {mode:?}");
        }
    }
}

/// Whole clusters are left out, and the query is of one of them: the walk over the rest must find the others.
#[test]
fn what_is_near_may_be_left_out() {
    let (values, queries, both) = large();
    for (metric, generation) in both {
        let mut sum = 0.0;
        for query in queries.chunks_exact(DIM).take(20) {
            let near = brute(*metric, values, query, |_| true);
            // The nearest, and every third beyond them.
            let out: std::collections::BTreeSet<u32> =
                near.iter().enumerate().filter(|(i, _)| *i < 200 || i % 3 == 0).map(|(_, f)| f.0.0).collect();
            let keep = |row: ItemRow| !out.contains(&row.0);
            let filter = crate::Filter::new(rows(N).into_iter().filter(|&row| keep(row)));
            let asked = crate::Query { filter: Some(&filter), ..crate::Query::new(query, 10) };
            let found = generation.find(&asked).expect("a good query").rows;
            assert!(found.len() == 10 && found.iter().all(|f| keep(f.0)));
            sum += recall(&found, &brute(*metric, values, query, keep)[..10]);
        }
        assert!(sum / 20.0 >= 0.95, "{metric:?}: recall {}", sum / 20.0);
    }
}

/// All around the query is barred: what is let through is weighed by its signs, whether a walk was begun before or not,
/// and what is barred beside it or gone does not come back.
#[test]
fn what_is_far_is_weighed_by_signs() {
    let (values, queries, both) = large();
    for (metric, generation) in both {
        let mut sum = 0.0;
        for query in queries.chunks_exact(DIM).take(20) {
            let far = brute(*metric, values, query, |_| true).split_off(N / 2);
            let only = crate::Filter::new(far.iter().map(|f| f.0));
            let never = crate::Filter::new(far.iter().step_by(10).map(|f| f.0));
            let gone: Vec<crate::Change> = far[1..].iter().step_by(100).map(|f| crate::Change::Delete(f.0)).collect();
            let (generation, _) = generation.changed(&gone);
            let keep = |row| generation.vector(row).is_some() && only.contains(row) && !never.contains(row);
            let truth = brute(*metric, values, query, keep);
            for width in [None, Some(20)] {
                let asked =
                    crate::Query { width, filter: Some(&only), barred: Some(&never), ..crate::Query::new(query, 10) };
                let found = generation.find(&asked).expect("a good query");
                assert_eq!((found.plan.way, found.plan.retries), (Way::SignGather, usize::from(width.is_some())));
                assert!(found.rows.len() == 10 && found.rows.iter().all(|f| keep(f.0)));
                sum += recall(&found.rows, &truth[..10]);
            }
        }
        assert!(sum / 40.0 >= 0.97, "{metric:?}: recall {}", sum / 40.0);
    }
}

#[test]
fn bad_queries_are_refused() {
    let cosine = build(SpaceSpec::new("s", Metric::Cosine), &[1.0, 0.0], 2);
    let text = |query: &[f32], k| cosine.search(query, k, None, Mode::Auto).map_err(|e| e.to_string());
    assert_eq!(text(&[1.0], 1), Err("space \"s\" has dimension 2, the query has 1".to_owned()));
    assert!(text(&[], 0).is_err(), "a wrong query is wrong for k = 0 too");
    for (bad, what) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let expected = format!("component 1 is {what}, expected a finite number");
        assert!(text(&[1.0, bad], 1).is_err_and(|e| e.ends_with(&expected)));
    }
    assert!(text(&[0.0, 0.0], 1).is_err_and(|e| e.contains("no direction")));
    assert!(matches!(
        cosine.search(&[f32::MAX, 1.0], 1, None, Mode::Auto),
        Err(IndexError::Query { reason: Reason::TooLong, .. })
    ));
    assert!(cosine.dots(&[f32::NAN, 1.0], &[ItemRow(0)])[0].is_nan());
}

#[test]
fn rows_that_are_alike_do_no_harm() {
    // Half of them one vector, a few zero (dot only), and the rest apart.
    let mut values = clustered(6_000, 8, 40, 3);
    values[..3_000 * 8].fill(0.5);
    for metric in [Metric::Cosine, Metric::Dot] {
        let generation = build(SpaceSpec::new("s", metric), &values, 8);
        assert!(generation.has_graph());
        // What is asked for is among those apart, and each is found at its own place.
        let found = (3_000..6_000usize).step_by(10).filter(|&row| {
            let query = &values[row * 8..][..8];
            let truth = brute(metric, &values, query, |_| true)[0].0;
            generation.search(query, 1, None, Mode::Graph).is_ok_and(|found| found[0].0 == truth)
        });
        let count = found.count();
        assert!(count >= 285, "{metric:?}: {count} of 300");
        let alike = generation.search(&[1.0; 8], 5, None, Mode::Exact).expect("a good query");
        if metric == Metric::Cosine {
            assert_eq!(alike.iter().map(|f| f.0.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4], "ties go by row");
        }
    }
    let zeros = build(SpaceSpec::new("s", Metric::Dot), &vec![0.0; 3_000 * 2], 2);
    assert_eq!(zeros.search(&[1.0, 1.0], 2, None, Mode::Exact), Ok(vec![(ItemRow(0), 0.0), (ItemRow(1), 0.0)]));
}

#[test]
fn the_same_rows_give_the_same_graph_in_any_order() {
    let values = clustered(3_000, 8, 20, 5);
    let forward = build(SpaceSpec::new("s", Metric::Cosine), &values, 8);
    let backward: Vec<f32> = values.chunks_exact(8).rev().flatten().copied().collect();
    let turned: Vec<ItemRow> = rows(3_000).into_iter().rev().collect();
    let (backward, _) = Base::build(SpaceSpec::new("s", Metric::Cosine), &turned, &backward, 8).expect("good");
    let forward = forward.base();
    assert!(forward.graph == backward.graph && forward.rows == backward.rows);
    let exact = SpaceSpec { exact: true, ..SpaceSpec::new("s", Metric::Cosine) };
    assert!(!build(exact, &values, 8).has_graph());
    assert!(!build(SpaceSpec::new("s", Metric::Cosine), &values[..2_000 * 8], 8).has_graph());
}

#[test]
fn threads_do_not_change_the_graph() {
    // more rows than `hnsw_rs` is given
    let values = clustered(15_000, 8, 40, 6);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| build(SpaceSpec::new("s", Metric::Cosine), &values, 8))
    };
    let (one, three) = (with(1), with(3));
    assert!(one.base().graph == three.base().graph && one.base().rows == three.base().rows);
}

#[test]
fn vectors_come_back() {
    let dot = build(SpaceSpec::new("s", Metric::Dot), &[3.0, 4.0, 0.0, 2.0], 2);
    let cosine = build(SpaceSpec::new("s", Metric::Cosine), &[3.0, 4.0, 0.0, 2.0], 2);
    assert_eq!(dot.vector(ItemRow(0)), Some(&[3.0, 4.0][..]));
    assert_eq!(cosine.vector(ItemRow(0)), Some(&[0.6, 0.8][..]));
    assert_eq!(dot.vector(ItemRow(2)), None);
    let mut out = vec![9.0];
    dot.gather(&[ItemRow(1), ItemRow(5), ItemRow(0)], &mut out);
    assert_eq!(out, [9.0, 0.0, 2.0, 0.0, 0.0, 3.0, 4.0]);
    assert_eq!(dot.mean(&[ItemRow(0), ItemRow(7), ItemRow(1)]), Some(vec![1.5, 3.0]));
    assert_eq!(dot.mean(&[ItemRow(7)]), None);
    let dots = dot.dots(&[1.0, 1.0], &[ItemRow(1), ItemRow(9), ItemRow(0)]);
    assert!(dots[0] == 2.0 && dots[1].is_nan() && dots[2] == 7.0);
    assert_eq!(cosine.dots(&[0.0, 9.0], &[ItemRow(0), ItemRow(1)]), [0.8, 1.0]);
}

#[test]
fn a_filter_may_search_too() {
    let (_, queries, both) = large();
    let generation = &both[0].1;
    let inner = |row: ItemRow| {
        let vector = generation.vector(row).expect("a row of the generation");
        generation.search(vector, 1, None, Mode::Graph).is_ok_and(|found| !found.is_empty())
    };
    let found = generation.search(&queries[..DIM], 5, Some(&inner), Mode::Graph).expect("a good query");
    assert_eq!(found, generation.search(&queries[..DIM], 5, None, Mode::Graph).expect("a good query"));
}

/// A query of zeros ties every row: codes must not let their order in memory decide.
#[test]
fn ties_of_codes_go_by_row() {
    let values: Vec<f32> = (0..1_300).map(|i| ((i * 7) % 5) as f32 - 2.0).collect();
    let generation = build(SpaceSpec::new("s", Metric::Dot), &values, 1);
    let found = generation.find(&crate::Query::new(&[0.0], 3)).expect("a good query");
    assert_eq!(found.plan.way, Way::CodeScan);
    assert_eq!(found.rows, [(ItemRow(0), 0.0), (ItemRow(1), 0.0), (ItemRow(2), 0.0)]);
}

/// Signs of which none is worth anything rule nothing out.
#[test]
fn ties_of_signs_go_by_row() {
    let values: Vec<f32> = (0..12_000).map(|i| ((i * 7) % 5) as f32 - 2.0).collect();
    let spec = SpaceSpec { exact: true, ..SpaceSpec::new("s", Metric::Dot) };
    let generation = build(spec, &values, 1);
    let odd = crate::Filter::new(rows(12_000).into_iter().filter(|row| row.0 % 2 == 1));
    let found = generation.find(&crate::Query { filter: Some(&odd), ..crate::Query::new(&[0.0], 3) });
    let found = found.expect("a good query");
    assert_eq!((found.plan.way, found.plan.rescored), (Way::SignGather, 6_000));
    assert_eq!(found.rows, [(ItemRow(1), 0.0), (ItemRow(3), 0.0), (ItemRow(5), 0.0)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Small whole numbers: scores are exact, so that ties are real and the order must be brute force's to the letter.
    #[test]
    fn scans_equal_brute_force(
        dim in 1usize..40,
        n in 1usize..1_500,
        k in 0usize..2_000,
        every in 1u32..20,
        filtered: bool,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let values: Vec<f32> = (0..n * dim).map(|_| (random.next() % 5) as f32 - 2.0).collect();
        let query: Vec<f32> = (0..dim).map(|_| (random.next() % 5) as f32 - 2.0).collect();
        let generation = build(SpaceSpec::new("s", Metric::Dot), &values, dim);
        let keep = move |row: ItemRow| !filtered || row.0.is_multiple_of(every);
        let truth = brute(Metric::Dot, &values, &query, keep);
        let filter: Option<Keep<'_>> = if filtered { Some(&keep) } else { None };
        let found = generation.search(&query, k, filter, Mode::Auto).expect("a good query");
        let found: Vec<(ItemRow, f64)> = found.iter().map(|f| (f.0, f64::from(f.1))).collect();
        prop_assert_eq!(found, &truth[..k.min(truth.len())]);
    }

    /// A filter, what is barred and a closure are the same as one closure, in scans and among recent rows too.
    #[test]
    fn bitmaps_equal_a_closure(
        n in 1usize..1_500,
        k in 0usize..600,
        (every, barred, odd) in (1u32..20, 1u32..9, 1u32..5),
        (filtered, bars, kept) in any::<(bool, bool, bool)>(),
        moved in 0u32..400,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let mut values: Vec<f32> = (0..n * 8).map(|_| (random.next() % 5) as f32 - 2.0).collect();
        let query: Vec<f32> = (0..8).map(|_| (random.next() % 5) as f32 - 2.0).collect();
        let generation = build(SpaceSpec::new("s", Metric::Dot), &values, 8);
        let moved: Vec<u32> = (0..moved).map(|_| (random.next() % n as u64) as u32).collect();
        let changes: Vec<crate::Change> = moved.iter().map(|&row| {
            let vector: Vec<f32> = (0..8).map(|_| (random.next() % 5) as f32 - 2.0).collect();
            values[row as usize * 8..][..8].copy_from_slice(&vector);
            crate::Change::Upsert(ItemRow(row), vector)
        }).collect();
        let (generation, _) = generation.changed(&changes);
        let only = crate::Filter::new(rows(n).into_iter().filter(|row| row.0.is_multiple_of(every)));
        let never = crate::Filter::new(rows(n).into_iter().filter(|row| row.0.is_multiple_of(barred)));
        let keep = move |row: ItemRow| row.0 % odd != 1;
        let all = |row: ItemRow| {
            (!filtered || row.0.is_multiple_of(every)) && (!bars || !row.0.is_multiple_of(barred)) && (!kept || keep(row))
        };
        let truth = brute(Metric::Dot, &values, &query, all);
        let keep: Option<Keep<'_>> = if kept { Some(&keep) } else { None };
        let asked = crate::Query {
            filter: filtered.then_some(&only),
            barred: bars.then_some(&never),
            keep,
            ..crate::Query::new(&query, k)
        };
        let found = generation.find(&asked).expect("a good query").rows;
        let found: Vec<(ItemRow, f64)> = found.iter().map(|f| (f.0, f64::from(f.1))).collect();
        prop_assert_eq!(found, &truth[..k.min(truth.len())]);
    }

    /// Whatever the walk finds is there once, in order, with its right score, and as many as there are to be had.
    #[test]
    fn walks_lose_and_double_nothing(k in 0usize..400, every in 1u32..2_000, at in 0usize..100) {
        let (values, queries, both) = large();
        let query = &queries[at * DIM..][..DIM];
        let keep = move |row: ItemRow| row.0 % every == every / 2;
        for (metric, generation) in both {
            let there = (0..N as u32).filter(|&row| keep(ItemRow(row))).count();
            for mode in [Mode::Auto, Mode::Graph] {
                let found = generation.search(query, k, Some(&keep), mode).expect("a good query");
                prop_assert_eq!(found.len(), k.min(there));
                prop_assert!(found.iter().all(|f| keep(f.0)));
                prop_assert!(found.is_sorted_by(|a, b| a.1 > b.1 || (a.1 == b.1 && a.0 < b.0)));
                if let Some((row, score)) = found.first() {
                    let vector = &values[row.index() * DIM..][..DIM];
                    let truth = brute(*metric, vector, query, |_| true)[0].1;
                    prop_assert!((f64::from(*score) - truth).abs() < 1e-4 * truth.abs().max(1.0));
                }
            }
        }
    }
}
