//! The best few of many.

/// Room for scores of a block that are not yet weighed.
const SPARE: usize = 256;

/// Scores that are looked at together.
const FEW: usize = 16;

/// The `k` best of what is offered, found in linear time.
pub(crate) struct Best {
    k: usize,
    /// How much worse than the last of them may still be kept; without, ties go by row and no more than `k` are kept.
    slack: Option<f32>,
    /// Weighed again when there are so many.
    full: usize,
    /// No lower score can be among the best any more.
    floor: f32,
    /// Score and row as one number, the better the smaller: numbers are compared without a branch.
    found: Vec<u64>,
}

/// Higher score first, then lower row. Scores are finite.
#[inline(always)]
fn key(score: f32, row: u32) -> u64 {
    // Adding 0 makes one zero of both.
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(!ascending) << 32 | u64::from(row)
}

#[inline(always)]
fn score_of(key: u64) -> f32 {
    let ascending = !((key >> 32) as u32);
    f32::from_bits(if ascending >> 31 == 1 { ascending & !(1 << 31) } else { !ascending })
}

impl Best {
    pub fn new(k: usize) -> Self {
        Self::keeping(k, None)
    }

    /// Keeps more than `k`: all that score at most `slack` less than the last of them, at a slack of 0 its ties.
    pub fn with_slack(k: usize, slack: f32) -> Self {
        Self::keeping(k, Some(slack))
    }

    fn keeping(k: usize, slack: Option<f32>) -> Self {
        let full = 2 * k + SPARE;
        Self { k, slack, full, floor: f32::NEG_INFINITY, found: Vec::with_capacity(full) }
    }

    /// Whether a score may be among the best; a look at this spares the dearer questions.
    #[inline(always)]
    pub fn may_take(&self, score: f32) -> bool {
        score >= self.floor
    }

    /// What [`Self::may_take`] compares with.
    pub fn floor(&self) -> f32 {
        self.floor
    }

    /// Sets the bar by what was found so far. Costs nothing when that is nothing new.
    pub fn settle(&mut self) {
        if self.found.len() == self.k && self.floor > f32::NEG_INFINITY {
            return;
        }
        self.cut();
        if self.found.len() >= self.k
            && let Some(&worst) = self.found.iter().max()
        {
            self.floor = score_of(worst);
        }
    }

    /// Weighs scores; `row` names the row of each by its place.
    pub fn offer(&mut self, row: impl Fn(usize) -> u32, scores: &[f32]) {
        let (chunks, rest) = scores.as_chunks::<FEW>();
        for (few, from) in chunks.iter().zip((0..).step_by(FEW)) {
            // Most of a long scan is below the bar: a look at several spares one at each.
            let floor = self.floor;
            if few.iter().fold(false, |any, &score| any | (score >= floor)) {
                few.iter().enumerate().for_each(|(at, &score)| self.offer_one(row(from + at), score));
            }
        }
        let from = scores.len() - rest.len();
        rest.iter().enumerate().for_each(|(at, &score)| self.offer_one(row(from + at), score));
    }

    /// Weighs a row with its score.
    #[inline(always)]
    pub fn offer_one(&mut self, row: u32, score: f32) {
        if score >= self.floor {
            self.found.push(key(score, row));
            if self.found.len() >= self.full {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if self.found.len() <= self.k {
            return;
        }
        if self.k > 0 {
            let (_, &mut last, _) = self.found.select_nth_unstable(self.k - 1);
            self.floor = score_of(last) - self.slack.unwrap_or_default();
        }
        if self.slack.is_some() {
            let last = key(self.floor, u32::MAX);
            self.found.retain(|&found| found <= last);
        } else {
            self.found.truncate(self.k);
        }
        self.full = 2 * self.found.len() + SPARE;
    }

    /// Those that are left, best first.
    pub fn take(mut self) -> Vec<(f32, u32)> {
        self.cut();
        self.found.sort_unstable();
        self.found.into_iter().map(|key| (score_of(key), key as u32)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_by_score_then_row() {
        let scores = [f32::MIN, -2.5, -f32::MIN_POSITIVE, 0.0, 1e-40, 1.0, f32::MAX];
        for pair in scores.windows(2) {
            assert!(key(pair[1], 9) < key(pair[0], 0), "{pair:?}");
        }
        assert!(scores.iter().all(|&score| score_of(key(score, 7)) == score));
        assert!(key(1.0, 3) < key(1.0, 4));
        assert_eq!(key(0.0, 1), key(-0.0, 1));
    }
}
