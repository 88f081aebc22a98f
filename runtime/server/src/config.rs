//! Configuration: a TOML file, then `QIANMIAN_*` variables, then flags, in rising order.

use qianmian_state::{Limits, Retention};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything an operator can set. `qianmian serve --print-config` shows the result as TOML.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen. Until access tokens exist only loopback addresses are accepted.
    pub listen: SocketAddr,
    /// Names other than localhost that this server is reached by, as in the Host header (a proxy that keeps it).
    pub allowed_hosts: Vec<String>,
    /// The data folder.
    pub data: PathBuf,
    /// Folder of the strategy components that ship with the product; installed at start where missing.
    pub plugins: PathBuf,
    /// Threads that run strategies and models; 0 means one a core.
    pub compose_threads: usize,
    /// Requests that may wait for such a thread before the server sheds.
    pub compose_queue: usize,
    /// Wall clock of one strategy call, milliseconds.
    pub strategy_wall_ms: u64,
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Most slots one answer may have.
    pub max_limit: u32,
    /// Items that events may name before the catalogue knows them; events that name more are refused.
    pub max_unknown_items: usize,
    /// Share of answers that are captured for replay, 0 to 1; answers whose strategy failed always are.
    pub capture_share: f64,
    /// Share of answers whose captures hold the features that models were given too, for `export features`, 0 to 1.
    pub feature_share: f64,
    /// Days a capture is kept.
    pub capture_days: u32,
    /// Days an event is kept in the log, by when it happened; 0 means for ever. Older ones are refused.
    pub log_days: u32,
    /// Megabytes of events' bodies that are held at once until they are stored, at least `max_body`; more are 503.
    pub event_bodies_mb: usize,
    /// Days after which the profile of a visitor who did not come back is dropped; 0 means never.
    pub idle_days: u32,
    /// Megabytes of memory for visitors' profiles; those not needed lately are packed away to disk beyond it.
    pub visitor_memory_mb: usize,
    /// Seconds between two checkpoints of what is folded from the log: what came after the last one is folded again after a
    /// crash.
    pub checkpoint_seconds: u32,
    /// Public keys of minisign, in base64. With one or more, only strategies that one of them signed are taken and run,
    /// beside those of the plugins folder.
    pub trusted_keys: Vec<String>,
    /// The `qianmian` binary that compiles strategies in a process of its own; without one, this process does. The
    /// commands set it to themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiler: Option<PathBuf>,
    /// Freezes the clock of recommendations at this moment (milliseconds since 1970 UTC): to serve and measure a shop
    /// of the past as it was then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_clock: Option<i64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7700)),
            allowed_hosts: Vec::new(),
            data: PathBuf::from("data"),
            plugins: default_plugins(),
            compose_threads: 0,
            compose_queue: 256,
            strategy_wall_ms: 10,
            max_body: 256 << 20,
            max_limit: 1_000,
            max_unknown_items: 1_000_000,
            capture_share: 0.01,
            feature_share: 0.0,
            capture_days: 7,
            log_days: 0,
            event_bodies_mb: 1_024,
            idle_days: 0,
            visitor_memory_mb: 4_096,
            checkpoint_seconds: 60,
            trusted_keys: Vec::new(),
            compiler: None,
            frozen_clock: None,
        }
    }
}

/// Beside the binary (`plugins/`), or in the folder above it (`target/plugins` of a checkout).
fn default_plugins() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    exe.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("plugins"))
        .find(|folder| folder.is_dir())
        .unwrap_or_else(|| PathBuf::from("plugins"))
}

/// Whether a seed falls into a share of all.
fn falls_in(seed: u64, share: f64) -> bool {
    // The seed is a hash; its best bits are spread over all of them.
    let spread = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11;
    (spread as f64) < share * (1u64 << 53) as f64
}

impl Config {
    /// Reads the file, when one is named, and the environment.
    ///
    /// # Errors
    /// A text naming the file or variable, the value and what was expected.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        use anyhow::Context;
        let mut table = match file {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration {}", path.display()))?
                .parse::<toml::Table>()
                .with_context(|| format!("{} is not valid TOML", path.display()))?,
            None => toml::Table::new(),
        };
        let known = toml::Table::try_from(Self::default())?;
        for (name, value) in std::env::vars() {
            let Some(key) = name.strip_prefix("QIANMIAN_").map(str::to_lowercase) else { continue };
            let Some(default) = known.get(&key) else { continue };
            let parsed = match default {
                toml::Value::Integer(_) => toml::Value::Integer(
                    value.parse().with_context(|| format!("{name}={value:?}: expected a whole number"))?,
                ),
                toml::Value::Array(_) => value.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>().into(),
                toml::Value::Float(_) => {
                    toml::Value::Float(value.parse().with_context(|| format!("{name}={value:?}: expected a number"))?)
                }
                _ => toml::Value::String(value),
            };
            table.insert(key, parsed);
        }
        let mut config = table.try_into::<Self>().context("the configuration has a wrong or unknown setting")?;
        if config.compiler.is_none() {
            config.compiler = std::env::current_exe().ok();
        }
        for (name, share) in [("capture_share", config.capture_share), ("feature_share", config.feature_share)] {
            anyhow::ensure!((0.0..=1.0).contains(&share), "{name} is {share}: expected 0 to 1");
        }
        Ok(config)
    }

    /// Whether the answer to a request with this seed is captured.
    #[must_use]
    pub fn captures(&self, seed: u64, fault: bool) -> bool {
        fault || falls_in(seed, self.capture_share) || self.keeps_features(seed)
    }

    /// Whether its capture holds what models were given.
    #[must_use]
    pub fn keeps_features(&self, seed: u64) -> bool {
        falls_in(seed, self.feature_share)
    }

    /// How long the state keeps what.
    #[must_use]
    pub fn retention(&self) -> Retention {
        let days = |days: u32| (days > 0).then_some(days);
        Retention { log_days: days(self.log_days), idle_days: days(self.idle_days) }
    }

    /// How much memory visitors may take, and how often the folds are kept.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            visitor_bytes: Some(self.visitor_memory_mb << 20),
            checkpoint: Duration::from_secs(self.checkpoint_seconds.into()),
        }
    }

    /// Bytes of events' bodies that are held at once.
    #[must_use]
    pub fn event_room(&self) -> usize {
        (self.event_bodies_mb << 20).clamp(self.max_body, tokio::sync::Semaphore::MAX_PERMITS)
    }

    /// The number of compose threads after resolving 0.
    #[must_use]
    pub fn threads(&self) -> usize {
        match self.compose_threads {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            n => n,
        }
    }
}
