//! Captures and replay: any sampled answer can be computed again, byte for byte, or with another strategy, slot by slot.
//!
//! A composition depends on its context and on what it reached; both are recorded while it runs and handed over after the
//! answer. Replay gives them back. What another strategy asks beyond the recording is answered live, and counted.

mod capture;
mod compare;
pub(crate) mod served;
mod tape;
mod writer;

pub(crate) use capture::Taken;
pub use capture::{Capture, CapturedScored, CapturedUsage, comparable};
pub use compare::{Diff, Rehearsal, SlotChange};
pub(crate) use tape::Recorder;
pub(crate) use writer::CaptureWriter;

use crate::app::App;
use crate::error::ApiError;
use crate::plugins::Plugin;
use crate::recommend::ground::{Ground, GroundTape, LiveGround};
use crate::recommend::{Composed, compose};
use crate::scenario::Release;
use qianmian_core::{ItemKind, ItemRow, RequestContext};
use qianmian_state::{CaptureFilter, CaptureHead};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use tape::Player;

/// What a replay runs.
pub enum With {
    /// The very component that answered.
    Same,
    /// Another one, with the parameters of the release that answered.
    Other(Arc<Plugin>),
}

/// A capture by its request.
///
/// # Errors
/// 404 `unknown_capture`; 500 when it is damaged.
pub fn find(app: &App, id: &str) -> Result<Capture, ApiError> {
    app.captures().flush();
    let found = app.state.captures.get(id).map_err(ApiError::internal)?;
    let (_, stored) = found.ok_or_else(|| {
        ApiError::not_found(
            "unknown_capture",
            format!(
                "no capture of request {id:?}: of all answers a share of {} is captured (capture_share), and every one \
                 whose strategy failed; they are kept for {} days",
                app.config.capture_share, app.config.capture_days
            ),
        )
    })?;
    Capture::decode(&stored).map_err(ApiError::internal)
}

/// The heads of captures, newest first.
///
/// # Errors
/// 500 when the store cannot be read.
pub fn list(app: &App, filter: &CaptureFilter) -> Result<Vec<CaptureHead>, ApiError> {
    app.captures().flush();
    app.state.captures.list(filter).map_err(ApiError::internal)
}

/// Composes a captured request again and compares.
///
/// # Errors
/// 422 when the component that answered is gone, or the parameters do not fit the other one; 500 for a capture that
/// cannot be read.
pub fn replay(app: &App, capture: Capture, with: &With) -> Result<Diff, ApiError> {
    let (digest, number, before) = (capture.digest.clone(), capture.release, capture.usage);
    let stored = capture.answer.clone();
    let restored = capture.restore(&app.state.catalogue).map_err(ApiError::internal)?;
    let strategy = match with {
        With::Same => app.plugins.by_digest(&digest)?,
        With::Other(plugin) => {
            plugin.check_parameters(&restored.spec.parameters)?;
            Arc::clone(plugin.strategy()?)
        }
    };
    let made = Release::new(&restored.ctx.request.scenario, restored.spec, strategy)?;
    let release = Release { number, ..made };
    let (player, reach) = Player::over(&app.reach, restored.calls);
    let ground = RecordedGround::new(app, restored.ground, &restored.items);
    let Composed { mut answer, usage, removed, .. } = compose(app, &reach, &ground, &release, &restored.ctx);
    // The edge says these after composing.
    if !restored.answer.unknown_items.is_empty() {
        answer.degraded.push("unknown_items".to_owned());
        answer.unknown_items.clone_from(&restored.answer.unknown_items);
    }
    answer.variants.clone_from(&restored.answer.variants);
    let now = comparable(&answer).map_err(ApiError::internal)?;
    let (calls, live) = player.counts();
    let (before, after) = (before, CapturedUsage::new(&usage, removed.len()));
    Ok(Diff::new(restored.answer, answer, stored == now, compare::Costs { before, after, calls, live }))
}

/// Replays the captures a filter finds, and sums up.
///
/// # Errors
/// As [`list`]. A capture that cannot be replayed is counted, not an error.
pub fn rehearse(app: &App, filter: &CaptureFilter, with: &With) -> Result<Rehearsal, ApiError> {
    let mut rehearsal = Rehearsal::default();
    let mut seen = FxHashSet::default();
    for head in list(app, filter)? {
        // Of requests that share an id the newest is the one to be had.
        if !seen.insert(head.id.clone()) {
            continue;
        }
        let stored = app.state.captures.get(&head.id).map_err(ApiError::internal)?;
        let Some(capture) = stored.and_then(|(_, content)| Capture::decode(&content).ok()) else {
            rehearsal.unreadable += 1;
            continue;
        };
        match replay(app, capture, with) {
            Ok(diff) => rehearsal.add(diff),
            Err(error) => rehearsal.refuse(&error),
        }
    }
    Ok(rehearsal.finish())
}

/// What a capture remembers of the catalogue, and the live one for the rest.
struct RecordedGround<'a> {
    live: LiveGround<'a>,
    verdicts: FxHashMap<ItemRow, Result<(), String>>,
    popular: Vec<(usize, Vec<ItemRow>)>,
    kinds: FxHashMap<ItemRow, ItemKind>,
}

impl<'a> RecordedGround<'a> {
    fn new(app: &'a App, tape: GroundTape, items: &[(ItemRow, ItemKind)]) -> Self {
        Self {
            live: LiveGround::new(app),
            verdicts: tape.verdicts.into_iter().collect(),
            popular: tape.popular,
            kinds: items.iter().copied().collect(),
        }
    }
}

impl Ground for RecordedGround<'_> {
    fn row(&self, id: &str) -> Option<ItemRow> {
        self.live.row(id)
    }

    fn item(&self, row: ItemRow) -> Option<(Arc<str>, ItemKind)> {
        let (id, kind) = self.live.item(row)?;
        Some((id, self.kinds.get(&row).copied().unwrap_or(kind)))
    }

    fn eligible(&self, ctx: &RequestContext, row: ItemRow) -> Result<(), String> {
        self.verdicts.get(&row).cloned().unwrap_or_else(|| self.live.eligible(ctx, row))
    }

    fn popular(&self, ctx: &RequestContext, kinds: &[ItemKind], limit: usize) -> Vec<ItemRow> {
        let recorded = self.popular.iter().find(|(asked, _)| *asked == limit);
        recorded.map_or_else(|| self.live.popular(ctx, kinds, limit), |(_, rows)| rows.clone())
    }
}
