//! Changes of single rows, seen by the next search, and taking them into the graph behind the searches' backs.

use crate::base::Base;
use crate::check::LEAST_WALK;
use crate::error::IndexError;
use crate::generation::Generation;
use crate::overlay::{Change, Updated};
use crate::spaces::{Cell, Spaces};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// The recent rows are folded into small builds of their own while those since the last whole build are less than this
/// share of the space; a search of two builds costs less than twice one.
const SMALL_SHARE: usize = 8;

/// A space is due for a rebuild when a search scans this share of its rows, within these limits: a few microseconds.
const SCANNED_SHARE: usize = 20;
const LEAST_SCANNED: usize = 500;
const MOST_SCANNED: usize = 4_000;

/// What came during a whole build is folded too before that serves, unless it is less than this.
const FEW_CARRIED: usize = 2_000;

/// Times this is done at most: each takes less time than the one before, so less comes meanwhile.
const MOST_CARRIES: usize = 4;

/// Two builds may be under way at once, so that what is recent stays little while all is built anew.
#[derive(Clone, Copy, Debug)]
enum Build {
    Whole,
    Small,
}

/// What stands between the writers of a space; searches never see it.
#[derive(Debug, Default)]
pub(crate) struct Writing {
    /// Changes that came while a build is under way, for each kind of build, to be made to what it builds.
    since: Mutex<[Option<Vec<Change>>; 2]>,
    /// Held by whoever builds all anew, and by whoever folds what is recent.
    building: [Mutex<()>; 2],
    /// What updates replaced and searches may still hold: taking it down, piece by piece, is not for a search to do.
    retired: Mutex<Vec<Arc<Generation>>>,
}

/// Whoever holds it alone may say what serves.
type Turn<'a> = MutexGuard<'a, [Option<Vec<Change>>; 2]>;

impl Writing {
    /// Waits for those who are changing what serves.
    pub(crate) fn turn(&self) -> Turn<'_> {
        lock(&self.since)
    }

    /// Takes down what no search holds any more.
    fn retire(&self, old: Arc<Generation>) {
        let mut retired = lock(&self.retired);
        retired.push(old);
        retired.retain(|old| Arc::strong_count(old) > 1);
    }

    /// Leaves what was replaced to the searches that hold it: it would keep a build that is not served in memory.
    pub(crate) fn forget(&self) {
        lock(&self.retired).clear();
    }
}

/// A lock whose holder died guards nothing that is half done: generations are whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same, `None` when somebody holds it.
fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(died)) => Some(died.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// What became of one [`Spaces::rebuild`].
#[derive(Clone, Debug, PartialEq)]
pub struct Rebuilt {
    /// Number of the generation, which is that of the set as it was put.
    pub generation: u64,
    /// Vectors in it.
    pub rows: usize,
    /// Whether everything was built anew, and not only what was recent.
    pub whole: bool,
    /// Rows that came meanwhile and are recent again.
    pub carried: usize,
    /// Recall@10 of the new build for rows of its own.
    pub recall: f32,
    /// Time it took.
    pub took: Duration,
}

impl Spaces {
    /// Makes changes to a space; every search that begins after this returns sees all of them, none sees some of them.
    /// A bad vector is left out and reported. Costs microseconds a change; many at once are cheaper than one by one.
    ///
    /// # Errors
    /// [`IndexError::Unknown`] when there is no such space.
    pub fn update(&self, space: &str, changes: &[Change]) -> Result<Updated, IndexError> {
        let cell = self.cell(space)?;
        let mut turn = cell.writing.turn();
        let (new, done) = cell.live.load().changed(changes);
        cell.writing.retire(cell.live.swap(new.into()));
        for since in turn.iter_mut().flatten() {
            since.extend_from_slice(changes);
        }
        Ok(done)
    }

    /// Takes what is recent into a graph: into a small one beside the large one, or all into a new one when much has
    /// changed. Takes as long as a build; searches and updates go on meanwhile. Run it on a thread, or inside a
    /// `rayon` pool, of the share of the machine it may have. `Ok(None)` when there is nothing to do, or a whole set was
    /// put meanwhile.
    ///
    /// # Errors
    /// [`IndexError::Unknown`] when there is no such space; [`IndexError::Probe`] when the new build finds too little;
    /// [`IndexError::Empty`] when every row is gone. The space is then as it was.
    pub fn rebuild(&self, space: &str) -> Result<Option<Rebuilt>, IndexError> {
        let cell = self.cell(space)?;
        if wants_whole(&cell.live.load())
            && let Some(_alone) = try_lock(&cell.writing.building[Build::Whole as usize])
        {
            return build(&cell, Build::Whole);
        }
        let _alone = lock(&cell.writing.building[Build::Small as usize]);
        build(&cell, Build::Small)
    }

    /// Whether all of a space is being built anew behind its searches.
    #[must_use]
    pub fn builds_all(&self, space: &str) -> bool {
        self.find_cell(space).is_some_and(|cell| try_lock(&cell.writing.building[Build::Whole as usize]).is_none())
    }

    /// Takes what is recent into a small graph and does no more, for a second thread while another one rebuilds all.
    /// `Ok(None)` at once when a third one is at it.
    ///
    /// # Errors
    /// As [`Self::rebuild`].
    pub fn fold(&self, space: &str) -> Result<Option<Rebuilt>, IndexError> {
        let cell = self.cell(space)?;
        match try_lock(&cell.writing.building[Build::Small as usize]) {
            Some(_alone) => build(&cell, Build::Small),
            None => Ok(None),
        }
    }
}

impl Generation {
    /// Whether [`Spaces::rebuild`] is worth its while: searches scan many rows that are recent, or were, or pass over many
    /// that are gone.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.scans_much() || (self.gone() >= LEAST_SCANNED && many_gone(self) && !self.is_empty())
    }

    /// Whether searches scan many rows that are recent, or were: a [`Spaces::fold`] is worth its while, also while all is
    /// being built anew.
    #[must_use]
    pub fn scans_much(&self) -> bool {
        let most = (self.len() / SCANNED_SHARE).clamp(LEAST_SCANNED, MOST_SCANNED);
        // Nothing is built of nothing.
        self.recent.scanned() >= most && !self.is_empty()
    }

    /// Rows that were built and are gone or replaced.
    fn gone(&self) -> usize {
        self.parts.iter().map(|part| part.dead.len()).sum()
    }
}

