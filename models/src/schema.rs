//! The JSON Schema of a manifest: what editors and `qianmian model check` hold a document against before it is read.
//!
//! It says what each field is and how large it may be. What fields have to do with one another (a kind's own fields, rows of
//! golden cases) is checked by [`crate::Manifest::validate`].

use crate::features::{MOST_FEATURES, MOST_NUMBERS, limits};
use serde_json::{Map, Value, json};

/// JSON Schema (draft 2020-12) of a manifest.
#[must_use]
pub fn manifest_schema() -> Value {
    let features = || json!({"type": "array", "maxItems": MOST_FEATURES, "items": {"$ref": "#/$defs/feature"}});
    let positive = || json!({"type": "integer", "minimum": 1});
    let mut definitions = definitions();
    definitions.insert("text".into(), json!({"type": "string", "minLength": 1, "maxLength": limits::LONGEST}));
    definitions.insert(
        "feature".into(),
        json!({
            "description": "the name of a column of numbers, or a definition with a type (docs/features.md)",
            "type": ["string", "object"],
            "if": {"type": "string"}, "then": {"$ref": "#/$defs/text"}, "else": {"$ref": "#/$defs/definition"},
        }),
    );
    definitions.insert(
        "histogram".into(),
        object(
            &[
                ("edges", json!({"type": "array", "maxItems": 99, "items": {"type": "number"}})),
                ("shares", json!({"type": "array", "maxItems": 100, "items": {"type": "number", "minimum": 0}})),
                ("missing", json!({"type": "number", "minimum": 0})),
            ],
            &["edges", "shares"],
        ),
    );
    let tensor = object(
        &[
            ("name", json!({"type": "string", "minLength": 1})),
            ("side", json!({"enum": ["visitor", "candidate"]})),
            ("features", features()),
            (
                "ids",
                object(
                    &[("vocabulary", positive()), ("unknown", json!({"type": "integer", "minimum": 0}))],
                    &["vocabulary"],
                ),
            ),
        ],
        &["name", "features"],
    );
    let rows = |of: Value| json!({"type": "array", "items": {"type": "array", "items": of}});
    let golden = object(
        &[
            ("rows", rows(json!({"type": ["number", "null"]}))),
            ("ids", rows(json!({"type": "integer"}))),
            ("outputs", rows(json!({"type": "number"}))),
            ("tolerance", json!({"type": "number", "minimum": 0})),
        ],
        &["outputs"],
    );
    let mut schema = object(
        &[
            ("name", json!({"type": "string", "minLength": 1})),
            ("kind", json!({"enum": ["ranker", "encoder", "scorer"]})),
            ("features", features()),
            ("tensors", json!({"type": "array", "items": tensor})),
            ("inputs", json!({"type": "array", "items": {"type": "string"}})),
            ("output", json!({"type": "string"})),
            ("column", json!({"type": "integer", "minimum": 0})),
            ("length", positive()),
            (
                "item_ids",
                json!({"type": ["string", "array"], "if": {"type": "string"}, "then": {"const": "numeric"},
                    "else": {"items": {"type": "string"}}}),
            ),
            ("vocabulary", positive()),
            ("space", json!({"type": "string"})),
            ("dimension", positive()),
            (
                "reference",
                json!({"type": "object", "maxProperties": MOST_NUMBERS + 1,
                "additionalProperties": {"$ref": "#/$defs/histogram"}}),
            ),
            ("golden", golden),
        ],
        &["name", "kind"],
    );
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Manifest of a model".into();
    schema["$defs"] = Value::Object(definitions);
    schema
}

