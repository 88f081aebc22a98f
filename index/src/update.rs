//! Changes of single rows, seen by the next search, and taking them into the graph behind the searches' backs.

use crate::base::Base;
use crate::check::LEAST_WALK;
use crate::error::IndexError;
use crate::generation::Generation;
use crate::overlay::{Change, Updated};
use crate::spaces::{Cell, Spaces};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The recent rows are folded into a small build of their own while those since the last whole build are less than
/// this share of the space; a search of two builds costs less than twice one.
const SMALL_SHARE: usize = 8;

/// What stands between the writers of a space; searches never see it.
#[derive(Debug, Default)]
pub(crate) struct Writing {
    /// Changes that came while a rebuild is under way, to be made to what it builds.
    since: Mutex<Option<Vec<Change>>>,
    /// Held by whoever rebuilds.
    rebuilding: Mutex<()>,
    /// What updates replaced and searches may still hold: taking it down, piece by piece, is not for a search to do.
    retired: Mutex<Vec<Arc<Generation>>>,
}

impl Writing {
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

/// What became of one [`Spaces::rebuild`].
#[derive(Clone, Debug, PartialEq)]
pub struct Rebuilt {
    /// Number of the generation that serves now.
    pub generation: u64,
    /// Vectors in it.
    pub rows: usize,
    /// Whether everything was built anew, and not only what was recent.
    pub whole: bool,
    /// Changes that came meanwhile and are recent again.
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
        let mut since = lock(&cell.writing.since);
        let (new, done) = cell.live.load().changed(changes);
        cell.writing.retire(cell.live.swap(new.into()));
        if let Some(since) = since.as_mut() {
            since.extend_from_slice(changes);
        }
        Ok(done)
    }

    /// Takes what is recent into a graph: into a small one beside the large one, or all into a new one when much has
    /// changed. Takes as long as a build; searches and updates go on meanwhile. Run it on a thread, or inside a
    /// `rayon` pool, of the share of the machine it may have. `Ok(None)` when nothing is recent.
    ///
    /// # Errors
    /// [`IndexError::Unknown`] when there is no such space; [`IndexError::Probe`] when the new build finds too little;
    /// [`IndexError::Empty`] when every row is gone. The space is then as it was.
    pub fn rebuild(&self, space: &str) -> Result<Option<Rebuilt>, IndexError> {
        let began = Instant::now();
        let cell = self.cell(space)?;
        let _alone = lock(&cell.writing.rebuilding);
        let old = {
            let mut since = lock(&cell.writing.since);
            *since = Some(Vec::new());
            cell.live.load_full()
        };
        let built = self.build_again(&old);
        let mut since = lock(&cell.writing.since);
        let changes = since.take().unwrap_or_default();
        let Some((new, whole, recall)) = built? else { return Ok(None) };
        // A whole set put meanwhile is newer than all of this.
        if cell.live.load().number() != old.number() {
            return Ok(None);
        }
        let (new, _) = new.changed(&changes);
        let report = Rebuilt {
            generation: new.number(),
            rows: new.len(),
            whole,
            carried: changes.len(),
            recall,
            took: began.elapsed(),
        };
        cell.live.store(new.into());
        cell.writing.forget();
        Ok(Some(report))
    }

    /// The next generation, whether it is a whole build, and what the new part finds of itself.
    fn build_again(&self, old: &Generation) -> Result<Option<(Generation, bool, f32)>, IndexError> {
        let gone: usize = old.parts.iter().map(|part| part.dead.len()).sum();
        if old.recent() == 0 && gone == 0 && old.parts.len() == 1 {
            return Ok(None);
        }
        let newer = old.len().saturating_sub(old.base().len() - old.parts[0].dead.len());
        let whole = newer * SMALL_SHARE >= old.len() || gone * SMALL_SHARE >= old.len() || newer == 0;
        let first = usize::from(!whole);
        let (rows, values) = old.contents(first);
        let (base, _) = Base::build(old.base().spec.clone(), &rows, &values, old.dim())?;
        let recall = base.walk_recall();
        let wanted = old.base().graph.is_some() && base.wants_graph();
        if recall < LEAST_WALK || (wanted && base.graph.is_none()) {
            let (space, expected) = (old.name().to_owned(), LEAST_WALK);
            return Err(IndexError::Probe { space, received: recall, expected });
        }
        Ok(Some((old.folded(self.next_number(), first, base), whole, recall)))
    }
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
        assert!(whole.whole && whole.recall > 0.9 && whole.generation > small.generation, "{whole:?}");
        check(&spaces);
        assert_eq!(spaces.rebuild("s"), Ok(None));
        assert_eq!(nearest(&spaces, &vector(555, 1)).0, ItemRow(555));
        assert!(matches!(spaces.update("t", &[]), Err(IndexError::Unknown { .. })));
    }

    #[test]
    fn every_row_may_go() {
        let spaces = spaces(10);
        let all: Vec<Change> = (0..10).map(|row| Change::Delete(ItemRow(row))).collect();
        assert_eq!(spaces.update("s", &all).map(|done| done.deleted), Ok(10));
        let live = spaces.space("s").expect("there");
        assert!(live.is_empty() && live.search(&[0.0; 16], 3, None, Mode::Auto) == Ok(vec![]));
        assert!(matches!(spaces.rebuild("s"), Err(IndexError::Empty { .. })));
        spaces.update("s", &[Change::Upsert(ItemRow(2), vector(2, 0))]).expect("there");
        assert_eq!(nearest(&spaces, &vector(2, 0)), (ItemRow(2), 0.0));
    }

    #[test]
    fn nothing_is_lost_while_a_rebuild_runs() {
        let spaces = spaces(3_000);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..3 {
                    spaces.rebuild("s").expect("good");
                }
                done.store(true, Ordering::Relaxed);
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
}
