//! The steps a shelf is made of, as parameters write them.

use qianmian_sdk::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Retrieve(Vec<SourceSpec>),
    Keep(String),
    WithoutSeen(EventKinds),
    Score(String),
    Compute(Formula),
    OrderBy(String),
    Blend(BTreeMap<String, f32>),
    Spread(Spreading),
    Cap(Capping),
    Pin(Vec<String>),
    Take(u32),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Formula {
    column: String,
    formula: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spreading {
    space: String,
    strength: Option<f32>,
    window: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capping {
    column: String,
    most: u32,
    overflow: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    source: String,
    name: Option<String>,
    limit: Option<u32>,
    kinds: Option<Kinds>,
    space: Option<String>,
    basis: Option<String>,
    scope: Option<String>,
    attribute: Option<String>,
    ids: Option<Vec<String>>,
    only: Option<String>,
}

impl Step {
    /// Reads one step.
    pub fn read(value: &Value) -> Result<Self> {
        Ok(Self::deserialize(value)?)
    }

    /// Does it.
    pub fn apply(&self, set: &Set) -> Result<()> {
        match self {
            // The caller keeps `retrieve` for the first step.
            Self::Retrieve(_) => Ok(()),
            Self::Keep(expression) => set.keep(expression).map(drop),
            Self::WithoutSeen(kinds) => {
                set.without_seen(&kinds.0);
                Ok(())
            }
            Self::Score(model) => match set.score(model).optional()? {
                Some(()) => Ok(()),
                None => set.blend::<&str>(&[]),
            },
            Self::Compute(made) => set.compute(&made.column, &made.formula),
            Self::OrderBy(column) => set.order_by(column),
            Self::Blend(weights) => {
                let weights: Vec<(&String, f32)> = weights.iter().map(|(name, weight)| (name, *weight)).collect();
                set.blend(&weights)
            }
            Self::Spread(by) => {
                set.spread(&by.space, by.strength.unwrap_or(0.3), by.window.unwrap_or(60)).optional().map(drop)
            }
            Self::Cap(cap) => {
                let overflow = match cap.overflow.as_deref() {
                    None | Some("last") => Overflow::Last,
                    Some("remove") => Overflow::Remove,
                    Some(other) => return Err(unknown("overflow", other, "last, remove")),
                };
                set.cap(&cap.column, cap.most, overflow)
            }
            Self::Pin(ids) => {
                set.pin(ids);
                Ok(())
            }
            Self::Take(count) => {
                set.take(*count);
                Ok(())
            }
        }
    }
}

impl SourceSpec {
    /// The source; its kinds, or `kinds` where it names none.
    pub fn build(&self, kinds: &[ItemKind]) -> Result<Source> {
        let name = self.name.as_deref().unwrap_or(&self.source);
        let limit = self.limit.unwrap_or(100);
        let basis = || match self.basis.as_deref() {
            None | Some("history") => Ok(Basis::History),
            Some("items") => Ok(Basis::Items),
            Some(other) => Err(unknown("basis", other, "items, history")),
        };
        let space = || self.space.as_deref().ok_or_else(|| missing(&self.source, "space"));
        let source = match self.source.as_str() {
            "near_visitor" => Source::near_visitor(name, space()?, limit),
            "near_items" => Source::near_items(name, space()?, limit),
            "bought_together" => Source::bought_together(name, basis()?, limit),
            "viewed_together" => Source::viewed_together(name, basis()?, limit),
            "next_after" => Source::next_after(name, basis()?, limit),
            "buy_again" => Source::buy_again(name, limit),
            "trending" => Source::trending_in(name, self.scope()?, limit),
            "newest" => Source::newest(name, limit),
            "same" => Source::same(name, self.attribute()?, limit),
            "listed" => Source::listed(name, self.ids.clone().ok_or_else(|| missing(&self.source, "ids"))?, limit),
            "exploration" => Source::exploration(name, limit),
            other => {
                let known = "near_visitor, near_items, bought_together, viewed_together, next_after, buy_again, \
                    trending, newest, same, listed, exploration";
                return Err(unknown("source", other, known));
            }
        };
        let source = source.kinds(self.kinds.as_ref().map_or(kinds, |own| &own.0));
        Ok(self.only.iter().fold(source, |source, condition| source.only(condition)))
    }

    fn scope(&self) -> Result<Scope> {
        Ok(match self.scope.as_deref() {
            None | Some("all") => Scope::All,
            Some("channel") => Scope::Channel,
            Some("region") => Scope::Region,
            Some("segment") => Scope::Segment,
            Some(other) => return Err(unknown("scope", other, "all, channel, region, segment")),
        })
    }

    fn attribute(&self) -> Result<Attribute> {
        Ok(match self.attribute.as_deref() {
            None | Some("category") => Attribute::Category,
            Some("brand") => Attribute::Brand,
            Some("tag") => Attribute::Tag,
            Some(other) => return Err(unknown("attribute", other, "category, brand, tag")),
        })
    }
}

fn unknown(what: &str, got: &str, known: &str) -> Error {
    Error::Invalid(format!("no {what} is named {got:?}; known: {known}"))
}

fn missing(source: &str, what: &str) -> Error {
    Error::Invalid(format!("source {source} needs {what:?}"))
}

#[cfg(test)]
mod tests {
    use super::{SourceSpec, Step};
    use serde_json::json;

    #[test]
    fn steps_say_what_is_wrong() {
        let error = |value| Step::read(&value).unwrap_err().to_string();
        assert!(error(json!({"kepe": "true"})).starts_with("unknown variant `kepe`, expected one of `retrieve`"));
        assert!(error(json!({"cap": {"column": "item.brand"}})).contains("missing field `most`"));
        assert!(matches!(Step::read(&json!({"take": 3})), Ok(Step::Take(3))));
    }

    #[test]
    fn sources_are_named_after_themselves() {
        let build = |value| serde_json::from_value::<SourceSpec>(value).unwrap().build(&[]);
        let source = build(json!({"source": "trending", "scope": "region"})).unwrap();
        assert_eq!((source.name(), source.limit()), ("trending", 100));
        assert_eq!(
            build(json!({"source": "near_items"})).unwrap_err().to_string(),
            "source near_items needs \"space\""
        );
        assert!(build(json!({"source": "magic"})).unwrap_err().to_string().contains("known: near_visitor"));
    }
}
