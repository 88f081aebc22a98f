//! Scoring what a filter lets through, where that is far from the query in all directions: by signs first.

use super::{Place, Search};
use crate::best::Best;
use crate::codes::Codes;
use crate::filter::Selection;
use crate::graph::Kept;
use crate::isa::dispatch;
use crate::plan::{self, Plan};
use crate::signs::{Between, SignSums, Signs};

/// What a row's signs say of its score, from a sample.
struct Rough {
    /// Means of the sums and of the scores.
    sums: f64,
    scores: f64,
    /// What a higher score adds to the sum, and the standard deviation of what else does.
    slope: f64,
    error: f64,
    /// The sum that one row in [`plan::SIGNS_FIRST`] reaches.
    high: u16,
}

impl Rough {
    fn of(sums: &mut [u16], scores: &[f32]) -> Self {
        let count = sums.len() as f64;
        let mean_sum = sums.iter().map(|&sum| f64::from(sum)).sum::<f64>() / count;
        let mean_score = scores.iter().map(|&score| f64::from(score)).sum::<f64>() / count;
        let (mut by_sum, mut by_score, mut both) = (0.0, 0.0, 0.0);
        for (&sum, &score) in sums.iter().zip(scores) {
            let (sum, score) = (f64::from(sum) - mean_sum, f64::from(score) - mean_score);
            by_sum += sum * sum;
            by_score += score * score;
            both += sum * score;
        }
        let slope = if by_score > 0.0 { (both / by_score).max(0.0) } else { 0.0 };
        let error = ((by_sum - slope * both).max(0.0) / count).sqrt();
        sums.sort_unstable();
        let high = sums.iter().rev().nth(sums.len() / plan::SIGNS_FIRST).map_or(0, |&high| high);
        Self { sums: mean_sum, scores: mean_score, slope, error, high }
    }

    /// Rows of this score have a greater sum, but for some in a hundred.
    fn least(&self, score: f32) -> u16 {
        let expected = self.sums + self.slope * (f64::from(score) - self.scores);
        // The conversion saturates: what is not a number rules nothing out.
        (expected - plan::SLACK_OF_SIGNS * self.error).floor() as u16
    }
}

impl Search<'_> {
    /// What is let through, where it is so much that a look at its signs comes first.
    pub(super) fn to_be_signed(&self) -> Option<(&Selection, &Codes)> {
        let (selection, codes) = (self.selection?, self.codes?);
        let many = selection.len >= plan::LEAST_SIGNED.max(plan::SIGNS_FIRST * self.k);
        (many && self.keep.is_none()).then_some((selection, codes))
    }

    /// Scores by their codes the rows that their signs do not rule out: first those of the highest sums, then what a row
    /// as good as the last of the best may have. Where signs say nothing, that is everything.
    pub(super) fn score_by_signs(&self, signs: &Signs, plan: &mut Plan, kept: &mut Kept, near: &mut Best) {
        let arch = self.base.arch;
        signs.tables(&kept.coded, &mut kept.tables);
        kept.sums.resize(signs.blocks(), [0; 64]);
        kept.at.clear();
        let sums = |kept: &mut Kept, step: usize, low: u16| {
            let Kept { tables, sums, at: found, .. } = kept;
            dispatch(arch, SignSums { signs, tables, step, sums, low, found });
        };
        let step = signs.blocks().div_ceil(plan::SAMPLED_BLOCKS);
        sums(kept, step, u16::MAX);
        let mut sampled = Vec::new();
        for (at, sums) in signs.at.chunks(64).zip(&kept.sums).step_by(step) {
            sampled.extend_from_slice(&sums[..plan::SAMPLED_OF_BLOCK.min(at.len())]);
            kept.at.extend_from_slice(&at[..plan::SAMPLED_OF_BLOCK.min(at.len())]);
        }
        self.score_near(plan, kept, None);
        let rough = Rough::of(&mut sampled, &kept.scores);

        kept.at.clear();
        sums(kept, 1, rough.high);
        self.score_near(plan, kept, Some(near));
        near.settle();
        let low = rough.least(near.floor());
        if low < rough.high {
            kept.at.clear();
            dispatch(arch, Between { signs, sums: &kept.sums, low, high: rough.high, found: &mut kept.at });
            self.score_near(plan, kept, Some(near));
        }
    }

    /// Scores the positions in `kept.at` by their codes, those that nothing else bars where they are to be weighed.
    fn score_near(&self, plan: &mut Plan, kept: &mut Kept, near: Option<&mut Best>) {
        let Kept { coded, at, scores, .. } = kept;
        if near.is_some() && (self.barred.is_some() || self.dead.is_some()) {
            at.retain(|&at| self.lets(at));
        }
        plan.scored += at.len();
        scores.clear();
        scores.resize(at.len(), 0.0);
        self.score_block(Some(coded), Place::At(at), scores);
        if let Some(near) = near {
            near.offer(|i| at[i], scores);
        }
    }
}
