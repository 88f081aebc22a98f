//! Searching a base: by scan, by gathering what a filter selects, or by walk.

use crate::base::Base;
use crate::best::Best;
use crate::codes::{CodeBlock, CodeQuery, Codes, CodesAt};
use crate::filter::Selection;
use crate::graph::{Ask, CodePlane, FloatPlane, Graph, Kept, Walk, with_scratch};
use crate::isa::dispatch;
use crate::kernel::{ScoreAt, ScoreBlock};
use crate::overlay::Dead;
use crate::plan::{self, Plan, Way};
use crate::spec::{Metric, Mode};
use qianmian_core::ItemRow;

/// Rows scored at a time: their scores stay in the first cache.
const BLOCK: usize = 1_024;

/// Whether a row may be in the result.
pub(crate) type Keep<'a> = &'a dyn Fn(ItemRow) -> bool;

/// One search of a base.
pub(crate) struct Search<'a> {
    pub base: &'a Base,
    /// As [`Base::prepare`] gives it.
    pub query: &'a [f32],
    pub k: usize,
    pub mode: Mode,
    /// Of the walk, before what a filter adds.
    pub width: usize,
    pub selection: Option<&'a Selection>,
    /// Not empty.
    pub barred: Option<&'a Selection>,
    pub keep: Option<Keep<'a>>,
    /// Of the base, where they may be used.
    pub codes: Option<&'a Codes>,
    pub dead: Option<&'a Dead>,
}

/// What of a walk's pool is let through.
#[derive(Default)]
struct Pool {
    /// Positions looked at, and those of them that are let through.
    asked: usize,
    let_through: usize,
    /// Which of those looked at is the last one wanted; 0 when there are too few.
    last: usize,
}

