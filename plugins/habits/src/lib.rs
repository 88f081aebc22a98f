//! The tagger of habits: when visitors come, and at what price they look.
//!
//! `morning` (6 to 12 o'clock), `afternoon` (to 18), `evening` (to 24), `night` and `weekend` say when most of the
//! recent interactions happened; `low-price` and `high-price` what most of the items cost that had a price.

use qianmian_sdk::tagger::prelude::*;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    utc_offset_minutes: i64,
    least: usize,
    share: f32,
    low_price: f32,
    high_price: f32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { utc_offset_minutes: 0, least: 5, share: 0.6, low_price: 20.0, high_price: 200.0 }
    }
}

struct Habits;

const PARTS: [&str; 4] = ["night", "morning", "afternoon", "evening"];
const HOUR: i64 = 3_600_000;

impl Tagger for Habits {
    type Parameters = Parameters;
    const ABOUT: AboutTagger = AboutTagger {
        name: "habits",
        version: env!("CARGO_PKG_VERSION"),
        summary: "When visitors come, and at what price they look.",
        parameters_schema: include_str!("schema.json"),
        tags: &["night", "morning", "afternoon", "evening", "weekend", "low-price", "high-price"],
        needs: Needs { columns: &["item.price"], history: true, ..Needs::NOTHING },
    };

    fn tag(people: &People, parameters: Parameters, tags: &mut Tags) -> Result<()> {
        let prices = people.numbers("item.price")?;
        for person in people.iter() {
            let habits = Seen::of(person, &prices, &parameters);
            for tag in habits.tags(&parameters) {
                tags.give(person, tag)?;
            }
        }
        Ok(())
    }
}

/// What one visitor's interactions add up to.
#[derive(Debug, Default)]
struct Seen {
    all: usize,
    parts: [usize; 4],
    weekend: usize,
    priced: usize,
    low: usize,
    high: usize,
}

impl Seen {
    fn of(person: Person<'_>, prices: &[f32], parameters: &Parameters) -> Self {
        let mut seen = Self::default();
        for one in person.recent() {
            seen.add(one.time, prices.get(one.at).copied().unwrap_or(f32::NAN), parameters);
        }
        seen
    }

    fn add(&mut self, time: i64, price: f32, parameters: &Parameters) {
        let hours = (time + parameters.utc_offset_minutes * 60_000).div_euclid(HOUR);
        self.all += 1;
        self.parts[(hours.rem_euclid(24) / 6) as usize] += 1;
        // The first of January 1970 was a Thursday.
        self.weekend += usize::from(matches!(hours.div_euclid(24).rem_euclid(7), 2 | 3));
        if !price.is_nan() {
            self.priced += 1;
            self.low += usize::from(price <= parameters.low_price);
            self.high += usize::from(price >= parameters.high_price);
        }
    }

    fn tags(&self, parameters: &Parameters) -> Vec<&'static str> {
        let most = |part: usize, of: usize| of >= parameters.least && part as f32 >= parameters.share * of as f32;
        let times = PARTS.into_iter().zip(self.parts).filter(|(_, part)| most(*part, self.all)).map(|(tag, _)| tag);
        let others = [
            ("weekend", self.weekend, self.all),
            ("low-price", self.low, self.priced),
            ("high-price", self.high, self.priced),
        ];
        times.chain(others.into_iter().filter(|(_, part, of)| most(*part, *of)).map(|(tag, ..)| tag)).collect()
    }
}

qianmian_sdk::export_tagger!(Habits);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_what_they_did_makes_a_habit() {
        let parameters = Parameters { utc_offset_minutes: 480, ..Parameters::default() };
        let mut seen = Seen::default();
        // 2023-11-14 22:13 UTC is Wednesday morning in China.
        for _ in 0..4 {
            seen.add(1_700_000_000_000, 9.5, &parameters);
        }
        assert!(seen.tags(&parameters).is_empty(), "four are too few");
        // Saturday at noon, UTC; what it costs is not known.
        seen.add(1_700_308_800_000, f32::NAN, &parameters);
        assert_eq!(seen.tags(&parameters), ["morning"]);
        seen.add(1_700_000_000_000, 250.0, &parameters);
        assert_eq!(seen.tags(&parameters), ["morning", "low-price"]);
    }

    #[test]
    fn everything_is_optional_and_nothing_is_guessed() {
        assert_eq!(serde_json::from_str::<Parameters>("{}").unwrap().least, 5);
        assert!(serde_json::from_str::<Parameters>(r#"{"leest": 3}"#).is_err());
    }
}
