//! Files the real trainers wrote, held against what onnxruntime answered to them (see fixtures/make.py).

use qianmian_models::{Golden, ItemIds, Kind, Manifest, Model, ModelError, Models, Served, manifest::Rule};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Deserialize)]
struct Expected {
    features: usize,
    rows: Vec<Vec<Option<f32>>>,
    scores: Vec<f32>,
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn expected(name: &str) -> Expected {
    serde_json::from_slice(&fixture(&format!("{name}.json"))).unwrap()
}

fn manifest(name: &str, features: usize) -> Manifest {
    let features = (0..features).map(|f| format!("item.attributes.f{f}").into()).collect();
    Manifest { features, ..Manifest::new(name, Kind::Ranker) }
}

fn load(name: &str) -> Model {
    Model::load(&fixture(&format!("{name}.onnx")), manifest(name, expected(name).features)).unwrap()
}

fn flat(rows: &[Vec<Option<f32>>]) -> Vec<f32> {
    rows.iter().flatten().map(|v| v.unwrap_or(f32::NAN)).collect()
}

#[test]
fn trees_are_those_of_onnxruntime() {
    for name in ["ranker", "regressor63", "boosting", "forest", "categorical"] {
        let (model, expected) = (load(name), expected(name));
        assert!(model.trees().is_some_and(|t| t.vectorised()), "{name} takes the fast path");
        let rows = flat(&expected.rows);
        assert_eq!(model.rank(&rows, expected.scores.len()).unwrap(), expected.scores, "{name}, all rows");
        for (row, score) in rows.chunks_exact(expected.features).zip(&expected.scores) {
            assert_eq!(model.rank(row, 1).unwrap(), [*score], "{name}, one row");
        }
        assert_eq!(model.rank(&[], 0).unwrap(), [0.0; 0]);
    }
    assert!(expected("ranker").rows.iter().flatten().any(Option::is_none), "missing values are covered");
}

#[test]
fn a_network_takes_any_number_of_rows() {
    let (model, expected) = (load("mlp"), expected("mlp"));
    assert!(model.trees().is_none());
    let rows = flat(&expected.rows);
    for n in [1, 2, 33, expected.scores.len()] {
        let scores = model.rank(&rows[..n * expected.features], n).unwrap();
        for (got, expected) in scores.iter().zip(&expected.scores) {
            assert!((got - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{n} rows: {got} for {expected}");
        }
    }
    assert_eq!(model.rank(&[], 0).unwrap(), [0.0; 0]);
}

fn encoder_manifest() -> Manifest {
    Manifest {
        length: Some(5),
        item_ids: Some(ItemIds::Rule(Rule::Numeric)),
        vocabulary: Some(21),
        space: Some("items".into()),
        ..Manifest::new("encoder", Kind::Encoder)
    }
}

#[test]
fn an_encoder_pads_cuts_and_checks_its_items() {
    #[derive(Deserialize)]
    struct Histories {
        ids: Vec<Vec<i64>>,
        vectors: Vec<Vec<f32>>,
    }
    let expected: Histories = serde_json::from_slice(&fixture("encoder.json")).unwrap();
    let golden = Golden { rows: vec![], ids: expected.ids.clone(), outputs: expected.vectors.clone(), tolerance: 1e-5 };
    let manifest = Manifest { golden: Some(golden), ..encoder_manifest() };
    let model = Model::load(&fixture("encoder.onnx"), manifest).unwrap();
    assert_eq!(model.dimension(), 4);
    assert_eq!(model.encode(&[7]).unwrap(), model.encode(&expected.ids[0]).unwrap());
    assert_eq!(model.encode(&[9, 9, 1, 2, 3, 4, 5]).unwrap(), model.encode(&expected.ids[2]).unwrap());
    assert_eq!(model.encode(&[]).unwrap().len(), 4);
    assert_eq!((model.code("20"), model.code("21"), model.code("0"), model.code("x")), (Some(20), None, None, None));
    for id in [-1, 21, i64::MAX] {
        let error = model.encode(&[id]).unwrap_err();
        assert!(
            matches!(&error, ModelError::Input { got, expected, .. } if *got == id.to_string() && expected == "0 to 20")
        );
    }
    assert!(matches!(model.rank(&[], 0).unwrap_err(), ModelError::Kind { is: Kind::Encoder, needs: Kind::Ranker, .. }));

    let lying = Manifest { vocabulary: Some(22), ..encoder_manifest() };
    let error = Model::load(&fixture("encoder.onnx"), lying).unwrap_err().to_string();
    assert!(error.contains("a first run failed"), "{error}");

    let list = (1..21).map(|i| format!("sku-{i}")).collect();
    let listed = Manifest { item_ids: Some(ItemIds::List(list)), vocabulary: None, ..encoder_manifest() };
    let model = Model::load(&fixture("encoder.onnx"), listed).unwrap();
    assert_eq!((model.code("sku-20"), model.code("20")), (Some(20), None));
}

#[test]
fn golden_answers_are_checked() {
    let expected = expected("ranker");
    let golden = |scores: &[f32]| Golden {
        rows: expected.rows[..3].to_vec(),
        ids: vec![],
        outputs: scores.iter().map(|s| vec![*s]).collect(),
        tolerance: 1e-5,
    };
    let load = |golden| Model::load(&fixture("ranker.onnx"), Manifest { golden: Some(golden), ..manifest("r", 8) });
    assert!(load(golden(&expected.scores[..3])).is_ok());
    let wrong = [expected.scores[0], expected.scores[1] + 0.001, expected.scores[2]];
    assert!(matches!(load(golden(&wrong)).unwrap_err(), ModelError::Golden { case: 1, position: 0, .. }));
}

#[test]
fn a_file_that_does_not_fit_says_how() {
    let ranker = fixture("ranker.onnx");
    let error = |bytes: &[u8], manifest| Model::load(bytes, manifest).unwrap_err().to_string();
    for length in [0, 1, 100, ranker.len() / 2, ranker.len() - 1] {
        assert!(Model::load(&ranker[..length], manifest("cut", 8)).is_err(), "cut at {length}");
    }
    assert!(error(b"<html>not found</html>", manifest("html", 8)).contains("not a complete ONNX file"));
    assert!(error(&ranker, manifest("narrow", 7)).contains("has 8 in dimension 1, the manifest says 7"));
    let renamed = |inputs: &str| Manifest { inputs: vec![inputs.into()], ..manifest("renamed", 8) };
    assert!(error(&ranker, renamed("x")).contains("no input named \"x\"; there are: input"));
    assert!(Model::load(&ranker, renamed("input")).is_ok());
    let output = |o: &str| Manifest { output: Some(o.into()), ..manifest("output", 8) };
    assert!(error(&ranker, output("probabilities")).contains("there are: variable"));
    assert!(Model::load(&ranker, output("variable")).is_ok());
    assert!(error(&ranker, encoder_manifest()).contains("is F32, expected I64 for a history"));

    let model = load("ranker");
    let wrong = model.rank(&[0.0; 17], 2).unwrap_err().to_string();
    assert_eq!(wrong, "model \"ranker\": features is 17 values, expected 2 rows of 8");
    assert!(model.rank(&[], usize::MAX).is_err());
}

#[test]
fn hostile_trees_are_refused_with_a_reason() {
    for (name, part) in [
        ("cycle", "tree 0 is a cycle: it has no root"),
        ("dangling", "tree 0 node 0: its child 9 is not there"),
        ("feature", "feature 40 is out of range: the rows have 8"),
        ("lengths", "nodes_values has 2 values, expected 3"),
        ("operator", "operators that are not supported: TreeOfKnowledge"),
    ] {
        let error = Model::load(&fixture(&format!("hostile-{name}.onnx")), manifest(name, 8)).unwrap_err();
        assert!(matches!(error, ModelError::Load { .. }), "{error:?}");
        assert!(error.to_string().contains(part), "expected {part:?} in {error}");
    }
}

/// A changed byte anywhere in the file ends in a model or an error, never in a panic.
#[test]
fn flipped_bytes_do_not_panic() {
    for name in ["ranker", "mlp"] {
        let good = fixture(&format!("{name}.onnx"));
        for at in (0..good.len()).step_by(good.len() / 150) {
            let mut bad = good.clone();
            bad[at] ^= 0x15;
            if let Ok(model) = Model::load(&bad, manifest(name, 8)) {
                let _ = model.rank(&[0.5; 16], 2);
            }
        }
    }
}

#[test]
fn versions_are_swapped_under_readers() {
    let models = Arc::new(Models::new());
    assert!(models.get("ranker").is_none());
    assert!(models.put(&Served::new("1", "sha256:a", load("ranker"))).is_none());
    let first = models.get("ranker").unwrap();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let models = Arc::clone(&models);
            std::thread::spawn(move || {
                for _ in 0..200 {
                    let served = models.get("ranker").unwrap();
                    assert_eq!(served.digest, if served.version == "1" { "sha256:a" } else { "sha256:b" });
                    assert_eq!(served.model.rank(&[0.1; 16], 2).unwrap().len(), 2);
                }
            })
        })
        .collect();
    let replaced = models.put(&Served::new("2", "sha256:b", load("ranker"))).unwrap();
    assert!(Arc::ptr_eq(&replaced, &first));
    models.put(&Served::new("1", "", load("mlp")));
    readers.into_iter().for_each(|r| r.join().unwrap());
    assert_eq!(models.names(), ["mlp", "ranker"]);
    assert_eq!(models.put(&first).unwrap().version, "2");
    assert_eq!(models.get("ranker").unwrap().version, "1");
}

#[test]
fn a_version_on_trial_is_for_who_names_it() {
    let models = Models::new();
    let version = |name: &str| models.get(name).map(|served| served.version.clone());
    models.try_out(&Served::new("1", "", load("ranker")));
    assert_eq!((version("ranker"), version("ranker@1").as_deref()), (None, Some("1")));
    assert_eq!((models.names(), models.all().len()), (vec!["ranker@1".to_owned()], 0));
    let first = models.trial("ranker").unwrap();
    models.put(&first);
    assert!(models.trial("ranker").is_none());
    let second = Served::new("2", "", load("ranker"));
    models.try_out(&second);
    assert_eq!((version("ranker").as_deref(), version("ranker@2").as_deref()), (Some("1"), Some("2")));
    models.put(&second);
    // The one before stays within reach: a release that names it goes on.
    assert_eq!((version("ranker").as_deref(), version("ranker@1").as_deref()), (Some("2"), Some("1")));
    models.put(&Served::new("3", "", load("ranker")));
    assert_eq!((version("ranker@2").as_deref(), version("ranker@1")), (Some("2"), None));
    models.try_out(&Served::new("4", "", load("ranker")));
    assert_eq!(models.end_trial("ranker").unwrap().version, "4");
    assert!(models.get("ranker@4").is_none() && models.get("other@1").is_none());
}

/// The published encoder and scorer, where the evaluation data is beside the repository.
#[test]
fn the_published_encoder_gives_its_golden_answers() {
    #[derive(Deserialize)]
    struct File {
        golden: Answers,
    }
    #[derive(Deserialize)]
    struct Answers {
        ids: Vec<Vec<i64>>,
        user_vec: Vec<Vec<f32>>,
        scores_of_items_1_to_100: Vec<Vec<f32>>,
    }
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/amazon-beauty/onnx");
    let Ok(text) = std::fs::read(folder.join("golden.json")) else {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    };
    let golden = serde_json::from_slice::<File>(&text).unwrap().golden;
    let ids = (Some(ItemIds::Rule(Rule::Numeric)), Some(12_103));
    let encoder = Manifest {
        length: Some(50),
        item_ids: ids.0.clone(),
        vocabulary: ids.1,
        space: Some("beauty".into()),
        golden: Some(Golden {
            rows: vec![],
            ids: golden.ids.clone(),
            outputs: golden.user_vec.clone(),
            tolerance: 1e-5,
        }),
        ..Manifest::new("beauty-encoder", Kind::Encoder)
    };
    let encoder = Model::load(&std::fs::read(folder.join("encoder.onnx")).unwrap(), encoder).unwrap();
    assert_eq!(encoder.dimension(), 64);
    let scorer = Manifest {
        inputs: vec!["user_vec".into(), "candidate_ids".into()],
        dimension: Some(64),
        item_ids: ids.0,
        vocabulary: ids.1,
        golden: Some(Golden {
            rows: golden.user_vec.iter().map(|v| v.iter().copied().map(Some).collect()).collect(),
            ids: vec![(1..101).collect(); golden.ids.len()],
            outputs: golden.scores_of_items_1_to_100,
            tolerance: 1e-5,
        }),
        ..Manifest::new("beauty-scorer", Kind::Scorer)
    };
    let scorer = Model::load(&std::fs::read(folder.join("ranker.onnx")).unwrap(), scorer).unwrap();
    assert_eq!(scorer.score(&golden.user_vec[0], &[]).unwrap(), [0.0; 0]);
}
