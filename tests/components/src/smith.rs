//! Modules made of random bytes by wasm-smith, in our world. `build.rs` makes them.

use crate::maker::from_core;
use std::collections::BTreeMap;
use wasm_encoder::{CodeSection, ConstExpr, DataCountSection, DataSection, Function, Instruction, Module, RawSection};
use wasmparser::{Parser, Payload, TypeRef};

/// Each module's length in four bytes, and the module.
static MODULES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/modules"));

/// Components of our world that nobody wrote: 300, or `QIANMIAN_FUZZ` times as many where that was set for the build.
pub fn random() -> impl Iterator<Item = Vec<u8>> {
    let mut rest = MODULES;
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (module, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
        rest = behind;
        Some(from_core(with_a_description(module)))
    })
}

/// The module with a `describe` that says what is right, and an allocator that gives an address: else hardly any of them
/// would come as far as composing.
fn with_a_description(module: &[u8]) -> Vec<u8> {
    let payloads: Vec<Payload<'_>> = Parser::new(0).parse_all(module).map(|part| part.expect("valid")).collect();
    let (mut imported, mut functions, mut memory, mut answers) = (0, 0, 0, BTreeMap::new());
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
                    if export.name == "memory" {
                        memory = export.index;
                    }
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
                    data.active(memory, &ConstExpr::i32_const(*at), bytes.iter().copied());
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
