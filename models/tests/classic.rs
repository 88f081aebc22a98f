//! What traditional trainers export, held against what onnxruntime answered (fixtures/classic.py,
//! fixtures/catboost_models.py).

use qianmian_models::{Kind, Manifest, Model};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct Expected {
    features: usize,
    output: String,
    column: usize,
    rows: Vec<Vec<Option<f32>>>,
    scores: Vec<f32>,
}

fn load(name: &str, column: impl FnOnce(usize) -> Option<usize>) -> (Result<Model, String>, Expected) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/classic");
    let expected: Expected =
        serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap();
    let manifest = Manifest {
        features: (0..expected.features).map(|f| format!("item.attributes.f{f}").into()).collect(),
        output: Some(expected.output.clone()),
        column: column(expected.column),
        ..Manifest::new(name, Kind::Ranker)
    };
    let bytes = std::fs::read(folder.join(format!("{name}.onnx"))).unwrap();
    (Model::load(&bytes, manifest).map_err(|error| error.to_string()), expected)
}

#[test]
fn classic_models_answer_as_onnxruntime() {
    for (name, wide) in [
        ("lightgbm_binary", true),
        ("lightgbm_zipmap", true),
        ("lightgbm_three", true),
        ("forest_binary", true),
        ("forest_three", true),
        ("forest_two_targets", true),
        ("boosting_binary", true),
        ("logistic", true),
        ("linear", false),
        ("normalised", false),
        ("imputed", false),
        ("xgboost", false),
        ("xgboost_binary", true),
        ("codes", false),
        ("catboost", false),
        ("catboost_binary", true),
        ("catboost_three", true),
        ("catboost_ranker", false),
    ] {
        let (model, expected) = load(name, |column| wide.then_some(column));
        let model = model.unwrap_or_else(|error| panic!("{name}: {error}"));
        let rows: Vec<f32> = expected.rows.iter().flatten().map(|v| v.unwrap_or(f32::NAN)).collect();
        let n = expected.rows.len();
        let all = model.rank(&rows, n).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (row, (got, score)) in all.iter().zip(&expected.scores).enumerate() {
            let near = (got - score).abs() <= 1e-5 * score.abs().max(1.0);
            assert!(near, "{name} ({}), row {row}: {got} for {score}", model.describe());
            let alone = model.rank(&rows[row * expected.features..][..expected.features], 1).unwrap();
            assert!((alone[0] - score).abs() <= 1e-5 * score.abs().max(1.0), "{name}, row {row} alone");
        }
    }
}

#[test]
fn a_score_among_several_must_be_named() {
    let error = load("lightgbm_binary", |_| None).0.unwrap_err();
    assert!(error.contains("has 2 numbers a row and column is None"), "{error}");
    assert!(load("forest_three", |_| Some(3)).0.unwrap_err().contains("column is Some(3)"));
    assert!(load("xgboost", |_| Some(1)).0.is_err());
}
