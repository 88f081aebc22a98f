//! `qianmian serve`.

use crate::app::App;
use crate::config::Config;
use anyhow::Context;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Flags of `serve`; they win over the environment and the file.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// A TOML configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:7700].
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// The data folder [default: ./data].
    #[arg(long)]
    data: Option<PathBuf>,
    /// Folder of the bundled strategies.
    #[arg(long)]
    plugins: Option<PathBuf>,
    /// Print the resulting configuration and exit.
    #[arg(long)]
    print_config: bool,
}

impl Serve {
    pub fn run(self) -> anyhow::Result<()> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if let Some(data) = self.data {
            config.data = data;
        }
        if let Some(plugins) = self.plugins {
            config.plugins = plugins;
        }
        if self.print_config {
            #[allow(clippy::print_stdout, reason = "this is the command's output")]
            {
                print!("{}", toml::to_string(&config)?);
            }
            return Ok(());
        }
        let app = App::open(config)?;
        let runtime = runtime()?;
        runtime.block_on(async {
            let listener = bind(&app).await?;
            let address = listener.local_addr()?;
            eprintln!("qianmian listens on http://{address}  (docs: /openapi.json, storefront: /)");
            eprintln!("No access tokens exist yet: anyone who can reach this address may do anything.");
            serve(listener, app, stop_signal()).await
        })
    }
}

/// The async runtime: it only moves bytes, so half of the cores are enough; the others compose.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, 4)))
        .enable_all()
        .build()
        .context("cannot start the async runtime")
}

/// Binds the configured address; without access control only loopback is accepted.
pub(crate) async fn bind(app: &Arc<App>) -> anyhow::Result<TcpListener> {
    let listen = app.config.listen;
    anyhow::ensure!(
        listen.ip().is_loopback(),
        "{listen} is reachable from outside and there are no access tokens: listen on 127.0.0.1 or [::1], or put a proxy that \
         checks access in front"
    );
    TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))
}

/// Serves until `stop`; requests under way are finished.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let listener = axum::serve::ListenerExt::tap_io(listener, |socket| {
        // A small answer must not wait for an acknowledgement.
        let _ = socket.set_nodelay(true);
    });
    axum::serve(listener, crate::http::router(app)).with_graceful_shutdown(stop).await?;
    Ok(())
}

/// Ctrl-C or SIGTERM.
pub(crate) async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
            }
            Err(_) => drop(interrupt.await),
        }
    }
    #[cfg(not(unix))]
    drop(interrupt.await);
}
