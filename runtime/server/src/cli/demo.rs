//! `qianmian demo`: a generated storefront with small trained models, in a folder of its own.

use super::serve::{bind, runtime, serve, stop_signal};
use crate::app::App;
use crate::config::Config;
use crate::demo::{PERSONAS, SEED, Scale, fill, install_models};
use anyhow::Context;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Flags of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Port on loopback; 0 takes a free one.
    #[arg(long, default_value_t = 7700)]
    port: u16,
    /// Keep the shop here instead of in a temporary folder.
    #[arg(long)]
    data: Option<PathBuf>,
    /// A small shop (600 items, 800 visitors) that starts at once; without the trained models.
    #[arg(long)]
    small: bool,
    /// Generate the shop into --data, without the trained models, and exit: what the models are trained from.
    #[arg(long, requires = "data")]
    generate_only: bool,
}

impl Demo {
    pub fn run(self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let data = self.data.clone().unwrap_or_else(|| folder.path().to_owned());
        let listen = SocketAddr::from(([127, 0, 0, 1], self.port));
        let app = App::open(Config { listen, data, ..Config::load(None)? })?;
        let scale = if self.small { Scale::SMALL } else { Scale::FULL };
        if app.state.catalogue.current().is_empty() {
            eprintln!("Generating an airline-and-telecom mall: {} items, {} visitors ...", scale.items, scale.visitors);
            fill(&app, SEED, scale)?;
        }
        if self.generate_only {
            return Ok(());
        }
        install_models(&app, scale)?;
        let runtime = runtime()?;
        runtime.block_on(async {
            let listener = bind(&app).await?;
            let url = format!("http://{}", listener.local_addr()?);
            let server = tokio::spawn(serve(listener, Arc::clone(&app), stop_signal()));
            welcome(&url);
            server.await?
        })
    }
}

#[allow(clippy::print_stdout, reason = "this is the command's output")]
fn welcome(url: &str) {
    let (left, right) = (&PERSONAS[0], &PERSONAS[1]);
    println!(
        "\
Qianmian's demo storefront is up; nobody but this machine can reach it.

  storefront   {url}/
  two faces    {url}/compare?left={left}&right={right}
  contract     {url}/openapi.json
  metrics      {url}/metrics

Ask for a page:
  curl -s {url}/v1/recommend -H 'content-type: application/json' -d '{{\"scenario\":\"home\",\"visitor\":{{\"id\":\"{left}\"}},\"channel\":\"app\",\"limit\":8}}'
The same page for somebody else:
  curl -s {url}/v1/recommend -H 'content-type: application/json' -d '{{\"scenario\":\"home\",\"visitor\":{{\"id\":\"{right}\"}},\"channel\":\"app\",\"limit\":8}}'
Report what happened, and ask again:
  curl -s {url}/v1/events -H 'content-type: application/json' -d '{{\"events\":[{{\"id\":\"try-1\",\"type\":\"click\",\"visitor\":{{\"id\":\"{left}\"}},\"item\":\"P00042\",\"channel\":\"app\"}}]}}'

Visitors whose pages differ: {left} ({left_name}) and {right} ({right_name}).
ready: {url}",
        left = left.id,
        right = right.id,
        left_name = left.name.1,
        right_name = right.name.1,
    );
}
