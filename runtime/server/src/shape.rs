//! Documents held against a JSON Schema: each mistake by its place, and where the schema offers choices, the mistake in the
//! choice that was meant.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

/// Bytes of what is told of one mistake.
const LONGEST: usize = 400;

/// What is wrong at one place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// A JSON pointer.
    pub place: String,
    /// What is wrong there, and what is allowed.
    pub words: String,
}

/// The first mistakes of a document, `most` of them.
pub(crate) fn mistakes(schema: &Value, validator: &Validator, document: &Value, most: usize) -> Vec<Mistake> {
    let mut found = Vec::new();
    for error in validator.iter_errors(document) {
        for cause in causes(&error) {
            let words = words(schema, cause);
            let words = words[..words.floor_char_boundary(LONGEST)].to_owned();
            found.push(Mistake { place: cause.instance_path().to_string(), words });
        }
        if found.len() >= most {
            break;
        }
    }
    found.truncate(most);
    found
}

/// The choices that a schema offered and the document did not take.
fn choices<'e>(error: &'e ValidationError<'_>) -> Option<&'e [Vec<ValidationError<'static>>]> {
    match error.kind() {
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => Some(context),
        _ => None,
    }
}

fn depth(error: &ValidationError<'_>) -> usize {
    error.instance_path().to_string().matches('/').count()
}

/// What is wrong in the choice whose mistakes lie deepest in the document: so much of it was right.
fn causes<'e>(error: &'e ValidationError<'e>) -> Vec<&'e ValidationError<'e>> {
    let branches = choices(error).unwrap_or_default().iter();
    let branches = branches.map(|branch| branch.iter().flat_map(causes).collect::<Vec<_>>());
    let deepest = |branch: &Vec<&ValidationError<'_>>| branch.iter().map(|error| depth(error)).max().unwrap_or(0);
    let nearest = branches.max_by_key(|branch| (deepest(branch), std::cmp::Reverse(branch.len())));
    nearest.filter(|branch| deepest(branch) > depth(error)).unwrap_or_else(|| vec![error])
}

fn words(schema: &Value, error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { .. } => {
            let path = error.schema_path().to_string();
            let known = path.rsplit_once('/').and_then(|(object, _)| schema.pointer(object)?["properties"].as_object());
            match known {
                Some(known) => format!("{error}; known: {}", known.keys().cloned().collect::<Vec<_>>().join(", ")),
                None => error.to_string(),
            }
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().into_iter().flatten().map(Value::to_string);
            format!("{} is not one of {}", error.instance(), options.collect::<Vec<_>>().join(", "))
        }
        _ => unmet(error).unwrap_or_else(|| error.to_string()),
    }
}

/// Choices that are told apart by the one member each must have: there is none of them, or more than one.
fn unmet(error: &ValidationError<'_>) -> Option<String> {
    let member = |branch: &Vec<ValidationError<'static>>| {
        branch.iter().find_map(|error| match error.kind() {
            ValidationErrorKind::Required { property } => property.as_str().map(str::to_owned),
            _ => None,
        })
    };
    let known: Option<Vec<String>> = choices(error)?.iter().map(member).collect();
    let got =
        error.instance().as_object().map(|object| object.keys().map(|key| format!("{key:?}")).collect::<Vec<_>>());
    match (known, got) {
        (Some(known), got) => {
            let got = got.map_or_else(|| error.instance().to_string(), |keys| keys.join(" and "));
            let got: &str = if got.is_empty() { "nothing" } else { &got };
            Some(format!("{got} stands here: one of {} is expected", known.join(", ")))
        }
        (None, Some(keys)) if keys.len() > 1 => {
            Some(format!("{} stand here together: each is expected in a place of its own", keys.join(" and ")))
        }
        _ => None,
    }
}

/// A place for people: `/shelves/0/steps/2/cap` is `shelves #1, steps #3, cap`.
pub(crate) fn in_words(pointer: &str) -> String {
    let mut place = String::new();
    for part in pointer.split('/').skip(1) {
        match part.parse::<usize>() {
            Ok(number) if !place.is_empty() => place += &format!(" #{}", number + 1),
            _ => {
                let comma = if place.is_empty() { "" } else { ", " };
                place += &format!("{comma}{}", part.replace("~1", "/").replace("~0", "~"));
            }
        }
    }
    if place.is_empty() { "the top".to_owned() } else { place }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(step: Value) -> Vec<String> {
        let schema: Value = serde_json::from_str(include_str!("../../../plugins/compose/src/schema.json")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let trending = json!({ "retrieve": [{ "source": "trending" }] });
        let document = json!({ "shelves": [{ "id": "deals", "steps": [trending, step] }] });
        let found = mistakes(&schema, &validator, &document, 8);
        found.iter().map(|mistake| format!("{}: {}", in_words(&mistake.place), mistake.words)).collect()
    }

    #[test]
    fn a_step_that_is_mistyped_is_told_with_its_field_and_what_is_allowed() {
        for (step, want) in [
            (
                json!({ "kepe": "true" }),
                "shelves #1, steps #2: \"kepe\" stands here: one of retrieve, keep, without_seen, score, compute, \
                 order_by, blend, spread, cap, pin, take is expected",
            ),
            (json!({}), "shelves #1, steps #2: nothing stands here: one of retrieve,"),
            (json!({ "take": "six" }), "shelves #1, steps #2, take: \"six\" is not of type \"integer\""),
            (
                json!({ "cap": { "column": "item.brand" } }),
                "shelves #1, steps #2, cap: \"most\" is a required property",
            ),
            (
                json!({ "cap": { "column": "b", "most": 0 } }),
                "shelves #1, steps #2, cap, most: 0 is less than the minimum of 1",
            ),
            (
                json!({ "cap": { "column": "b", "most": 1, "over": "last" } }),
                "shelves #1, steps #2, cap: Additional properties are not allowed ('over' was unexpected); known: column, most, \
                 overflow",
            ),
            (
                json!({ "without_seen": ["purchase", "buy"] }),
                "shelves #1, steps #2, without_seen #2: \"buy\" is not one of",
            ),
            (
                json!({ "retrieve": [{ "source": "trending", "scope": "reginal" }] }),
                "shelves #1, steps #2, retrieve #1, scope: \"reginal\" is not one of \"all\", \"channel\", \"region\", \"segment\"",
            ),
            (
                json!({ "retrieve": [{ "source": "listed" }] }),
                "shelves #1, steps #2, retrieve #1: \"ids\" is a required property",
            ),
        ] {
            let told = told(step.clone());
            assert_eq!(told.len(), 1, "{step}: {told:?}");
            assert!(told[0].starts_with(want), "{step}: {}\nwant {want}", told[0]);
        }
        let two = told(json!({ "keep": "true", "take": 3 }));
        assert!(two[0].starts_with("shelves #1, steps #2: \"keep\" and \"take\" stand here together"), "{two:?}");
        assert_eq!(told(json!({ "take": 3 })), Vec::<String>::new());
    }
}
