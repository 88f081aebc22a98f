//! `cargo xtask bench`: figures as JSON lines on standard output.

use crate::setup::{HOST_CRATES, javascript, root, server, shared_data, target, venv};
use anyhow::bail;

/// Every bench, in the order they run.
const BENCHES: [&str; 9] =
    ["quality", "serve", "sandbox", "releases", "models", "index", "events", "durability", "scale"];

fn run_named(name: &str) -> anyhow::Result<()> {
    match name {
        "index" => return index(&[]),
        "models" => return models(),
        _ => {}
    }
    let binary = server("release")?;
    let binary_text = binary.to_string_lossy().into_owned();
    match name {
        "quality" => quality(&binary_text),
        "durability" => {
            let file = shared_data().map(|data| data.join("online-retail").join("online_retail.csv.zst"));
            let file = file.map(|file| file.to_string_lossy().into_owned());
            let mut arguments = vec!["--qianmian", &binary_text];
            arguments.extend(file.as_deref().into_iter().flat_map(|file| ["--online-retail", file]));
            crate::setup::run(target().join("release").join("bench-durability"), &arguments)
        }
        "serve" | "releases" | "events" | "scale" => {
            crate::setup::run(target().join("release").join(format!("bench-{name}")), &["--qianmian", &binary_text])
        }
        "sandbox" => {
            let builder = javascript()?.to_string_lossy().into_owned();
            let arguments = ["--qianmian", &binary_text, "--javascript", &builder];
            crate::setup::run(target().join("release").join("bench-sandbox"), &arguments)
        }
        other => bail!("no bench named {other:?}; there are {}", BENCHES.join(", ")),
    }
}

/// One bench, or all of them; what is given beside the name of the index's says how much of it.
pub fn run(name: Option<&str>, options: &[&str]) -> anyhow::Result<()> {
    match name {
        Some("index") => index(options),
        Some(name) if options.is_empty() => run_named(name),
        Some(name) => bail!("bench {name} takes no options, received {options:?}"),
        None => BENCHES.iter().try_for_each(|name| run_named(name)),
    }
}

/// The vector index against its peers: the quick form, or with `--full` its large sets, and with `--large` a million rows too.
/// Other options are the bench's own.
fn index(options: &[&str]) -> anyhow::Result<()> {
    let folder = root().join("benches").join("index");
    let python = venv("venv-index", &folder.join("peer").join("requirements.txt"))?;
    crate::setup::cargo(&["build", "--release", "--package", "qianmian-bench-index"])?;
    let python = python.to_string_lossy();
    let data = shared_data().map(|data| data.to_string_lossy().into_owned());
    let mut arguments = vec!["--python", &python];
    if options.is_empty() {
        arguments.push("--quick");
    }
    arguments.extend(options.iter().filter(|option| **option != "--full"));
    arguments.extend(data.as_deref().into_iter().flat_map(|data| ["--data", data]));
    crate::setup::run(target().join("release").join("bench-index"), &arguments)
}

/// Models against onnxruntime and LightGBM; the published encoder too where it is beside the checkout.
fn models() -> anyhow::Result<()> {
    let selection = ["build", "--release", "--bin", "bench-models"].into_iter().chain(HOST_CRATES);
    crate::setup::cargo(&selection.collect::<Vec<_>>())?;
    let data = shared_data().map(|data| data.to_string_lossy().into_owned());
    let arguments: Vec<&str> = data.as_deref().into_iter().flat_map(|data| ["--data", data]).collect();
    crate::setup::run(target().join("release").join("bench-models"), &arguments)
}

/// Trains on the past of each published data set, serves it, asks the protocol's questions through HTTP.
fn quality(binary: &str) -> anyhow::Result<()> {
    let Some(data) = shared_data() else {
        eprintln!("xtask: SKIPPED: no data sets in ../shared/data");
        return Ok(());
    };
    let kit = root().join("sdk").join("training");
    let python = venv("venv-training", &kit.join("requirements.txt"))?;
    let file = data.join("online-retail").join("online_retail.csv.zst");
    let shop = target().join("quality").join("online-retail");
    // The recipe wants a new folder: everything is fitted again, on the past only.
    for folder in [shop.clone(), shop.with_extension("work")] {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
    }
    let (file, kit, work) = (file.to_string_lossy(), kit.to_string_lossy(), shop.with_extension("work"));
    let (shop, work) = (shop.to_string_lossy(), work.to_string_lossy());
    let recipe =
        ["-m", "qianmian_training.online_retail", &file, "--qianmian", binary, "--data", &shop, "--work", &work];
    crate::setup::run_with(python, &recipe, &[("PYTHONPATH", &kit)])?;
    crate::setup::run(binary, &["evaluate", "online-retail", &file, "--data", &shop])?;
    let beauty = data.join("amazon-beauty").to_string_lossy().into_owned();
    crate::setup::run(binary, &["evaluate", "amazon-beauty", &beauty])?;
    ranked_beauty(binary, &beauty, &kit)
}

/// The whole way of candidates and a ranker on the sequences: an encoder of its own is trained for it, so about half an hour.
fn ranked_beauty(binary: &str, beauty: &str, kit: &str) -> anyhow::Result<()> {
    let python = venv("venv-torch", &root().join("sdk").join("training").join("requirements-torch.txt"))?;
    let shop = target().join("quality").join("amazon-beauty");
    let work = shop.with_extension("work");
    for folder in [&shop, &work] {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
    }
    let (shop, work) = (shop.to_string_lossy(), work.to_string_lossy());
    let recipe =
        ["-m", "qianmian_training.amazon_beauty", beauty, "--qianmian", binary, "--data", &shop, "--work", &work];
    crate::setup::run_with(python, &recipe, &[("PYTHONPATH", kit)])?;
    crate::setup::run(binary, &["evaluate", "amazon-beauty", beauty, "--ranked", "--data", &shop])
}
