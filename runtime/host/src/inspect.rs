//! Reads every byte of a component before any of it is compiled.

use crate::call::TABLE_ELEMENTS;
use crate::costs::{Costs, invalid, within};
use crate::program::World;
use crate::{LoadError, v1};
use wasmparser::{ComponentTypeRef, Instance, Parser, Payload, TypeBounds, ValidPayload, Validator, WasmFeatures};

/// Core modules and instances a component may be made of; a strategy needs three or four, one in JavaScript a dozen.
pub(crate) const MAX_CORE_INSTANCES: u64 = 16;

/// Linear memories a component may have in all its parts; one in JavaScript has three, two of
/// them empty.
pub(crate) const MAX_MEMORIES: u32 = 4;

/// What WebAssembly a strategy may use: no threads, no memory64, no relaxed SIMD, no GC, nothing asynchronous; and no
/// functions with many results, which no compiler makes: two bytes would call for a thousand values.
fn features() -> WasmFeatures {
    (WasmFeatures::WASM2 | WasmFeatures::EXTENDED_CONST | WasmFeatures::COMPONENT_MODEL) - WasmFeatures::MULTI_VALUE
}

/// Bytes in a page of linear memory.
const PAGE: u64 = 65_536;

/// Checks that `bytes` are a valid component that imports nothing but the contract, starts with at most `max_memory`
/// bytes, and has nothing that takes much longer to compile than to read; says which world it means to fit.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn check(bytes: &[u8], max_memory: usize) -> Result<World, LoadError> {
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 13, 0, 1, 0]) => {}
        Some([0, b'a', b's', b'm', ..]) => return Err(LoadError::NotAComponent("a core module or of another version")),
        _ => return Err(LoadError::NotAComponent("something else entirely")),
    }
    let mut validator = Validator::new_with_features(features());
    let mut costs = Costs::default();
    let mut world = World::Strategy;
    let mut depth = 0usize;
    let mut instances = 0u64;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(invalid)?;
        if let ValidPayload::Func(function, body) = validator.payload(&payload).map_err(invalid)? {
            costs.function(function, &body)?;
        }
        costs.part(&payload)?;
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::InstanceSection(section) => {
                for instance in section {
                    // A bundle of exports is no instance when it runs.
                    let module = matches!(instance.map_err(invalid)?, Instance::Instantiate { .. });
                    instances += u64::from(module);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let pages = memory.map_err(invalid)?.initial;
                    within("pages of memory to start", pages, max_memory as u64 / PAGE)?;
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let elements = table.map_err(invalid)?.ty.initial;
                    within("table elements to start", elements, TABLE_ELEMENTS as u64)?;
                }
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import.map_err(invalid)?;
                    // A name for a type of an interface on the list: nothing that could be called.
                    if matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                        continue;
                    }
                    let name = import.name.name.to_owned();
                    let known = [v1::IMPORTS, v1::tagger::IMPORTS].concat();
                    if !known.contains(&name.as_str()) {
                        return Err(LoadError::Import { name, allowed: v1::IMPORTS.join(", ") });
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    if export.map_err(invalid)?.name.name == "tag" {
                        world = World::Tagger;
                    }
                }
            }
            _ => {}
        }
    }
    within("core instances", instances, MAX_CORE_INSTANCES)?;
    Ok(world)
}

/// The contents of the last custom section of this name in a component that was checked.
#[must_use]
pub fn section<'a>(component: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut depth = 0usize;
    let mut found = None;
    for payload in Parser::new(0).parse_all(component) {
        match payload.ok()? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == name => found = Some(section.data()),
            _ => {}
        }
    }
    found
}

/// A component with one more custom section at its end.
#[must_use]
pub fn with_section(component: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(data.len() + name.len() + 10);
    length(&mut body, name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(data);
    let mut whole = component.to_vec();
    whole.push(0);
    length(&mut whole, body.len());
    whole.extend_from_slice(&body);
    whole
}

/// Unsigned LEB128.
fn length(to: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_comes_back_and_the_last_one_counts() {
        let component = wat::parse_str("(component (core module (@custom \"note\" \"inner\")))").unwrap();
        assert_eq!(section(&component, "note"), None, "a module's own is not the component's");
        let long = vec![b'x'; 300];
        let with = with_section(&with_section(&component, "note", b"first"), "note", &long);
        assert_eq!(section(&with, "note"), Some(long.as_slice()));
        assert!(Validator::new_with_features(features()).validate_all(&with).is_ok());
    }
}
