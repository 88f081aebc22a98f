//! Components written by hand: core WebAssembly text with a body for `compose`, made a component of our world.

use crate::imports::contract;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The name a hand-written strategy has unless it says another.
pub const NAME: &str = "hostile";

/// What a hand-written strategy is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Its name: 1 to 8 bytes.
    pub name: &'a str,
    /// JSON Schema of its parameters.
    pub schema: &'a str,
    /// Pages of memory to start with.
    pub pages: u32,
    /// Functions, globals, tables, data and a start function.
    pub extra: &'a str,
    /// The body of `compose`: leaves the address of the result. Zeros at 128 are an empty page.
    pub body: &'a str,
    /// Whether it needs everything, or nothing.
    pub needs: bool,
    /// What `extra` defines instead of the prelude: `memory`, `realloc`, `describe`.
    pub own: &'a [&'a str],
}

impl Default for Parts<'_> {
    fn default() -> Self {
        let body = "(i32.const 128)";
        Self { name: NAME, schema: "{}", pages: 1, extra: "", body, needs: true, own: &[] }
    }
}

/// Numbers as the bytes of a data segment.
#[must_use]
pub fn words(values: &[u32]) -> String {
    values.iter().flat_map(|value| value.to_le_bytes()).map(|byte| format!("\\{byte:02x}")).collect()
}

/// What every case may use. At 600 stands a source named `trending`, at 700 is room for what a host function returns.
const HELPERS: &str = r#"
  ;; A set of so many trending items.
  (func $trending (param $limit i32) (result i32)
    (i32.store (i32.const 620) (local.get $limit))
    (call $retrieve (i32.const 600) (i32.const 1) (i32.const 700))
    (call $must)
    (i32.load (i32.const 704)))
  ;; The host function that wrote to 700 gave a result, or an error.
  (func $must (if (i32.load8_u (i32.const 700)) (then unreachable)))
  (func $must-not (if (i32.eqz (i32.load8_u (i32.const 700))) (then unreachable)))
  ;; A page of one shelf of this set.
  (func $page (param $set i32) (result i32)
    (i32.store (i32.const 132) (i32.const 200))
    (i32.store (i32.const 136) (i32.const 1))
    (i32.store (i32.const 200) (i32.const 256))
    (i32.store (i32.const 204) (i32.const 4))
    (i32.store (i32.const 216) (local.get $set))
    (i32.const 128))
  ;; Writes a text so many times, one behind the other.
  (func $tile (param $at i32) (param $from i32) (param $len i32) (param $times i32)
    (loop $more
      (memory.copy (local.get $at) (local.get $from) (local.get $len))
      (local.set $at (i32.add (local.get $at) (local.get $len)))
      (br_if $more (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))
"#;

const REALLOC: &str = r#"
  (global $free (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
"#;

/// A component whose `describe` says this name, version 1.0.0 and this schema.
///
/// # Panics
/// When the text is no WebAssembly, or the module does not fit our world.
#[must_use]
pub fn component(parts: &Parts<'_>) -> Vec<u8> {
    let Parts { name, schema, pages, extra, body, needs, own } = *parts;
    assert!((1..=8).contains(&name.len()), "{name:?} has no 1 to 8 bytes");
    // name, version, summary, schema, six lists of needs: an address and a length each; history.
    let mut description = vec![256, name.len() as u32, 264, 5, 0, 0, 1024, schema.len() as u32];
    (0..6).for_each(|_| description.extend([288, u32::from(needs)]));
    description.push(u32::from(needs));
    let (description, everything) = (words(&description), words(&[296, 1]));
    let source = words(&[640, 8, 6, 0, 0, 0, 0, 0, 0, 0]);
    let imports = contract();
    let schema: String = schema.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let unless_own = |what: &str, text: String| if own.contains(&what) { String::new() } else { text };
    let memory = unless_own("memory", format!("(memory (export \"memory\") {pages})"));
    let realloc = unless_own("realloc", REALLOC.to_owned());
    let describe = unless_own("describe", "(func (export \"describe\") (result i32) (i32.const 320))".to_owned());
    from_core(format!(
        r#"(module
          {imports} {memory} {realloc} {describe} {HELPERS}
          (data (i32.const 320) "{description}")
          (data (i32.const 288) "{everything}*")
          (data (i32.const 256) "{name}")
          (data (i32.const 264) "1.0.0")
          (data (i32.const 600) "{source}")
          (data (i32.const 640) "trending")
          (data (i32.const 1024) "{schema}")
          (func (export "compose") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)
            {body})
          {extra})"#
    ))
}

/// A component of our world around a core module, as text or bytes.
///
/// # Panics
/// When the text is no WebAssembly, or the module does not fit our world.
#[must_use]
pub fn from_core(module: impl AsRef<[u8]>) -> Vec<u8> {
    of_world("strategy", module.as_ref())
}

/// A tagger named `hand` that may give the tags `a` and `b` and needs everything; `body` of its function `tag` leaves the
/// address of the result. At 128 stands one of two empty lists, at 700 is room for what a host function returns.
///
/// # Panics
/// When the text is no WebAssembly, or the module does not fit the world.
#[must_use]
pub fn tagger(extra: &str, body: &str) -> Vec<u8> {
    // name, version, summary, schema, tags: an address and a length each; five lists of needs, none for the attributes.
    let mut description = vec![256, 4, 264, 5, 0, 0, 272, 2, 512, 2];
    (0..4).for_each(|_| description.extend([288, 1]));
    description.extend([0, 0, 288, 1, 1]);
    let (description, everything, tags) = (words(&description), words(&[296, 1]), words(&[280, 1, 281, 1]));
    let result = words(&[0, 200, 2]);
    of_world(
        "tagger",
        format!(
            r#"(module
              (import "qianmian:strategy/catalogue@1.0.0" "numbers" (func $numbers (param i32 i32 i32)))
              (memory (export "memory") 1) {REALLOC}
              (func (export "describe") (result i32) (i32.const 320))
              (data (i32.const 128) "{result}")
              (data (i32.const 256) "hand")
              (data (i32.const 264) "1.0.0")
              (data (i32.const 272) "{{}}")
              (data (i32.const 280) "ab")
              (data (i32.const 288) "{everything}*")
              (data (i32.const 320) "{description}")
              (data (i32.const 512) "{tags}")
              (func (export "tag") (param $request i32) (result i32) {body})
              {extra})"#
        )
        .as_bytes(),
    )
}

fn of_world(world: &str, module: &[u8]) -> Vec<u8> {
    let mut module = wat::parse_bytes(module).expect("a module").into_owned();
    let mut resolve = Resolve::default();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/wit");
    let (package, _) = resolve.push_dir(folder).expect("the contract");
    let world = resolve.select_world(&[package], Some(world)).expect("its world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module).expect("a module of our world");
    encoder.encode().expect("a component")
}
