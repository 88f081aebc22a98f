//! Work on bytes that may come from anyone, done in a process of its own with limits: what it does, or uses, does not touch
//! this one.

use anyhow::Context;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How the child says that the bytes are to blame.
const REFUSED: u8 = 3;
/// Bytes of an answer that are read; more than any of them has.
const MOST_ANSWER: u64 = 256 << 20;
const MOST_WORDS: u64 = 4_000;
/// The memory that a component starts with is a file in memory, and the only one a child may write.
const LARGEST_FILE: u64 = 64 << 20;

/// What a child may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processor time.
    pub cpu_seconds: u64,
    /// Memory in bytes.
    pub memory: u64,
    /// From start to end: a process that waits forever uses no processor time.
    pub wall: Duration,
}

/// How a child ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With this on standard output.
    Done(Vec<u8>),
    /// The bytes are wrong, and this is why.
    Refused(String),
    /// It crashed, or was ended at a limit: its status, and what it said.
    Failed(ExitStatus, String),
}

/// Runs a hidden command of `program` on `input`.
///
/// # Errors
/// When it cannot be started or waited for.
pub(crate) fn run(program: &Path, command: &str, input: &[&[u8]], limits: Limits) -> std::io::Result<Ended> {
    let mut child = Command::new(program)
        .args([command, &limits.cpu_seconds.to_string(), &limits.memory.to_string()])
        .env_clear()
        // The allocator would take a gigabyte at once, which the limit counts.
        .env("MIMALLOC_ARENA_RESERVE", "64MiB")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (Some(mut to), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(std::io::Error::other("it has no pipes"));
    };
    let (answer, said, done) = std::thread::scope(|scope| {
        let (ended, wait) = channel();
        scope.spawn(move || {
            // A child that ended early does not read all; its exit says why.
            let _ = input.iter().try_for_each(|part| to.write_all(part));
        });
        let said = scope.spawn(move || read_some(errors, MOST_WORDS));
        let answer = scope.spawn(move || {
            let answer = read_some(output, MOST_ANSWER);
            let _ = ended.send(());
            answer
        });
        let in_time = !matches!(wait.recv_timeout(limits.wall), Err(RecvTimeoutError::Timeout));
        let done = finish(&mut child, in_time);
        (answer.join().unwrap_or_default(), said.join().unwrap_or_default(), done)
    });
    let status = done?;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Ok(match status.code() {
        Some(0) => Ended::Done(answer),
        Some(code) if code == i32::from(REFUSED) => Ended::Refused(said),
        _ => Ended::Failed(status, said),
    })
}

/// Waits for a child that closed its output, or ends it.
fn finish(child: &mut Child, in_time: bool) -> std::io::Result<ExitStatus> {
    if !in_time {
        child.kill()?;
    }
    child.wait()
}

fn read_some(from: impl Read, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What is cut off is refused by its reader, or is only a message.
    let _ = from.take(most).read_to_end(&mut bytes);
    bytes
}

/// A head in JSON, as [`split`] takes it off again, for the bytes behind it.
pub(crate) fn head(head: &impl serde::Serialize) -> serde_json::Result<Vec<u8>> {
    let text = serde_json::to_vec(head)?;
    Ok([(text.len() as u64).to_le_bytes().as_slice(), &text].concat())
}

/// A head, and the bytes behind it.
///
/// # Errors
/// When it is cut off or another one.
pub(crate) fn split<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> anyhow::Result<(T, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>().context("there is no head")?;
    let (head, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length))?).context("it is cut off")?;
    Ok((serde_json::from_slice(head)?, rest))
}

/// The child's side: limits itself, hands standard input to `work`, and answers with what that gives or refuses.
#[expect(clippy::print_stderr, reason = "the parent reads it")]
pub(crate) fn serve<E: std::fmt::Display>(
    cpu_seconds: u64,
    memory: u64,
    work: impl FnOnce(&[u8]) -> anyhow::Result<Result<Vec<u8>, E>>,
) -> ExitCode {
    let done = limit(cpu_seconds, memory).and_then(|()| {
        let mut input = Vec::new();
        std::io::stdin().lock().read_to_end(&mut input)?;
        work(&input)
    });
    match done {
        Ok(Ok(answer)) if std::io::stdout().lock().write_all(&answer).is_ok() => ExitCode::SUCCESS,
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
        (Resource::FSIZE, LARGEST_FILE),
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
