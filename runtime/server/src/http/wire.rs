//! Events as a storefront sends them, read without a copy of their texts, and checked.

use qianmian_core::{Event, EventKind, TimeMs};
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use utoipa::ToSchema;

/// 1980-01-01: nothing was sold online before, and a time in seconds is told apart.
const EARLIEST: TimeMs = 315_532_800_000;

/// Longest visitor id, channel, region, scenario and request id, in bytes: as in the catalogue.
const LONGEST: usize = 256;

/// What is wrong with a text that is too long.
fn at_most(text: &str, code: &'static str, what: &str) -> Result<(), (&'static str, String)> {
    let bytes = text.len();
    if bytes > LONGEST { Err((code, format!("{what} has {bytes} bytes: at most {LONGEST}"))) } else { Ok(()) }
}

/// A text that stays where it was read, but for one with escapes in it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    fn owned(self) -> String {
        self.0.into_owned()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Cow<'de, str>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        from.deserialize_str(Read).map(Self)
    }
}

/// A moment: milliseconds since 1970 UTC, or RFC 3339.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Moment {
    /// Milliseconds since 1970 UTC.
    Millis(i64),
    /// RFC 3339, such as `2011-11-01T09:00:00Z`.
    Text(String),
}

impl Moment {
    /// As milliseconds.
    ///
    /// # Errors
    /// A text saying what was expected.
    pub fn millis(&self) -> Result<TimeMs, String> {
        match self {
            Self::Millis(ms) => Ok(*ms),
            Self::Text(text) => text.parse::<jiff::Timestamp>().map(|t| t.as_millisecond()).map_err(|error| {
                format!("time {text:?}: expected RFC 3339 such as 2011-11-01T09:00:00Z, or milliseconds ({error})")
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Moment;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("milliseconds since 1970 UTC, or RFC 3339")
            }

            fn visit_i64<E>(self, ms: i64) -> Result<Moment, E> {
                Ok(Moment::Millis(ms))
            }

            fn visit_u64<E: de::Error>(self, ms: u64) -> Result<Moment, E> {
                i64::try_from(ms).map(Moment::Millis).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(ms), &self))
            }

            fn visit_str<E>(self, text: &str) -> Result<Moment, E> {
                Ok(Moment::Text(text.to_owned()))
            }
        }
        from.deserialize_any(Read)
    }
}

/// One event as a storefront sends it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WireEvent<'a> {
    /// Makes it idempotent.
    #[serde(borrow)]
    #[schema(value_type = String)]
    pub id: Text<'a>,
    /// impression, view, click, cart, purchase, rating, search, custom.
    #[serde(rename = "type", borrow)]
    #[schema(value_type = String)]
    pub kind: Text<'a>,
    /// When; now without one.
    pub time: Option<Moment>,
    /// Who, and what is known of them.
    #[serde(borrow)]
    pub visitor: Option<EventVisitor<'a>>,
    /// One item ...
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub item: Option<Text<'a>>,
    /// ... or several: an order.
    #[serde(borrow)]
    #[schema(value_type = Vec<String>)]
    pub items: Vec<Text<'a>>,
    /// Units, of each item or one for all.
    pub quantity: Option<OneOrMany>,
    /// Unit price paid or rating given, of each item or one for all.
    pub value: Option<OneOrMany>,
    /// ISO 4217.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub currency: Option<Text<'a>>,
    /// app, web ...
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub channel: Option<Text<'a>>,
    /// Country or province.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub region: Option<Text<'a>>,
    /// The scenario that served the item.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub scenario: Option<Text<'a>>,
    /// The request that served the item.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub request_id: Option<Text<'a>>,
    /// The slot's position from 1.
    pub position: Option<u32>,
    /// Anything else: numbers, texts, booleans. `region` here counts as the region; `action` of a custom event says what
    /// was done (`share` and `invite` count as referral).
    #[schema(value_type = Object)]
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// A visitor's ids, and what the storefront knows of them.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventVisitor<'a> {
    /// The id after login; it wins over `anonymous_id`.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub id: Option<Text<'a>>,
    /// The id before login.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub anonymous_id: Option<Text<'a>>,
    /// Numbers, texts and booleans by name: the value of the newest event stands.
    #[schema(value_type = Object)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// A number for all items, or one for each.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// The same for all.
    One(f32),
    /// One each.
    Many(Vec<f32>),
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = OneOrMany;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a number, or a list of numbers")
            }

            fn visit_f64<E>(self, number: f64) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(number as f32))
            }

            fn visit_i64<E>(self, number: i64) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(number as f32))
            }

            fn visit_u64<E>(self, number: u64) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(number as f32))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut numbers = Vec::with_capacity(list.size_hint().unwrap_or(0).min(64));
                while let Some(number) = list.next_element()? {
                    numbers.push(number);
                }
                Ok(OneOrMany::Many(numbers))
            }
        }
        from.deserialize_any(Read)
    }
}

