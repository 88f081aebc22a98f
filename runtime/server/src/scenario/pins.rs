//! What a release holds still besides its spec: the bytes of its component, and the versions of the models that were live
//! when it was made.

use crate::embeddings::EmbeddingStore;
use crate::ml::ModelStore;
use crate::reach::score_with;
use qianmian_core::{Candidates, Reach, ReachError, RequestContext, Scoring};
use qianmian_host::Strategy;
use qianmian_models::{Kind, Served};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Which versions of models a release scores with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelPolicy {
    /// Those that were live when it was made. A model that came later is taken as it is live.
    #[default]
    Pinned,
    /// Those that are live now.
    Live,
}

/// What a release is pinned to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pins {
    /// SHA-256 of the component.
    pub digest: String,
    /// Models by name, with their versions.
    pub models: BTreeMap<String, String>,
    /// Embedding spaces by name, with the generation that served when the release was made: for the record. Spaces change
    /// with every vector, so what serves now is searched; one that must hold still gets a name of its own.
    pub spaces: BTreeMap<String, u32>,
}

impl Pins {
    /// Of a release that is made now.
    pub(crate) fn now(
        policy: ModelPolicy,
        strategy: &Strategy,
        models: &ModelStore,
        embeddings: &EmbeddingStore,
    ) -> Self {
        let live = models.live().all();
        let scores = |served: &&Arc<Served>| {
            // An encoder belongs to its space.
            served.model.manifest().kind != Kind::Encoder && strategy.may_score(&served.name)
        };
        let pinned = live.iter().filter(|_| policy == ModelPolicy::Pinned).filter(scores);
        let spaces = embeddings.list().into_iter().filter(|space| strategy.may_search(&space.space));
        Self {
            digest: strategy.digest().to_owned(),
            models: pinned.map(|served| (served.name.clone(), served.version.clone())).collect(),
            spaces: spaces.map(|space| (space.space, space.generation)).collect(),
        }
    }

    /// Whether a release with these pins would run something else.
    pub(crate) fn differ(&self, other: &Self) -> bool {
        self.digest != other.digest || self.models != other.models
    }
}

/// Pinned models by name; none where the version cannot be loaded any more.
pub(crate) type PinnedModels = BTreeMap<String, Option<Arc<Served>>>;

/// Scores with pinned models, and with live ones where none is pinned.
struct Pinned {
    models: Arc<PinnedModels>,
    live: Reach,
}

/// The reach of a release that pins these models.
pub(crate) fn reach_of(models: &Arc<PinnedModels>, live: &Reach) -> Reach {
    if models.is_empty() {
        return live.clone();
    }
    let scoring = Arc::new(Pinned { models: Arc::clone(models), live: live.clone() });
    Reach { scoring, ..live.clone() }
}

impl Scoring for Pinned {
    fn score(&self, ctx: &RequestContext, candidates: &Candidates, model: &str) -> Result<Vec<f32>, ReachError> {
        let named = model.split_once('@').and_then(|(name, version)| {
            let held = self.models.get(name)?.as_ref()?;
            (held.version == version).then_some(held)
        });
        if let Some(served) = named {
            return score_with(served, &*self.live.columns, ctx, candidates);
        }
        match self.models.get(model) {
            Some(Some(served)) => score_with(served, &*self.live.columns, ctx, candidates),
            Some(None) => Err(ReachError::Failed {
                what: format!("model {model}"),
                detail: "the version that the release pins cannot be loaded".to_owned(),
            }),
            None => self.live.scoring.score(ctx, candidates, model),
        }
    }
}
