//! Visitors with latent tastes: a mixture over themes, a price level, a channel habit, loyalties.

use super::Scale;
use super::personas::{PERSONAS, Persona};
use super::places::{CHANNELS, REGIONS};
use super::themes::{THEMES, Theme};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A visitor and what the generator knows of them; the server has to find it out from the events.
#[derive(Clone, Debug)]
pub struct DemoVisitor {
    /// Visitor id, such as `u00001`.
    pub id: String,
    /// Home region.
    pub region: &'static str,
    /// Usual channel.
    pub channel: &'static str,
    /// Taste by theme, in the order of [`Theme::ALL`]; sums to about 100.
    pub themes: [u8; THEMES],
    /// Price level, 0 thrifty to 4 lavish.
    pub level: u8,
    /// Percent of choices that keep to the favourite brand.
    pub loyalty: u8,
    /// Name and story, for the few that have one.
    pub persona: Option<&'static Persona>,
    /// Favourite categories, as indices into the categories; may repeat.
    pub(crate) favourites: [u16; 3],
    /// Chooses the favourite brand of each category.
    pub(crate) salt: u32,
    /// How often they come.
    pub(crate) sessions: u16,
}

/// The theme a draw from 0..100 falls into.
pub(crate) fn theme_at(themes: &[u8; THEMES], draw: u32) -> Theme {
    let mut left = draw;
    for theme in Theme::ALL {
        let weight = u32::from(themes[theme as usize]);
        if left < weight {
            return theme;
        }
        left -= weight;
    }
    Theme::ALL[(draw as usize) % THEMES]
}

/// The entry of a weighted table a draw from 0..100 falls into.
fn weighted(table: &'static [(&'static str, &'static str, &'static str, u32)], draw: u32) -> &'static str {
    let mut left = draw;
    for &(id, _, _, weight) in table {
        if left < weight {
            return id;
        }
        left -= weight;
    }
    table[0].0
}

/// Category numbers by theme: those with many nouns of the theme come more often.
fn categories_by_theme() -> Vec<Vec<u16>> {
    let mut by_theme = vec![Vec::new(); THEMES];
    for (at, goods) in super::catalogue::categories().iter().enumerate() {
        for noun in goods.nouns {
            for theme in noun.themes.iter().take(2) {
                by_theme[*theme as usize].push(at as u16);
            }
        }
        if goods.nouns.is_empty() {
            // Made from places: flights and hotels suit every traveller, data packs those abroad.
            for theme in Theme::ALL {
                if !goods.slug.starts_with("roaming") || theme == Theme::Roaming {
                    by_theme[theme as usize].push(at as u16);
                }
            }
        }
    }
    by_theme
}

pub(super) fn make(seed: u64, scale: Scale) -> Vec<DemoVisitor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x0076_6973_6974_6f72);
    let by_theme = categories_by_theme();
    let count = (scale.visitors as usize).max(PERSONAS.len());
    let mut visitors: Vec<DemoVisitor> = PERSONAS.iter().map(|p| named(p, &mut rng)).collect();
    for number in visitors.len() + 1..=count {
        let mut themes = [1u8; THEMES];
        let first = rng.random_range(0..THEMES as u32) as usize;
        let second = rng.random_range(0..THEMES as u32) as usize;
        let third = rng.random_range(0..THEMES as u32) as usize;
        let strength = rng.random_range(45..=65u8);
        themes[first] += strength;
        themes[second] += 23;
        themes[third] += 65 - strength;
        let mut favourite = |theme: usize| {
            let of_theme = &by_theme[theme];
            if of_theme.is_empty() { 0 } else { of_theme[rng.random_range(0..of_theme.len() as u32) as usize] }
        };
        let favourites = [favourite(first), favourite(first), favourite(second)];
        let level = match rng.random_range(0..100u32) {
            0..18 => 0,
            18..44 => 1,
            44..72 => 2,
            72..90 => 3,
            _ => 4,
        };
        let sessions = match rng.random_range(0..100u32) {
            0..30 => 1,
            30..54 => 2,
            54..72 => 3,
            72..88 => rng.random_range(4..=7u16),
            _ => rng.random_range(8..=18u16),
        };
        visitors.push(DemoVisitor {
            id: format!("u{number:05}"),
            region: weighted(REGIONS, rng.random_range(0..100)),
            channel: weighted(CHANNELS, rng.random_range(0..100)),
            themes,
            level,
            loyalty: rng.random_range(0..70),
            persona: None,
            favourites,
            salt: rng.random(),
            sessions,
        });
    }
    visitors
}

fn named(persona: &'static Persona, rng: &mut ChaCha8Rng) -> DemoVisitor {
    let mut themes = [0u8; THEMES];
    for &(theme, weight) in persona.themes {
        themes[theme as usize] = weight;
    }
    let place = |slug: &str| super::catalogue::categories().iter().position(|g| g.slug == slug).unwrap_or(0) as u16;
    DemoVisitor {
        id: persona.id.to_owned(),
        region: persona.region,
        channel: persona.channel,
        themes,
        level: persona.level,
        loyalty: 60,
        persona: Some(persona),
        favourites: persona.favourites.map(place),
        salt: rng.random(),
        sessions: 14,
    }
}