/// An object of these fields and no others.
fn object(fields: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|(name, of)| ((*name).to_owned(), of.clone())).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// A schema for each type of definition, and the one that chooses between them.
fn definitions() -> Map<String, Value> {
    let types = types();
    let names: Vec<&str> = types.iter().map(|(name, ..)| *name).collect();
    let choice = |name: &&str| {
        json!({"if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"$ref": format!("#/$defs/type_{name}")}})
    };
    let definition = json!({
        "type": "object", "required": ["type"], "properties": {"type": {"enum": names}},
        "allOf": names.iter().map(choice).collect::<Vec<_>>(),
    });
    let mut definitions = Map::new();
    definitions.insert("definition".into(), definition);
    for (name, mut fields, mut required) in types {
        fields.push(("type", json!({"const": name})));
        fields.push(("name", json!({"$ref": "#/$defs/text"})));
        fields.push((
            "missing",
            json!({"type": ["number", "string"], "if": {"type": "string"}, "then": {"enum": ["nan", "mean"]}}),
        ));
        fields.push(("clip", json!({"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}})));
        fields.push(("scale", json!({"enum": ["log1p"]})));
        required.push("type");
        definitions.insert(format!("type_{name}"), object(&fields, &required));
    }
    definitions
}

type Type = (&'static str, Vec<(&'static str, Value)>, Vec<&'static str>);

fn types() -> Vec<Type> {
    let text = || json!({"$ref": "#/$defs/text"});
    let column = || ("column", text());
    let texts =
        |least: usize, most: usize| json!({"type": "array", "minItems": least, "maxItems": most, "items": text()});
    let size = |most: usize| json!({"type": "integer", "minimum": 1, "maximum": most});
    let encode = || ("encode", json!({"enum": ["one_hot", "index"]}));
    let kinds = ["view", "click", "cart", "purchase", "rating", "search", "custom"];
    let events = || ("events", json!({"type": "array", "maxItems": kinds.len(), "items": {"enum": kinds}}));
    let days = |least: usize| {
        let one = json!({"type": "number", "exclusiveMinimum": 0, "maximum": limits::DAYS});
        ("days", json!({"type": "array", "minItems": least, "maxItems": limits::WINDOWS, "items": one}))
    };
    let length = || ("length", size(limits::HISTORY));
    let pad = || ("pad", json!({"enum": ["left", "right"]}));
    vec![
        ("number", vec![column()], vec!["column"]),
        ("expr", vec![("expr", json!({"type": "string", "minLength": 1, "maxLength": 8192}))], vec!["expr"]),
        ("string", vec![column(), ("values", texts(1, limits::VALUES)), encode()], vec!["column", "values"]),
        ("vector", vec![column(), ("space", text()), ("dimension", size(limits::DIMENSION))], vec!["dimension"]),
        ("word_count", vec![column()], vec!["column"]),
        (
            "time_diff",
            vec![column(), ("unit", json!({"enum": ["seconds", "minutes", "hours", "days"]}))],
            vec!["column"],
        ),
        (
            "field_match",
            vec![
                ("with", text()),
                column(),
                ("method", json!({"enum": ["exact", "term", "ngram"]})),
                ("n", size(limits::GRAMS)),
            ],
            vec!["with", "column"],
        ),
        (
            "user_agent",
            vec![("part", json!({"enum": ["browser", "platform", "device"]})), column(), encode()],
            vec!["part"],
        ),
        ("referer", vec![column(), ("internal", texts(0, limits::HOSTS)), encode()], vec![]),
        (
            "interacted_with",
            vec![column(), events(), days(0), ("measure", json!({"enum": ["count", "share", "any"]}))],
            vec!["column"],
        ),
        ("window_count", vec![events(), days(1)], vec!["days"]),
        ("position", vec![], vec![]),
        ("diversity", vec![column()], vec!["column"]),
        (
            "local_time",
            vec![
                ("part", json!({"enum": ["hour", "minute", "weekday", "weekend", "day", "month", "year_day"]})),
                ("offset", json!({"type": "string", "pattern": "^[+-][0-9]{2}:[0-9]{2}$"})),
                ("cyclic", json!({"type": "boolean"})),
            ],
            vec!["part"],
        ),
        ("item_id", vec![], vec![]),
        ("history", vec![length(), events(), pad(), column(), ("values", texts(0, limits::VALUES))], vec!["length"]),
        ("history_mask", vec![length(), events(), pad()], vec!["length"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Definition, Feature};

    /// What serde expects, asked for by a field nobody knows.
    fn fields_of(name: &str, required: &Map<String, Value>) -> Vec<String> {
        let mut document = required.clone();
        document.insert("type".into(), name.into());
        document.insert("nonsense".into(), Value::Null);
        let error = serde_json::from_value::<Definition>(Value::Object(document)).unwrap_err().to_string();
        assert!(error.contains("nonsense"), "{name}: {error}");
        error.split('`').skip(3).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_schema_has_the_fields_that_are_read() {
        for (name, fields, required) in types() {
            let some = |field: &str| match field {
                "values" => json!(["a"]),
                "dimension" | "length" => json!(2),
                "days" => json!([1.0]),
                "part" => {
                    if name == "local_time" {
                        json!("hour")
                    } else {
                        json!("device")
                    }
                }
                _ => json!("item.x"),
            };
            let given: Map<String, Value> = required.iter().map(|field| ((*field).to_owned(), some(field))).collect();
            let mut ours: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
            let mut theirs = fields_of(name, &given);
            ours.sort_unstable();
            theirs.sort();
            assert_eq!(ours, theirs, "{name}");
            let mut whole = given;
            whole.insert("type".into(), name.into());
            let feature: Feature = serde_json::from_value(Value::Object(whole)).unwrap();
            assert!(feature.width() > 0 && feature.names().len() == feature.width(), "{name}");
            let again: Feature = serde_json::from_value(serde_json::to_value(&feature).unwrap()).unwrap();
            assert_eq!(again, feature);
        }
        let unknown = serde_json::from_value::<Definition>(json!({"type": "nonsense"})).unwrap_err().to_string();
        let theirs: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
        assert_eq!(types().iter().map(|(name, ..)| *name).collect::<Vec<_>>(), theirs);
    }
}
