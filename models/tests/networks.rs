//! Networks as trainers export them, held against what onnxruntime answered (benches/peer/make_models.py --small,
//! fixtures/torch_networks.py).

use qianmian_models::tensors::{Ids, Tensor};
use qianmian_models::{Kind, Manifest, Model, Network, Numbers, Side};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
struct Fixture {
    inputs: Vec<Input>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    side: Side,
    integers: bool,
}

#[derive(Deserialize)]
struct Run {
    n: usize,
    inputs: BTreeMap<String, Vec<f64>>,
    outputs: BTreeMap<String, Vec<f32>>,
}

/// Integers or floats, as the network wants them; a visitor's input is cut to one row.
enum Fed {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
}

impl Fed {
    fn numbers(&self) -> Numbers<'_> {
        match self {
            Self::Floats(all) => Numbers::Floats(all),
            Self::Integers(all) => Numbers::Integers(all),
        }
    }

    /// Rows `from` on, `rows` of them, of `n`.
    fn rows(&self, n: usize, from: usize, rows: usize) -> Self {
        fn cut<T: Copy>(all: &[T], n: usize, from: usize, rows: usize) -> Vec<T> {
            let width = all.len() / n;
            (from..from + rows).flat_map(|row| all[row % n * width..][..width].to_vec()).collect()
        }
        match self {
            Self::Floats(all) => Self::Floats(cut(all, n, from, rows)),
            Self::Integers(all) => Self::Integers(cut(all, n, from, rows)),
        }
    }
}

fn fixture(name: &str) -> (Vec<u8>, Fixture) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks");
    let fixture = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
    (std::fs::read(folder.join(format!("{name}.onnx"))).unwrap(), serde_json::from_slice(&fixture).unwrap())
}

fn feeds(fixture: &Fixture, run: &Run) -> Vec<Fed> {
    let feed = |input: &Input| {
        let values = &run.inputs[&input.name];
        // A history may be one row in the file, too.
        let width = values.len() / run.n;
        let repeated =
            values.len().is_multiple_of(run.n) && values.chunks(width.max(1)).all(|row| row == &values[..width]);
        let values = if input.side == Side::Visitor && repeated { &values[..width] } else { &values[..] };
        if input.integers {
            Fed::Integers(values.iter().map(|v| *v as i64).collect())
        } else {
            Fed::Floats(values.iter().map(|v| *v as f32).collect())
        }
    };
    fixture.inputs.iter().map(feed).collect()
}

fn load(name: &str, split: bool) -> (Network, Fixture) {
    let (bytes, fixture) = fixture(name);
    let visitor: Vec<String> = fixture
        .inputs
        .iter()
        .filter(|input| input.side == Side::Visitor && split)
        .map(|input| input.name.clone())
        .collect();
    let outputs: Vec<String> = fixture.runs[0].outputs.keys().cloned().collect();
    (Network::load(&bytes, &visitor, &outputs).unwrap_or_else(|error| panic!("{name}: {error}")), fixture)
}

fn assert_near(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{what}, place {i}: {got} for {expected}");
    }
}

const NETWORKS: [&str; 13] = [
    "mlp",
    "ctr",
    "multitask",
    "din",
    "twotower",
    "widedeep",
    "dlrm",
    "deepfm",
    "dcn",
    "bst",
    "sasrec",
    "sasrec_parts",
    "gru4rec",
];

/// onnxruntime rounds every step to half precision; we do not.
#[test]
fn half_precision_becomes_single() {
    let (network, fixture) = load("half", true);
    for run in &fixture.runs {
        let feeds = feeds(&fixture, run);
        let got = network.run(&feeds.iter().map(Fed::numbers).collect::<Vec<_>>(), run.n).unwrap();
        for (got, expected) in got[0].iter().zip(run.outputs.values().next().unwrap()) {
            assert!((got - expected).abs() < 2e-3, "{got} for {expected}");
        }
    }
}

/// What PyTorch's own exporters write (fixtures/torch_networks.py): the one that traces, and the older one.
const TORCH: [&str; 11] =
    ["mlp", "widedeep", "dlrm", "deepfm", "dcn", "twotower", "din", "bst", "sasrec", "gru4rec", "multitask"];

/// Loads it, runs it, and says how it is run.
fn answers(name: &str) -> String {
    let (network, fixture) = load(name, true);
    for run in &fixture.runs {
        let feeds = feeds(&fixture, run);
        let inputs: Vec<Numbers> = feeds.iter().map(Fed::numbers).collect();
        let outputs = network.run(&inputs, run.n).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (output, values) in network.outputs().iter().zip(&outputs) {
            assert_near(values, &run.outputs[output], &format!("{name} {output} at {}", run.n));
        }
    }
    network.describe()
}

