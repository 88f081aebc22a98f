//! The demo's scenarios and its trained models: item vectors and a ranker, kept in `models/` beside this file with the script that made
//! them (`python -m qianmian_training.demo`). They belong to the full shop of the demo's seed.

use super::Scale;
use crate::app::App;
use crate::embeddings::SpaceSettings;
use crate::reach::VisitorVector;
use crate::scenario::ScenarioSpec;
use anyhow::Context;
use qianmian_models::Manifest;
use serde_json::json;
use std::collections::BTreeMap;

/// f16 vectors, one row an id.
const VECTORS: &[u8] = include_bytes!("models/vectors.npy");
/// The ids of the rows, a line each.
const IDS: &str = include_str!("models/ids.txt");
/// How the space was trained.
const SPACE: &str = include_str!("models/space.json");
const RANKER: &[u8] = include_bytes!("models/model.onnx");
const MANIFEST: &str = include_str!("models/manifest.json");
const SPACE_NAME: &str = "taste";
const RANKER_NAME: &str = "demo-ranker";

/// Points the demo's scenarios at its shelves and, in the full shop, puts the models in. Does nothing where it was done.
/// Shops of another size have other items, so they go without models.
///
/// # Errors
/// When a kept file is damaged or refused.
pub fn install_models(app: &App, scale: Scale) -> anyhow::Result<()> {
    let trained = scale == Scale::FULL;
    if trained && app.models.get(RANKER_NAME).is_none() {
        put_models(app)?;
    }
    for scenario in ["home", "product", "cart", "content"] {
        let mut parameters = serde_json::Map::new();
        if trained {
            parameters.insert("space".to_owned(), json!(SPACE_NAME));
        }
        if scenario == "home" {
            if trained {
                parameters.insert("model".to_owned(), json!(RANKER_NAME));
            }
            parameters.insert(
                "shelves".to_owned(),
                json!([
                    { "id": "for-you", "from": "for_you", "size": 8 },
                    { "id": "offers", "from": "trending", "kinds": ["offer"], "size": 4 },
                    { "id": "articles", "from": "for_you", "kinds": ["content"], "size": 4 },
                    { "id": "buy-again", "from": "buy_again", "size": 4 },
                    { "id": "new", "from": "new", "size": 4 },
                ]),
            );
        }
        // To look at, on any machine, beside a browser and whatever else runs there.
        let spec = json!({ "strategy": scenario, "parameters": parameters, "wall_ms": 50 });
        let spec: ScenarioSpec = serde_json::from_value(spec)?;
        if app.scenarios.get(scenario).is_ok_and(|live| live.spec.parameters == spec.parameters) {
            continue;
        }
        app.scenarios.put(scenario, spec)?;
    }
    Ok(())
}

fn put_models(app: &App) -> anyhow::Result<()> {
    let array = npyz::NpyFile::new(VECTORS).context("the kept vectors")?;
    let dim = *array.shape().get(1).context("the kept vectors are no matrix")? as usize;
    let values: Vec<half::f16> = array.into_vec().context("the kept vectors are not f16")?;
    let ids: Vec<&str> = IDS.lines().collect();
    anyhow::ensure!(dim > 0 && values.len() == ids.len() * dim, "the kept vectors do not fit their ids");
    let vectors: BTreeMap<String, Vec<f32>> = ids
        .iter()
        .zip(values.chunks_exact(dim))
        .map(|(id, vector)| ((*id).to_owned(), vector.iter().map(|value| value.to_f32()).collect()))
        .collect();
    let space: serde_json::Value = serde_json::from_str(SPACE)?;
    let visitor: VisitorVector = serde_json::from_value(space["visitor"].clone()).context("the kept space.json")?;
    let settings = SpaceSettings::seen_by(visitor);
    app.embeddings.put(SPACE_NAME, settings, &vectors)?;
    app.models.put(RANKER_NAME, "1", RANKER, Manifest::from_json(MANIFEST)?, false)?;
    Ok(())
}
