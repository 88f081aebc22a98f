//! What a definition must keep to. A manifest comes from anyone: every list, width and text has a limit.

use super::clock::offset_minutes;
use super::definition::{Definition, Extractor, Missing, Scale};
use super::{Encode, Feature};
use limits::{DAYS, DIMENSION, GRAMS, HISTORY, HOSTS, LONGEST, VALUES, WINDOWS};
use qianmian_core::expr::Expression;

/// Features of a ranker at most, over all its inputs.
pub const MOST_FEATURES: usize = 1_000;
/// Numbers of a row at most.
pub const MOST_NUMBERS: usize = 4_096;

/// Limits of a definition's fields.
pub(crate) mod limits {
    /// Bytes of a name, a column's or a value's text.
    pub(crate) const LONGEST: usize = 512;
    /// Values of a list.
    pub(crate) const VALUES: usize = 100_000;
    /// Windows of one feature.
    pub(crate) const WINDOWS: usize = 16;
    /// Days of a window.
    pub(crate) const DAYS: f32 = 3_660.0;
    /// Numbers of a vector.
    pub(crate) const DIMENSION: usize = 2_048;
    /// Items of a history: what a visitor's recent interactions hold.
    pub(crate) const HISTORY: usize = 256;
    /// Characters of an n-gram.
    pub(crate) const GRAMS: usize = 8;
    /// Hosts of a shop.
    pub(crate) const HOSTS: usize = 100;
}

/// Checks one feature, and says which field is wrong: `.values: ...`.
pub(super) fn check(feature: &Feature) -> Result<(), String> {
    match feature {
        Feature::Column(name) => text("", name),
        Feature::Defined(definition) => defined(definition),
    }
}

fn defined(definition: &Definition) -> Result<(), String> {
    if let Some(name) = &definition.name {
        text(".name", name)?;
    }
    if let Missing::Value(number) = definition.missing
        && !number.is_finite()
    {
        return Err(format!(".missing: is {number}, expected a finite number, \"nan\" or \"mean\""));
    }
    if let Some([low, high]) = definition.clip
        && !(low.is_finite() && high.is_finite() && low <= high)
    {
        return Err(format!(".clip: is [{low}, {high}], expected two finite numbers, the lower one first"));
    }
    if whole(definition) && (definition.clip.is_some() || definition.scale.is_some()) {
        return Err(" is of ids or marks: it takes neither clip nor scale".to_owned());
    }
    extractor(&definition.extractor)
}

/// Whether the numbers stand for something: neither drift nor scaling makes sense of them.
pub(super) fn whole(definition: &Definition) -> bool {
    use Extractor as E;
    let index = |encode: Encode| encode == Encode::Index;
    match &definition.extractor {
        E::ItemId {} | E::HistoryMask { .. } => true,
        E::History { column, values, .. } => column.is_none() || !values.is_empty(),
        E::String { encode, .. } | E::UserAgent { encode, .. } | E::Referer { encode, .. } => index(*encode),
        _ => false,
    }
}

fn extractor(extractor: &Extractor) -> Result<(), String> {
    use Extractor as E;
    match extractor {
        E::Number { column } | E::WordCount { column } | E::TimeDiff { column, .. } | E::Diversity { column } => {
            text(".column", column)
        }
        E::Expr { expr } => Expression::parse(expr).map(drop).map_err(|error| format!(".expr: {error}")),
        E::String { column, values, .. } => {
            text(".column", column)?;
            if values.is_empty() {
                return Err(".values: is empty: list the texts the model was trained on".to_owned());
            }
            list(values)
        }
        E::Vector { space, column, dimension } => {
            let named = [(".space", space), (".column", column)];
            named
                .iter()
                .filter_map(|(field, name)| name.as_ref().map(|name| (*field, name)))
                .try_for_each(|(field, name)| text(field, name))?;
            if space.is_some() == column.is_some() {
                return Err(": give one of space and column".to_owned());
            }
            size(".dimension", *dimension, DIMENSION)
        }
        E::FieldMatch { with, column, n, .. } => {
            text(".with", with)?;
            text(".column", column)?;
            size(".n", *n, GRAMS)
        }
        E::UserAgent { column, .. } => text(".column", column),
        E::Referer { column, internal, .. } => {
            text(".column", column)?;
            size(".internal", internal.len().max(1), HOSTS)?;
            internal.iter().try_for_each(|host| text(".internal", host))
        }
        E::InteractedWith { column, days, .. } => {
            text(".column", column)?;
            windows(days)
        }
        E::WindowCount { days, .. } if days.is_empty() => {
            Err(".days: is empty: give windows, such as [1, 7, 30]".into())
        }
        E::WindowCount { days, .. } => windows(days),
        E::LocalTime { offset, .. } => match offset_minutes(offset) {
            Some(_) => Ok(()),
            None => Err(format!(".offset: is {offset:?}, expected hours and minutes such as \"+08:00\" or \"-03:30\"")),
        },
        E::History { length, column, values, .. } => {
            size(".length", *length, HISTORY)?;
            if column.is_none() && !values.is_empty() {
                return Err(".values: go with a column; ids are by the manifest's item_ids".to_owned());
            }
            column.as_ref().map_or(Ok(()), |column| text(".column", column))?;
            list(values)
        }
        E::HistoryMask { length, .. } => size(".length", *length, HISTORY),
        E::Position {} | E::ItemId {} => Ok(()),
    }
}

fn text(field: &str, text: &str) -> Result<(), String> {
    match text.len() {
        0 => Err(format!("{field}: is empty")),
        length if length > LONGEST => Err(format!("{field}: has {length} bytes, at most {LONGEST}")),
        _ => Ok(()),
    }
}

fn size(field: &str, got: usize, most: usize) -> Result<(), String> {
    if (1..=most).contains(&got) { Ok(()) } else { Err(format!("{field}: is {got}, expected 1 to {most}")) }
}

fn list(values: &[String]) -> Result<(), String> {
    if values.len() > VALUES {
        return Err(format!(".values: lists {} texts, at most {VALUES}", values.len()));
    }
    let mut seen = rustc_hash::FxHashSet::default();
    for (at, value) in values.iter().enumerate() {
        text(&format!(".values[{at}]"), value)?;
        if !seen.insert(value) {
            return Err(format!(".values[{at}]: {value:?} is listed twice"));
        }
    }
    Ok(())
}

fn windows(days: &[f32]) -> Result<(), String> {
    if days.len() > WINDOWS {
        return Err(format!(".days: lists {} windows, at most {WINDOWS}", days.len()));
    }
    match days.iter().position(|days| !(*days > 0.0 && *days <= DAYS)) {
        Some(at) => Err(format!(".days[{at}]: is {}, expected more than 0 and at most {DAYS}", days[at])),
        None => Ok(()),
    }
}

impl Scale {
    /// The scaled number; NaN where there is none.
    pub(super) fn of(self, number: f32) -> f32 {
        match self {
            Self::Log1p => number.ln_1p(),
        }
    }
}
