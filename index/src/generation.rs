//! A space as it was at one moment: what was built, and what changed since.

use crate::base::Base;
use crate::best::Best;
use crate::error::{IndexError, Reason};
use crate::filter::Filter;
use crate::isa::dispatch;
use crate::kernel::{MISSING, Score, ScoreAt, ScoreBlock};
use crate::overlay::{Change, Dead, Updated};
use crate::plan::{self, Found, Plan, Way};
use crate::recent::{Bounds, BoundsOf, PIECE, Recent};
use crate::search::{Keep, Search};
use crate::spec::{Metric, Mode};
use qianmian_core::ItemRow;
use std::sync::Arc;

/// A space as it was at one moment; it never changes. An update makes a new one that shares nearly everything.
#[derive(Clone, Debug)]
pub struct Generation {
    number: u64,
    version: u64,
    /// Whole builds and what was folded up since, the first one the largest.
    pub(crate) parts: Vec<Part>,
    pub(crate) recent: Recent,
}

/// One build, and which of its rows are gone or replaced.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub base: Arc<Base>,
    pub dead: Dead,
}

/// What to search for; [`Query::new`] gives the defaults.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// The vector to be near.
    pub vector: &'a [f32],
    /// Rows wanted.
    pub k: usize,
    /// How to search.
    pub mode: Mode,
    /// Only these rows.
    pub filter: Option<&'a Filter>,
    /// Never these rows. For what changes with time and bars few: a filter beside it stays what it is, with all that was
    /// worked out for it.
    pub barred: Option<&'a Filter>,
    /// Only rows this is true for: for what changes too quickly for a bitmap. Asked after `filter` and `barred`.
    pub keep: Option<Keep<'a>>,
    /// Least width of a walk, taken as at least `k`; the space's `ef_search`, or twice `k`, when `None`.
    pub width: Option<usize>,
    /// Whether 8-bit codes may be used; false for exact scores all the way.
    pub codes: bool,
}

impl<'a> Query<'a> {
    /// The `k` best of all rows.
    #[must_use]
    pub fn new(vector: &'a [f32], k: usize) -> Self {
        Self { vector, k, mode: Mode::Auto, filter: None, barred: None, keep: None, width: None, codes: true }
    }
}

impl Generation {
    /// Of one build.
    pub(crate) fn new(number: u64, base: Base) -> Self {
        let parts = vec![Part { base: Arc::new(base), dead: Dead::default() }];
        Self { number, version: 0, parts, recent: Recent::default() }
    }

    /// What a file holds.
    pub(crate) fn from_parts(number: u64, parts: Vec<Part>, recent: Recent) -> Self {
        Self { number, version: 1, parts, recent }
    }

    /// The same under another number.
    pub(crate) fn numbered(self, number: u64) -> Self {
        Self { number, ..self }
    }

    /// The first and largest build.
    pub(crate) fn base(&self) -> &Base {
        // There is one from the beginning, and none is ever taken away.
        &self.parts[0].base
    }