#[test]
fn networks_answer_as_onnxruntime() {
    for name in NETWORKS {
        let how = answers(name);
        assert!(name == "gru4rec" || how.contains("steps"), "{name}: {how}");
    }
}

/// By our steps or, where an operator has none, by the inference engine: the answers are the same.
#[test]
fn torch_exports_answer_as_onnxruntime() {
    for name in TORCH.iter().flat_map(|name| [format!("torch/{name}"), format!("torch/{name}_script")]) {
        let how = answers(&name);
        assert!(how.contains("steps") || how.contains("by the inference engine"), "{name}: {how}");
    }
}

/// Many tiles give what single candidates give, and the visitor's side split off what it gives repeated.
#[test]
fn tiles_and_sides_change_nothing() {
    for name in NETWORKS.into_iter().filter(|name| *name != "gru4rec") {
        let ((network, fixture), (whole, _)) = (load(name, true), load(name, false));
        let run = fixture.runs.iter().max_by_key(|run| run.n).unwrap();
        let feeds = feeds(&fixture, run);
        let n = 1_500;
        let sides: Vec<Side> = network.inputs().map(|(_, side)| side).collect();
        let pick = |from: usize, rows: usize, repeat: bool| -> Vec<Fed> {
            let one = |(feed, side): (&Fed, &Side)| match side {
                Side::Candidate => feed.rows(run.n, from, rows),
                Side::Visitor if repeat => feed.rows(1, 0, rows),
                Side::Visitor => feed.rows(1, 0, 1),
            };
            feeds.iter().zip(&sides).map(one).collect()
        };
        let all = pick(0, n, false);
        let many = network.run(&all.iter().map(Fed::numbers).collect::<Vec<_>>(), n).unwrap();
        for row in [0, 1, 17, 479, 480, 481, n - 1] {
            let one = pick(row, 1, false);
            let alone = network.run(&one.iter().map(Fed::numbers).collect::<Vec<_>>(), 1).unwrap();
            for (many, alone) in many.iter().zip(&alone) {
                let width = many.len() / n;
                assert_near(&many[row * width..][..width], alone, &format!("{name}, row {row}"));
            }
        }
        let repeated = pick(0, 40, true);
        let inputs: Vec<Numbers> = repeated.iter().map(Fed::numbers).collect();
        match whole.run(&inputs, 40) {
            Ok(outputs) if name != "sasrec" && name != "sasrec_parts" => {
                for (many, outputs) in many.iter().zip(&outputs) {
                    assert_near(&many[..outputs.len()], outputs, &format!("{name}, not split"));
                }
            }
            // All histories against all candidates.
            Ok(outputs) => assert_eq!(outputs[0].len(), 40 * 40, "{name}"),
            // Its file has one history.
            Err(error) => assert!(name == "din" && error.contains("hist"), "{name}: {error}"),
        }
    }
}

/// The same network as a ranker of named columns: the visitor's are taken from the first row.
#[test]
fn a_ranker_has_sides() {
    let (bytes, fixture) = fixture("ctr");
    let run = fixture.runs.iter().max_by_key(|run| run.n).unwrap();
    let width = |name: &str| run.inputs[name].len() / run.n;
    let tensor = |name: &str, side| Tensor {
        name: name.into(),
        side,
        features: (0..width(name)).map(|i| format!("{name}.f{i}").into()).collect(),
        ids: None,
    };
    let tensors = vec![tensor("item", Side::Candidate), tensor("user", Side::Visitor)];
    let manifest = Manifest { tensors, ..Manifest::new("ctr", Kind::Ranker) };
    let model = Model::load(&bytes, manifest.clone()).unwrap();
    assert_eq!(model.features().len(), width("item") + width("user"));
    let mut rows = Vec::new();
    for row in 0..run.n {
        for name in ["item", "user"] {
            rows.extend(run.inputs[name][row * width(name)..][..width(name)].iter().map(|v| *v as f32));
        }
    }
    assert_near(&model.rank(&rows, run.n).unwrap(), run.outputs.values().next().unwrap(), "ctr as a ranker");
    let wrong = |spoil: fn(&mut Manifest)| {
        let mut manifest = manifest.clone();
        spoil(&mut manifest);
        Model::load(&bytes, manifest).unwrap_err().to_string()
    };
    assert!(wrong(|m| m.tensors[0].name = "goods".into()).contains("no input named \"goods\"; there are: user, item"));
    assert!(wrong(|m| drop(m.tensors.pop())).contains("has 2 inputs (user, item), expected 1"));
    assert!(wrong(|m| drop(m.tensors[0].features.pop())).contains("in dimension 1, the manifest says"));
    assert!(wrong(|m| m.features.push("item.price".into())).contains("each lists its own"));
    assert!(wrong(|m| m.tensors[0].ids = Some(Ids { vocabulary: 3, unknown: 3 })).contains("outside the vocabulary"));
}
