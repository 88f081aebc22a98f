//! The shape of a feature's definition in a manifest, and how many numbers it makes.

use qianmian_core::EventKind;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A feature that is computed: what it is, and what is done with its numbers afterwards, in this order: `clip`, `scale`,
/// `missing`.
///
/// ```toml
/// features = [
///     "item.price",
///     { type = "number", column = "item.price", scale = "log1p", missing = 0.0 },
///     { type = "string", column = "item.brand", values = ["Acme", "Nord"], encode = "one_hot", missing = 0.0 },
/// ]
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Its name in explanations, exports and metrics. Absent: made of the type and its column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What stands in for a missing number.
    #[serde(default, skip_serializing_if = "Missing::is_nan")]
    pub missing: Missing,
    /// Lowest and highest number; what is beyond becomes the nearer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<[f32; 2]>,
    /// How numbers are scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// What it is.
    #[serde(flatten)]
    pub extractor: Extractor,
}

/// What stands in for a missing number: `"nan"`, `"mean"`, or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Missing {
    /// NaN stays: trees send it where they were trained to, a network gives NaN.
    #[default]
    Nan,
    /// The mean over the candidates that are scored together; NaN when it is missing for all of them.
    Mean,
    /// This number.
    Value(f32),
}

impl Missing {
    fn is_nan(&self) -> bool {
        *self == Self::Nan
    }
}

impl Serialize for Missing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nan => serializer.serialize_str("nan"),
            Self::Mean => serializer.serialize_str("mean"),
            Self::Value(number) => serializer.serialize_f32(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Missing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "missing is a number, \"nan\" or \"mean\"")]
        enum Wire {
            Number(f32),
            Word(Word),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Word {
            Nan,
            Mean,
        }
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Number(number) if number.is_nan() => Self::Nan,
            Wire::Number(number) => Self::Value(number),
            Wire::Word(Word::Nan) => Self::Nan,
            Wire::Word(Word::Mean) => Self::Mean,
        })
    }
}

/// How numbers are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// `ln(1 + x)`; missing for -1 and below.
    Log1p,
}