/// Whether so much came or went that all is built anew.
fn wants_whole(live: &Generation) -> bool {
    let newer = live.len().saturating_sub(live.base().len() - live.parts[0].dead.len());
    newer * SMALL_SHARE >= live.len() || many_gone(live) || (newer == 0 && live.gone() > 0)
}

fn many_gone(live: &Generation) -> bool {
    live.gone() * SMALL_SHARE >= live.len()
}

/// Builds behind the searches' backs and serves the result, for whoever holds the lock of such builds.
fn build(cell: &Cell, kind: Build) -> Result<Option<Rebuilt>, IndexError> {
    let began = Instant::now();
    let old = {
        let mut turn = cell.writing.turn();
        turn[kind as usize] = Some(Vec::new());
        cell.live.load_full()
    };
    let built = match kind {
        Build::Whole => whole(cell, &old).map(Some),
        Build::Small => small(&old),
    };
    let mut turn = cell.writing.turn();
    let changes = turn[kind as usize].take().unwrap_or_default();
    let Some((new, recall)) = built? else { return Ok(None) };
    // A whole set that was put meanwhile is newer than all of this, and a whole build has what this would add as recent.
    if cell.live.load().base().id != old.base().id {
        return Ok(None);
    }
    let (new, _) = new.changed(&changes);
    let whole = matches!(kind, Build::Whole);
    let took = began.elapsed();
    let report = Rebuilt { generation: new.number(), rows: new.len(), whole, carried: new.recent(), recall, took };
    cell.live.store(new.into());
    cell.writing.forget();
    Ok(Some(report))
}

/// All of it in one new graph, what came meanwhile beside it; with what the graph finds of itself.
fn whole(cell: &Cell, old: &Generation) -> Result<(Generation, f32), IndexError> {
    let (mut new, recall) = folded(old, 0)?;
    for _ in 0..MOST_CARRIES {
        let changes = cell.writing.turn()[Build::Whole as usize].replace(Vec::new()).unwrap_or_default();
        new = new.changed(&changes).0;
        if new.recent() < FEW_CARRIED {
            break;
        }
        new = small(&new)?.map_or(new, |(new, _)| new);
    }
    Ok((new, recall))
}

/// What is recent in a small graph, together with the last small ones that are not much larger, so that there are few;
/// `None` when nothing is or was recent.
fn small(old: &Generation) -> Result<Option<(Generation, f32)>, IndexError> {
    let (mut first, mut rows) = (old.parts.len(), old.recent());
    if old.recent.scanned() == 0 {
        return Ok(None);
    }
    if rows == 0 {
        return Ok(Some((old.without_recent(), 1.0)));
    }
    while first > 1 && old.parts[first - 1].base.len() <= 2 * rows {
        first -= 1;
        rows += old.parts[first].base.len();
    }
    folded(old, first).map(Some)
}

