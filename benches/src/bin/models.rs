//! `bench-models`: models run by us and by onnxruntime, one thread each, at 1, 100 and 500 candidates; trees against
//! LightGBM's own predict as well.
//!
//! onnxruntime runs in this process through its C interface, from tensors that are ready: no Python is timed. Rounds
//! alternate, and so does who begins. Times are microseconds a call.

use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use qianmian_benches::lines::{Better, Line, print};
use qianmian_benches::models::{Pair, listed};
use qianmian_benches::peer::Peer;
use qianmian_models::{Golden, ItemIds, Kind, Manifest, Model, manifest::Rule};
use serde::Deserialize;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const BATCHES: [usize; 3] = [1, 100, 500];
/// Scores may differ by this from onnxruntime's, relative to the larger of 1 and theirs.
const MOST_DIFFERENCE: f64 = 1e-5;
/// Milliseconds from the bytes of a file to its first score.
const LOAD_TARGET: f64 = 100.0;

/// Measures models against onnxruntime and prints one JSON object a line.
#[derive(Parser)]
struct Options {
    /// The root of the repository; the peers' environment and the models go to its target folder.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
    workspace: PathBuf,
    /// Published data, for the encoder and scorer that come with it.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Alternated rounds.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Milliseconds of each side a round.
    #[arg(long, default_value_t = 60)]
    millis: u64,
    /// Only models whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

/// Ours over onnxruntime's time, at most.
fn target(model: &str, n: usize) -> f64 {
    match model {
        "trees" if n == 1 => 1.0,
        // Less is asked of eight lanes than of sixteen.
        "trees" if wide() => 0.10,
        "trees" => 0.15,
        "mlp" => 0.95,
        "ctr" | "din" => 0.65,
        "bst" | "sasrec" => 1.2,
        _ => 1.0,
    }
}

#[cfg(target_arch = "x86_64")]
fn wide() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
}

#[cfg(not(target_arch = "x86_64"))]
fn wide() -> bool {
    false
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.rounds > 0, "--rounds is 0: expected at least 1");
    let peer = Peer::environment(&options.workspace)?;
    let folder = peer.models(&options.workspace)?;
    let library = peer.onnxruntime()?;
    let loaded = ort::init_from(&library).map_err(|error| anyhow!("{}: {error}", library.display()))?;
    let environment = loaded.build().map_err(|error| anyhow!("onnxruntime: {error}"))?;
    let name = format!("onnxruntime {}", peer.version("onnxruntime")?);
    let time = Duration::from_millis(options.millis);
    let mut lines = Vec::new();
    for (model, inputs) in listed(&folder)?.iter().filter(|(model, _)| model.contains(&options.only)) {
        let mut pair = Pair::load(&environment, &folder, model, inputs)?;
        let mut lightgbm = (model == "trees").then(|| Lightgbm::start(peer.lightgbm(&folder))).transpose()?;
        let mut difference: f64 = 0.0;
        for n in BATCHES {
            let mut case = pair.case(&folder, n)?;
            difference = difference.max(case.difference()?);
            let (mut ours, mut theirs, mut third) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..options.rounds {
                if round % 2 == 0 {
                    ours.push(case.time_ours(time)?);
                    theirs.push(case.time_theirs(time)?);
                } else {
                    theirs.push(case.time_theirs(time)?);
                    ours.push(case.time_ours(time)?);
                }
                if let Some(lightgbm) = &mut lightgbm {
                    third.push(lightgbm.time(n, time)?);
                }
            }
            let label = format!("{model}/{n}");
            let what = ("models", label.as_str(), "time");
            lines.push(Line::against(what, Better::Lower, &ours, (&name, &theirs), target(model, n)));
            if !third.is_empty() {
                let other = format!("lightgbm {}", peer.version("lightgbm")?);
                lines.push(Line::against(what, Better::Lower, &ours, (&other, &third), 1.0));
            }
        }
        let most = if model == "trees" { 0.0 } else { MOST_DIFFERENCE };
        lines.push(Line::alone(("models", model, "difference"), Better::Lower, &[difference], Some(most)));
    }
    match &options.data {
        Some(data) if options.only.is_empty() => lines.extend(published(&data.join("amazon-beauty/onnx"))?),
        Some(_) => {}
        None => eprintln!("skipped: without --data there is no published encoder"),
    }
    print(&lines)
}

/// LightGBM in a process of its own.
struct Lightgbm {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Lightgbm {
    fn start(mut command: Command) -> Result<Self> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start LightGBM")?;
        let to = child.stdin.take().context("no standard input")?;
        let from = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { child, to, from })
    }

    fn time(&mut self, n: usize, time: Duration) -> Result<f64> {
        writeln!(self.to, "{n} {}", time.as_secs_f64())?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        line.trim().parse().with_context(|| format!("LightGBM answered {line:?}"))
    }
}

impl Drop for Lightgbm {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What `golden.json` of the published model has.
#[derive(Deserialize)]
struct Published {
    golden: Answers,
}

#[derive(Deserialize)]
struct Answers {
    ids: Vec<Vec<i64>>,
    user_vec: Vec<Vec<f32>>,
    scores_of_items_1_to_100: Vec<Vec<f32>>,
}

/// Milliseconds to load the published encoder and scorer and to get a first answer; loading checks their golden answers.
fn published(folder: &Path) -> Result<Vec<Line>> {
    let path = folder.join("golden.json");
    let answers: Published =
        serde_json::from_slice(&std::fs::read(&path).with_context(|| path.display().to_string())?)?;
    let answers = answers.golden;
    let golden = |rows: Vec<Vec<Option<f32>>>, ids, outputs| Some(Golden { rows, ids, outputs, tolerance: 1e-5 });
    let shared = |name, kind| Manifest {
        item_ids: Some(ItemIds::Rule(Rule::Numeric)),
        vocabulary: Some(12_103),
        ..Manifest::new(name, kind)
    };
    let encoder = Manifest {
        length: Some(50),
        golden: golden(vec![], answers.ids.clone(), answers.user_vec.clone()),
        ..shared("encoder", Kind::Encoder)
    };
    let rows = answers.user_vec.iter().map(|vector| vector.iter().copied().map(Some).collect()).collect();
    let candidates = vec![(1..101).collect::<Vec<i64>>(); answers.ids.len()];
    let scorer = Manifest {
        inputs: vec!["user_vec".into(), "candidate_ids".into()],
        dimension: Some(64),
        golden: golden(rows, candidates.clone(), answers.scores_of_items_1_to_100),
        ..shared("ranker", Kind::Scorer)
    };
    let mut lines = Vec::new();
    for manifest in [encoder, scorer] {
        let name = manifest.name.clone();
        let bytes = std::fs::read(folder.join(format!("{name}.onnx")))?;
        let mut times = Vec::new();
        for _ in 0..5 {
            let start = Instant::now();
            let model = Model::load(&bytes, Manifest { golden: None, ..manifest.clone() })?;
            match manifest.kind {
                Kind::Encoder => drop(model.encode(&answers.ids[0])?),
                _ => drop(model.score(&answers.user_vec[0], &candidates[0])?),
            }
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        // Its golden answers, within 1e-5, or it does not load.
        Model::load(&bytes, manifest)?;
        let case = format!("amazon-beauty/{name}");
        lines.push(Line::alone(("models", &case, "load"), Better::Lower, &times, Some(LOAD_TARGET)));
    }
    Ok(lines)
}
