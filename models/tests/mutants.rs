//! A thousand spoilt files, loaded in processes of their own with the limits an upload has: none may hang, and none may end
//! its process but by a limit. What loads must answer or refuse.

use qianmian_models::{Kind, Manifest, Model, Network, Numbers, Side};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;
use tract_onnx::pb::{GraphProto, ModelProto};
use tract_onnx::prelude::Framework;

/// Files to make.
const MUTANTS: usize = 1_000;
/// Names the folder of files a process is to load, and the first of them.
const FOLDER: &str = "QIANMIAN_MUTANTS";
const FIRST: &str = "QIANMIAN_MUTANTS_FIRST";

/// Numbers that are the same in every run. (Marsaglia, xorshift64*.)
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

fn originals() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut files: Vec<PathBuf> = [folder.clone(), folder.join("networks")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|e| e == "onnx") && !path.to_string_lossy().contains("hostile"))
        .collect();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

/// Numbers that are wrong nearly anywhere.
const ODD: [i64; 9] = [-1, 0, 7, 99, -99, 1 << 20, i64::MAX, i64::MIN, 1 << 40];

fn spoil(graph: &mut GraphProto, random: &mut Random) {
    let nodes = graph.node.len();
    let at = random.below(nodes);
    match random.below(12) {
        // A cycle, or something read before it is made.
        0 => {
            let later = graph.node[at + random.below(nodes - at)].output.first().cloned();
            if let (Some(later), Some(input)) = (later, graph.node[at].input.first_mut()) {
                *input = later;
            }
        }
        1 => drop(graph.node.remove(at)),
        2 => graph.node.insert(at, graph.node[at].clone()),
        3 => graph.node[at].input.clear(),
        // An attribute that is out of range, of another length or not there.
        4 | 5 => {
            let count = graph.node[at].attribute.len();
            if let Some(attribute) = graph.node[at].attribute.get_mut(random.below(count)) {
                attribute.i = random.pick(&ODD);
                attribute.f = f32::NAN;
                let place = random.below(attribute.ints.len());
                if let Some(value) = attribute.ints.get_mut(place) {
                    *value = random.pick(&ODD);
                }
                if random.below(3) == 0 {
                    attribute.ints.truncate(place);
                    attribute.floats.truncate(place);
                    attribute.strings.truncate(place);
                }
            }
        }
        6 => {
            let count = graph.node[at].attribute.len();
            if count > 0 {
                graph.node[at].attribute.remove(random.below(count));
            }
        }
        // Weights: a giant shape, another type, other integers (a shape that is computed with, an axis, an id).
        7..=9 => {
            let count = graph.initializer.len();
            if let Some(tensor) = graph.initializer.get_mut(random.below(count)) {
                match random.below(4) {
                    0 => tensor.dims.push(random.pick(&ODD)),
                    1 => tensor.data_type = random.below(25) as i32,
                    2 => {
                        let place = random.below(tensor.dims.len());
                        if let Some(dim) = tensor.dims.get_mut(place) {
                            *dim = random.pick(&ODD);
                        }
                    }
                    _ => tensor.raw_data.iter_mut().for_each(|byte| *byte ^= random.next() as u8),
                }
            }
        }
        // Integers that stay integers, of a constant that has few.
        10 => {
            let mut few: Vec<_> =
                graph.initializer.iter_mut().filter(|t| t.data_type == 7 && t.raw_data.len() <= 64).collect();
            let count = few.len();
            if let Some(tensor) = few.get_mut(random.below(count)) {
                let bytes = random.pick(&ODD).to_le_bytes();
                tensor.raw_data.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&bytes));
            }
        }
        _ => graph.node[at].op_type = random.pick(&["Gemm", "Reshape", "Concat", "Expand", "Tile", "Gather"]).into(),
    }
}