/// What a feature is. `column` is a name of docs/columns.md, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Extractor {
    /// A column of numbers.
    Number {
        /// The column.
        column: String,
    },
    /// A formula in CEL over columns, evaluated for all candidates at once.
    Expr {
        /// Its text.
        expr: String,
    },
    /// A text, or a list of texts, out of a given list.
    String {
        /// The column: text, list, or a number in decimals.
        column: String,
        /// The texts that are told apart.
        values: Vec<String>,
        /// How they become numbers.
        #[serde(default)]
        encode: Encode,
    },
    /// Several numbers: the item's vector in an embedding space, or an attribute whose text is numbers with commas.
    Vector {
        /// The embedding space.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        space: Option<String>,
        /// The column of text, instead of a space.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        column: Option<String>,
        /// How many numbers.
        dimension: usize,
    },
    /// Words of a text, or of all texts of a list. A Chinese or Japanese character is a word.
    WordCount {
        /// The column.
        column: String,
    },
    /// The request's time minus a moment: positive for the past.
    TimeDiff {
        /// The column: a text (RFC 3339, or a date, which is its midnight UTC), or a number of seconds or milliseconds since
        /// 1970. A column of numbers is of 32 bits, about two minutes: prefer a text.
        column: String,
        /// What it is counted in.
        #[serde(default)]
        unit: Unit,
    },
    /// How much of one text or list is in another, 0 to 1; missing when either is empty.
    FieldMatch {
        /// What is looked for: a column of the context or the visitor, or `anchor.item.NAME`: that column of all the
        /// request's items.
        with: String,
        /// Where it is looked for.
        column: String,
        /// How.
        #[serde(default)]
        method: Match,
        /// Length of the n-grams, in characters.
        #[serde(default = "three")]
        n: usize,
    },
    /// A part of a user agent.
    UserAgent {
        /// Which.
        part: AgentPart,
        /// The column with the header's text.
        #[serde(default = "user_agent")]
        column: String,
        /// How it becomes numbers.
        #[serde(default)]
        encode: Encode,
    },
    /// The medium of a referer: direct, internal, search, social, email, other.
    Referer {
        /// The column with the address.
        #[serde(default = "referer")]
        column: String,
        /// Hosts of the shop itself, subdomains included.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        internal: Vec<String>,
        /// How it becomes numbers.
        #[serde(default)]
        encode: Encode,
    },
    /// The visitor's recent interactions (the last 256) with items that share a value of a column with this one.
    InteractedWith {
        /// The column of items.
        column: String,
        /// Kinds of events that count; none means all but impressions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        events: Vec<Interacted>,
        /// Windows in days, one number each; none means one number without a limit.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        days: Vec<f32>,
        /// What is said of them.
        #[serde(default)]
        measure: Measure,
    },
    /// The visitor's recent interactions (of the last 256) in each window.
    WindowCount {
        /// Kinds of events that count; none means all but impressions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        events: Vec<Interacted>,
        /// Windows in days, one number each.
        days: Vec<f32>,
    },
    /// The candidate's place in the set that is scored, from 1.
    Position {},
    /// How different the candidate is from the others of the set. Numbers: the distance from their median. Texts and lists:
    /// one minus the share of the others that have a value of it, the mean over its values.
    Diversity {
        /// The column.
        column: String,
    },
    /// A part of the request's time in a zone with a fixed offset.
    LocalTime {
        /// Which.
        part: Clock,
        /// Offset from UTC, such as `+08:00`.
        #[serde(default = "utc")]
        offset: String,
        /// As two numbers, sine and cosine of the part's turn, so that 23:00 is beside 0:00.
        #[serde(default, skip_serializing_if = "is_false")]
        cyclic: bool,
    },
    /// The integer of the candidate's id, by the manifest's `item_ids`; missing for an item it does not know.
    ItemId {},
    /// The visitor's last items of some kinds of events, oldest first, as integers by the manifest's `item_ids`, padded with
    /// 0. Items it does not know are left out.
    History {
        /// How many.
        length: usize,
        /// Kinds of events that count; none means all but impressions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        events: Vec<Interacted>,
        /// Which end is padded.
        #[serde(default)]
        pad: Pad,
        /// Instead of ids: a column of those items.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        column: Option<String>,
        /// With a column of texts: the text at place `i`, from 0, is `i + 1`, any other 0.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        values: Vec<String>,
    },
    /// 1 where the history of the same parameters has an item, 0 where it is padding.
    HistoryMask {
        /// How many.
        length: usize,
        /// Kinds of events that count; none means all but impressions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        events: Vec<Interacted>,
        /// Which end is padded.
        #[serde(default)]
        pad: Pad,
    },
}

/// How one text of a list becomes numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encode {
    /// A number for each text of the list: 1 for those there are, else 0.
    #[default]
    OneHot,
    /// One number: its place in the list from 1, 0 for another text; of a list of texts the first that is known.
    Index,
}

/// What a time difference is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "units")]
pub enum Unit {
    Seconds,
    Minutes,
    Hours,
    #[default]
    Days,
}

/// How two texts are compared. Case does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// 1 when a text of one side is a text of the other, else 0.
    Exact,
    /// Words both have over words either has (Jaccard).
    #[default]
    Term,
    /// The same of runs of `n` characters.
    Ngram,
}

/// A part of a user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentPart {
    /// chrome, safari, firefox, edge, opera, samsung, wechat, alipay, ie, other.
    Browser,
    /// android, ios, harmony, windows, macos, linux, other.
    Platform,
    /// mobile, tablet, desktop, tv, bot, other.
    Device,
}

/// A kind of event that the visitor's recent interactions keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "as in the event's own type")]
pub enum Interacted {
    View,
    Click,
    Cart,
    Purchase,
    Rating,
    Search,
    Custom,
}

impl Interacted {
    pub(super) const fn kind(self) -> EventKind {
        match self {
            Self::View => EventKind::View,
            Self::Click => EventKind::Click,
            Self::Cart => EventKind::Cart,
            Self::Purchase => EventKind::Purchase,
            Self::Rating => EventKind::Rating,
            Self::Search => EventKind::Search,
            Self::Custom => EventKind::Custom,
        }
    }
}

/// What is said of interactions in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// How many.
    #[default]
    Count,
    /// Their share of all in the window; missing when there are none.
    Share,
    /// 1 when there is one, else 0.
    Any,
}

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// 0 to 23.
    Hour,
    /// Minutes since midnight, 0 to 1439.
    Minute,
    /// 1 = Monday to 7.
    Weekday,
    /// 1 on Saturday and Sunday, else 0.
    Weekend,
    /// Day of the month, from 1.
    Day,
    /// From 1.
    Month,
    /// Day of the year, from 1.
    YearDay,
}

