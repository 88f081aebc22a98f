//! Tags from code: a tagger component, asked about many visitors at once.

use crate::error::ApiError;
use crate::plugins::Plugins;
use qianmian_core::{ColumnValues, Columns, ItemRow, ReachError, RequestContext, TagRule, TimeMs, Visitor};
use qianmian_host::{Fault, Limits, Tagger};
use qianmian_state::{Folds, State};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Visitors of one call, and what it may take: folding waits while visitors are tagged. Where so many are too much, because
/// they did a lot, half of them are asked about, and so on down to the least.
pub(crate) const BATCH: usize = 1_000;
pub(crate) const LEAST: usize = 100;
const WALL: Duration = Duration::from_millis(50);

/// Makes rules of taggers.
pub struct CodeTags {
    plugins: Arc<Plugins>,
    columns: Arc<dyn Columns>,
}

impl CodeTags {
    /// Over the taggers that are here and the catalogue.
    #[must_use]
    pub fn new(plugins: Arc<Plugins>, state: &State) -> Self {
        Self { plugins, columns: catalogue(state) }
    }

    /// The rule of a tagger with these parameters, and the version it is pinned to.
    ///
    /// # Errors
    /// 422 for a plugin that is not there or no tagger, or parameters that do not fit its schema.
    pub fn rule(&self, plugin: &str, version: Option<&str>, parameters: &Value) -> Result<(TagRule, String), ApiError> {
        let plugin = self.plugins.get(plugin, version)?;
        let tagger = Arc::clone(plugin.tagger()?);
        plugin.check_parameters(parameters)?;
        let names = tagger.description().tags.iter().map(|tag| tag.as_str().into()).collect();
        let code = Code { tagger, names, parameters: parameters.to_string(), columns: Arc::clone(&self.columns) };
        Ok((TagRule::Code { tagger: Arc::new(code) }, plugin.version.clone()))
    }
}

/// One tagger with its parameters.
struct Code {
    tagger: Arc<Tagger>,
    names: Vec<Arc<str>>,
    parameters: String,
    columns: Arc<dyn Columns>,
}

impl Code {
    /// Adds what these visitors are given.
    fn ask(&self, visitors: &[&Visitor], now: TimeMs, values: &mut [Vec<Arc<str>>]) -> Result<(), Fault> {
        let limits = Limits { wall: WALL, ..Limits::default() };
        match self.tagger.tag(visitors, now, &self.columns, &self.parameters, &limits).tags {
            Ok(given) => {
                for (name, visitors) in self.names.iter().zip(given) {
                    visitors.into_iter().for_each(|at| values[at as usize].push(Arc::clone(name)));
                }
                Ok(())
            }
            Err(Fault::Timeout { .. } | Fault::OutOfFuel { .. } | Fault::MemoryLimit { .. })
                if visitors.len() > LEAST =>
            {
                let half = visitors.len() / 2;
                let ((first, rest), (one, other)) = (visitors.split_at(half), values.split_at_mut(half));
                self.ask(first, now, one)?;
                self.ask(rest, now, other)
            }
            Err(fault) => Err(fault),
        }
    }
}

impl qianmian_core::Tagger for Code {
    fn values(&self, visitors: &[&Visitor], now: TimeMs) -> Result<Vec<Vec<Arc<str>>>, String> {
        let mut values: Vec<Vec<Arc<str>>> = vec![Vec::new(); visitors.len()];
        for (batch, values) in visitors.chunks(BATCH).zip(values.chunks_mut(BATCH)) {
            self.ask(batch, now, values).map_err(|fault| format!("{fault} ({})", fault.code()))?;
        }
        Ok(values)
    }
}

/// What a tagger reads.
#[must_use]
pub fn catalogue(state: &State) -> Arc<dyn Columns> {
    Arc::new(Items { catalogue: Arc::clone(&state.catalogue), folds: Arc::clone(&state.folds) })
}

/// The catalogue alone: what else there is depends on folds that are locked while visitors are tagged.
struct Items {
    catalogue: Arc<qianmian_state::CatalogueStore>,
    folds: Arc<Folds>,
}

impl Items {
    fn unknown<T>(what: &'static str, name: &str) -> Result<T, ReachError> {
        let known = "columns of the catalogue, such as item.price".to_owned();
        Err(ReachError::Unknown { what, name: name.to_owned(), known })
    }
}

impl Columns for Items {
    fn column(&self, ctx: &RequestContext, rows: &[ItemRow], name: &str) -> Result<ColumnValues, ReachError> {
        let found = Folds::is_of_catalogue(name)
            .then(|| self.folds.column(&self.catalogue.current(), ctx, rows, name))
            .flatten();
        found.map_or_else(|| Self::unknown("column of the catalogue", name), Ok)
    }

    fn ids(&self, rows: &[ItemRow]) -> Vec<Arc<str>> {
        let catalogue = self.catalogue.current();
        rows.iter().map(|row| Arc::clone(&catalogue.ids[row.index()])).collect()
    }

    fn rows(&self, ids: &[String]) -> Vec<Option<ItemRow>> {
        let catalogue = self.catalogue.current();
        ids.iter().map(|id| catalogue.row(id)).collect()
    }

    fn vectors(&self, _: &[ItemRow], space: &str) -> Result<(Vec<f32>, usize), ReachError> {
        Self::unknown("embedding space", space)
    }
}
