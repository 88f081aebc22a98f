//! The best few of many.

/// Room for scores of a block that are not yet weighed.
const SPARE: usize = 256;

/// The `k` best of what is offered, found in linear time.
pub(crate) struct Best {
    k: usize,
    /// How much worse than the last of them may still be kept; without, ties go by row and no more than `k` are kept.
    slack: Option<f32>,
    /// Weighed again when there are so many.
    full: usize,
    /// No lower score can be among the best any more.
    floor: f32,
    found: Vec<(f32, u32)>,
}

/// Higher score first, then lower row. Scores are finite.
fn better(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
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
        if self.found.len() >= self.k && self.k > 0 {
            self.floor = self.found.iter().map(|found| found.0).fold(f32::INFINITY, f32::min);
        }
    }

    /// Weighs rows with their scores.
    pub fn offer(&mut self, rows: impl Iterator<Item = u32>, scores: &[f32]) {
        rows.zip(scores).for_each(|(row, &score)| self.offer_one(row, score));
    }

    /// Weighs a row with its score.
    #[inline(always)]
    pub fn offer_one(&mut self, row: u32, score: f32) {
        if score >= self.floor {
            self.found.push((score, row));
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
            let (_, last, _) = self.found.select_nth_unstable_by(self.k - 1, better);
            self.floor = last.0 - self.slack.unwrap_or_default();
        }
        if self.slack.is_some() {
            let floor = self.floor;
            self.found.retain(|found| found.0 >= floor);
        } else {
            self.found.truncate(self.k);
        }
        self.full = 2 * self.found.len() + SPARE;
    }

    /// Those that are left, best first.
    pub fn take(mut self) -> Vec<(f32, u32)> {
        self.cut();
        self.found.sort_unstable_by(better);
        self.found
    }
}