impl Search<'_> {
    /// The best rows into `best`, and how they were found.
    pub fn run(&self, best: &mut Best) -> Plan {
        let mut plan = Plan { share: self.share(), ..Plan::default() };
        if self.k == 0 || plan.share <= 0.0 && self.keep.is_none() {
            return plan;
        }
        with_scratch(|kept| {
            if !self.walk(&mut plan, kept, best) {
                self.score_all(&mut plan, kept, best);
            }
        });
        plan
    }

    /// Whether anything may be left out.
    fn restricted(&self) -> bool {
        self.selection.is_some() || self.barred.is_some() || self.keep.is_some() || self.dead.is_some()
    }

    /// Whether the row at a position may be in the result; the dearest question last.
    #[inline(always)]
    fn lets(&self, at: u32) -> bool {
        self.selection.is_none_or(|selection| selection.contains(at))
            && self.barred.is_none_or(|barred| !barred.contains(at))
            && self.dead.is_none_or(|dead| !dead.contains(at))
            && self.keep.is_none_or(|keep| keep(ItemRow(self.base.rows[at as usize])))
    }

    /// The share of rows let through; what is barred or gone counts as spread evenly.
    fn share(&self) -> f32 {
        let n = self.base.len();
        let selected = self.selection.map_or(n, |selection| selection.len);
        let alive = 1.0 - self.dead.map_or(0.0, |dead| dead.len() as f32 / n as f32);
        let open = 1.0 - self.barred.map_or(0.0, |barred| barred.len as f32 / n as f32);
        let mut share = selected as f32 / n as f32 * alive * open;
        if let Some(keep) = self.keep {
            // Spread over the layout, so over the clusters.
            let sample = n.min(plan::SAMPLE);
            let all = (0..sample).map(|i| (i * n / sample) as u32);
            let (mut asked, mut kept) = (0u32, 0u32);
            for at in all.filter(|&at| self.selection.is_none_or(|selection| selection.contains(at))) {
                asked += 1;
                kept += u32::from(keep(ItemRow(self.base.rows[at as usize])));
            }
            share *= if asked == 0 { 1.0 } else { kept as f32 / asked as f32 };
        }
        share
    }

    /// What scoring all that is let through costs, in places of a walk's pool.
    fn places_to_score_all(&self, share: f32) -> usize {
        let n = self.base.len();
        match (self.selection, self.mode, self.codes) {
            (Some(_), Mode::Auto, Some(_)) if self.to_be_signed().is_some() => {
                plan::PLACES_OF_SAMPLE + (n as f32 * share) as usize / plan::SIGNED_PER_PLACE
            }
            (Some(_), Mode::Auto, Some(_)) => (n as f32 * share) as usize / plan::GATHERED_CODES_PER_PLACE,
            (Some(_), ..) => (n as f32 * share) as usize / plan::GATHERED_PER_PLACE,
            (None, Mode::Auto, Some(_)) => n / plan::CODES_PER_PLACE,
            _ => n / plan::ROWS_PER_PLACE,
        }
    }

    /// Walks the graph when that is faster or asked for; false when something else is to be done.
    fn walk(&self, plan: &mut Plan, kept: &mut Kept, best: &mut Best) -> bool {
        let Some(graph) = self.base.graph.as_ref().filter(|_| self.mode != Mode::Exact) else { return false };
        let n = self.base.len();
        let narrow = self.width.max(self.k).min(n);
        let mut share = plan.share;
        if self.mode == Mode::Auto && self.keep.is_some() && self.selection.is_none() && share < plan::LEAST_SHARE {
            return false;
        }
        let all = self.places_to_score_all(plan.share);
        if self.mode == Mode::Auto && narrow >= all {
            return false;
        }
        let wider = |share: f32| {
            // One of the sample at least, lest the width be infinite.
            let part = share.max(1.0 / plan::SAMPLE as f32);
            let wanted = plan::width_for(self.k, part);
            // The highest inner products lie scattered: a pool as wide as if nothing were left out finds too few.
            let scattered = if self.base.metric() == Metric::Dot { (narrow as f32 / part).ceil() as usize } else { 0 };
            wanted.max(scattered).clamp(narrow, n)
        };
        let mut width = if self.restricted() { wider(share) } else { narrow };
        // Where a look around costs little beside the rest, what is let through may turn out to lie near.
        if width.min(all) > plan::LOOK * narrow {
            width = narrow;
        }
        // Where most rows are let through and none of those it begins with, all around is barred.
        let bitmaps = self.selection.is_some() || self.barred.is_some();
        let surrounded = self.mode == Mode::Auto && bitmaps && plan.share >= plan::ALL_BARRED;
        let mut only = None;
        loop {
            if self.mode == Mode::Auto && width >= all {
                return false;
            }
            let barred = |at: u32| !self.lets(at);
            let vain: Option<Ask<'_>> = if surrounded && only.is_none() { Some(&barred) } else { None };
            self.walk_once(graph, width, only.as_deref(), vain, kept);
            plan.width = width;
            plan.scored += kept.walk.scored;
            let pool = self.take_from_pool(graph, kept);
            if self.restricted() && only.is_none() {
                plan.share_near = Some(pool.let_through as f32 / pool.asked.max(1) as f32);
            }
            let whole = pool.asked >= n;
            // A walk over nothing else ends early where that lies in islands.
            let good = match &only {
                None => !self.restricted() || pool.last as f32 <= plan::GOOD_PART * width as f32,
                Some(_) => kept.walk.found().count() >= width,
            };
            if pool.let_through >= self.k && (good || self.mode == Mode::Graph) || whole {
                plan.way = if self.restricted() { Way::FilteredWalk } else { Way::Walk };
                self.rescore(plan, kept, best);
                return true;
            }
            plan.retries += 1;
            if width == n || plan.retries == 3 || only.is_some() {
                return false;
            }
            if bitmaps {
                // What is near is mostly left out: a walk over the rest instead, from what was found of it on. Where next to
                // nothing was, what is let through is far away in all directions, and no walk finds it.
                let lost = plan::LEAST_FOUND * pool.let_through < self.k;
                if self.mode == Mode::Auto && (lost || all <= plan::ONLY * narrow) {
                    return false;
                }
                only = Some(self.let_through(graph));
                width = narrow;
            } else {
                share = plan.share_near.map_or(share, |near| near.min(share));
                // Never the same width again.
                width = wider(share).max(width + width / 2).min(n);
            }
        }
    }

    /// Leaves the positions of the last walk's pool that are let through in `kept.at`, as far as they may be among the
    /// best.
    fn take_from_pool(&self, graph: &Graph, kept: &mut Kept) -> Pool {
        let mut pool = Pool::default();
        let slack = if self.codes.is_some() { plan::SLACK_OF_WALK * kept.coded.error } else { 0.0 };
        let mut floor = f32::NEG_INFINITY;
        kept.at.clear();
        for (score, at) in kept.walk.found() {
            if score < floor {
                break;
            }
            for at in graph.alike(at) {
                pool.asked += 1;
                if self.lets(at) {
                    kept.at.push(at);
                    pool.let_through += 1;
                    if pool.let_through == self.k {
                        pool.last = pool.asked;
                        floor = score - slack;
                    }
                }
            }
        }
        pool
    }

    /// One bit a position: what bitmaps let through, and what is the same vector as one of those.
    fn let_through(&self, graph: &Graph) -> Vec<u64> {
        let n = self.base.len();
        let mut words = match self.selection {
            Some(selection) => selection.words().to_vec(),
            None => vec![u64::MAX; n.div_ceil(64)],
        };
        for (word, barred) in words.iter_mut().zip(self.barred.map_or(&[][..], Selection::words)) {
            *word &= !barred;
        }
        if let Some(dead) = self.dead {
            dead.take_out_of(&mut words);
        }
        graph.speak_for_twins(&mut words);
        words
    }

    fn walk_once(&self, graph: &Graph, width: usize, only: Option<&[u64]>, vain: Option<Ask<'_>>, kept: &mut Kept) {
        let (arch, len, careful) = (self.base.arch, self.base.len(), false);
        let Kept { walk: scratch, coded, at, .. } = kept;
        let from = if only.is_some() { at.as_slice() } else { &[] };
        match self.codes {
            Some(codes) => {
                codes.query(arch, self.query, coded);
                let plane = CodePlane(codes.scores(coded));
                dispatch(arch, Walk { graph, from, only, vain, careful, plane, len, width, scratch });
            }
            None => {
                let rows = self.base.vectors.padded_rows();
                let plane = FloatPlane { metric: self.base.metric(), rows, query: self.query };
                dispatch(arch, Walk { graph, from, only, vain, careful, plane, len, width, scratch });
            }
        }
    }

    /// Scores the positions in `kept.at` exactly.
    fn rescore(&self, plan: &mut Plan, kept: &mut Kept, best: &mut Best) {
        plan.rescored += kept.at.len();
        self.score_exactly(&kept.at, &mut kept.scores, best);
    }

    fn score_exactly(&self, at: &[u32], scores: &mut Vec<f32>, best: &mut Best) {
        scores.clear();
        scores.resize(at.len(), 0.0);
        let (metric, vectors, query) = (self.base.metric(), &self.base.vectors, self.query);
        dispatch(self.base.arch, ScoreAt { metric, vectors, query, at, out: scores });
        best.offer(|i| self.base.rows[at[i] as usize], scores);
    }

    /// Scores everything that is let through. A closure that lets most rows through is asked last, about the best of them
    /// and a few more: asking costs a random read or several.
    fn score_all(&self, plan: &mut Plan, kept: &mut Kept, best: &mut Best) {
        let n = self.base.len();
        if let Some(keep) = self.keep.filter(|_| plan.share >= plan::MOST_SHARE) {
            let wide = ((self.k as f32 / plan.share * plan::MORE) as usize).clamp(self.k, n);
            let mut all = Best::new(wide);
            Search { keep: None, k: wide, ..*self }.score_each(plan, kept, &mut all);
            let mut found = all.take();
            found.retain(|(_, row)| keep(ItemRow(*row)));
            if found.len() >= self.k || wide == n {
                found.into_iter().for_each(|(score, row)| best.offer_one(row, score));
                return;
            }
        }
        self.score_each(plan, kept, best);
    }

    /// Asks about each row first, then scores those that are let through.
    fn score_each(&self, plan: &mut Plan, kept: &mut Kept, best: &mut Best) {
        let n = self.base.len();
        let many = self.selection.map_or(n, |selection| selection.len) > plan::FEW_ROWS;
        let by_codes = self.mode == Mode::Auto && many && self.k < n / 8;
        let coded = match self.codes {
            Some(codes) if by_codes => {
                codes.query(self.base.arch, self.query, &mut kept.coded);
                true
            }
            _ => false,
        };
        // Positions stand for rows until they are scored exactly.
        let mut near = Best::with_slack(if coded { self.k } else { 0 }, plan::SLACK_OF_SCAN * kept.coded.error);
        if let Some((selection, codes)) = self.to_be_signed().filter(|_| coded) {
            self.score_by_signs(selection.signs(codes), plan, kept, &mut near);
            plan.way = Way::SignGather;
            self.rescore_nearest(near, plan, kept, best);
            return;
        }
        let query = coded.then_some(&kept.coded);
        let asked_first = self.restricted();
        let mut scores = [0f32; BLOCK];
        let mut block: Vec<u32> = Vec::with_capacity(BLOCK);
        let mut positions = self.selection.map(Selection::positions);
        for from in (0..).step_by(BLOCK) {
            block.clear();
            if let Some(positions) = &mut positions {
                positions.next_into(&mut block, BLOCK - 63);
            } else if asked_first {
                block.extend(from.min(n) as u32..(from + BLOCK).min(n) as u32);
            }
            let count = if asked_first { block.len() } else { n.saturating_sub(from).min(BLOCK) };
            if count == 0 {
                break;
            }
            // What is selected is not asked about its selection again.
            if self.keep.is_some() || self.barred.is_some() || self.dead.is_some() {
                block.retain(|&at| self.lets(at));
            }
            let count = if asked_first { block.len() } else { count };
            plan.scored += count;
            let scores = &mut scores[..count];
            let at = |i: usize| if asked_first { block[i] } else { (from + i) as u32 };
            self.score_block(query, if asked_first { Place::At(&block) } else { Place::From(from) }, scores);
            match query {
                Some(_) => near.offer(at, scores),
                None => best.offer(|i| self.base.rows[at(i) as usize], scores),
            }
        }
        plan.way = match (asked_first, coded) {
            (false, false) => Way::Scan,
            (false, true) => Way::CodeScan,
            (true, false) => Way::Gather,
            (true, true) => Way::CodeGather,
        };
        if coded {
            self.rescore_nearest(near, plan, kept, best);
        }
    }

    /// Scores exactly the positions that are nearest by their codes.
    fn rescore_nearest(&self, near: Best, plan: &mut Plan, kept: &mut Kept, best: &mut Best) {
        kept.at.clear();
        kept.at.extend(near.take().into_iter().map(|(_, at)| at));
        self.rescore(plan, kept, best);
    }

    fn score_block(&self, coded: Option<&CodeQuery>, place: Place<'_>, out: &mut [f32]) {
        let (arch, metric, vectors, query) = (self.base.arch, self.base.metric(), &self.base.vectors, self.query);
        match (self.codes, coded, place) {
            (Some(codes), Some(query), Place::From(from)) => dispatch(arch, CodeBlock { codes, query, from, out }),
            (Some(codes), Some(query), Place::At(at)) => dispatch(arch, CodesAt { codes, query, at, out }),
            (_, _, Place::From(from)) => arch.dispatch(ScoreBlock { metric, vectors, query, from, out }),
            (_, _, Place::At(at)) => dispatch(arch, ScoreAt { metric, vectors, query, at, out }),
        }
    }
}

/// The rows of a block: from a position on, in order, or those at some positions.
enum Place<'a> {
    From(usize),
    At(&'a [u32]),
}

mod by_signs;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod tests;