/// The parts from `first` on and what is recent in one new part, if it finds enough.
fn folded(old: &Generation, first: usize) -> Result<(Generation, f32), IndexError> {
    let (rows, values) = old.contents(first);
    let (base, _) = Base::build(old.base().spec.clone(), &rows, &values, old.dim())?;
    let recall = base.walk_recall();
    let wanted = old.base().graph.is_some() && base.wants_graph();
    if recall < LEAST_WALK || (wanted && base.graph.is_none()) {
        let (space, expected) = (old.name().to_owned(), LEAST_WALK);
        return Err(IndexError::Probe { space, received: recall, expected });
    }
    Ok((old.folded(first, base), recall))
}

/// The cell of a space that must be there.
impl Spaces {
    fn cell(&self, space: &str) -> Result<Arc<Cell>, IndexError> {
        self.find_cell(space).ok_or_else(|| IndexError::Unknown { space: space.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Metric, Mode, SpaceSpec};
    use crate::{Filter, Query, Reason};
    use qianmian_core::ItemRow;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A vector of its own for every row and round.
    fn vector(row: u32, round: u32) -> Vec<f32> {
        (0..16u32).map(|i| ((row * 31 + i * 17 + round * 7) as f32 * 0.37).sin() + 0.01 * i as f32).collect()
    }

    fn spaces(rows: u32) -> Spaces {
        let spaces = Spaces::new();
        let values = (0..rows).flat_map(|row| vector(row, 0)).collect();
        let spec = SpaceSpec::new("s", Metric::L2);
        spaces.put(spec, (0..rows).map(ItemRow).collect(), values, 16).expect("good vectors");
        spaces
    }

    fn nearest(spaces: &Spaces, query: &[f32]) -> (ItemRow, f32) {
        spaces.space("s").expect("there").search(query, 1, None, Mode::Auto).expect("good")[0]
    }

    #[test]
    fn changes_are_seen_at_once_and_survive_rebuilds() {
        let spaces = spaces(5_000);
        let far = |by: f32| vec![by; 16];
        let up = |row: u32, by: f32| Change::Upsert(ItemRow(row), far(by));
        let done = spaces.update("s", &[up(7, 50.0), up(9_000, 60.0), up(8, f32::NAN), Change::Delete(ItemRow(3))]);
        let done = done.expect("there");
        assert_eq!((done.upserted, done.deleted, done.recent), (2, 1, 2));
        assert!(matches!(done.rejected[..], [(2, Reason::NotFinite { .. })]));
        let check = |spaces: &Spaces| {
            assert_eq!(nearest(spaces, &far(50.0)), (ItemRow(7), 0.0));
            assert_eq!(nearest(spaces, &far(60.0)), (ItemRow(9_000), 0.0));
            assert_ne!(nearest(spaces, &vector(3, 0)).1, 0.0, "a deleted row is not found");
            let live = spaces.space("s").expect("there");
            assert_eq!((live.len(), live.rows().count()), (5_000, 5_000));
            assert_eq!((live.vector(ItemRow(3)), live.vector(ItemRow(7))), (None, Some(&far(50.0)[..])));
            assert!(live.dots(&far(0.0), &[ItemRow(3)])[0].is_nan());
            assert_eq!(live.dots(&far(0.0), &[ItemRow(7)]), [-40_000.0]);
            let only = Filter::new([ItemRow(7), ItemRow(3)]);
            let found = live.find(&Query { filter: Some(&only), ..Query::new(&far(0.0), 5) }).expect("good");
            assert_eq!(found.rows.iter().map(|f| f.0.0).collect::<Vec<_>>(), [7]);
            let all = live.search(&far(0.0), usize::MAX, None, Mode::Auto).expect("good");
            assert_eq!(all.len(), 5_000);
        };
        check(&spaces);
        let small = spaces.rebuild("s").expect("good").expect("something to do");
        assert!(!small.whole && small.rows == 5_000, "{small:?}");
        check(&spaces);
        let many: Vec<Change> =
            (0..1_000).map(|row| Change::Upsert(ItemRow(row + 100), vector(row + 100, 1))).collect();
        spaces.update("s", &many).expect("there");
        check(&spaces);
        let whole = spaces.rebuild("s").expect("good").expect("something to do");
        assert!(whole.whole && whole.recall > 0.9 && whole.generation == small.generation, "{whole:?}");
        check(&spaces);
        assert_eq!(spaces.rebuild("s"), Ok(None));
        assert_eq!(nearest(&spaces, &vector(555, 1)).0, ItemRow(555));
        assert!(matches!(spaces.update("t", &[]), Err(IndexError::Unknown { .. })));
    }

    #[test]
    fn what_only_goes_is_taken_out_too() {
        let spaces = spaces(6_000);
        let live = || spaces.space("s").expect("there");
        // a row that comes and goes takes a new place each time
        for round in 0..499 {
            let come = Change::Upsert(ItemRow(9_000), vector(9_000, round));
            spaces.update("s", &[come, Change::Delete(ItemRow(9_000))]).expect("there");
            assert!(live().recent() == 0 && !live().is_due(), "{round}");
        }
        spaces.update("s", &[Change::Upsert(ItemRow(9_000), vector(9_000, 0))]).expect("there");
        assert!(live().is_due());
        spaces.update("s", &[Change::Delete(ItemRow(9_000))]).expect("there");
        let folded = spaces.rebuild("s").expect("good").expect("something to do");
        assert!(!folded.whole && !live().is_due() && live().len() == 6_000);
        let gone: Vec<Change> = (0..800).map(|row| Change::Delete(ItemRow(row))).collect();
        spaces.update("s", &gone).expect("there");
        assert!(live().is_due() && live().len() == 5_200);
        assert!(spaces.rebuild("s").is_ok_and(|built| built.is_some_and(|built| built.whole && built.rows == 5_200)));
        assert!(!live().is_due());
        assert_eq!(nearest(&spaces, &vector(900, 0)).0, ItemRow(900));
    }

    #[test]
    fn every_row_may_go() {
        let spaces = spaces(10);
        let all: Vec<Change> = (0..10).map(|row| Change::Delete(ItemRow(row))).collect();
        assert_eq!(spaces.update("s", &all).map(|done| done.deleted), Ok(10));
        let live = spaces.space("s").expect("there");
        assert!(live.is_empty() && live.search(&[0.0; 16], 3, None, Mode::Auto) == Ok(vec![]));
        assert!(!live.is_due() && matches!(spaces.rebuild("s"), Err(IndexError::Empty { .. })));
        spaces.update("s", &[Change::Upsert(ItemRow(2), vector(2, 0))]).expect("there");
        assert_eq!(nearest(&spaces, &vector(2, 0)), (ItemRow(2), 0.0));
    }

    #[test]
    fn nothing_is_lost_while_rebuilds_run() {
        let spaces = spaces(3_000);
        let (done, whole) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !whole.load(Ordering::Relaxed) {
                    let rebuilt = spaces.rebuild("s").expect("good");
                    whole.fetch_or(rebuilt.is_some_and(|rebuilt| rebuilt.whole), Ordering::Relaxed);
                }
                done.store(true, Ordering::Relaxed);
            });
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert!(spaces.fold("s").expect("good").is_none_or(|folded| !folded.whole));
                }
            });
            let mut row = 0;
            while !done.load(Ordering::Relaxed) {
                row = (row + 1) % 4_000;
                let far = vec![row as f32 + 100.0; 16];
                spaces.update("s", &[Change::Upsert(ItemRow(row), far.clone())]).expect("there");
                assert_eq!(nearest(&spaces, &far), (ItemRow(row), 0.0));
                let gone = (row + 17) % 4_000;
                spaces.update("s", &[Change::Delete(ItemRow(gone))]).expect("there");
                assert_eq!(spaces.space("s").and_then(|s| s.vector(ItemRow(gone)).map(<[f32]>::len)), None);
            }
        });
    }

    #[test]
    fn a_set_put_meanwhile_stays() {
        let spaces = spaces(3_000);
        let cell = spaces.cell("s").expect("there");
        let old = cell.live.load_full();
        let many: Vec<Change> = (0..900).map(|row| Change::Upsert(ItemRow(row), vector(row, 1))).collect();
        spaces.update("s", &many).expect("there");
        assert!(!wants_whole(&old) && wants_whole(&cell.live.load()));
        let late = small(&cell.live.load()).expect("good").expect("something to do").0;
        assert_eq!((late.parts.len(), late.recent(), late.number()), (2, 0, old.number()));
        spaces.put(SpaceSpec::new("s", Metric::L2), vec![ItemRow(1)], vec![0.0; 16], 16).expect("good");
        assert_eq!(spaces.rebuild("s"), Ok(None));
        assert_eq!(spaces.space("s").map(|s| s.len()), Some(1));
    }
}