    /// Numbers in a vector, at least 1.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.base().vectors.dim()
    }

    /// Rows that have a vector.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.base.len() - part.dead.len()).sum::<usize>() + self.recent.len()
    }

    /// Only when every row was deleted: no generation is built of nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What makes two vectors alike.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.base().metric()
    }

    /// The name of the space.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.base().spec.name
    }

    /// Rises with every set put or opened in this process; what changes a set leaves it as it is.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Updates and rebuilds since.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Rows that were inserted or replaced since and are scanned in every search.
    #[must_use]
    pub fn recent(&self) -> usize {
        self.recent.len()
    }

    /// False: every search is a scan.
    #[must_use]
    pub fn has_graph(&self) -> bool {
        self.base().graph.is_some()
    }

    /// Whether walks go by 8-bit codes.
    #[must_use]
    pub fn has_codes(&self) -> bool {
        self.base().codes.is_some()
    }

    /// Bytes of vectors, codes, links and row tables.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.base.bytes()).sum()
    }

    /// The rows that have a vector, in no order that means anything.
    pub fn rows(&self) -> impl Iterator<Item = ItemRow> {
        let built = self.parts.iter().flat_map(|part| {
            let all = part.base.rows.iter().zip(0u32..);
            all.filter(|(_, at)| !part.dead.contains(*at)).map(|(&row, _)| row)
        });
        built.chain(self.recent.rows().map(|(row, _)| row)).map(ItemRow)
    }

    /// The part a row's vector is in, and where.
    fn place(&self, row: ItemRow) -> Option<(&Part, u32)> {
        self.parts.iter().find_map(|part| {
            let at = part.base.at(row);
            (at != MISSING && !part.dead.contains(at)).then_some((part, at))
        })
    }

    /// The vector of a row: of length 1 for [`Metric::Cosine`], as it was given otherwise.
    #[must_use]
    pub fn vector(&self, row: ItemRow) -> Option<&[f32]> {
        match self.place(row) {
            Some((part, at)) => Some(part.base.vectors.get(at)),
            None => self.recent.get(row.0).map(|vector| &vector[..self.dim()]),
        }
    }

    /// Appends the vectors of `rows` to `out`, row-major, zeros where a row has none.
    pub fn gather(&self, rows: &[ItemRow], out: &mut Vec<f32>) {
        out.reserve(rows.len() * self.dim());
        for &row in rows {
            match self.vector(row) {
                Some(vector) => out.extend_from_slice(vector),
                None => out.resize(out.len() + self.dim(), 0.0),
            }
        }
    }

    /// The score [`Self::search`] gives each of `rows`; NaN where a row has no vector, and everywhere when the query
    /// is one that `search` refuses.
    #[must_use]
    pub fn dots(&self, query: &[f32], rows: &[ItemRow]) -> Vec<f32> {
        let mut out = vec![f32::NAN; rows.len()];
        let base = self.base();
        let Ok(query) = base.prepare(query) else { return out };
        let (metric, query) = (self.metric(), query.padded(0));
        if self.parts.len() == 1 && self.version == 0 {
            let at: Vec<u32> = rows.iter().map(|&row| base.at(row)).collect();
            let vectors = &base.vectors;
            dispatch(base.arch, ScoreAt { metric, vectors, query, at: &at, out: &mut out });
            return out;
        }
        for (row, out) in rows.iter().zip(&mut out) {
            let vector = match self.place(*row) {
                Some((part, at)) => Some(part.base.vectors.padded(at)),
                None => self.recent.get(row.0),
            };
            if let Some(vector) = vector {
                *out = base.arch.dispatch(Score(metric, vector, query));
            }
        }
        out
    }

    /// The mean of the vectors of those of `rows` that have one; `None` when none has. A row given twice counts twice.
    #[must_use]
    pub fn mean(&self, rows: &[ItemRow]) -> Option<Vec<f32>> {
        let mut sum = vec![0f64; self.dim()];
        let mut found = 0u32;
        for vector in rows.iter().filter_map(|&row| self.vector(row)) {
            sum.iter_mut().zip(vector).for_each(|(sum, &x)| *sum += f64::from(x));
            found += 1;
        }
        (found > 0).then(|| sum.iter().map(|&x| (x / f64::from(found)) as f32).collect())
    }

    /// The at most `k` best rows, highest score first, ties by row, none twice, of those `keep` is true for. The score
    /// is the metric's, exact to `f32` and always finite. All rows are there when `k` is at least their number.
    ///
    /// A walk over the graph may miss a few of the best (recall@10 is above 0.95 at the default width) but never
    /// returns less than `k` where `k` are to be had: with too few after filtering, the rows are scored one by one.
    ///
    /// # Errors
    /// [`IndexError::Dimension`] when the query is of another dimension, [`IndexError::Query`] when it is not finite,
    /// too long, or zero under cosine.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        keep: Option<Keep<'_>>,
        mode: Mode,
    ) -> Result<Vec<(ItemRow, f32)>, IndexError> {
        self.find(&Query { keep, mode, ..Query::new(query, k) }).map(|found| found.rows)
    }

    /// As [`Self::search`], with a filter whose size is known, and with what was decided and what it cost.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn find(&self, query: &Query<'_>) -> Result<Found, IndexError> {
        let padded = self.base().prepare(query.vector)?;
        let padded = padded.padded(0);
        let k = query.k.min(self.len());
        let mut best = Best::new(k);
        let mut plan = Plan::default();
        let width = query.width.unwrap_or_else(|| self.width(query, k)).max(1);
        for part in &self.parts {
            let base = &*part.base;
            // What finds its share of the whole in a small graph is narrower.
            let small = (base.len() as f32 / self.base().len() as f32).sqrt().min(1.0);
            let selection = query.filter.map(|filter| filter.selection(base));
            let barred = query.barred.map(|barred| barred.selection(base));
            let search = Search {
                base,
                query: padded,
                k: k.min(base.len()),
                mode: query.mode,
                width: (width as f32 * small) as usize,
                // What lets everything through asks nothing: the kinds of a shop with one kind of item.
                selection: selection.as_deref().filter(|selection| selection.len < base.len()),
                barred: barred.as_deref().filter(|barred| barred.len > 0),
                keep: query.keep,
                codes: base.codes.as_ref().filter(|_| query.codes),
                dead: (part.dead.len() > 0).then_some(&part.dead),
            };
            let one = search.run(&mut best);
            plan = if plan.way == Way::Nothing { one } else { plan.with(&one) };
        }
        if k > 0 && self.recent.len() > 0 {
            plan.recent = self.scan_recent(padded, query, &mut best);
        }
        let rows = best.take().into_iter().map(|(score, row)| (ItemRow(row), score)).collect();
        Ok(Found { rows, plan })
    }

    /// Width of a walk nobody gave a width for.
    fn width(&self, query: &Query<'_>, k: usize) -> usize {
        let rows = self.base().len() as f32;
        let wider = (rows / plan::ROWS_OF_WIDTH).cbrt().max(1.0);
        // Twice k, as the last places of a walk are the poorest.
        let width = ((self.base().spec.ef_search as f32 * wider) as usize).max(k.saturating_mul(2));
        // The rows of the highest inner products lie scattered; with some of them left out, more so.
        let scattered =
            self.metric() == Metric::Dot && (query.filter.is_some() || query.barred.is_some() || query.keep.is_some());
        if scattered { width.saturating_mul(2) } else { width }
    }

    /// Weighs every recent row; how many there were. Exact whatever the codes say: they only tell what need not be scored.
    fn scan_recent(&self, padded: &[f32], query: &Query<'_>, best: &mut Best) -> usize {
        let (arch, metric) = (self.base().arch, self.metric());
        let coded = query.codes && query.mode != Mode::Exact;
        let bounds = coded.then(|| Bounds::new(padded, self.dim(), metric));
        let mut scored = 0;
        for piece in self.recent.pieces() {
            scored += PIECE;
            // What was found in the last pieces raises the bar for this one.
            best.settle();
            let mut scores = [0f32; PIECE];
            if let Some(bounds) = &bounds {
                let most = dispatch(arch, BoundsOf { piece, bounds, floor: best.floor() });
                let Some(most) = most else { continue };
                scores = most;
            } else {
                let out = &mut scores[..];
                arch.dispatch(ScoreBlock { metric, vectors: &piece.vectors, query: padded, from: 0, out });
            }
            for ((at, &row), &most) in (0u32..).zip(&piece.rows).zip(&scores) {
                // A bound that is not a number bounds nothing.
                if row == MISSING || !(most.is_nan() || best.may_take(most)) {
                    continue;
                }
                let exact = || arch.dispatch(Score(metric, piece.vectors.padded(at), padded));
                let score = if coded { exact() } else { most };
                let item = ItemRow(row);
                if best.may_take(score)
                    && query.filter.is_none_or(|filter| filter.contains(item))
                    && query.barred.is_none_or(|barred| !barred.contains(item))
                    && query.keep.is_none_or(|keep| keep(item))
                {
                    best.offer_one(row, score);
                }
            }
        }
        scored
    }

    /// This generation with changes, the last of a row counting; a bad vector is left out and the row stays as it was.
    pub(crate) fn changed(&self, changes: &[Change]) -> (Self, Updated) {
        let mut new = self.clone();
        let mut done = Updated::default();
        for (position, change) in changes.iter().enumerate() {
            match change {
                Change::Upsert(row, vector) => match self.storable(vector) {
                    Ok(vector) => {
                        new.bury(*row);
                        new.recent.put(row.0, &vector);
                        done.upserted += 1;
                    }
                    Err(reason) => done.rejected.push((position, reason)),
                },
                Change::Delete(row) => {
                    let buried = new.bury(*row);
                    done.deleted += usize::from(new.recent.remove(row.0) || buried);
                }
            }
        }
        new.version += 1;
        done.recent = new.recent.len();
        (new, done)
    }

    /// Whether a vector may be a row of this space.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, vector: &[f32]) -> Result<(), Reason> {
        self.storable(vector).map(drop)
    }

    /// A vector as it is stored.
    fn storable(&self, vector: &[f32]) -> Result<Vec<f32>, Reason> {
        let (expected, received) = (self.dim(), vector.len());
        if expected != received {
            return Err(Reason::Dimension { expected, received });
        }
        crate::base::normalised(vector, self.metric())
    }

    /// Marks a row that was built as gone.
    fn bury(&mut self, row: ItemRow) -> bool {
        self.parts.iter_mut().fold(false, |buried, part| {
            let at = part.base.at(row);
            (at != MISSING && part.dead.insert(at)) || buried
        })
    }

    /// Every row with its vector, row-major, as a build takes them; of the parts from `first` on and the recent ones.
    pub(crate) fn contents(&self, first: usize) -> (Vec<ItemRow>, Vec<f32>) {
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for part in self.parts.iter().skip(first) {
            for (&row, at) in part.base.rows.iter().zip(0u32..).filter(|(_, at)| !part.dead.contains(*at)) {
                rows.push(ItemRow(row));
                values.extend_from_slice(part.base.vectors.get(at));
            }
        }
        for (row, vector) in self.recent.rows() {
            rows.push(ItemRow(row));
            values.extend_from_slice(vector);
        }
        (rows, values)
    }

    /// The same with nothing recent, of which all is gone again.
    pub(crate) fn without_recent(&self) -> Self {
        Self { version: self.version + 1, recent: Recent::default(), ..self.clone() }
    }

    /// The first parts of this generation, then another with all the rest in it.
    pub(crate) fn folded(&self, first: usize, base: Base) -> Self {
        let mut parts: Vec<Part> = self.parts.iter().take(first).cloned().collect();
        parts.push(Part { base: Arc::new(base), dead: Dead::default() });
        Self { number: self.number, version: self.version + 1, parts, recent: Recent::default() }
    }
}
