//! What an upload must pass: signatures, golden cases, compiling within limits; kept code that is ours alone.

use qianmian::Config;
use qianmian::model_check;
use qianmian::plugins::{Compiler, Limits, Plugins, Signature, TrustedKeys, Upload};
use qianmian_host::{Host, HostConfig, with_section};
use qianmian_models::{Kind, Manifest};
use qianmian_state::State;
use qianmian_tests::{Server, binary, built, root};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const WASM: &str = "application/wasm";

fn shipped(name: &str) -> Vec<u8> {
    std::fs::read(built("plugins").join(format!("{name}.wasm"))).expect("built")
}

fn version(component: &[u8]) -> String {
    qianmian::plugins::alone(component).expect("a strategy").version
}

#[test]
fn only_signed_strategies_where_keys_are_trusted() {
    let minisign::KeyPair { pk, sk } = minisign::KeyPair::generate_unencrypted_keypair().expect("keys");
    let sign = |bytes: &[u8]| {
        let text = minisign::sign(Some(&pk), &sk, bytes, None, None).expect("signed").into_string();
        Signature::new(text).header()
    };
    let config = Config { trusted_keys: vec![pk.to_base64()], ..Config::default() };
    let server = Server::with(config.clone(), State::in_memory().expect("a state"));
    let trap = std::fs::read(built("hostile").join("trap.wasm")).expect("built");
    let put = |signature: Option<&str>| {
        let headers: Vec<(&str, &str)> = signature.map(|value| ("x-signature", value)).into_iter().collect();
        let reply = server.send_with("PUT", "/v1/plugins/trap/versions/1.0.0", WASM, &headers, &trap);
        (reply.status, reply.json["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(put(None), (403, "unsigned".to_owned()));
    assert_eq!(put(Some("not base64")), (422, "bad_signature".to_owned()));
    assert_eq!(put(Some(&sign(b"something else"))), (403, "wrong_signature".to_owned()));
    assert_eq!(put(Some(&sign(&trap))), (200, String::new()));

    // It is verified again at every start, and what ships needs no signature.
    let folder = tempfile::tempdir().expect("a folder");
    let open = |config: Config| {
        let config = Config { data: folder.path().to_owned(), plugins: built("plugins"), ..config };
        qianmian::App::open(config).expect("an application")
    };
    let names = |app: Arc<qianmian::App>| app.plugins.list().iter().map(|p| p.name.clone()).collect::<Vec<_>>();
    let signature = Signature::from_header(&sign(&trap)).expect("a signature");
    let upload = Upload { name: "trap", version: "1.0.0", component: &trap, signature: Some(&signature) };
    open(config.clone()).plugins.upload(&upload).expect("taken");
    assert!(names(open(config.clone())).contains(&"trap".to_owned()));
    let other = minisign::KeyPair::generate_unencrypted_keypair().expect("keys").pk.to_base64();
    let left = names(open(Config { trusted_keys: vec![other], ..config }));
    assert!(!left.contains(&"trap".to_owned()) && left.contains(&"home".to_owned()), "{left:?}");
}

#[test]
fn golden_cases_travel_inside_and_must_come_out() {
    let server = Server::empty();
    let home = shipped("home");
    let put = |cases: serde_json::Value| {
        let component = with_section(&home, "qianmian:golden", cases.to_string().as_bytes());
        let path = format!("/v1/plugins/home/versions/{}", version(&home));
        server.send("PUT", &path, WASM, &component)
    };
    let wrong = put(json!([{ "name": "popular", "page": [{ "id": "for-you", "items": ["i7"] }] }]));
    assert_eq!((wrong.status, &wrong.json["code"]), (422, &json!("golden_failed")), "{}", wrong.text);
    let detail = wrong.json["detail"].as_str().expect("a detail");
    assert!(detail.contains("case popular: ") && detail.contains("passed before it: signature, component"), "{detail}");
    assert_eq!(put(json!({ "cases": 1 })).json["code"], "golden_failed");

    // As `plugin build --accept` does it.
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("some.json"), r#"{ "known": true, "items": ["i3"] }"#).expect("written");
    let plugin = qianmian::plugins::alone(&home).expect("a strategy");
    let bundle = |accept| qianmian::plugins::golden::bundle(folder.path(), &home, &plugin, accept);
    assert!(format!("{:#}", bundle(false).expect_err("no page yet")).contains("--accept"));
    let (component, count) = bundle(true).expect("accepted");
    assert_eq!(count, 1);
    assert_eq!(bundle(false).expect("the page is the same again").0, component);
    let path = format!("/v1/plugins/home/versions/{}", version(&home));
    let reply = server.send("PUT", &path, WASM, &component);
    // Every check is passed; only the version is taken, by other bytes.
    assert_eq!((reply.status, &reply.json["code"]), (409, &json!("version_exists")), "{}", reply.text);
}

fn compiler(program: Option<PathBuf>, folder: &Path) -> Compiler {
    let host = Arc::new(Host::new(HostConfig::default()).expect("a sandbox"));
    Compiler::new(host, program, Some(folder.to_owned())).expect("a compiler")
}

#[test]
fn compiled_in_a_process_of_its_own_and_kept_sealed() {
    let (folder, home) = (tempfile::tempdir().expect("a folder"), shipped("home"));
    let first = compiler(Some(binary()), folder.path()).program(&home).expect("compiled");
    let kept = folder.path().join(first.digest());
    let good = std::fs::read(&kept).expect("kept");
    let nothing = || compiler(Some(PathBuf::from("/nowhere/qianmian")), folder.path());
    assert_eq!(nothing().program(&home).expect("from what was kept").digest(), first.digest());

    // What was changed, cut, put in another's place or sealed by another installation is compiled again, never run.
    let mut changed = good.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let elsewhere = tempfile::tempdir().expect("a folder");
    compiler(Some(binary()), elsewhere.path()).program(&home).expect("compiled");
    let theirs = std::fs::read(elsewhere.path().join(first.digest())).expect("kept");
    let cart = shipped("cart");
    let other = compiler(Some(binary()), folder.path()).program(&cart).expect("compiled");
    let carts = std::fs::read(folder.path().join(other.digest())).expect("kept");
    for forged in [changed, good[..good.len() / 2].to_vec(), Vec::new(), theirs, carts] {
        std::fs::write(&kept, forged).expect("written");
        assert_eq!(nothing().program(&home).err().map(|error| error.code), Some("internal"), "there is no compiler");
    }
    compiler(Some(binary()), folder.path()).program(&home).expect("compiled again");
    assert_eq!(std::fs::read(&kept).expect("kept").len(), good.len());
}

#[test]
fn a_compiler_that_takes_too_much_is_ended() {
    let (folder, home) = (tempfile::tempdir().expect("a folder"), shipped("home"));
    let limited = |limits| {
        let compiler = compiler(Some(binary()), folder.path()).within(limits);
        compiler.program(&home).err().map(|error| error.code)
    };
    let fine = Limits { cpu_seconds: 20, memory: 1 << 30, wall: Duration::from_secs(40) };
    assert_eq!(limited(Limits { memory: 8 << 20, ..fine }), Some("compile_limit"));
    let begun = Instant::now();
    assert_eq!(limited(Limits { wall: Duration::from_millis(1), ..fine }), Some("compile_limit"));
    assert!(begun.elapsed() < Duration::from_secs(20), "it was ended, not waited for");
    assert_eq!(limited(fine), None);
}

#[test]
fn an_upload_is_tried_in_a_process_of_its_own() {
    let trap = std::fs::read(built("hostile").join("trap.wasm")).expect("built");
    let folder = tempfile::tempdir().expect("a folder");
    let upload = |program: PathBuf| {
        let state = Arc::new(State::in_memory().expect("a state"));
        let compiler = compiler(Some(program), folder.path());
        let plugins = Plugins::load(compiler, TrustedKeys::default(), state).expect("no strategies");
        plugins.upload(&Upload { name: "trap", version: "1.0.0", component: &trap, signature: None })
    };
    let report = upload(binary()).expect("taken");
    let checks: Vec<&str> = report.checks.iter().map(|check| check.check.as_str()).collect();
    let before = ["signature", "component", "imports", "compiled", "world", "describe", "schema", "identity", "golden"];
    assert_eq!(checks, [before.as_slice(), &["smoke"]].concat(), "{report:?}");

    // One that ends the process it is tried in: the server goes on, and says where it was.
    let program = folder.path().join("tries");
    let dies = |words: &str| {
        std::fs::write(&program, format!("#!/bin/sh\necho {words} >&2\nkill -9 $$\n")).expect("written");
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
        upload(program.clone()).expect_err("it died")
    };
    let error = dies("smoke");
    assert_eq!((error.status.as_u16(), error.code), (422, "trial_limit"), "{error}");
    let told = format!("(passed before it: {})", before.join(", "));
    assert!(error.detail.starts_with("check smoke failed: ") && error.detail.ends_with(&told), "{error}");
    assert_eq!(dies("compiled").code, "compile_limit");
    assert_eq!(dies("who knows").code, "compile_limit");
}

#[test]
fn a_component_that_fails_again_and_again_is_not_run_for_a_while() {
    let server = Server::empty();
    server.items(&(0..9).map(|n| json!({ "id": format!("p{n}") })).collect::<Vec<_>>());
    let trap = std::fs::read(built("hostile").join("trap.wasm")).expect("built");
    assert_eq!(server.send("PUT", "/v1/plugins/trap/versions/1.0.0", WASM, &trap).status, 200);
    let fallback = || server.recommend(json!({ "scenario": "s", "limit": 4 })).json["fallback"].clone();
    server.scenario("s", json!({ "strategy": "trap" }));
    for _ in 0..16 {
        assert_eq!(fallback(), json!({ "kind": "popular", "code": "strategy_trap" }));
    }
    assert_eq!(fallback(), json!({ "kind": "popular", "code": "breaker_open" }), "nothing ran before");
    assert_eq!(server.get("/v1/plugins/trap").json[0]["breaker_open"], true);
    assert!(server.get("/metrics").text.contains("qianmian_breaker_opened_total{strategy=\"trap\"} 1"));

    // What ran before answers, and a good strategy of the same scenario is not held back.
    server.scenario("s", json!({ "strategy": "home" }));
    assert_eq!(fallback(), json!(null));
    server.scenario("s", json!({ "strategy": "trap" }));
    assert_eq!(fallback(), json!({ "kind": "previous", "code": "breaker_open" }));
    let answer = server.recommend(json!({ "scenario": "s", "limit": 4 })).json;
    assert_eq!(answer["strategy"]["name"], "home", "{answer}");
}

#[test]
fn a_scenario_allows_less_than_a_strategy_needs() {
    let server = Server::empty();
    server.items(&(0..9).map(|n| json!({ "id": format!("p{n}") })).collect::<Vec<_>>());
    let needs = &server.get("/v1/plugins/home").json[0]["needs"];
    assert_eq!(needs["sources"], json!(["*"]), "{needs}");
    server.scenario("s", json!({ "strategy": "home", "allow": { "sources": ["newest"] } }));
    let answer = server.recommend(json!({ "scenario": "s", "limit": 4, "explain": true })).json;
    let degraded = answer["degraded"].to_string();
    assert!(degraded.contains("source:trending") && !degraded.contains("source:newest"), "{answer}");
    let wrong = json!({ "strategy": "home", "allow": { "source": [] } }).to_string();
    assert_eq!(server.send("PUT", "/v1/scenarios/s", "application/json", wrong.as_bytes()).status, 422);
    let wrong = json!({ "strategy": "home", "limits": { "fuel": 1 } }).to_string();
    let reply = server.send("PUT", "/v1/scenarios/s", "application/json", wrong.as_bytes());
    assert_eq!((reply.status, &reply.json["code"]), (422, &json!("bad_limits")), "{}", reply.text);
    server.scenario("s", json!({ "strategy": "home", "limits": { "fuel": 10_000 } }));
    let answer = server.recommend(json!({ "scenario": "s", "limit": 4 })).json;
    assert_eq!(answer["fallback"]["code"], "out_of_fuel", "{answer}");
}

#[test]
fn components_of_every_version_of_the_contract_are_taken_for_ever() {
    let server = Server::empty();
    let mut taken = 0;
    for version in std::fs::read_dir(root().join("tests/golden")).expect("the golden components") {
        let version = version.expect("an entry").path();
        if !version.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&version).expect("a version") {
            let path = file.expect("an entry").path();
            let bytes = std::fs::read(&path).expect("a component");
            let plugin = qianmian::plugins::alone(&bytes).expect("what was taken once");
            let place = format!("/v1/plugins/{}/versions/{}", plugin.name, plugin.version);
            let reply = server.send("PUT", &place, WASM, &bytes);
            assert_eq!(reply.status, 200, "{}: {}", path.display(), reply.text);
            let checks = reply.json["checks"].as_array().expect("checks");
            let golden = checks.iter().find(|check| check["check"] == "golden").expect("golden");
            assert_ne!(golden["detail"], "0 cases", "{}", path.display());
            taken += 1;
        }
    }
    assert!(taken >= 2, "a strategy and a tagger of 1.0 at least");
}

#[test]
fn a_model_is_tried_in_a_process_of_its_own() {
    let fixture = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures");
        std::fs::read(folder.join(name)).expect("a fixture")
    };
    let features = (0..8).map(|i| format!("item.attributes.f{i}").into()).collect();
    let manifest = Manifest { features, ..Manifest::new("ranker", Kind::Ranker) };
    let tried =
        |bytes: &[u8], limits| model_check::check(&binary(), bytes, &manifest, limits).map_err(|e| (e.code, e.detail));
    let (good, fine) = (fixture("ranker.onnx"), model_check::limits(100_000));
    assert_eq!(tried(&good, fine), Ok(()));
    let (code, why) = tried(&fixture("hostile-cycle.onnx"), fine).expect_err("a cycle");
    assert_eq!((code, why.contains("tree 0 is a cycle")), ("model_refused", true), "{why}");
    let (code, _) = tried(&good, Limits { wall: Duration::ZERO, ..fine }).expect_err("no time at all");
    assert_eq!(code, "model_limit");
}
