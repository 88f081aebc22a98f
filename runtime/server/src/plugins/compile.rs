//! From a component's bytes to a strategy: compiled, and what is uploaded tried, in a process of its own with limits; kept for
//! the next start.

use super::checks::{self, Verdict};
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

/// The hidden command of the binary that compiles and tries.
pub const COMMAND: &str = "try-component";
/// What the process may use: to compile takes 0.15 s as a rule, and one hostile function once took 6.5 GB.
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
            Some(_) => {
                let (Verdict { refused, .. }, code) = self.in_a_process(None, component)?;
                refused.map_or(Ok(code), |refusal| Err(refusal.into_error()))?
            }
            None => self.host.compile(component).map_err(refused)?,
        };
        self.keep(component, &code)
    }

    /// Holds an uploaded component, which should be of this name and version, against every check but the signature's:
    /// the verdict, and the machine code of what passed.
    ///
    /// # Errors
    /// 500 when no process can be started.
    pub(super) fn tried(&self, path: (&str, &str), component: &[u8]) -> Result<(Verdict, Vec<u8>), ApiError> {
        match &self.program {
            Some(_) => self.in_a_process(Some(path), component),
            None => Ok(checks::all(&self.host, path, component, |_| ())),
        }
    }

    /// The program of code that was just compiled, sealed and kept for the next start.
    pub(super) fn keep(&self, component: &[u8], code: &[u8]) -> Result<Program, ApiError> {
        let sealed = self.key.seal(component, code);
        let program = self.open(component, &sealed)?.ok_or_else(|| {
            ApiError::internal("the engine refuses what it compiled itself: is the compiler of another version?")
        })?;
        if let Some(folder) = &self.folder
            && let Err(error) = write_whole(&folder.join(program.digest()), &sealed)
        {
            // It only makes the next start slower.
            tracing::warn!(folder = %folder.display(), %error, "compiled code is not kept");
        }
        Ok(program)
    }

    /// Has another process compile and, for an upload under a path, try.
    fn in_a_process(&self, path: Option<(&str, &str)>, component: &[u8]) -> Result<(Verdict, Vec<u8>), ApiError> {
        let _turn = self.turn.lock();
        let no = |error: String| ApiError::internal(format!("the process that tries components does not run: {error}"));
        let program = self.program.as_deref().ok_or_else(|| no("there is none".to_owned()))?;
        let head = child::head(&path).map_err(|error| no(error.to_string()))?;
        let ended = child::run(program, COMMAND, &[&head, component], self.limits);
        match ended.map_err(|error| no(error.to_string()))? {
            Ended::Done(answer) => {
                let (verdict, code) = child::split(&answer).map_err(|error| no(error.to_string()))?;
                Ok((verdict, code.to_vec()))
            }
            Ended::Refused(why) => Err(no(why)),
            Ended::Failed(status, said) => {
                tracing::warn!(%status, %said, "a component took more than the limits, or crashed what tried it");
                Ok((Verdict::ended(&said, &self.limits), Vec::new()))
            }
        }
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

/// The child: the path of an upload, or none, as the head of a component on standard input; a verdict as the head of machine
/// code on standard output, and each check on standard error before it begins.
#[must_use]
#[expect(clippy::print_stderr, reason = "the parent reads it")]
pub fn child(cpu_seconds: u64, memory: u64) -> ExitCode {
    child::serve(cpu_seconds, memory, |input| {
        let (path, component) = child::split::<Option<(String, String)>>(input)?;
        let host = Host::new(HostConfig { instances: 1, ..HostConfig::default() })?;
        let (verdict, code) = match &path {
            Some((name, version)) => checks::all(&host, (name, version), component, |check| eprintln!("{check}")),
            None => checks::compiled(&host, component),
        };
        Ok(Ok::<_, std::convert::Infallible>([child::head(&verdict)?, code].concat()))
    })
}
