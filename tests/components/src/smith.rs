//! Modules made of random bytes by wasm-smith, in our world.

use crate::maker::{contract, from_core};
use arbitrary::Unstructured;
use std::collections::BTreeMap;
use wasm_encoder::{CodeSection, ConstExpr, DataCountSection, DataSection, Function, Instruction, Module, RawSection};
use wasm_smith::Config;
use wasmparser::{Parser, Payload, TypeRef};

/// The exports of a strategy; the bodies are made up.
const EXPORTS: &str = r#"
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "describe") (result i32) unreachable)
  (func (export "compose") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)
    unreachable)"#;

/// A component of our world made of random bytes: a module over the contract's imports, with `anything` there is in
/// WebAssembly or with what a strategy may use.
///
/// # Panics
/// When there are too few bytes to make a module of.
#[must_use]
pub fn random(bytes: &[u8], anything: bool) -> Vec<u8> {
    let config = Config {
        available_imports: Some(wat::parse_str(format!("(module {})", contract())).expect("imports")),
        exports: Some(wat::parse_str(format!("(module {EXPORTS})")).expect("exports")),
        max_memories: if anything { 2 } else { 1 },
        max_memory32_bytes: 32 << 20,
        max_tables: 4,
        max_table_elements: 30_000,
        max_funcs: 20,
        max_instructions: 400,
        min_data_segments: 1,
        allow_start_export: bytes[0] % 3 == 0,
        bulk_memory_enabled: true,
        reference_types_enabled: true,
        simd_enabled: true,
        multi_value_enabled: true,
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
    let module = wasm_smith::Module::new(config, &mut Unstructured::new(bytes)).expect("bytes enough");
    from_core(with_a_description(&module.to_bytes()))
}

/// The module with a `describe` that says what is right, and an allocator that gives an address: else hardly any of them
/// would come as far as composing.
fn with_a_description(module: &[u8]) -> Vec<u8> {
    let payloads: Vec<Payload<'_>> = Parser::new(0).parse_all(module).map(|part| part.expect("valid")).collect();
    let (mut imported, mut functions, mut answers) = (0, 0, BTreeMap::new());
    for payload in &payloads {
        match payload {
            Payload::ImportSection(imports) => {
                let imports = imports.clone().into_imports().map(|part| part.expect("valid"));
                imported = imports.filter(|import| matches!(import.ty, TypeRef::Func(_))).count() as u32;
            }
            Payload::ExportSection(exports) => {
                for export in exports.clone().into_iter().map(|part| part.expect("valid")) {
                    match export.name {
                        "describe" => answers.insert(export.index, DESCRIPTION),
                        "cabi_realloc" => answers.insert(export.index, 4_096),
                        _ => None,
                    };
                }
            }
            Payload::CodeSectionStart { count, .. } => functions = *count,
            _ => {}
        }
    }
    let (mut made, mut code, described) = (Module::new(), CodeSection::new(), description());
    for payload in &payloads {
        match payload {
            Payload::CodeSectionStart { .. } => {}
            Payload::CodeSectionEntry(body) => {
                match answers.get(&(imported + code.len())) {
                    Some(address) => {
                        let mut answer = Function::new([]);
                        answer.instruction(&Instruction::I32Const(*address)).instruction(&Instruction::End);
                        code.function(&answer);
                    }
                    None => {
                        code.raw(&module[body.range()]);
                    }
                }
                if code.len() == functions {
                    made.section(&code);
                }
            }
            Payload::DataCountSection { count, .. } => {
                made.section(&DataCountSection { count: count + described.len() as u32 });
            }
            Payload::DataSection(section) => {
                let mut data = DataSection::new();
                for segment in section.clone().into_iter().map(|part| part.expect("valid")) {
                    data.raw(&module[segment.range]);
                }
                for (at, bytes) in &described {
                    data.active(0, &ConstExpr::i32_const(*at), bytes.iter().copied());
                }
                made.section(&data);
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    made.section(&RawSection { id, data: &module[range] });
                }
            }
        }
    }
    made.finish()
}

const DESCRIPTION: i32 = 320;

/// Data segments: name `made`, version 1.0.0, schema `{}`, and needs everything.
fn description() -> Vec<(i32, Vec<u8>)> {
    let mut record = vec![256, 4, 264, 5, 0, 0, 272, 2];
    (0..6).for_each(|_| record.extend([288, 1]));
    record.push(1);
    let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    vec![
        (DESCRIPTION, bytes(&record)),
        (288, bytes(&[296, 1])),
        (296, b"*".to_vec()),
        (256, b"made".to_vec()),
        (264, b"1.0.0".to_vec()),
        (272, b"{}".to_vec()),
    ]
}
