//! Manifests of models, read: held against their JSON Schema first, so that a mistake is named by its place in the document.

use crate::error::ApiError;
use crate::http::body;
use crate::shape;
use anyhow::Context;
use qianmian_models::{Manifest, manifest_schema};
use serde_json::Value;
use std::path::Path;
use std::sync::LazyLock;

/// Mistakes that are told at most.
const TOLD: usize = 5;

static SCHEMA: LazyLock<Value> = LazyLock::new(manifest_schema);
static VALIDATOR: LazyLock<Result<jsonschema::Validator, String>> =
    LazyLock::new(|| jsonschema::validator_for(&SCHEMA).map_err(|error| error.to_string()));

/// Reads a manifest that came as JSON, and golden answers where they came by themselves.
///
/// # Errors
/// 400 `malformed_json`; 422 `wrong_shape` with each place and what is wrong there, or golden answers in both.
pub fn read(document: &[u8], golden: Option<&[u8]>) -> Result<Manifest, ApiError> {
    let mut document: Value = body::json(document)?;
    let wrong = |detail: String| ApiError::unprocessable("wrong_shape", format!("the manifest does not fit: {detail}"));
    if let (Some(golden), Some(members)) = (golden, document.as_object_mut())
        && members.insert("golden".to_owned(), body::json(golden)?).is_some()
    {
        return Err(wrong("golden is in it and in a part of its own: send one of them".to_owned()));
    }
    check(&document)?.map_or(Ok(()), |detail| Err(wrong(detail)))?;
    body::value(&document).map_err(wrong)
}

/// Reads a manifest's file: TOML by its name, else JSON.
///
/// # Errors
/// That it cannot be read, and what is wrong with it.
pub fn read_file(path: &Path) -> anyhow::Result<Manifest> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let toml = path.extension().is_some_and(|extension| extension == "toml");
    // TOML's nan has no place in JSON: it becomes null, which a missing number is there.
    let document: Value = if toml {
        toml::from_str(&text).with_context(|| format!("{} is not TOML", path.display()))?
    } else {
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?
    };
    if let Some(detail) = check(&document)? {
        anyhow::bail!("{}: {detail}", path.display());
    }
    Ok(if toml { Manifest::from_toml(&text) } else { Manifest::from_json(&text) }?)
}

/// What is wrong with a document, by its places; `None` when it fits.
fn check(document: &Value) -> Result<Option<String>, ApiError> {
    let validator =
        VALIDATOR.as_ref().map_err(|error| ApiError::internal(format!("the manifest's schema: {error}")))?;
    let wrong = shape::mistakes(&SCHEMA, validator, document, TOLD);
    let wrong: Vec<String> = wrong.iter().map(|m| format!("{}: {}", place(&m.place), m.words)).collect();
    Ok((!wrong.is_empty()).then(|| format!("{} (`qianmian model schema` prints what fits)", wrong.join("; "))))
}

/// `/features/2/values` as `features[2].values`.
fn place(pointer: &str) -> String {
    let mut place = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            place += &format!("[{part}]");
        } else {
            let dot = if place.is_empty() { "" } else { "." };
            place += &format!("{dot}{}", part.replace("~1", "/").replace("~0", "~"));
        }
    }
    if place.is_empty() { "the top".to_owned() } else { place }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mistakes_are_named_by_their_place() {
        let ranker = |features: Value| json!({"name": "m", "kind": "ranker", "features": features});
        for (document, want) in [
            (ranker(json!([3])), "features[0]: 3 is not of types"),
            (ranker(json!(["item.price", {"type": "strng"}])), "features[1].type: \"strng\" is not one of"),
            (ranker(json!([{"column": "item.price"}])), "features[0]: \"type\" is a required property"),
            (ranker(json!([{"type": "string", "column": "c"}])), "features[0]: \"values\" is a required property"),
            (ranker(json!([{"type": "number", "column": "c", "vales": 1}])), "'vales' was unexpected"),
            (
                ranker(json!([{"type": "history", "length": 1_000}])),
                "features[0].length: 1000 is greater than the maximum of 256",
            ),
            (
                ranker(json!([{"type": "position", "missing": "median"}])),
                "features[0].missing: \"median\" is not one of",
            ),
            (json!({"name": "m", "kind": "oracle"}), "kind: \"oracle\" is not one of"),
            (json!({"kind": "ranker"}), "the top: \"name\" is a required property"),
        ] {
            let error = read(document.to_string().as_bytes(), None).unwrap_err();
            assert_eq!((error.status.as_u16(), error.code), (422, "wrong_shape"), "{}", error.detail);
            assert!(error.detail.contains(want), "{}\nwant {want}", error.detail);
        }
        let fine = ranker(json!([
            "item.price",
            {"type": "number", "column": "item.price", "name": "p", "clip": [0, 10], "scale": "log1p", "missing": "mean"},
            {"type": "string", "column": "item.brand", "values": ["a"], "encode": "index"},
            {"type": "position"}
        ]));
        let fine = fine.to_string();
        assert_eq!(read(fine.as_bytes(), None).unwrap().features.len(), 4);
        let golden = json!({"rows": [[1, 0, 0, 1]], "outputs": [[0.5]]}).to_string();
        assert_eq!(read(fine.as_bytes(), Some(golden.as_bytes())).unwrap().golden.unwrap().outputs, [[0.5]]);
        assert!(read(fine.as_bytes(), Some(b"{\"rows\": 1}")).unwrap_err().detail.contains("golden"));
        let both = fine.replacen('{', "{\"golden\": {\"rows\": [], \"outputs\": []},", 1);
        assert!(read(both.as_bytes(), Some(golden.as_bytes())).unwrap_err().detail.contains("send one of them"));
        assert_eq!(read(b"{", None).unwrap_err().code, "malformed_json");
    }

    #[test]
    fn the_examples_of_the_documentation_fit() {
        let page = include_str!("../../../docs/features.md");
        let examples: Vec<&str> = page.split("```toml\n").skip(1).filter_map(|part| part.split("```").next()).collect();
        assert!(examples.len() >= 2, "{}", examples.len());
        for example in examples {
            let document: Value = toml::from_str(example).unwrap_or_else(|error| panic!("{error}: {example}"));
            assert_eq!(check(&document).unwrap(), None, "{example}");
            let manifest = Manifest::from_toml(example).unwrap_or_else(|error| panic!("{error}: {example}"));
            qianmian_models::FeaturePlan::of(&manifest).unwrap();
        }
    }
}
