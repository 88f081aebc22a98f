//! The named spaces, each swapped atomically from one generation to the next.

use crate::base::Base;
use crate::error::IndexError;
use crate::generation::Generation;
use crate::spec::{Report, SpaceSpec};
use crate::update::Writing;
use arc_swap::ArcSwap;
use qianmian_core::ItemRow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

type Cells = BTreeMap<Arc<str>, Arc<Cell>>;

/// What a space serves, and what its writers share.
#[derive(Debug)]
pub(crate) struct Cell {
    pub live: ArcSwap<Generation>,
    pub writing: Writing,
}

/// Every embedding space of a process. Reading never waits, not even while a generation is being built.
#[derive(Debug, Default)]
pub struct Spaces {
    cells: ArcSwap<Cells>,
    last: AtomicU64,
}

impl Spaces {
    /// No space yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds a generation of `spec.name` from `vectors`, `dim` numbers for each of `rows`, and serves it from then
    /// on. A bad vector is left out and reported. Takes seconds for tens of thousands of rows: call it off the request
    /// path. When two run for one space, the one that began later stays.
    ///
    /// # Errors
    /// [`IndexError::Shape`] and [`IndexError::Parameter`] when the arguments do not fit, [`IndexError::Empty`] when no
    /// vector is left. The space then stays as it was.
    pub fn put(
        &self,
        spec: SpaceSpec,
        rows: Vec<ItemRow>,
        vectors: Vec<f32>,
        dim: usize,
    ) -> Result<Report, IndexError> {
        let began = Instant::now();
        let number = self.next_number();
        let name: Arc<str> = Arc::from(spec.name.as_str());
        let (base, rejected) = Base::build(spec, &rows, &vectors, dim)?;
        let generation = Generation::new(number, base);
        let (accepted, graph) = (generation.len(), generation.has_graph());
        let cell = self.swap_in(name, Arc::new(generation));
        let live = cell.live.load().number() == number;
        Ok(Report { generation: number, accepted, rejected, graph, live, took: began.elapsed() })
    }

    /// Rises over all spaces.
    pub(crate) fn next_number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn find_cell(&self, name: &str) -> Option<Arc<Cell>> {
        self.cells.load().get(name).map(Arc::clone)
    }

    /// Puts the generation in its cell unless a newer one is there.
    pub(crate) fn swap_in(&self, name: Arc<str>, new: Arc<Generation>) -> Arc<Cell> {
        loop {
            if let Some(cell) = self.cells.load().get(&name) {
                // An update that is under way would put what it began with back.
                let _turn = cell.writing.turn();
                cell.live.rcu(|old| Arc::clone(if old.number() > new.number() { old } else { &new }));
                cell.writing.forget();
                return Arc::clone(cell);
            }
            // The first generation of a space: another thread may be adding it too, so look again.
            self.cells.rcu(|cells| {
                let mut cells = Cells::clone(cells);
                cells.entry(Arc::clone(&name)).or_insert_with(|| {
                    Arc::new(Cell { live: ArcSwap::new(Arc::clone(&new)), writing: Writing::default() })
                });
                cells
            });
        }
    }

    /// The generation being served; it stays whole for as long as it is held.
    #[must_use]
    pub fn space(&self, name: &str) -> Option<Arc<Generation>> {
        self.cells.load().get(name).map(|cell| cell.live.load_full())
    }

    /// Takes a space out; searches under way finish. False when there is none.
    pub fn remove(&self, name: &str) -> bool {
        let before = self.cells.rcu(|cells| {
            let mut cells = Cells::clone(cells);
            cells.remove(name);
            cells
        });
        before.contains_key(name)
    }

    /// The names of the spaces, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.cells.load().keys().map(|name| name.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Reason, Rejected};
    use crate::spec::Metric;

    fn rows(n: u32) -> Vec<ItemRow> {
        (0..n).map(ItemRow).collect()
    }

