//! A model on both sides: run by us, and by onnxruntime through its C interface in the same process, one thread each.

use anyhow::{Context, Result, anyhow, bail, ensure};
use npyz::NpyFile;
use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor};
use qianmian_models::{Kind, Manifest, Model, Network, Numbers, Side};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// An input as `models.json` lists it.
#[derive(Clone, Debug, Deserialize)]
pub struct About {
    /// Its name in the file.
    pub name: String,
    /// Whose it is.
    pub side: Side,
    /// Ids, not floats.
    pub integers: bool,
}

/// Numbers of an input.
#[derive(Debug)]
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
}

/// A model loaded on both sides.
pub struct Pair {
    name: String,
    inputs: Vec<About>,
    ours: Ours,
    theirs: Session,
}

enum Ours {
    Ranker(Box<Model>),
    Network(Box<Network>),
}

/// A pair with the inputs of one number of candidates.
pub struct Case<'a> {
    pair: &'a mut Pair,
    n: usize,
    ours: Vec<Fed>,
    theirs: Vec<(String, DynValue)>,
}

/// The models of a folder that `make_models.py` made.
///
/// # Errors
/// When it is not such a folder.
pub fn listed(folder: &Path) -> Result<BTreeMap<String, Vec<About>>> {
    let path = folder.join("models.json");
    Ok(serde_json::from_slice(&std::fs::read(&path).with_context(|| path.display().to_string())?)?)
}

impl Pair {
    /// Loads `NAME.onnx` on both sides. Ours is told which inputs are the visitor's.
    ///
    /// # Errors
    /// When either side refuses it.
    pub fn load(environment: &Environment, folder: &Path, name: &str, inputs: &[About]) -> Result<Self> {
        let path = folder.join(format!("{name}.onnx"));
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let ours = if name == "trees" {
            let features = (0..50).map(|i| format!("item.f{i}").into()).collect();
            Ours::Ranker(Box::new(Model::load(&bytes, Manifest { features, ..Manifest::new(name, Kind::Ranker) })?))
        } else {
            let visitor: Vec<String> =
                inputs.iter().filter(|input| input.side == Side::Visitor).map(|input| input.name.clone()).collect();
            let network = Network::load(&bytes, &visitor, &[]).map_err(|error| anyhow!("{name}: {error}"))?;
            eprintln!("{name}: {}", network.describe());
            Ours::Network(Box::new(network))
        };
        let session = Session::builder(environment)
            .and_then(|builder| Ok(builder.with_intra_threads(1)?.with_inter_threads(1)?))
            .and_then(|mut builder| builder.commit_from_file(&path))
            .map_err(|error| anyhow!("onnxruntime does not load {}: {error}", path.display()))?;
        Ok(Self { name: name.to_owned(), inputs: inputs.to_vec(), ours, theirs: session })
    }

    /// Its inputs for `n` candidates. onnxruntime gets what the file declares, made ready before anything is timed: where
    /// that repeats the visitor's row, the repeated one.
    ///
    /// # Errors
    /// When they are not there.
    pub fn case(&mut self, folder: &Path, n: usize) -> Result<Case<'_>> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for input in &self.inputs {
            let path = folder.join(format!("{}.{n}.{}.npy", self.name, input.name));
            let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
            let file = NpyFile::new(&bytes[..])?;
            let shape: Vec<i64> = file.shape().iter().map(|dim| *dim as i64).collect();
            // The visitor's row once, however often the file has it.
            let rows = if input.side == Side::Visitor { shape[0].max(1) as usize } else { 1 };
            let made = |error: ort::Error| anyhow!("{}: {error}", input.name);
            if input.integers {
                let all: Vec<i64> = file.into_vec()?;
                ours.push(Fed::Integers(all[..all.len() / rows].to_vec()));
                theirs.push((input.name.clone(), Tensor::from_array((shape, all)).map_err(made)?.into_dyn()));
            } else {
                let all: Vec<f32> = file.into_vec()?;
                ours.push(Fed::Floats(all[..all.len() / rows].to_vec()));
                theirs.push((input.name.clone(), Tensor::from_array((shape, all)).map_err(made)?.into_dyn()));
            }
        }
        Ok(Case { pair: self, n, ours, theirs })
    }
}

impl Case<'_> {
    /// The largest difference of any output, relative to the larger of 1 and theirs.
    ///
    /// # Errors
    /// When either side fails or gives another number of outputs.
    pub fn difference(&mut self) -> Result<f64> {
        let ours = self.ours()?;
        let outputs = self.pair.theirs.run(feed(&self.theirs)).map_err(|error| anyhow!("onnxruntime: {error}"))?;
        let (_, theirs) = outputs[0].try_extract_tensor::<f32>().map_err(|error| anyhow!("onnxruntime: {error}"))?;
        ensure!(ours.len() == theirs.len(), "{}: {} outputs for {}", self.pair.name, ours.len(), theirs.len());
        let differences = ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs() / b.abs().max(1.0)));
        let most = differences.fold(0.0, f64::max);
        if most.is_nan() { bail!("{}: a score that is no number", self.pair.name) } else { Ok(most) }
    }

    fn ours(&self) -> Result<Vec<f32>> {
        match (&self.pair.ours, &self.ours[..]) {
            (Ours::Ranker(model), [Fed::Floats(rows)]) => Ok(model.rank(rows, self.n)?),
            (Ours::Ranker(_), _) => bail!("a ranker takes one matrix"),
            (Ours::Network(network), inputs) => {
                let inputs: Vec<Numbers> = inputs.iter().map(Fed::numbers).collect();
                let mut outputs =
                    network.run(&inputs, self.n).map_err(|error| anyhow!("{}: {error}", self.pair.name))?;
                outputs.pop().context("no output")
            }
        }
    }

    /// The median microseconds of one of our calls, from borrowed inputs to a new list of scores, over `time`.
    ///
    /// # Errors
    /// When a call fails.
    pub fn time_ours(&self, time: Duration) -> Result<f64> {
        timed(time, || self.ours().map(drop))
    }

    /// The same of onnxruntime, from tensors that are ready to new output tensors.
    ///
    /// # Errors
    /// When a call fails.
    pub fn time_theirs(&mut self, time: Duration) -> Result<f64> {
        let session = &mut self.pair.theirs;
        let inputs = &self.theirs;
        timed(time, || {
            let outputs = session.run(feed(inputs)).map_err(|error| anyhow!("onnxruntime: {error}"))?;
            black_box(outputs.len());
            Ok(())
        })
    }
}

fn feed(inputs: &[(String, DynValue)]) -> Vec<(Cow<'_, str>, SessionInputValue<'_>)> {
    inputs.iter().map(|(name, value)| (Cow::from(name.as_str()), value.into())).collect()
}

/// Calls in short groups, so that reading the clock does not count; the median group's share.
fn timed(time: Duration, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    call()?;
    let group = (20_000 / start.elapsed().as_nanos().max(1)).clamp(1, 64) as u32;
    let (mut times, end) = (Vec::new(), Instant::now() + time);
    while Instant::now() < end || times.is_empty() {
        let start = Instant::now();
        for _ in 0..group {
            call()?;
        }
        times.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(group));
    }
    Ok(crate::lines::median(&times))
}