impl OneOrMany {
    fn spread(self, count: usize, what: &str) -> Result<Vec<f32>, String> {
        let values = match self {
            Self::One(value) => vec![value; count],
            Self::Many(values) if values.len() == count => values,
            Self::Many(values) => return Err(format!("{} numbers in {what} for {count} items", values.len())),
        };
        match values.iter().find(|value| !value.is_finite() || value.abs() > 1e9) {
            Some(bad) => Err(format!("{what} has {bad}: expected a number between -1e9 and 1e9")),
            None => Ok(values),
        }
    }
}

/// Reads a batch, an object with `events`, and hands them on one by one: events are large, and a list of them would be
/// copied as it grows.
pub(super) struct Batch<F>(pub F);

impl<'de, F: FnMut(WireEvent<'de>)> DeserializeSeed<'de> for Batch<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, F: FnMut(WireEvent<'de>)> Visitor<'de> for Batch<F> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object with events")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if name.0 != "events" {
                map.next_value::<IgnoredAny>()?;
            } else if std::mem::replace(&mut found, true) {
                return Err(de::Error::duplicate_field("events"));
            } else {
                map.next_value_seed(Events(&mut self.0))?;
            }
        }
        if found { Ok(()) } else { Err(de::Error::missing_field("events")) }
    }
}

/// The list in a batch.
struct Events<'f, F>(&'f mut F);

impl<'de, F: FnMut(WireEvent<'de>)> DeserializeSeed<'de> for Events<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(WireEvent<'de>)> Visitor<'de> for Events<'_, F> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(event) = list.next_element()? {
            (self.0)(event);
        }
        Ok(())
    }
}

impl WireEvent<'_> {
    /// Checks and converts; `now` stands in for a missing time.
    ///
    /// # Errors
    /// A stable code and what is wrong.
    pub fn check(self, now: TimeMs) -> Result<Event, (&'static str, String)> {
        let id = self.id.owned();
        if id.is_empty() || id.len() > 256 {
            return Err(("bad_id", format!("id has {} bytes: expected 1 to 256, unique per event", id.len())));
        }
        let kind: EventKind = self.kind.0.parse().map_err(|detail| ("unknown_type", detail))?;
        let time = self.time.map_or(Ok(now), |time| time.millis()).map_err(|detail| ("bad_time", detail))?;
        // A phone's clock may be ahead a little; far ahead would pin decayed counts into the future.
        if time > now + qianmian_core::DAY_MS || time < EARLIEST {
            let detail = format!(
                "time {time} is before 1980 or more than a day in the future: milliseconds since 1970 expected, not seconds"
            );
            return Err(("bad_time", detail));
        }
        if self.item.is_some() && !self.items.is_empty() {
            return Err(("bad_item", "item and items are both there: give one of them".to_owned()));
        }
        if self.position == Some(0) {
            return Err(("bad_position", "position is 0: slots count from 1".to_owned()));
        }
        let items: Vec<String> = self.items.into_iter().chain(self.item).map(Text::owned).collect();
        if items.len() > 5_000 || items.iter().any(|id| id.is_empty() || id.len() > 256) {
            return Err(("bad_item", "expected at most 5000 items with ids of 1 to 256 bytes".to_owned()));
        }
        let wants_item = !matches!(kind, EventKind::Search | EventKind::Custom);
        if wants_item && items.is_empty() {
            return Err(("bad_item", format!("a {} event needs item or items", kind.as_str())));
        }
        let count = items.len();
        let quantities =
            self.quantity.map_or(Ok(Vec::new()), |q| q.spread(count, "quantity")).map_err(|d| ("bad_quantity", d))?;
        let values = self.value.map_or(Ok(Vec::new()), |v| v.spread(count, "value")).map_err(|d| ("bad_value", d))?;
        if let Some(bad) = quantities.iter().find(|quantity| **quantity <= 0.0) {
            return Err(("bad_quantity", format!("quantity {bad}: expected more than 0; leave returns out")));
        }
        if let Some(bad) = values.iter().find(|value| **value < 0.0) {
            return Err(("bad_value", format!("value {bad}: expected a price or rating of at least 0")));
        }
        let attributes = texts(&self.attributes, "attributes").map_err(|d| ("bad_attribute", d))?;
        let visitor = self.visitor.unwrap_or_default();
        let traits = texts(&visitor.attributes, "visitor.attributes").map_err(|d| ("bad_attribute", d))?;
        let region = self.region.map(Text::owned);
        let region = region.or_else(|| Some(self.attributes.get("region")?.as_str()?.to_owned()));
        let text = |text: Option<Text<'_>>| text.map(Text::owned).unwrap_or_default();
        let (channel, region) = (text(self.channel), region.unwrap_or_default());
        let (scenario, request_id) = (text(self.scenario), text(self.request_id));
        let visitor = visitor.id.or(visitor.anonymous_id).map(Text::owned).filter(|id| !id.is_empty());
        at_most(&channel, "bad_channel", "channel")?;
        at_most(&region, "bad_region", "region")?;
        at_most(&scenario, "bad_scenario", "scenario")?;
        at_most(&request_id, "bad_request_id", "request_id")?;
        at_most(visitor.as_deref().unwrap_or_default(), "bad_visitor", "the visitor's id")?;
        Ok(Event {
            id,
            kind,
            time,
            visitor,
            items,
            quantities,
            values,
            channel,
            region,
            scenario,
            request_id,
            position: self.position.unwrap_or_default(),
            attributes,
            traits,
        })
    }
}

