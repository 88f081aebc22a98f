//! A batched HTTP client: several requests in flight, in order, with a progress bar.

use crate::import::progress;
use crate::recommend::{Answer, RecommendRequest};
use anyhow::Context;
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Talks to one server.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:7700`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(600)))
            .build();
        Self { agent: config.into(), base: base.trim_end_matches('/').to_owned() }
    }

    /// Asks every request, eight in flight, and returns the item ids of each answer in reading order.
    ///
    /// # Errors
    /// The first request that is not answered with 200, or that a fallback answered.
    pub fn recommend_all(&self, requests: &[RecommendRequest], what: &'static str) -> anyhow::Result<Vec<Vec<String>>> {
        const IN_FLIGHT: usize = 8;
        let bar = progress(requests.len() as u64, what);
        let next = AtomicUsize::new(0);
        let mut answers: Vec<(usize, Vec<String>)> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..IN_FLIGHT)
                .map(|_| {
                    scope.spawn(|| {
                        let mut mine = Vec::new();
                        loop {
                            let at = next.fetch_add(1, Ordering::Relaxed);
                            let Some(request) = requests.get(at) else { return Ok(mine) };
                            mine.push((at, self.recommend(request)?));
                            bar.inc(1);
                        }
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().map_err(|_| anyhow::anyhow!("a client thread panicked"))?)
                .collect::<anyhow::Result<Vec<Vec<_>>>>()
        })?
        .into_iter()
        .flatten()
        .collect();
        bar.finish_and_clear();
        answers.sort_by_key(|(at, _)| *at);
        Ok(answers.into_iter().map(|(_, items)| items).collect())
    }

    fn recommend(&self, request: &RecommendRequest) -> anyhow::Result<Vec<String>> {
        for patience in 0..20 {
            let mut response = self.agent.post(format!("{}/v1/recommend", self.base)).send_json(request)?;
            match response.status().as_u16() {
                200 => {
                    let answer: Answer = response.body_mut().read_json()?;
                    if let Some(fallback) = answer.fallback {
                        anyhow::bail!("the strategy failed with {}: {:?}", fallback.code, fallback.detail);
                    }
                    return Ok(answer.shelves.into_iter().flat_map(|s| s.slots).map(|slot| slot.item).collect());
                }
                #[expect(clippy::disallowed_methods, reason = "a client that was asked to wait")]
                503 => std::thread::sleep(Duration::from_millis(50 << patience.min(4))),
                status => anyhow::bail!("{status}: {}", response.body_mut().read_to_string()?),
            }
        }
        anyhow::bail!("the server stayed overloaded")
    }

    /// `PUT` of a body.
    ///
    /// # Errors
    /// Anything but a 2xx answer, with its text.
    pub fn put(&self, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Value> {
        let response = self.agent.put(format!("{}{path}", self.base)).content_type(kind).send(body);
        read(path, response)
    }

    /// `POST` of a body.
    ///
    /// # Errors
    /// Anything but a 2xx answer, with its text.
    pub fn post(&self, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Value> {
        let response = self.agent.post(format!("{}{path}", self.base)).content_type(kind).send(body);
        read(path, response)
    }

    /// Pushes a model as multipart.
    ///
    /// # Errors
    /// Anything but a 2xx answer, with its text.
    pub fn put_model(&self, name: &str, version: &str, onnx: &[u8], manifest: &Value) -> anyhow::Result<Value> {
        const BOUNDARY: &str = "qianmian-model-boundary";
        let mut body = Vec::with_capacity(onnx.len() + 512);
        for (part, kind, bytes) in [
            ("manifest", "application/json", manifest.to_string().as_bytes()),
            ("model", "application/octet-stream", onnx),
        ] {
            body.extend_from_slice(
                format!(
                    "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"{part}\"\r\nContent-Type: {kind}\r\n\r\n"
                )
                .as_bytes(),
            );
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.put(&format!("/v1/models/{name}/versions/{version}"), &kind, &body)
    }
}

fn read(path: &str, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> anyhow::Result<Value> {
    let mut response = response.with_context(|| format!("cannot reach {path}"))?;
    let status = response.status();
    let text = response.body_mut().read_to_string()?;
    anyhow::ensure!(status.is_success(), "{path} answered {status}: {text}");
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}
