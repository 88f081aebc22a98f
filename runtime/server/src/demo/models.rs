//! The demo's trained models: item vectors and a ranker, kept in `models/` beside this file with the script that made
//! them (`python -m qianmian_training.demo`). They belong to the full shop of the demo's seed.

use super::Scale;
use crate::app::App;
use crate::embeddings::SpaceSettings;
use crate::reach::VisitorVector;
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

/// Puts the models into a demo shop and points the scenarios at them. Does nothing where they are already, and for shops
/// of another size, whose items have other tastes.
///
/// # Errors
/// When a kept file is damaged or refused.
pub fn install_models(app: &App, scale: Scale) -> anyhow::Result<()> {
    if scale != Scale::FULL || app.models.get("demo-ranker").is_some() {
        return Ok(());
    }
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
    let settings = SpaceSettings { metric: "dot".to_owned(), exact: false, visitor };
    app.embeddings.put("taste", settings, &vectors)?;
    app.models.put("demo-ranker", "1", RANKER, Manifest::from_json(MANIFEST)?)?;
    for scenario in ["home", "product", "cart", "content"] {
        let mut parameters = json!({ "space": "taste" });
        if scenario == "home" {
            parameters["model"] = json!("demo-ranker");
        }
        let spec = serde_json::from_value(json!({ "strategy": scenario, "parameters": parameters }))?;
        app.scenarios.put(scenario, spec, &app.plugins)?;
    }
    Ok(())
}
