//! Servers as child processes: started with their words kept in a file, waited for, and asked to stop.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to stop before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// A running server; asked to stop when dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command` and waits until `ready` (a path) answers 200.
    ///
    /// # Errors
    /// When it cannot be started, ends by itself, or is not ready `within` the time; with the end of what it said.
    pub fn start(mut command: Command, address: SocketAddr, ready: &str, log: &Path, within: Duration) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let mut server = Self { address, child, log: log.to_owned() };
        let deadline = Instant::now() + within;
        loop {
            if ureq::get(format!("http://{address}{ready}")).call().is_ok() {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!(
                    "{} ended with {status} before it was ready:\n{}",
                    command.get_program().display(),
                    server.said()
                );
            }
            if Instant::now() > deadline {
                bail!("{address}{ready} was not ready within {within:?}:\n{}", server.said());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Bytes it has in memory.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).context("no /proc")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().context("VmRSS is no number")?;
        Ok(kilobytes << 10)
    }

    /// The last lines the server wrote.
    #[must_use]
    pub fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // SIGTERM, so that a server of several processes stops its workers too.
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let deadline = Instant::now() + GRACE;
        while asked.as_ref().is_ok_and(std::process::ExitStatus::success) && Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Nothing is left to do about an error here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback address nobody listens on now.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?.local_addr()?)
}

/// Runs a command that must succeed, its words on stderr: stdout is for figures.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_says_why() {
        let folder = tempfile::tempdir().expect("folder");
        let mut command = Command::new("sh");
        command.args(["-c", "echo no luck; exit 3"]);
        let address = free_address().expect("address");
        let error = Server::start(command, address, "/", &folder.path().join("log"), Duration::from_secs(5))
            .expect_err("it ended");
        let text = format!("{error:#}");
        assert!(text.contains("no luck") && text.contains('3'), "{text}");
    }

    #[test]
    fn a_server_that_never_listens_is_stopped() {
        let folder = tempfile::tempdir().expect("folder");
        let mut command = Command::new("sleep");
        command.arg("60");
        let started = Instant::now();
        let address = free_address().expect("address");
        let got = Server::start(command, address, "/", &folder.path().join("log"), Duration::from_millis(200));
        assert!(got.is_err() && started.elapsed() < Duration::from_secs(5));
    }
}
