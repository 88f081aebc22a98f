//! From a component's bytes to a strategy: compiled in a process of its own with limits, and kept for the next start.

use crate::error::ApiError;
use anyhow::Context;
use parking_lot::Mutex;
use qianmian_host::{CodeKey, Host, HostConfig, LoadError, Program};
use qianmian_state::FolderBlobs;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// The hidden command of the binary that compiles.
pub const COMMAND: &str = "compile-component";
/// How the child says that the component is to blame.
const REFUSED: u8 = 3;

/// What the process that compiles may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Processor time; 0.15 s is usual.
    pub cpu_seconds: u64,
    /// Memory in bytes; one hostile function once took 6.5 GB.
    pub memory: u64,
    /// From start to end: a process that waits forever uses no processor time.
    pub wall: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { cpu_seconds: 20, memory: 1 << 30, wall: Duration::from_secs(40) }
    }
}

/// Compiles components, and remembers what it compiled.
pub struct Compiler {
    host: Arc<Host>,
    /// The binary that has [`COMMAND`]; without one, this process compiles.
    program: Option<PathBuf>,
    /// Where sealed code is kept; without one it is not.
    folder: Option<PathBuf>,
    key: CodeKey,
    limits: CompileLimits,
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
        Ok(Self { host, program, folder, key, limits: CompileLimits::default(), turn: Mutex::default() })
    }

    /// The same with other limits.
    #[must_use]
    pub fn within(self, limits: CompileLimits) -> Self {
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

/// Has another process compile: what it does, or uses, does not touch this one.
fn in_a_process(program: &Path, component: &[u8], limits: CompileLimits) -> Result<Vec<u8>, ApiError> {
    let broken =
        |what: &str, error: &dyn std::fmt::Display| ApiError::internal(format!("the compiler {what}: {error}"));
    let mut child = Command::new(program)
        .args([COMMAND, &limits.cpu_seconds.to_string(), &limits.memory.to_string()])
        .env_clear()
        // The allocator would take a gigabyte at once, which the limit counts.
        .env("MIMALLOC_ARENA_RESERVE", "64MiB")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| broken("does not start", &error))?;
    let (Some(mut input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(broken("has no pipes", &program.display()));
    };
    let (code, said, done) = std::thread::scope(|scope| {
        let (ended, wait) = channel();
        scope.spawn(move || {
            // A child that ended early does not read all; its exit says why.
            let _ = input.write_all(component);
        });
        let said = scope.spawn(move || read_some(errors, 4_000));
        let code = scope.spawn(move || {
            let code = read_some(output, 256 << 20);
            let _ = ended.send(());
            code
        });
        let in_time = !matches!(wait.recv_timeout(limits.wall), Err(RecvTimeoutError::Timeout));
        let done = finish(&mut child, in_time);
        (code.join().unwrap_or_default(), said.join().unwrap_or_default(), done)
    });
    let status = done.map_err(|error| broken("cannot be waited for", &error))?;
    if status.success() {
        return Ok(code);
    }
    let said = String::from_utf8_lossy(&said);
    if status.code() == Some(i32::from(REFUSED)) {
        return Err(ApiError::unprocessable("invalid_component", said.trim()));
    }
    tracing::warn!(%status, %said, "a component could not be compiled within the limits");
    Err(ApiError::unprocessable(
        "compile_limit",
        format!(
            "compiling took more than {} s of processor time, {} MB or {} s altogether: make the largest function smaller",
            limits.cpu_seconds,
            limits.memory >> 20,
            limits.wall.as_secs()
        ),
    ))
}

/// Waits for a child that closed its output, or ends it.
fn finish(child: &mut Child, in_time: bool) -> std::io::Result<std::process::ExitStatus> {
    if !in_time {
        child.kill()?;
    }
    child.wait()
}

fn read_some(from: impl Read, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What is cut off is refused by the seal's reader, or is only a message.
    let _ = from.take(most).read_to_end(&mut bytes);
    bytes
}

/// The child: a component on standard input, machine code on standard output.
#[must_use]
#[expect(clippy::print_stderr, reason = "the parent reads it")]
pub fn child(cpu_seconds: u64, memory: u64) -> ExitCode {
    let compiled = limit(cpu_seconds, memory).and_then(|()| {
        let mut component = Vec::new();
        std::io::stdin().lock().read_to_end(&mut component)?;
        let host = Host::new(HostConfig { instances: 1, ..HostConfig::default() })?;
        Ok(host.compile(&component))
    });
    match compiled {
        Ok(Ok(code)) if std::io::stdout().lock().write_all(&code).is_ok() => ExitCode::SUCCESS,
        Ok(Ok(_)) => ExitCode::FAILURE,
        Ok(Err(error)) => {
            eprintln!("{error}");
            ExitCode::from(REFUSED)
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Limits this process from here on; it cannot raise them again.
#[cfg(unix)]
fn limit(cpu_seconds: u64, memory: u64) -> anyhow::Result<()> {
    use rlimit::Resource;
    for (resource, most) in [
        (Resource::CPU, cpu_seconds),
        (Resource::DATA, memory),
        (Resource::FSIZE, 0),
        (Resource::CORE, 0),
        (Resource::NOFILE, 64),
    ] {
        let (_, hard) = resource.get()?;
        let most = most.min(hard);
        resource.set(most, most).with_context(|| format!("cannot limit {resource:?}"))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn limit(_: u64, _: u64) -> anyhow::Result<()> {
    Ok(())
}
