//! What a strategy may import, as core WebAssembly sees it.

/// Every import of the contract as core WebAssembly sees it: interface, name, identifier, signature.
const IMPORTS: [(&str, &str, &str, &str); 26] = [
    ("log", "write", "write", "(param i32 i32)"),
    ("visitor", "known", "known", "(result i32)"),
    ("visitor", "orders", "orders", "(result i32)"),
    ("visitor", "tags", "tags", "(param i32)"),
    ("visitor", "recent", "recent", "(param i32 i32 i32 i32)"),
    ("visitor", "attribute", "attribute", "(param i32 i32 i32)"),
    ("retrieval", "retrieve", "retrieve", "(param i32 i32 i32)"),
    ("retrieval", "[resource-drop]candidates", "drop", "(param i32)"),
    ("retrieval", "[method]candidates.size", "size", "(param i32) (result i32)"),
    ("retrieval", "[method]candidates.rows", "rows", "(param i32 i32)"),
    ("retrieval", "[method]candidates.ids", "ids", "(param i32 i32)"),
    ("retrieval", "[method]candidates.numbers", "numbers", "(param i32 i32 i32 i32)"),
    ("retrieval", "[method]candidates.texts", "texts", "(param i32 i32 i32 i32)"),
    ("retrieval", "[method]candidates.put", "put", "(param i32 i32 i32 i32 i32 i32)"),
    ("retrieval", "[method]candidates.keep", "keep", "(param i32 i32 i32 i32)"),
    ("retrieval", "[method]candidates.score", "score", "(param i32 i32 i32 i32)"),
    ("retrieval", "[method]candidates.compute", "compute", "(param i32 i32 i32 i32 i32 i32)"),
    ("retrieval", "[method]candidates.order-by", "order-by", "(param i32 i32 i32 i32)"),
    ("retrieval", "[method]candidates.blend", "blend", "(param i32 i32 i32 i32)"),
    ("retrieval", "[method]candidates.spread", "spread", "(param i32 i32 i32 f32 i32 i32)"),
    ("retrieval", "[method]candidates.cap", "cap", "(param i32 i32 i32 i32 i32 i32)"),
    ("retrieval", "[method]candidates.pin", "pin", "(param i32 i32 i32)"),
    ("retrieval", "[method]candidates.without-seen", "without-seen", "(param i32 i32 i32) (result i32)"),
    ("retrieval", "[method]candidates.without", "without", "(param i32 i32 i32) (result i32)"),
    ("retrieval", "[method]candidates.take", "take", "(param i32 i32)"),
    ("retrieval", "[method]candidates.split", "split", "(param i32 i32) (result i32)"),
];

/// The contract's imports as fields of a module.
#[must_use]
pub fn contract() -> String {
    let import = |(interface, name, id, signature): &(&str, &str, &str, &str)| {
        format!("(import \"qianmian:strategy/{interface}@1.0.0\" \"{name}\" (func ${id} {signature}))\n")
    };
    IMPORTS.iter().map(import).collect()
}
