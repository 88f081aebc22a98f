//! Components written by hand: core WebAssembly text with a body for `compose`, made a component of our world.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The text at address 256, and its length.
pub const NAME: &str = "hostile";

/// What a hand-written strategy is made of.
pub struct Parts<'a> {
    /// Imports, before everything else.
    pub imports: &'a str,
    /// Pages of memory to start with.
    pub pages: u32,
    /// Functions, globals, data and a start function.
    pub extra: &'a str,
    /// The body of `compose`: leaves the address of the result. Zeros at 128 are an empty page.
    pub body: &'a str,
    /// Whether it needs everything, or nothing.
    pub needs: bool,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Self { imports: "", pages: 1, extra: "", body: "(i32.const 128)", needs: true }
    }
}

/// Numbers as the bytes of a data segment.
pub fn words(values: &[u32]) -> String {
    values.iter().flat_map(|value| value.to_le_bytes()).map(|byte| format!("\\{byte:02x}")).collect()
}

/// A component whose `describe` says `hostile 1.0.0` with the schema `{}`.
pub fn component(parts: &Parts<'_>) -> Vec<u8> {
    let name = NAME.len() as u32;
    let Parts { imports, pages, extra, body, needs } = parts;
    // name, version, summary, schema, six lists of needs: an address and a length each; history.
    let mut description = vec![256, name, 264, 5, 0, 0, 272, 2];
    (0..6).for_each(|_| description.extend([288, u32::from(*needs)]));
    description.push(u32::from(*needs));
    let (description, everything) = (words(&description), words(&[296, 1]));
    from_core(&format!(
        r#"(module
          {imports}
          (memory (export "memory") {pages})
          (global $free (mut i32) (i32.const 4096))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
            (global.set $free (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
          (func (export "describe") (result i32) (i32.const 320))
          {extra}
          (func (export "compose") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)
            {body})
          (data (i32.const 320) "{description}")
          (data (i32.const 288) "{everything}*")
          (data (i32.const 256) "{NAME}")
          (data (i32.const 264) "1.0.0")
          (data (i32.const 272) "{{}}"))"#
    ))
}

/// A component of our world around a core module.
pub fn from_core(text: &str) -> Vec<u8> {
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = Resolve::default();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/wit");
    let (package, _) = resolve.push_dir(folder).unwrap();
    let world = resolve.select_world(&[package], Some("strategy")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}
