//! The Python peer: its environment from pinned requirements, the shop both sides serve, and its server.

use crate::process::{Server, free_address, run};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The peer's sources and where its environment and data live.
#[derive(Clone, Debug)]
pub struct Peer {
    sources: PathBuf,
    venv: PathBuf,
    /// The data of both sides.
    pub bundle: PathBuf,
}

impl Peer {
    /// Makes the environment and the bundle where they are missing or were made from other sources.
    ///
    /// # Errors
    /// When Python is missing, the packages cannot be installed, or the bundle cannot be made.
    pub fn prepare(workspace: &Path) -> Result<Self> {
        let sources = workspace.join("benches/peer");
        let (venv, bundle) = (workspace.join("target/venv-peer"), workspace.join("target/bench-bundle"));
        let requirements =
            fs::read_to_string(sources.join("requirements.txt")).context("benches/peer/requirements.txt")?;
        let stamp = venv.join("installed.txt");
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&requirements) {
            eprintln!("making {} from benches/peer/requirements.txt", venv.display());
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
            run(Command::new(venv.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
                .arg(sources.join("requirements.txt")))?;
            fs::write(&stamp, &requirements)?;
        }
        let peer = Self { sources, venv, bundle };
        let made_from = ["make_bundle.py", "bundle.py"]
            .map(|name| fs::read_to_string(peer.sources.join(name)).with_context(|| format!("benches/peer/{name}")))
            .into_iter()
            .collect::<Result<String>>()?;
        let stamp = peer.bundle.join("made_from.txt");
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&made_from) {
            eprintln!("making {}: 20,000 items, 5,000 visitors, a ranker", peer.bundle.display());
            run(Command::new(peer.python()).arg(peer.sources.join("make_bundle.py")).arg(&peer.bundle))?;
            fs::write(&stamp, &made_from)?;
        }
        Ok(peer)
    }

    /// Name and versions, as bench lines give them.
    ///
    /// # Errors
    /// When `requirements.txt` no longer pins what is named.
    pub fn name(&self) -> Result<String> {
        let requirements = fs::read_to_string(self.sources.join("requirements.txt"))?;
        let named = ["fastapi", "hnswlib", "lightgbm", "onnxruntime"]
            .map(|package| {
                let version = requirements.lines().find_map(|line| line.strip_prefix(package)?.strip_prefix("=="));
                version.map(|v| format!("{package} {}", v.trim())).with_context(|| format!("{package} is not pinned"))
            })
            .into_iter()
            .collect::<Result<Vec<_>>>()?;
        Ok(format!("python ({})", named.join(", ")))
    }

    /// Starts it with `workers` processes and `scorer` (`onnxruntime` or `lightgbm`).
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start(&self, workers: usize, scorer: &str, log: &Path) -> Result<Server> {
        let address = free_address()?;
        let mut command = Command::new(self.python());
        command
            .args(["-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--loop", "uvloop", "--http", "httptools"])
            .args(["--no-access-log", "--log-level", "warning", "--workers", &workers.to_string()])
            .args(["--port", &address.port().to_string(), "--app-dir"])
            .arg(&self.sources)
            .env("BENCH_BUNDLE", &self.bundle)
            .env("BENCH_SCORER", scorer)
            // numpy's own threads would fight the workers for the cores.
            .env("OMP_NUM_THREADS", "1")
            .env("OPENBLAS_NUM_THREADS", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Server::start(command, address, "/healthz", log, Duration::from_secs(60))
    }

    /// Starts its events server: two processes over one SQLite file.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_events(&self, file: &Path, log: &Path) -> Result<Server> {
        let address = free_address()?;
        let mut command = Command::new(self.python());
        command
            .args(["-m", "uvicorn", "events:app", "--host", "127.0.0.1", "--loop", "uvloop", "--http", "httptools"])
            .args(["--no-access-log", "--log-level", "warning", "--workers", "2"])
            .args(["--port", &address.port().to_string(), "--app-dir"])
            .arg(&self.sources)
            .env("BENCH_EVENTS_DB", file)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Server::start(command, address, "/healthz", log, Duration::from_secs(60))
    }

    fn python(&self) -> PathBuf {
        self.venv.join("bin/python")
    }
}
