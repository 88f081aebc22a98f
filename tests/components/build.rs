//! Makes the random modules of `src/smith.rs`. wasm-smith stands here, and not among the dependencies, because it would
//! change the features of what the sandbox itself is built of.

#[path = "src/imports.rs"]
mod imports;

use arbitrary::Unstructured;
use imports::contract;
use std::path::Path;
use wasm_smith::Config;

const COUNT: u64 = 300;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/imports.rs");
    println!("cargo::rerun-if-env-changed=QIANMIAN_FUZZ");
    let times: u64 = std::env::var("QIANMIAN_FUZZ").map_or(1, |times| times.parse().expect("QIANMIAN_FUZZ: a number"));
    let mut modules = Vec::new();
    for number in 0..COUNT * times {
        // More is not more of the same.
        let module = module((times << 32) | number, number);
        modules.extend((module.len() as u32).to_le_bytes());
        modules.extend(module);
    }
    let folder = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(Path::new(&folder).join("modules"), modules).expect("written");
}

/// The exports of a strategy; the bodies are made up.
const EXPORTS: &str = r#"
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "describe") (result i32) unreachable)
  (func (export "compose") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)
    unreachable)"#;

/// A module over the contract's imports. Of every eight, one may use whatever WebAssembly there is, to be refused.
fn module(seed: u64, number: u64) -> Vec<u8> {
    let anything = number.is_multiple_of(8);
    let config = Config {
        available_imports: Some(wat::parse_str(format!("(module {})", contract())).expect("imports")),
        exports: Some(wat::parse_str(format!("(module {EXPORTS})")).expect("exports")),
        // Beside the one that is exported.
        max_memories: usize::from(anything),
        max_memory32_bytes: 32 << 20,
        max_tables: 4,
        max_table_elements: 30_000,
        max_funcs: 20,
        max_instructions: 400,
        min_data_segments: 1,
        allow_start_export: number.is_multiple_of(3),
        bulk_memory_enabled: true,
        reference_types_enabled: number % 16 == 1,
        simd_enabled: number % 4 == 2,
        multi_value_enabled: anything,
        threads_enabled: anything,
        memory64_enabled: anything,
        relaxed_simd_enabled: anything,
        tail_call_enabled: anything,
        exceptions_enabled: anything,
        gc_enabled: anything,
        wide_arithmetic_enabled: anything,
        custom_page_sizes_enabled: false,
        shared_everything_threads_enabled: false,
        compact_imports_enabled: false,
        ..Config::default()
    };
    let bytes = bytes(seed, 4_096);
    wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).expect("bytes enough").to_bytes()
}

/// So many bytes of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..count.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(count).collect()
}
