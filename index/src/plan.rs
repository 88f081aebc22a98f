//! How a search is to be done, decided from its size and its filter, and what came of it.

use qianmian_core::ItemRow;

/// The way a search went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Way {
    /// There was nothing to search: `k` is 0, or nothing is let through.
    #[default]
    Nothing,
    /// Every row scored exactly.
    Scan,
    /// Every row scored by its codes, the best of them exactly.
    CodeScan,
    /// The rows that are let through scored exactly.
    Gather,
    /// The rows that are let through scored by their codes, the best of them exactly.
    CodeGather,
    /// The rows that are let through weighed by the signs of their numbers, what these do not rule out scored by codes,
    /// the best of it exactly.
    SignGather,
    /// The graph walked, and nothing to let through or not.
    Walk,
    /// The graph walked wide enough for what is let through.
    FilteredWalk,
}

/// What was decided for one search, and what it cost.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Plan {
    /// The way that gave the result.
    pub way: Way,
    /// Share of the rows that are let through, 0..=1: exact for a [`crate::Filter`], as if spread evenly for what is
    /// barred, from a sample for a closure.
    pub share: f32,
    /// Share let through among the rows nearest the query, when a walk found out.
    pub share_near: Option<f32>,
    /// Width of the last walk; 0 when none was made.
    pub width: usize,
    /// Rows scored, by codes or exactly, over all attempts.
    pub scored: usize,
    /// Rows scored exactly after their codes.
    pub rescored: usize,
    /// Rows scored that were inserted or replaced since the generation was built.
    pub recent: usize,
    /// Walks that were made and did not do.
    pub retries: usize,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing to search",
            Self::Scan => "scan",
            Self::CodeScan => "scan by codes",
            Self::Gather => "gather",
            Self::CodeGather => "gather by codes",
            Self::SignGather => "gather by signs",
            Self::Walk => "walk",
            Self::FilteredWalk => "filtered walk",
        })
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {:.1}% let through", self.way, 100.0 * self.share)?;
        if let Some(near) = self.share_near {
            write!(f, ", {:.1}% of what is near", 100.0 * near)?;
        }
        if self.width > 0 {
            write!(f, ", width {}, {} walks", self.width, self.retries + 1)?;
        }
        write!(f, ", {} scored, {} again exactly, {} recent", self.scored, self.rescored, self.recent)
    }
}

impl Plan {
    /// The plan of a search of several parts: the way of the first, and what all of them cost.
    pub(crate) fn with(mut self, other: &Self) -> Self {
        self.scored += other.scored;
        self.rescored += other.rescored;
        self.retries += other.retries;
        self
    }
}

/// A result and how it came about.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Found {
    /// Best first, ties by row.
    pub rows: Vec<(ItemRow, f32)>,
    /// How they were found.
    pub plan: Plan,
}

/// Rows in memory order that take as long to score as one more place in the pool of a walk, exactly and by codes.
pub(crate) const ROWS_PER_PLACE: usize = 80;
pub(crate) const CODES_PER_PLACE: usize = 65;

/// The same for rows here and there.
pub(crate) const GATHERED_PER_PLACE: usize = 25;
pub(crate) const GATHERED_CODES_PER_PLACE: usize = 50;

/// From so many rows let through on they are weighed by signs first.
pub(crate) const LEAST_SIGNED: usize = 4_096;

/// One row in so many, those of the highest sums, is scored by codes at once. From these it is known how good a row must
/// be, and from a sample of so many blocks, and rows of each, how far its sum may lie below what that makes likely: so
/// many standard errors.
pub(crate) const SIGNS_FIRST: usize = 128;
pub(crate) const SAMPLED_BLOCKS: usize = 128;
pub(crate) const SAMPLED_OF_BLOCK: usize = 4;
pub(crate) const SLACK_OF_SIGNS: f64 = 2.2;

/// Rows that take as long to weigh by signs, and to score after that, as one more place in the pool of a walk; and what
/// the sample takes, in such places.
pub(crate) const SIGNED_PER_PLACE: usize = 330;
pub(crate) const PLACES_OF_SAMPLE: usize = 50;

/// Rows up to which a space's width does; with more, it grows with the cube root of their number: at a million of 64
/// numbers, recall@10 is .981 without that and .992 with it.
pub(crate) const ROWS_OF_WIDTH: f32 = 200_000.0;

/// Rows asked to learn how much a closure lets through.
pub(crate) const SAMPLE: usize = 256;

/// Less than this share of the rows is asked first and scored after; a walk would throw nearly all it finds away.
pub(crate) const LEAST_SHARE: f32 = 0.1;

/// A closure that lets at least this share through is asked last, about this many times the rows that should do.
pub(crate) const MOST_SHARE: f32 = 0.5;
pub(crate) const MORE: f32 = 1.2;

/// Up to so many rows are scored exactly at once: their codes would hardly be faster.
pub(crate) const FEW_ROWS: usize = 256;

/// A walk's pool is right at its beginning: the last row of a result must stand within this share of it.
pub(crate) const GOOD_PART: f32 = 0.5;

/// Width at which a walk finds `k` rows of the share it is told within [`GOOD_PART`] of its pool, with three standard
/// deviations to spare when they lie there by chance.
pub(crate) fn width_for(k: usize, share: f32) -> usize {
    let k = k as f32;
    let spare = 3.0 * (k * (1.0 - share).max(0.0)).sqrt();
    // The conversion saturates.
    ((k + spare) / share / GOOD_PART).ceil() as usize
}

/// A search that will cost more than so many narrow walks begins with one.
pub(crate) const LOOK: usize = 5;

/// A walk over all is not even begun when a filter that lets at least this share through bars every row it would begin
/// with.
pub(crate) const ALL_BARRED: f32 = 0.4;

/// A walk over nothing but what is let through takes about as long as so many narrow ones over all.
pub(crate) const ONLY: usize = 3;

/// Such a walk begins with one row in so many of those wanted at least.
pub(crate) const LEAST_FOUND: usize = 2;

/// What scores by their codes at most so many standard errors less than the last place is scored exactly.
pub(crate) const SLACK_OF_SCAN: f32 = 4.0;
pub(crate) const SLACK_OF_WALK: f32 = 3.0;
