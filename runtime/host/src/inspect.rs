//! Reads every byte of a component before any of it is compiled.

use crate::{LoadError, v0};
use wasmparser::{ComponentTypeRef, Parser, Payload, TypeBounds, Validator, WasmFeatures};

/// Core modules and instances a component may be made of; a strategy needs three or four.
pub(crate) const MAX_CORE_INSTANCES: u64 = 16;

/// What WebAssembly a strategy may use: no threads, no memory64, no relaxed SIMD, no GC, nothing asynchronous.
fn features() -> WasmFeatures {
    WasmFeatures::WASM2 | WasmFeatures::EXTENDED_CONST | WasmFeatures::COMPONENT_MODEL
}

/// Checks that `bytes` are a valid component that imports nothing but the contract.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 13, 0, 1, 0]) => {}
        Some([0, b'a', b's', b'm', ..]) => return Err(LoadError::NotAComponent("a core module or of another version")),
        _ => return Err(LoadError::NotAComponent("something else entirely")),
    }
    let invalid = |error: wasmparser::BinaryReaderError| LoadError::Invalid(error.to_string());
    Validator::new_with_features(features()).validate_all(bytes).map_err(invalid)?;
    let mut depth = 0usize;
    let mut instances = 0u64;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::InstanceSection(section) => instances += u64::from(section.count()),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import.map_err(invalid)?;
                    // A name for a type of an interface on the list: nothing that could be called.
                    if matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                        continue;
                    }
                    let name = import.name.name.to_owned();
                    if !v0::IMPORTS.contains(&name.as_str()) {
                        return Err(LoadError::Import { name, allowed: v0::IMPORTS.join(", ") });
                    }
                }
            }
            _ => {}
        }
    }
    if instances > MAX_CORE_INSTANCES {
        return Err(LoadError::Needs { what: "core instances", got: instances, limit: MAX_CORE_INSTANCES });
    }
    Ok(())
}
