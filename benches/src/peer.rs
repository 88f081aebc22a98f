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
    /// Makes the environment where it is missing or was made from other requirements.
    ///
    /// # Errors
    /// When Python is missing or the packages cannot be installed.
    pub fn environment(workspace: &Path) -> Result<Self> {
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
        Ok(Self { sources, venv, bundle })
    }

    /// The environment, and the bundle.
    ///
    /// # Errors
    /// As [`Self::environment`], or when the bundle cannot be made.
    pub fn prepare(workspace: &Path) -> Result<Self> {
        let peer = Self::environment(workspace)?;
        peer.make(&["make_bundle.py", "bundle.py"], &peer.bundle, "20,000 items, 5,000 visitors, a ranker")?;
        Ok(peer)
    }

    /// Makes the models of `bench models` where they are missing or were made by another script, and returns their folder.
    ///
    /// # Errors
    /// When the script fails.
    pub fn models(&self, workspace: &Path) -> Result<PathBuf> {
        let folder = workspace.join("target/bench-models");
        self.make(&["make_models.py"], &folder, "ten models and their inputs")?;
        Ok(folder)
    }

    /// Runs the first of `scripts` with a folder, unless that was made from the same sources.
    fn make(&self, scripts: &[&str], folder: &Path, what: &str) -> Result<()> {
        let read =
            |name: &&str| fs::read_to_string(self.sources.join(name)).with_context(|| format!("benches/peer/{name}"));
        let made_from = scripts.iter().map(read).collect::<Result<String>>()?;
        let stamp = folder.join("made_from.txt");
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&made_from) {
            eprintln!("making {}: {what}", folder.display());
            run(self.python().arg(self.sources.join(scripts[0])).arg(folder))?;
            fs::write(&stamp, &made_from)?;
        }
        Ok(())
    }

    /// The pinned version of one of its packages.
    ///
    /// # Errors
    /// When `requirements.txt` does not pin it.
    pub fn version(&self, package: &str) -> Result<String> {
        let requirements = fs::read_to_string(self.sources.join("requirements.txt"))?;
        let version = requirements.lines().find_map(|line| line.strip_prefix(package)?.strip_prefix("=="));
        version.map(|v| v.trim().to_owned()).with_context(|| format!("{package} is not pinned"))
    }

    /// onnxruntime's library, as its Python package brings it.
    ///
    /// # Errors
    /// When the package has none for this system.
    pub fn onnxruntime(&self) -> Result<PathBuf> {
        let name = format!("libonnxruntime.so.{}", self.version("onnxruntime")?);
        let places = fs::read_dir(self.venv.join("lib"))?.filter_map(Result::ok);
        let mut places = places.map(|python| python.path().join("site-packages/onnxruntime/capi").join(&name));
        places.find(|path| path.exists()).with_context(|| format!("{} has no {name}", self.venv.display()))
    }

    /// LightGBM's own predict, timed in a process of its own: it answers lines of standard input.
    #[must_use]
    pub fn lightgbm(&self, models: &Path) -> Command {
        let mut command = self.python();
        command.arg(self.sources.join("time_lightgbm.py")).arg(models).env("OMP_NUM_THREADS", "1");
        command
    }

    /// Name and versions, as bench lines give them.
    ///
    /// # Errors
    /// When `requirements.txt` no longer pins what is named.
    pub fn name(&self) -> Result<String> {
        let named = ["fastapi", "hnswlib", "lightgbm", "onnxruntime"]
            .map(|package| Ok(format!("{package} {}", self.version(package)?)))
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
        let mut command = self.python();
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
        let mut command = self.python();
        command
            .args(["-m", "uvicorn", "events:app", "--host", "127.0.0.1", "--loop", "uvloop", "--http", "httptools"])
            .args(["--no-access-log", "--log-level", "warning", "--workers", "2"])
            .args(["--port", &address.port().to_string(), "--app-dir"])
            .arg(&self.sources)
            .env("BENCH_EVENTS_DB", file)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Server::start(command, address, "/healthz", log, Duration::from_secs(60))
    }

    fn python(&self) -> Command {
        Command::new(self.venv.join("bin/python"))
    }
}
