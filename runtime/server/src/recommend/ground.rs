//! What guards, backfill and fallback stand on: the live catalogue, or what a capture remembers of it.

use crate::app::App;
use parking_lot::Mutex;
use qianmian_core::{ItemKind, ItemRow, RequestContext, Scope, Source, SourceSpec};
use qianmian_state::Catalogue;
use qianmian_state::sources::eligible;
use std::sync::Arc;

/// The facts the host's last word depends on.
pub trait Ground: Send + Sync {
    /// The row of an id.
    fn row(&self, id: &str) -> Option<ItemRow>;

    /// The id and kind of a row; `None` when there is no such row.
    fn item(&self, row: ItemRow) -> Option<(Arc<str>, ItemKind)>;

    /// Whether a row may be shown to this request now.
    ///
    /// # Errors
    /// The first reason against it.
    fn eligible(&self, ctx: &RequestContext, row: ItemRow) -> Result<(), String>;

    /// At most `limit` popular rows of these kinds without doubles, best first.
    fn popular(&self, ctx: &RequestContext, kinds: &[ItemKind], limit: usize) -> Vec<ItemRow>;
}

/// The catalogue and the folds as they are now.
pub struct LiveGround<'a> {
    app: &'a App,
    catalogue: Arc<Catalogue>,
}

impl<'a> LiveGround<'a> {
    /// One snapshot of the catalogue for the whole answer.
    #[must_use]
    pub fn new(app: &'a App) -> Self {
        Self { app, catalogue: app.state.catalogue.current() }
    }
}

impl Ground for LiveGround<'_> {
    fn row(&self, id: &str) -> Option<ItemRow> {
        self.catalogue.row(id)
    }

    fn item(&self, row: ItemRow) -> Option<(Arc<str>, ItemKind)> {
        let id = self.catalogue.ids.get(row.index())?;
        Some((Arc::clone(id), self.catalogue.kind[row.index()]))
    }

    fn eligible(&self, ctx: &RequestContext, row: ItemRow) -> Result<(), String> {
        eligible(&self.catalogue, ctx, row).map_err(|why| why.as_str().to_owned())
    }

    fn popular(&self, ctx: &RequestContext, kinds: &[ItemKind], limit: usize) -> Vec<ItemRow> {
        let mut rows: Vec<ItemRow> = Vec::with_capacity(limit);
        // What is trending, then what is newest.
        for source in [Source::Trending(Scope::All), Source::Newest] {
            let spec = SourceSpec {
                name: "popular".to_owned(),
                source,
                limit: limit as u32,
                kinds: kinds.to_vec(),
                filter: None,
            };
            for (row, _) in self.app.state.folds.retrieve(&self.catalogue, ctx, &spec, None) {
                if rows.len() < limit && !rows.contains(&row) {
                    rows.push(row);
                }
            }
        }
        rows
    }
}

/// What was asked of a ground, and what it said.
#[derive(Clone, Debug, Default)]
pub struct GroundTape {
    /// The verdict on each row that was checked.
    pub verdicts: Vec<(ItemRow, Result<(), String>)>,
    /// The popular rows, by how many were asked for.
    pub popular: Vec<(usize, Vec<ItemRow>)>,
}

/// A ground that writes down what it says.
pub struct RecordingGround<'a> {
    live: LiveGround<'a>,
    tape: Mutex<GroundTape>,
}

impl<'a> RecordingGround<'a> {
    /// Over the live ground.
    #[must_use]
    pub fn new(app: &'a App) -> Self {
        Self { live: LiveGround::new(app), tape: Mutex::default() }
    }

    /// What was written, and the catalogue it was said of.
    #[must_use]
    pub fn finish(self) -> (GroundTape, Arc<Catalogue>) {
        (self.tape.into_inner(), self.live.catalogue)
    }
}

impl Ground for RecordingGround<'_> {
    fn row(&self, id: &str) -> Option<ItemRow> {
        self.live.row(id)
    }

    fn item(&self, row: ItemRow) -> Option<(Arc<str>, ItemKind)> {
        self.live.item(row)
    }

    fn eligible(&self, ctx: &RequestContext, row: ItemRow) -> Result<(), String> {
        let verdict = self.live.eligible(ctx, row);
        self.tape.lock().verdicts.push((row, verdict.clone()));
        verdict
    }

    fn popular(&self, ctx: &RequestContext, kinds: &[ItemKind], limit: usize) -> Vec<ItemRow> {
        let rows = self.live.popular(ctx, kinds, limit);
        self.tape.lock().popular.push((limit, rows.clone()));
        rows
    }
}
