//! Searches near several vectors at once: a visitor has more than one interest.

use crate::error::IndexError;
use crate::generation::{Generation, Query};
use crate::plan::Plan;
use qianmian_core::ItemRow;
use rustc_hash::FxHashSet;

/// Rows of one interest are at least this much alike, as a cosine, while there is room for another interest.
const ALIKE: f64 = 0.7;

/// Times that every row looks for its interest again.
const ROUNDS: usize = 8;

/// Something a visitor is after.
#[derive(Clone, Debug, PartialEq)]
pub struct Interest {
    /// What to be near.
    pub vector: Vec<f32>,
    /// Its share of a result, among those of the others; above 0 and finite, or it has none.
    pub weight: f32,
}

/// A row found for one of several interests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shared {
    /// The row.
    pub row: ItemRow,
    /// Its score for that interest.
    pub score: f32,
    /// Which interest.
    pub interest: usize,
}

impl Generation {
    /// The `k` rows that serve several interests: each has its turn as often as its weight says, and takes the best
    /// row for it that is not taken yet, so that no interest crowds out another however high its scores. `query` says
    /// the rest (its `vector` is not looked at). How each interest's search went comes along.
    ///
    /// # Errors
    /// As [`Generation::search`], for the first interest that is wrong.
    pub fn find_shared(
        &self,
        interests: &[Interest],
        query: &Query<'_>,
    ) -> Result<(Vec<Shared>, Vec<Plan>), IndexError> {
        let (mut lists, mut plans) = (Vec::new(), Vec::new());
        for interest in interests {
            let found = self.find(&Query { vector: &interest.vector, ..*query })?;
            lists.push(found.rows.into_iter());
            plans.push(found.plan);
        }
        let fair = |weight: f32| if weight.is_finite() && weight > 0.0 { f64::from(weight) } else { 0.0 };
        // The interest whose next turn comes first; equals in the order given.
        let mut turns: Vec<(f64, usize)> = (0..interests.len())
            .filter(|&i| fair(interests[i].weight) > 0.0)
            .map(|i| (1.0 / fair(interests[i].weight), i))
            .collect();
        let (mut taken, mut shared) = (FxHashSet::default(), Vec::new());
        while shared.len() < query.k {
            let next = turns.iter_mut().min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let Some(turn) = next else { break };
            let interest = turn.1;
            match lists[interest].find(|(row, _)| taken.insert(*row)) {
                Some((row, score)) => {
                    shared.push(Shared { row, score, interest });
                    turn.0 += 1.0 / fair(interests[interest].weight);
                }
                None => turns.retain(|turn| turn.1 != interest),
            }
        }
        Ok((shared, plans))
    }

    /// Up to `most` interests out of rows, the most telling first: rows of one direction make one interest, whose
    /// weight is their share. Always the same for the same rows in the same order; rows without a vector say nothing.
    #[must_use]
    pub fn interests(&self, rows: &[ItemRow], most: usize) -> Vec<Interest> {
        let vectors: Vec<&[f32]> = rows.iter().filter_map(|&row| self.vector(row)).collect();
        let mut centres: Vec<Vec<f32>> = Vec::new();
        // Each next one begins with the row least like those before.
        while centres.len() < most {
            let like = |vector: &&[f32]| centres.iter().map(|c| cosine(c, vector)).fold(-1.0, f64::max);
            let odd = vectors.iter().min_by(|a, b| like(a).total_cmp(&like(b)));
            match odd {
                Some(odd) if centres.is_empty() || like(odd) < ALIKE => centres.push(odd.to_vec()),
                _ => break,
            }
        }
        let mut counts = vec![0usize; centres.len()];
        for _ in 0..ROUNDS {
            let mut sums = vec![vec![0f64; self.dim()]; centres.len()];
            counts.fill(0);
            for vector in &vectors {
                let likes = centres.iter().map(|centre| cosine(centre, vector)).enumerate();
                if let Some((best, _)) = likes.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))) {
                    counts[best] += 1;
                    sums[best].iter_mut().zip(*vector).for_each(|(sum, &x)| *sum += f64::from(x));
                }
            }
            for ((centre, sum), &count) in centres.iter_mut().zip(&sums).zip(&counts) {
                // Vectors that cancel out leave the interest where it was.
                if count > 0 && sum.iter().any(|x| x.abs() > 1e-12) {
                    centre.iter_mut().zip(sum).for_each(|(c, &x)| *c = (x / count as f64) as f32);
                }
            }
        }
        let mut interests: Vec<Interest> = centres
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .map(|(vector, count)| Interest { vector, weight: count as f32 / vectors.len() as f32 })
            .collect();
        interests.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        interests
    }
}

/// The cosine of two vectors; 0 where one is zero.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum() };
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metric, SpaceSpec, Spaces};

    /// Forty rows along each of two axes, those of the first much longer; and one between.
    fn axes() -> std::sync::Arc<Generation> {
        let mut values: Vec<f32> = (0..40).flat_map(|i| [10.0 + i as f32, 0.1]).collect();
        values.extend((0..40).flat_map(|i| [0.01, 1.0 + 0.01 * i as f32]));
        values.extend([1.0, 1.0]);
        let spaces = Spaces::new();
        spaces.put(SpaceSpec::new("s", Metric::Dot), (0..81).map(ItemRow).collect(), values, 2).expect("good");
        spaces.space("s").expect("there")
    }

    #[test]
    fn no_interest_crowds_out_another() {
        let live = axes();
        let one = |x: f32, y: f32, weight: f32| Interest { vector: vec![x, y], weight };
        let query = Query::new(&[], 12);
        let (found, plans) = live.find_shared(&[one(1.0, 0.0, 1.0), one(0.0, 1.0, 2.0)], &query).expect("good");
        let of = |which: usize| found.iter().filter(|f| f.interest == which).count();
        assert_eq!((found.len(), of(0), of(1), plans.len()), (12, 4, 8, 2));
        let rows: FxHashSet<ItemRow> = found.iter().map(|f| f.row).collect();
        assert_eq!(rows.len(), 12, "none twice");
        let twice = [one(1.0, 0.0, 1.0), one(1.0, 0.0, 1.0), one(0.0, 1.0, f32::NAN)];
        let (found, _) = live.find_shared(&twice, &query).expect("good");
        assert!(found.len() == 12 && found.iter().all(|f| f.interest < 2));
        assert_eq!(live.find_shared(&[], &query).expect("good").0, []);
        assert!(live.find_shared(&[one(f32::NAN, 0.0, 1.0)], &query).is_err());
    }

    #[test]
    fn rows_of_one_direction_are_one_interest() {
        let live = axes();
        let rows: Vec<ItemRow> = [0, 1, 2, 40, 999].map(ItemRow).to_vec();
        let interests = live.interests(&rows, 3);
        assert_eq!(interests.iter().map(|i| i.weight).collect::<Vec<_>>(), [0.75, 0.25]);
        assert!(interests[0].vector[0] > 10.0 && interests[1].vector[1] >= 1.0);
        assert_eq!(live.interests(&rows, 1).len(), 1);
        assert_eq!(live.interests(&[ItemRow(999)], 3), []);
        assert_eq!(live.interests(&rows, 0), []);
    }
}