/// Which end of a history is padded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pad {
    /// The latest item is the last number.
    #[default]
    Left,
    /// The oldest item is the first number.
    Right,
}

const fn three() -> usize {
    3
}

fn user_agent() -> String {
    "context.user_agent".to_owned()
}

fn referer() -> String {
    "context.referer".to_owned()
}

fn utc() -> String {
    "+00:00".to_owned()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Longest name that is made of a definition, in characters.
const LONG: usize = 100;

impl Definition {
    pub(super) fn width(&self) -> usize {
        use Extractor as E;
        let encoded = |encode: Encode, values: usize| if encode == Encode::OneHot { values } else { 1 };
        match &self.extractor {
            E::String { values, encode, .. } => encoded(*encode, values.len()),
            E::UserAgent { part, encode, .. } => encoded(*encode, super::agent::values(*part).len()),
            E::Referer { encode, .. } => encoded(*encode, super::agent::MEDIA.len()),
            E::Vector { dimension, .. } => *dimension,
            E::InteractedWith { days, .. } => days.len().max(1),
            E::WindowCount { days, .. } => days.len(),
            E::LocalTime { cyclic, .. } => 1 + usize::from(*cyclic),
            E::History { length, .. } | E::HistoryMask { length, .. } => *length,
            _ => 1,
        }
    }

    pub(super) fn name(&self) -> String {
        use Extractor as E;
        if let Some(name) = &self.name {
            return name.clone();
        }
        let made = match &self.extractor {
            E::Number { column } | E::String { column, .. } => column.clone(),
            E::Expr { expr } => expr.clone(),
            E::Vector { space, column, .. } => {
                format!("vector({})", space.as_ref().or(column.as_ref()).map_or("", String::as_str))
            }
            E::WordCount { column } => format!("word_count({column})"),
            E::TimeDiff { column, .. } => format!("time_diff({column})"),
            E::FieldMatch { with, column, .. } => format!("field_match({with}, {column})"),
            E::UserAgent { part, .. } => format!("user_agent.{}", word(part)),
            E::Referer { .. } => "referer".to_owned(),
            E::InteractedWith { column, .. } => format!("interacted_with({column})"),
            E::WindowCount { .. } => "window_count".to_owned(),
            E::Position {} => "position".to_owned(),
            E::Diversity { column } => format!("diversity({column})"),
            E::LocalTime { part, .. } => format!("local_time.{}", word(part)),
            E::ItemId {} => "item_id".to_owned(),
            E::History { column: None, .. } => "history".to_owned(),
            E::History { column: Some(column), .. } => format!("history({column})"),
            E::HistoryMask { .. } => "history_mask".to_owned(),
        };
        let scaled = if self.scale.is_some() { format!("log1p({made})") } else { made };
        scaled.chars().take(LONG).collect()
    }

    pub(super) fn names(&self) -> Vec<String> {
        use Extractor as E;
        let name = self.name();
        let of = |values: &[String]| values.iter().map(|value| format!("{name}={value}")).collect();
        let fixed = |values: &[&str]| values.iter().map(|value| format!("{name}={value}")).collect();
        match &self.extractor {
            E::String { values, encode: Encode::OneHot, .. } => of(values),
            E::UserAgent { part, encode: Encode::OneHot, .. } => fixed(super::agent::values(*part)),
            E::Referer { encode: Encode::OneHot, .. } => fixed(super::agent::MEDIA),
            E::Vector { .. } | E::History { .. } | E::HistoryMask { .. } => {
                (0..self.width()).map(|at| format!("{name}[{at}]")).collect()
            }
            E::InteractedWith { days, .. } | E::WindowCount { days, .. } if !days.is_empty() => {
                days.iter().map(|days| format!("{name}/{days}d")).collect()
            }
            E::LocalTime { cyclic: true, .. } => vec![format!("{name}.sin"), format!("{name}.cos")],
            _ => vec![name],
        }
    }
}

/// The word a parameter is written as.
fn word(part: &impl Serialize) -> String {
    serde_json::to_value(part).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
