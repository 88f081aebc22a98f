//! A server for tests: the real application over an in-memory state on a free port.

use qianmian::{App, Config};
use qianmian_state::State;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A running server. It ends with the test process.
pub struct Server {
    /// Its address.
    pub url: String,
    /// What it runs, to look inside.
    pub app: Arc<App>,
    agent: ureq::Agent,
}

/// An answer: status, content type, body.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub kind: String,
    /// The body as JSON; null when it is not.
    pub json: Value,
    /// The body.
    pub text: String,
}

/// The workspace's folder.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// What `cargo xtask plugins` builds: `kind` is `plugins` or `hostile`.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn built(kind: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folder = target.join(kind);
    assert!(folder.is_dir(), "{} is missing: run `cargo xtask plugins` first", folder.display());
    folder
}

/// What `cargo xtask javascript` builds; none when it was not, which CI does not forgive.
///
/// # Panics
/// In CI, when it was not built.
#[must_use]
pub fn javascript_builder() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let builder = target.join("javascript").join(format!("qianmian-js{}", std::env::consts::EXE_SUFFIX));
    if builder.is_file() {
        return Some(builder);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing: run `cargo xtask javascript` first", builder.display());
    eprintln!("skipped: build qianmian-js first with `cargo xtask javascript`");
    None
}

/// The `qianmian` binary beside these tests.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn binary() -> PathBuf {
    // Tests are in `deps`, in the folder of their profile.
    let own = std::env::current_exe().expect("a path");
    let path = own.ancestors().nth(2).expect("a folder").join("qianmian");
    assert!(path.is_file(), "{} is missing: `cargo xtask test` builds it first", path.display());
    path
}

/// Copies a folder with all that is in it.
///
/// # Panics
/// When it cannot.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("an entry");
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    }
}

impl Server {
    /// Starts a server with the shipped strategies and nothing else.
    ///
    /// # Panics
    /// When it cannot start.
    #[must_use]
    pub fn empty() -> Self {
        Self::over(State::in_memory().expect("a state in memory"))
    }

    /// Starts a server over a state.
    ///
    /// # Panics
    /// When it cannot start.
    #[must_use]
    pub fn over(state: State) -> Self {
        Self::with(Config::default(), state)
    }

    /// Starts a server over a state that captures every answer.
    ///
    /// # Panics
    /// When it cannot start.
    #[must_use]
    pub fn capturing(state: State) -> Self {
        Self::with(Config { capture_share: 1.0, ..Config::default() }, state)
    }

    /// Starts a server with a configuration of its own, over a state.
    ///
    /// # Panics
    /// When it cannot start.
    #[must_use]
    pub fn with(config: Config, state: State) -> Self {
        // Generous: what is tested is the answer, not how busy the machine is.
        let config = Config { plugins: built("plugins"), strategy_wall_ms: 5_000, ..config };
        let app = App::over(config, state).expect("an application");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = qianmian::http::router(Arc::clone(&app));
        runtime.spawn(qianmian::http::serve(listener, router));
        // The server lives as long as the test process.
        std::mem::forget(runtime);
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { url, app, agent }
    }

    /// `GET`.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn get(&self, path: &str) -> Reply {
        read(self.agent.get(format!("{}{path}", self.url)).call())
    }

    /// `DELETE`.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn delete(&self, path: &str) -> Reply {
        read(self.agent.delete(format!("{}{path}", self.url)).call())
    }

    /// A request with a body.
    ///
    /// # Panics
    /// When the server does not answer or the method takes no body.
    #[must_use]
    pub fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Reply {
        self.send_with(method, path, kind, &[], body)
    }

    /// A request with headers and a body.
    ///
    /// # Panics
    /// As [`Server::send`].
    #[must_use]
    pub fn send_with(&self, method: &str, path: &str, kind: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let url = format!("{}{path}", self.url);
        let request = match method {
            "POST" => self.agent.post(url),
            "PUT" => self.agent.put(url),
            "PATCH" => self.agent.patch(url),
            other => panic!("{other} takes no body"),
        };
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        read(request.content_type(kind).send(body))
    }

    /// `POST /v1/recommend`.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn recommend(&self, request: Value) -> Reply {
        self.send("POST", "/v1/recommend", "application/json", request.to_string().as_bytes())
    }

    /// Upserts items, all of which must be taken.
    ///
    /// # Panics
    /// When one is refused.
    pub fn items(&self, items: &[Value]) {
        let body: String = items.iter().map(|item| format!("{item}\n")).collect();
        let reply = self.send("PUT", "/v1/catalog/items", "application/x-ndjson", body.as_bytes());
        assert_eq!((reply.status, &reply.json["upserted"]), (200, &items.len().into()), "{}", reply.text);
    }

    /// Sends events, all of which must be taken, and waits until they are folded.
    ///
    /// # Panics
    /// When one is refused.
    pub fn events(&self, events: &[Value]) {
        let body = serde_json::json!({ "events": events }).to_string();
        let reply = self.send("POST", "/v1/events", "application/json", body.as_bytes());
        assert_eq!((reply.status, &reply.json["accepted"]), (202, &events.len().into()), "{}", reply.text);
        self.app.state.refresh().expect("folded");
    }

    /// Creates a scenario.
    ///
    /// # Panics
    /// When it is refused.
    pub fn scenario(&self, name: &str, spec: Value) {
        let path = format!("/v1/scenarios/{name}");
        let reply = self.send("PUT", &path, "application/json", spec.to_string().as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
}

/// The item ids of an answer, in reading order.
#[must_use]
pub fn served(answer: &Value) -> Vec<String> {
    let shelves = answer["shelves"].as_array().cloned().unwrap_or_default();
    shelves
        .iter()
        .flat_map(|shelf| shelf["slots"].as_array().cloned().unwrap_or_default())
        .filter_map(|slot| slot["item"].as_str().map(str::to_owned))
        .collect()
}

fn read(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Reply {
    let mut response = response.expect("the server answers");
    let kind = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().expect("a text");
    Reply { status, kind, json: serde_json::from_str(&text).unwrap_or(Value::Null), text }
}
