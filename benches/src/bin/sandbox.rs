//! `bench-sandbox`: what a composition costs in the sandbox, against its native twin over the same reach, and how well the
//! sandbox stops a hostile one.

use anyhow::Result;
use clap::Parser;
use qianmian_benches::hostile::Hostile;
use qianmian_benches::languages::Twins;
use qianmian_benches::lines::print;
use qianmian_benches::peer::Peer;
use qianmian_benches::place::Place;
use qianmian_benches::sandbox::Pair;
use qianmian_benches::shop::{self, VISITORS};
use std::path::PathBuf;
use std::time::Duration;

/// The server's: the sandbox and its twin are measured over what they run on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures instantiation, a call, throughput against the native twin, how late an endless strategy is stopped, and what
/// its neighbour feels; prints one JSON object a line.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    place: Place,
    /// `qianmian-js`, to measure a strategy in JavaScript as well.
    #[arg(long)]
    javascript: Option<PathBuf>,
    /// Alternated rounds.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Seconds of each side a round.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Calls timed one by one.
    #[arg(long, default_value_t = 5_000)]
    calls: usize,
    /// Endless strategies stopped a round, at most five rounds.
    #[arg(long, default_value_t = 200)]
    stops: usize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let peer = Peer::prepare(&options.place.workspace)?;
    let data = tempfile::tempdir_in(options.place.target())?;
    // Ends the server again: the folder is opened in this process.
    drop(shop::start(&options.place.qianmian, data.path(), &options.place.log("qianmian.log")?, &peer.bundle)?);
    let pair = Pair::open(data.path(), VISITORS)?;
    let mut lines = pair.costs(options.calls)?;
    lines.extend(pair.operations(options.calls.min(1_000))?);
    let each = Duration::from_secs_f64(options.seconds);
    if let Some(builder) = &options.javascript {
        lines.extend(Twins::build(&pair, &options.place.workspace, builder)?.costs(&pair, options.calls)?);
    }
    lines.push(pair.throughput("sandbox", options.rounds, each)?);
    let hostile = Hostile::beside(&pair)?;
    lines.extend(hostile.stop(options.rounds.min(5), options.stops)?);
    lines.extend(hostile.neighbour(options.rounds, each)?);
    print(&lines)
}
