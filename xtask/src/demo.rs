//! `cargo xtask demo`: build, generate, serve; `--check` drives it in a browser and exits.

use crate::setup::{HOST_CRATES, cargo_path, root, run_with, server};
use anyhow::{Context, bail};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

pub fn run(arguments: &[&str]) -> anyhow::Result<()> {
    let (mut check, mut port) = (false, "7700");
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match *argument {
            "--check" => check = true,
            "--port" => port = rest.next().context("--port needs a number")?,
            other => bail!("demo does not know {other:?}"),
        }
    }
    let binary = server("dev")?;
    if !check {
        return crate::setup::run(binary, &["demo", "--port", port]);
    }
    eprintln!("xtask: qianmian demo --port 0");
    let mut demo = Command::new(binary)
        .args(["demo", "--port", "0"])
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the demo")?;
    let result = drive(&mut demo);
    // The demo stays up by design; the check is over.
    let _ = demo.kill();
    let _ = demo.wait();
    result
}

fn drive(demo: &mut std::process::Child) -> anyhow::Result<()> {
    let output = demo.stdout.take().context("the demo has no output")?;
    let mut lines = BufReader::new(output).lines();
    let url = loop {
        let line = lines.next().context("the demo ended before it was ready")??;
        println!("{line}");
        if let Some(url) = line.strip_prefix("ready: ") {
            break url.trim().to_owned();
        }
    };
    // Nobody may block on a full pipe while the browser works.
    std::thread::spawn(move || lines.for_each(drop));
    let drive = ["--test", "integration", "--", "browser::", "--nocapture"];
    let tests: Vec<&str> = std::iter::once("test").chain(HOST_CRATES).chain(drive).collect();
    run_with(cargo_path(), &tests, &[("QIANMIAN_DEMO_URL", &url)])?;
    println!("demo --check passed: {url} was driven in a browser at phone and desktop size");
    Ok(())
}