    #[test]
    fn a_put_replaces_what_readers_get_next() -> Result<(), IndexError> {
        let spaces = Spaces::new();
        assert!(spaces.space("taste").is_none());
        let first = spaces.put(SpaceSpec::new("taste", Metric::Dot), rows(2), vec![1.0, 0.0, 0.0, 1.0], 2)?;
        let held =
            spaces.space("taste").ok_or(IndexError::Empty { space: String::new(), received: 0, rejected: vec![] })?;
        let second = spaces.put(SpaceSpec::new("taste", Metric::Dot), rows(3), vec![1.0; 9], 3)?;
        assert!(first.live && second.live && second.generation > first.generation);
        assert_eq!((held.len(), held.dim()), (2, 2));
        assert_eq!(spaces.space("taste").map(|g| (g.len(), g.dim())), Some((3, 3)));
        spaces.put(SpaceSpec::new("looks", Metric::Cosine), rows(1), vec![1.0], 1)?;
        assert_eq!(spaces.names(), ["looks", "taste"]);
        Ok(())
    }

    #[test]
    fn bad_vectors_are_left_out_with_a_reason() -> Result<(), IndexError> {
        let spaces = Spaces::new();
        let given = vec![ItemRow(7), ItemRow(8), ItemRow(7), ItemRow(9), ItemRow(10), ItemRow(11)];
        let vectors = vec![1.0, 1.0, f32::NAN, 0.0, 3.0, 3.0, 0.0, 0.0, 0.0, f32::NEG_INFINITY, 3e30, 3e30];
        let report = spaces.put(SpaceSpec::new("s", Metric::Cosine), given.clone(), vectors.clone(), 2)?;
        assert_eq!(report.accepted, 1);
        let reasons: Vec<_> = report.rejected.iter().map(|r| (r.position, r.row.0)).collect();
        assert_eq!(reasons, [(1, 8), (2, 7), (3, 9), (4, 10), (5, 11)]);
        assert!(matches!(report.rejected[0].reason, Reason::NotFinite { component: 0, .. }));
        assert_eq!(report.rejected[1].reason, Reason::Duplicate);
        assert_eq!(report.rejected[2].reason, Reason::Zero);
        assert!(matches!(report.rejected[3].reason, Reason::NotFinite { component: 1, .. }));
        assert_eq!(report.rejected[4].reason, Reason::TooLong);
        // An inner product has use for a zero vector.
        assert_eq!(spaces.put(SpaceSpec::new("s", Metric::Dot), given, vectors, 2)?.accepted, 2);
        Ok(())
    }

    #[test]
    fn what_cannot_be_built_leaves_the_space_alone() -> Result<(), IndexError> {
        let spaces = Spaces::new();
        let spec = SpaceSpec::new("s", Metric::Cosine);
        spaces.put(spec.clone(), rows(1), vec![1.0, 0.0], 2)?;
        let shape = spaces.put(spec.clone(), rows(2), vec![1.0; 5], 3);
        assert_eq!(
            shape.map_err(|e| e.to_string()),
            Err("space \"s\": 2 rows of dimension 3 need 6 numbers, received 5".to_owned())
        );
        let rejected = vec![Rejected { position: 0, row: ItemRow(0), reason: Reason::Zero }];
        assert_eq!(
            spaces.put(spec.clone(), rows(1), vec![0.0; 2], 2),
            Err(IndexError::Empty { space: "s".to_owned(), received: 1, rejected })
        );
        assert!(matches!(spaces.put(spec.clone(), vec![], vec![], 2), Err(IndexError::Empty { received: 0, .. })));
        assert!(matches!(spaces.put(spec.clone(), rows(1), vec![], 0), Err(IndexError::Parameter { .. })));
        assert!(matches!(spaces.put(spec.clone(), rows(2), vec![], usize::MAX), Err(IndexError::Parameter { .. })));
        let wild = SpaceSpec { m: 1_000, ..spec.clone() };
        assert!(matches!(spaces.put(wild, rows(1), vec![1.0], 1), Err(IndexError::Parameter { parameter: "m", .. })));
        let unnamed = SpaceSpec { name: String::new(), ..spec };
        assert!(matches!(spaces.put(unnamed, rows(1), vec![1.0], 1), Err(IndexError::Parameter { .. })));
        assert_eq!(spaces.space("s").map(|g| g.len()), Some(1));
        Ok(())
    }

    #[test]
    fn many_writers_leave_the_latest() {
        let spaces = Spaces::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let put = spaces.put(SpaceSpec::new("s", Metric::Dot), rows(1), vec![1.0], 1);
                        assert!(put.is_ok());
                    }
                });
            }
        });
        assert_eq!(spaces.space("s").map(|g| g.number()), Some(160));
    }
}
