//! The rules an item must keep to enter the catalogue.

use super::Item;
use serde_json::Value;

/// A broken rule: a stable word for programs, a sentence for people.
pub type Broken = (&'static str, String);

const ID: usize = 256;
const NAME: usize = 256;
const TITLE: usize = 2 << 10;
const LINK: usize = 4 << 10;
const TEXT: usize = 256 << 10;
const LIST: usize = 512;
const ATTRIBUTES: usize = 512;
const SPACES: usize = 32;
const DIMENSION: usize = 8192;

/// The first rule the item breaks.
pub(super) fn check(item: &Item) -> Result<(), Broken> {
    if item.id.is_empty() || item.id.len() > ID {
        return Err(("bad_id", format!("id has {} bytes, 1 to {ID} expected", item.id.len())));
    }
    if item.id.chars().any(char::is_control) {
        return Err(("bad_id", format!("id {:?} contains a control character", item.id)));
    }
    if let Some(price) = item.price
        && !(price.is_finite() && price >= 0.0)
    {
        return Err(("bad_price", format!("price is {price}, a number from 0 on expected")));
    }
    if let (Some(from), Some(to)) = (item.valid_from, item.valid_to)
        && from >= to
    {
        return Err(("bad_validity", format!("valid_from {from} is not before valid_to {to}")));
    }
    check_sizes(item)?;
    check_embeddings(item)
}

fn check_sizes(item: &Item) -> Result<(), Broken> {
    let texts: [(&str, &str, usize); 7] = [
        ("title", &item.title, TITLE),
        ("text", &item.text, TEXT),
        ("url", &item.url, LINK),
        ("image", &item.image, LINK),
        ("currency", &item.currency, NAME),
        ("brand", &item.brand, NAME),
        ("merchant", &item.merchant, NAME),
    ];
    for (name, text, limit) in texts {
        at_most(name, text.len(), limit, "bytes")?;
    }
    let lists: [(&str, &[String]); 4] = [
        ("categories", &item.categories),
        ("tags", &item.tags),
        ("channels", &item.channels),
        ("regions", &item.regions),
    ];
    for (name, list) in lists {
        at_most(name, list.len(), LIST, "entries")?;
        for entry in list {
            at_most(name, entry.len(), NAME, "bytes in one entry")?;
        }
    }
    at_most("attributes", item.attributes.len(), ATTRIBUTES, "entries")?;
    for (name, value) in &item.attributes {
        at_most("an attribute's name", name.len(), NAME, "bytes")?;
        match value {
            Value::Array(_) | Value::Object(_) => {
                return Err((
                    "bad_attribute",
                    format!("attribute {name:?} is nested; a number, text or boolean expected"),
                ));
            }
            Value::String(text) => at_most("an attribute", text.len(), TITLE, "bytes")?,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    Ok(())
}

fn check_embeddings(item: &Item) -> Result<(), Broken> {
    at_most("embeddings", item.embeddings.len(), SPACES, "entries")?;
    for (space, vector) in &item.embeddings {
        at_most("an embedding's name", space.len(), NAME, "bytes")?;
        at_most("an embedding", vector.len(), DIMENSION, "numbers")?;
        if vector.is_empty() || vector.iter().all(|&x| x == 0.0) {
            return Err(("bad_embedding", format!("embedding {space:?} is empty or all zero: it has no direction")));
        }
        if let Some(at) = vector.iter().position(|x| !x.is_finite()) {
            return Err((
                "bad_embedding",
                format!("embedding {space:?} is {} at {at}, finite numbers expected", vector[at]),
            ));
        }
    }
    Ok(())
}

fn at_most(name: &str, found: usize, limit: usize, unit: &str) -> Result<(), Broken> {
    if found <= limit {
        Ok(())
    } else {
        Err(("too_large", format!("{name} has {found} {unit}, at most {limit} allowed")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(change: impl FnOnce(&mut Item)) -> &'static str {
        let mut item = Item { id: "a".into(), ..Item::default() };
        change(&mut item);
        check(&item).err().map_or("ok", |(code, _)| code)
    }

    #[test]
    fn each_rule_has_its_code() {
        assert_eq!(code(|_| {}), "ok");
        assert_eq!(code(|i| i.id = String::new()), "bad_id");
        assert_eq!(code(|i| i.id = "x".repeat(256)), "ok");
        assert_eq!(code(|i| i.id = "x".repeat(257)), "bad_id");
        assert_eq!(code(|i| i.id = "a\nb".into()), "bad_id");
        assert_eq!(code(|i| i.price = Some(0.0)), "ok");
        assert_eq!(code(|i| i.price = Some(-0.01)), "bad_price");
        assert_eq!(code(|i| i.price = Some(f32::NAN)), "bad_price");
        assert_eq!(code(|i| i.price = Some(f32::INFINITY)), "bad_price");
        assert_eq!(code(|i| (i.valid_from, i.valid_to) = (Some(5), Some(5))), "bad_validity");
        assert_eq!(code(|i| i.valid_to = Some(5)), "ok");
        assert_eq!(code(|i| i.text = "x".repeat(TEXT + 1)), "too_large");
        assert_eq!(code(|i| i.tags = vec!["x".into(); LIST + 1]), "too_large");
        assert_eq!(code(|i| drop(i.attributes.insert("a".into(), serde_json::json!([1])))), "bad_attribute");
        assert_eq!(code(|i| drop(i.attributes.insert("a".into(), serde_json::json!(1)))), "ok");
        for bad in [vec![], vec![0.0; 4], vec![1.0, f32::NAN]] {
            assert_eq!(code(|i| drop(i.embeddings.insert("s".into(), bad))), "bad_embedding");
        }
    }
}
