//! From a component's bytes to a strategy: compiled in a process of its own with limits, and kept for the next start.

use crate::child::{self, Ended, Limits};
use crate::error::ApiError;
use anyhow::Context;
use parking_lot::Mutex;
use qianmian_host::{CodeKey, Host, HostConfig, LoadError, Program};
use qianmian_state::FolderBlobs;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// The hidden command of the binary that compiles.
pub const COMMAND: &str = "compile-component";
/// What the process that compiles may use: 0.15 s is usual, and one hostile function once took 6.5 GB.
const LIMITS: Limits = Limits { cpu_seconds: 20, memory: 1 << 30, wall: Duration::from_secs(40) };

/// Compiles components, and remembers what it compiled.
pub struct Compiler {
    host: Arc<Host>,
    /// The binary that has [`COMMAND`]; without one, this process compiles.
    program: Option<PathBuf>,
    /// Where sealed code is kept; without one it is not.
    folder: Option<PathBuf>,
    key: CodeKey,
    limits: Limits,
    /// One process at a time: the limits are for all of them together.
    turn: Mutex<()>,
}

impl Compiler {
    /// Keeps sealed code, and the key that sealed it, in `folder`.
    ///
    /// # Errors
    /// When the folder or the key cannot be made or read.
    pub fn new(host: Arc<Host>, program: Option<PathBuf>, folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let key = folder.as_deref().map_or_else(|| Ok(CodeKey::new(rand::random())), key)?;
        Ok(Self { host, program, folder, key, limits: LIMITS, turn: Mutex::default() })
    }

    /// The same with other limits.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What a component is, compiled.
    ///
    /// # Errors
    /// The first check it does not pass: 422 with the check's code; 500 when no process can be started.
    pub fn program(&self, component: &[u8]) -> Result<Program, ApiError> {
        let path = self.folder.as_ref().map(|folder| folder.join(FolderBlobs::digest(component)));
        if let Some(sealed) = path.as_ref().and_then(|path| fs::read(path).ok())
            && let Some(program) = self.open(component, &sealed)?
        {
            return Ok(program);
        }
        self.host.check(component).map_err(refused)?;
        let code = match &self.program {
            Some(program) => {
                let _turn = self.turn.lock();
                in_a_process(program, component, self.limits)?
            }
            None => self.host.compile(component).map_err(refused)?,
        };
        let sealed = self.key.seal(component, &code);
        let program = self.open(component, &sealed)?.ok_or_else(|| {
            ApiError::internal("the engine refuses what it compiled itself: is the compiler of another version?")
        })?;
        if let Some(path) = path
            && let Err(error) = write_whole(&path, &sealed)
        {
            // It only makes the next start slower.
            tracing::warn!(path = %path.display(), %error, "compiled code is not kept");
        }
        Ok(program)
    }

    fn open(&self, component: &[u8], sealed: &[u8]) -> Result<Option<Program>, ApiError> {
        self.host.load_sealed(&self.key, component, sealed).map_err(refused)
    }
}

fn refused(error: LoadError) -> ApiError {
    ApiError::unprocessable(error.code(), error.to_string())
}

/// The installation's key, made when it is not there.
fn key(folder: &Path) -> anyhow::Result<CodeKey> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("key");
    if !path.exists() {
        write_whole(&path, &rand::random::<[u8; 32]>()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let secret = <[u8; 32]>::try_from(bytes.as_slice());
    let secret = secret.ok().with_context(|| {
        format!(
            "{} has {} bytes, expected 32: delete it, and the strategies are compiled anew",
            path.display(),
            bytes.len()
        )
    })?;
    Ok(CodeKey::new(secret))
}

/// Writes a file that only this user can read, whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // A temporary file is made for its owner alone.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Has another process compile.
fn in_a_process(program: &Path, component: &[u8], limits: Limits) -> Result<Vec<u8>, ApiError> {
    let ended = child::run(program, COMMAND, &[component], limits)
        .map_err(|error| ApiError::internal(format!("the compiler does not run: {error}")))?;
    match ended {
        Ended::Done(code) => Ok(code),
        Ended::Refused(why) => Err(ApiError::unprocessable("invalid_component", why)),
        Ended::Failed(status, said) => {
            tracing::warn!(%status, %said, "a component could not be compiled within the limits");
            Err(ApiError::unprocessable(
                "compile_limit",
                format!(
                    "compiling took more than {} s of processor time, {} MB or {} s altogether: make the largest function \
                     smaller",
                    limits.cpu_seconds,
                    limits.memory >> 20,
                    limits.wall.as_secs()
                ),
            ))
        }
    }
}

/// The child: a component on standard input, machine code on standard output.
#[must_use]
pub fn child(cpu_seconds: u64, memory: u64) -> ExitCode {
    child::serve(cpu_seconds, memory, |component| {
        let host = Host::new(HostConfig { instances: 1, ..HostConfig::default() })?;
        Ok(host.compile(component))
    })
}
