//! `qianmian evaluate`.

use super::moment;
use super::serve::{bind, runtime, serve};
use crate::app::App;
use crate::config::Config;
use crate::evaluate::{Client, amazon_beauty, online_retail, print_summary};
use qianmian_core::TimeMs;
use std::path::PathBuf;
use std::sync::Arc;

/// The published protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Protocol {
    /// Next basket, new items and cart completion on the UCI Online Retail file. Needs a data folder prepared by the
    /// training kit.
    OnlineRetail,
    /// Leave one out on Amazon Beauty with a published encoder; prepares everything itself. With --ranked the whole way of
    /// candidates and a ranker, in a data folder prepared by the training kit.
    AmazonBeauty,
}

/// Flags of `evaluate`.
#[derive(Debug, clap::Args)]
pub(super) struct Evaluate {
    /// What to run.
    protocol: Protocol,
    /// The file or folder of the data set.
    dataset: PathBuf,
    /// A running server; without one this command starts its own on a free port.
    #[arg(long)]
    url: Option<String>,
    /// The data folder of the server it starts; a temporary one for protocols that prepare themselves.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Online Retail only: another day than the published one, to choose settings without looking at what it holds out;
    /// the data folder must hold the shop as of then.
    #[arg(long, value_parser = moment, default_value = "2011-11-01")]
    split: TimeMs,
    /// Amazon Beauty only: ask the ranker that the training kit put into --data.
    #[arg(long, requires = "data")]
    ranked: bool,
}

impl Evaluate {
    pub fn run(self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let data = match (self.protocol, self.data) {
            (_, Some(data)) => data,
            (Protocol::AmazonBeauty, None) => folder.path().to_owned(),
            (Protocol::OnlineRetail, None) => "data".into(),
        };
        let runtime = runtime()?;
        let url = match self.url {
            Some(url) => url,
            None => {
                let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
                // The protocol asks at the split, not today: ages and decayed counts are read as of then.
                let frozen_clock = match self.protocol {
                    Protocol::OnlineRetail => Some(self.split),
                    Protocol::AmazonBeauty => self.ranked.then_some(amazon_beauty::RANKED_AT),
                };
                let config = Config { listen, data, frozen_clock, strategy_wall_ms: 10_000, ..Config::load(None)? };
                let app = App::open(config)?;
                runtime.block_on(start(&app))?
            }
        };
        let client = Client::new(&url);
        let lines = match self.protocol {
            Protocol::OnlineRetail => online_retail::run(&client, &self.dataset, self.split)?,
            Protocol::AmazonBeauty if self.ranked => amazon_beauty::ranked(&client, &self.dataset)?,
            Protocol::AmazonBeauty => amazon_beauty::run(&client, &self.dataset)?,
        };
        print_summary("quality", &lines);
        Ok(())
    }
}

async fn start(app: &Arc<App>) -> anyhow::Result<String> {
    let listener = bind(app).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(serve(listener, Arc::clone(app), std::future::pending()));
    Ok(url)
}