/// Attributes as texts, so that `3` and `"3"` are the same.
fn texts(given: &BTreeMap<String, serde_json::Value>, of: &str) -> Result<Vec<(String, String)>, String> {
    use serde_json::Value;
    if given.len() > 64 {
        return Err(format!("{of} has {} entries: at most 64", given.len()));
    }
    let mut texts = Vec::with_capacity(given.len());
    for (name, value) in given {
        let text = match value {
            Value::Null => continue,
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::String(text) => text.clone(),
            Value::Array(_) | Value::Object(_) => {
                return Err(format!("{of}.{name} is nested: a number, text or boolean expected"));
            }
        };
        if name.is_empty() || name.len() > 64 || text.len() > 512 {
            return Err(format!("{of}.{name}: a name of 1 to 64 bytes and a value of at most 512 expected"));
        }
        texts.push((name.clone(), text));
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Event, String> {
        let wire: WireEvent<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        wire.check(EARLIEST).map_err(|(code, detail)| format!("{code}: {detail}"))
    }

    #[test]
    fn an_event_is_read_in_every_form_it_may_have() {
        let event = read(
            r#"{"id":"a\"b","type":"purchase","visitor":{"anonymous_id":"\u00e9"},"items":["p1","p2"],"quantity":2,
                "value":[1.5,3],"time":"1980-01-01T00:00:01Z","attributes":{"region":"GB","n":1}}"#,
        )
        .expect("a good event");
        assert_eq!((event.id.as_str(), event.visitor.as_deref()), ("a\"b", Some("é")));
        assert_eq!((event.quantities, event.values), (vec![2.0, 2.0], vec![1.5, 3.0]));
        assert_eq!((event.time, event.region.as_str()), (EARLIEST + 1_000, "GB"));
        let now = read(r#"{"id":"a","type":"search"}"#).expect("a good event");
        assert_eq!((now.time, now.visitor), (EARLIEST, None));
    }

    #[test]
    fn a_batch_is_read_event_by_event_or_not_at_all() {
        let read = |text: &str| {
            let mut ids = Vec::new();
            let mut decoder = serde_json::Deserializer::from_str(text);
            let read = Batch(|event: WireEvent<'_>| ids.push(event.id.owned())).deserialize(&mut decoder);
            read.map(|()| ids).map_err(|error| error.to_string())
        };
        assert_eq!(read(r#"{"note":[1],"events":[{"id":"a"},{"id":"b"}]}"#), Ok(vec!["a".to_owned(), "b".to_owned()]));
        for (text, says) in [
            (r#"{"events":[{"id":"a"},{"typo":1}]}"#, "typo"),
            (r#"{"events":[],"events":[]}"#, "duplicate field"),
            ("{}", "missing field"),
            ("[]", "an object with events"),
            (r#"{"events":1}"#, "a list of events"),
        ] {
            assert!(read(text).is_err_and(|error| error.contains(says)), "{text}");
        }
    }

    #[test]
    fn what_is_no_event_says_where_and_what_was_expected() {
        for (text, says) in [
            (r#"{"id":"a","type":"view","item":"p","time":true}"#, "milliseconds since 1970 UTC, or RFC 3339"),
            (r#"{"id":"a","type":"view","item":"p","time":18446744073709551615}"#, "milliseconds since 1970"),
            (r#"{"id":"a","type":"view","item":"p","value":"x"}"#, "a number, or a list of numbers"),
            (r#"{"id":7}"#, "expected a string"),
            (r#"{"id":"a","type":"view","item":"p","typo":1}"#, "typo"),
            (r#"{"id":"a","type":"view","item":"p","time":1}"#, "bad_time"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
