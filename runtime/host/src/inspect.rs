//! Reads every byte of a component before any of it is compiled.

use crate::call::TABLE_ELEMENTS;
use crate::{LoadError, v1};
use wasmparser::{
    BinaryReaderError, ComponentInstance, ComponentTypeRef, FunctionBody, Operator, Parser, Payload, TypeBounds,
    Validator, WasmFeatures,
};

/// Core modules and instances a component may be made of; a strategy needs three or four.
pub(crate) const MAX_CORE_INSTANCES: u64 = 16;

/// Components inside, and instances of them. Each may be made of several instances of another, so that they multiply;
/// a strategy needs none.
const MAX_COMPONENTS: u64 = 16;

/// Functions of all modules together; a JavaScript engine has 3,000.
const MAX_FUNCTIONS: u64 = 20_000;

/// Bytes of one function; the largest of a JavaScript engine has 60,000. Compiling one takes memory by the square of it.
const MAX_FUNCTION: u64 = 128 << 10;

/// Variables of all functions together: ten bytes may declare fifty thousand of them.
const MAX_LOCALS: u64 = 200_000;

/// Blocks within blocks, of one function.
const MAX_NESTING: u64 = 2_000;

/// Ways out of all jump tables together.
const MAX_TARGETS: u64 = 100_000;

/// What WebAssembly a strategy may use: no threads, no memory64, no relaxed SIMD, no GC, nothing asynchronous.
fn features() -> WasmFeatures {
    WasmFeatures::WASM2 | WasmFeatures::EXTENDED_CONST | WasmFeatures::COMPONENT_MODEL
}

/// Bytes in a page of linear memory.
const PAGE: u64 = 65_536;

fn invalid(error: BinaryReaderError) -> LoadError {
    LoadError::Invalid(error.to_string())
}

/// Checks that `bytes` are a valid component that imports nothing but the contract, starts with at most `max_memory`
/// bytes, and has nothing that takes much longer to compile than to read.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn check(bytes: &[u8], max_memory: usize) -> Result<(), LoadError> {
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 13, 0, 1, 0]) => {}
        Some([0, b'a', b's', b'm', ..]) => return Err(LoadError::NotAComponent("a core module or of another version")),
        _ => return Err(LoadError::NotAComponent("something else entirely")),
    }
    Validator::new_with_features(features()).validate_all(bytes).map_err(invalid)?;
    let mut sums = Sums::default();
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } => depth += 1,
            Payload::ComponentSection { .. } => {
                depth += 1;
                sums.components += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::InstanceSection(section) => sums.core_instances += u64::from(section.count()),
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    let made = matches!(instance.map_err(invalid)?, ComponentInstance::Instantiate { .. });
                    sums.components += u64::from(made);
                }
            }
            Payload::CodeSectionEntry(body) => sums.add(&body)?,
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
                    if !v1::IMPORTS.contains(&name.as_str()) {
                        return Err(LoadError::Import { name, allowed: v1::IMPORTS.join(", ") });
                    }
                }
            }
            _ => {}
        }
        sums.check()?;
    }
    Ok(())
}

/// What all parts of a component add up to.
#[derive(Default)]
struct Sums {
    core_instances: u64,
    components: u64,
    functions: u64,
    locals: u64,
    targets: u64,
}

impl Sums {
    fn add(&mut self, body: &FunctionBody<'_>) -> Result<(), LoadError> {
        self.functions += 1;
        within("bytes of one function", body.range().len() as u64, MAX_FUNCTION)?;
        for locals in body.get_locals_reader().map_err(invalid)? {
            self.locals += u64::from(locals.map_err(invalid)?.0);
        }
        let mut nesting = 0u64;
        for operator in body.get_operators_reader().map_err(invalid)? {
            match operator.map_err(invalid)? {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => nesting += 1,
                Operator::End => nesting = nesting.saturating_sub(1),
                Operator::BrTable { targets } => self.targets += u64::from(targets.len()),
                _ => {}
            }
            within("blocks within blocks", nesting, MAX_NESTING)?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), LoadError> {
        within("core instances", self.core_instances, MAX_CORE_INSTANCES)?;
        within("components inside", self.components, MAX_COMPONENTS)?;
        within("functions", self.functions, MAX_FUNCTIONS)?;
        within("locals", self.locals, MAX_LOCALS)?;
        within("targets of jump tables", self.targets, MAX_TARGETS)
    }
}

fn within(what: &'static str, got: u64, limit: u64) -> Result<(), LoadError> {
    if got > limit { Err(LoadError::Needs { what, got, limit }) } else { Ok(()) }
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
