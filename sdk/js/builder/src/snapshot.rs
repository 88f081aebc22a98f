//! The component: QuickJS with the modules loaded, frozen as it then is, that imports nothing but the contract. As
//! `componentize_qjs::componentize` makes it, but that the same modules give the same bytes.

use crate::stage::Modules;
use anyhow::Context;
use componentize_qjs::{codegen, default_sync_runtime_wasm, stubwasi};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wizer::{WasmtimeWizerComponent, Wizer};
use wit_component::StringEncoding;
use wit_parser::Resolve;

/// What the engine may ask for while it loads modules: nothing that differs from one build to the next.
struct Surroundings {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Surroundings {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A clock that stands still.
struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        0
    }
}

/// Loads `modules`, of which `entry` is evaluated, for a world of the contract in a folder. The inner error is what the
/// engine said.
///
/// # Errors
/// A contract that cannot be read, or an engine that cannot be linked to it.
pub async fn snapshot(
    contract: &Path,
    world: &str,
    entry: &str,
    modules: Modules,
) -> anyhow::Result<Result<Vec<u8>, String>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(contract)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let (mut bindings, metadata) = wit_dylib::create_with_metadata(&resolve, world, None);
    let shim = codegen::generate_shim(&resolve, &metadata);
    wit_component::embed_component_metadata(&mut bindings, &resolve, world, StringEncoding::UTF8)?;
    let mut parts = wit_component::Linker::default();
    parts.encoder().validate(true);
    parts.library("componentize_qjs_runtime.wasm", default_sync_runtime_wasm(), false)?;
    parts.library("wit-dylib.wasm", &bindings, false)?;
    parts.encoder().adapter("wasi_snapshot_preview1", WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?;
    let component = parts.encode().context("cannot link the engine to the contract")?;
    let loaded = match initialised(&component, &shim, entry, modules).await? {
        Ok(loaded) => loaded,
        Err(said) => return Ok(Err(said)),
    };
    let without_loader = stubwasi::stub_internal_imports(&loaded)?;
    stubwasi::stub_wasi_imports(&without_loader).map(Ok)
}

async fn initialised(
    component: &[u8],
    shim: &str,
    entry: &str,
    modules: Modules,
) -> anyhow::Result<Result<Vec<u8>, String>> {
    let wasi = WasiCtxBuilder::new()
        .wall_clock(Still)
        .monotonic_clock(Still)
        .secure_random(Deterministic::new(vec![7]))
        .insecure_random(Deterministic::new(vec![7]))
        .insecure_random_seed(7)
        .build();
    let mut config = Config::new();
    config.wasm_component_model(true);
    let engine = Engine::new(&config)?;
    let mut store = Store::new(&engine, Surroundings { wasi, table: ResourceTable::new() });
    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument_component(component)?;
    let compiled = Component::new(&engine, &instrumented)?;
    let mut linker = Linker::new(&engine);
    linker.allow_shadowing(true);
    linker.define_unknown_imports_as_traps(&compiled)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    let source = modules.get(entry).cloned().with_context(|| format!("{entry} is not staged"))?;
    load_from(&mut linker, Arc::new(modules))?;
    let instance = linker.instantiate_async(&mut store, &compiled).await?;
    let name = format!("/{entry}");
    let init =
        instance.get_typed_func::<(&str, &str, Option<&str>, bool), (Result<(), String>,)>(&mut store, "init")?;
    let (said,) = init.call_async(&mut store, (shim, source.as_str(), Some(name.as_str()), false)).await?;
    if let Err(said) = said {
        return Ok(Err(said));
    }
    let frozen = wizer.snapshot_component(context, &mut WasmtimeWizerComponent { store: &mut store, instance }).await?;
    Ok(Ok(frozen))
}

/// Serves imports; their specifiers are already the modules' own names.
fn load_from(linker: &mut Linker<Surroundings>, modules: Arc<Modules>) -> anyhow::Result<()> {
    let mut loader = linker.instance("local:init/module-loader")?;
    let known = Arc::clone(&modules);
    loader.func_wrap("resolve", move |_, (referrer, specifier): (String, String)| {
        let there = specifier.strip_prefix('/').is_some_and(|name| known.contains_key(name));
        Ok((there.then(|| specifier.clone()).ok_or(format!("{referrer} imports {specifier:?}, which is not there")),))
    })?;
    loader.func_wrap("load", move |_, (path,): (String,)| {
        let source = path.strip_prefix('/').and_then(|name| modules.get(name)).cloned();
        Ok((source.ok_or(format!("no module {path:?}")),))
    })?;
    Ok(())
}