fn mutant(original: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    match random.below(4) {
        0 => bytes.truncate(random.below(original.len())),
        1 => {
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
        _ => {
            let mut proto: ModelProto = tract_onnx::onnx().proto_model_for_read(&mut &bytes[..]).unwrap();
            for _ in 0..=random.below(2) {
                if let Some(graph) = proto.graph.as_mut().filter(|graph| !graph.node.is_empty()) {
                    spoil(graph, random);
                }
            }
            bytes = prost::Message::encode_to_vec(&proto);
        }
    }
    bytes
}

/// Loads a file as the server would, by its kind, and asks it something.
fn try_it(name: &str, bytes: &[u8]) -> Result<(), String> {
    let features = |n: usize| (0..n).map(|i| format!("item.f{i}").into()).collect();
    let trees = ["ranker", "regressor63"].iter().any(|n| name.starts_with(n));
    if trees {
        let manifest = Manifest { features: features(8), ..Manifest::new("mutant", Kind::Ranker) };
        let model = Model::load(bytes, manifest).map_err(|error| error.to_string())?;
        return model.rank(&[0.5; 24], 3).map(drop).map_err(|error| error.to_string());
    }
    let network = Network::load(bytes, &[], &[])?;
    let widths: Vec<_> = network.inputs().map(|(_, side)| side).collect();
    assert!(widths.iter().all(|side| *side == Side::Candidate));
    // Wrong sizes are refused; right ones are not known here, so guesses of both kinds are made.
    for n in [1, 3] {
        for width in [1, 4, 6, 8, 13] {
            let (floats, integers) = (vec![0.5; n * width], vec![3; n * width]);
            let floats: Vec<Numbers> = widths.iter().map(|_| Numbers::Floats(&floats)).collect();
            let integers: Vec<Numbers> = widths.iter().map(|_| Numbers::Integers(&integers)).collect();
            let _ = (network.run(&floats, n), network.run(&integers, n));
        }
    }
    Ok(())
}

/// Not a test of its own: what the processes of the other one run. Without a folder it has nothing to do but to show that
/// an unspoilt file loads.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        let (name, bytes) = originals().into_iter().find(|(name, _)| name == "ranker").unwrap();
        assert_eq!(try_it(&name, &bytes), Ok(()));
        return;
    };
    for (resource, most) in [(rlimit::Resource::CPU, 600), (rlimit::Resource::DATA, 2 << 30)] {
        resource.set(most, most).unwrap();
    }
    // A panic that is caught is not worth its words.
    std::panic::set_hook(Box::new(|_| {}));
    let first: usize = std::env::var(FIRST).unwrap().parse().unwrap();
    for i in first..MUTANTS {
        let path = Path::new(&folder).join(i.to_string());
        let (name, bytes) =
            (std::fs::read_to_string(path.with_extension("name")).unwrap(), std::fs::read(&path).unwrap());
        let said = match try_it(&name, &bytes) {
            Ok(()) => "loads".to_owned(),
            Err(error) => error.replace('\n', " "),
        };
        eprintln!("mutant {i} {name}: {said}");
    }
}

#[test]
fn a_thousand_spoilt_files_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (originals, mut random) = (originals(), Random(20_261_123));
    for i in 0..MUTANTS {
        let (name, bytes) = &originals[i % originals.len()];
        std::fs::write(folder.path().join(i.to_string()), mutant(bytes, &mut random)).unwrap();
        std::fs::write(folder.path().join(i.to_string()).with_extension("name"), name).unwrap();
    }
    let (mut next, mut loaded, mut refused, mut ended) = (0, 0, 0, Vec::new());
    while next < MUTANTS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(FIRST, next.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (say, hear) = channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let reader =
            std::thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        loop {
            match hear.recv_timeout(Duration::from_secs(60)) {
                Ok(line) if line.starts_with("mutant ") => {
                    if line.ends_with(": loads") {
                        loaded += 1
                    } else {
                        refused += 1
                    }
                    let (_, why) = line.split_once(": ").unwrap();
                    assert!(!why.is_empty(), "{line}: refused without a reason");
                    next += 1;
                }
                Ok(_) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    child.kill().unwrap();
                    panic!("file {next} ({}) hangs", originals[next % originals.len()].0);
                }
            }
        }
        let status = child.wait().unwrap();
        let _ = reader.join();
        if next < MUTANTS {
            ended.push((next, status));
            next += 1;
        }
    }
    eprintln!("{loaded} load, {refused} are refused, {} ended their process: {ended:?}", ended.len());
    assert_eq!(loaded + refused + ended.len(), MUTANTS);
    assert!(refused > MUTANTS / 2, "most are refused");
    assert!(ended.len() <= MUTANTS / 100, "{} ended their process: {ended:?}", ended.len());
}
