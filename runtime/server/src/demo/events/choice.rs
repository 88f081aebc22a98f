//! Which item a visitor turns to: by theme and category, then by price, brand and availability.

use super::super::catalogue::{Latent, Made, NO_GOODS, categories};
use super::super::themes::{THEMES, Theme};
use super::super::visitors::{DemoVisitor, theme_at};
use qianmian_core::ItemKind;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Draws rows by weight.
#[derive(Default)]
struct Sampler {
    rows: Vec<u32>,
    /// Running totals.
    totals: Vec<f32>,
}

impl Sampler {
    fn push(&mut self, row: u32, weight: f32) {
        if weight > 0.0 {
            self.rows.push(row);
            self.totals.push(self.totals.last().copied().unwrap_or(0.0) + weight);
        }
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Option<u32> {
        let total = *self.totals.last()?;
        let at = self.totals.partition_point(|&t| t <= rng.random::<f32>() * total);
        Some(self.rows[at.min(self.rows.len() - 1)])
    }
}

/// The catalogue as the visitors meet it.
pub(super) struct World {
    pub ids: Vec<Box<str>>,
    pub latents: Vec<Latent>,
    /// Products by theme.
    themes: Vec<Sampler>,
    /// Products by theme and category.
    cells: Vec<Sampler>,
    /// Products by category, for where a theme has none.
    goods: Vec<Sampler>,
    /// Articles and offers by theme.
    articles: Vec<Sampler>,
    offers: Vec<Sampler>,
    /// Complements by category, as indices.
    pub with: Vec<Vec<u16>>,
}

fn samplers(count: usize) -> Vec<Sampler> {
    (0..count).map(|_| Sampler::default()).collect()
}

impl World {
    pub fn new(made: &Made) -> Self {
        let all = categories();
        let mut world = Self {
            ids: made.items.iter().map(|i| i.id.as_str().into()).collect(),
            latents: made.latents.clone(),
            themes: samplers(THEMES),
            cells: samplers(THEMES * all.len()),
            goods: samplers(all.len()),
            articles: samplers(THEMES),
            offers: samplers(THEMES),
            with: all
                .iter()
                .map(|g| {
                    g.with.iter().filter_map(|w| all.iter().position(|o| o.slug == *w)).map(|p| p as u16).collect()
                })
                .collect(),
        };
        for (row, latent) in world.latents.iter().enumerate() {
            for theme in 0..THEMES {
                let strength = f32::from(latent.themes[theme]);
                let weight = latent.weight * strength * strength;
                match latent.kind {
                    ItemKind::Product => {
                        if theme == 0 {
                            world.goods[latent.goods as usize].push(row as u32, latent.weight);
                        }
                        world.themes[theme].push(row as u32, weight);
                        world.cells[theme * all.len() + latent.goods as usize].push(row as u32, weight);
                    }
                    ItemKind::Content => world.articles[theme].push(row as u32, weight),
                    ItemKind::Offer => world.offers[theme].push(row as u32, weight),
                    ItemKind::Copy | ItemKind::Channel => {}
                }
            }
        }
        world
    }

    /// Could this visitor meet the item so many days ago?
    fn open(&self, row: u32, visitor: &DemoVisitor, days_ago: u32) -> bool {
        let latent = &self.latents[row as usize];
        latent.from >= days_ago && latent.to < days_ago && (latent.region.is_empty() || latent.region == visitor.region)
    }

    /// How much an item is this visitor's thing, 0 to 1.
    pub fn affinity(&self, row: u32, visitor: &DemoVisitor) -> f32 {
        let latent = &self.latents[row as usize];
        let dot: u32 = latent.themes.iter().zip(visitor.themes).map(|(&a, b)| u32::from(a) * u32::from(b)).sum();
        let away = f32::from(latent.level.abs_diff(visitor.level));
        (dot as f32 / 10_000.0 * (1.15 - 0.15 * away)).clamp(0.0, 1.0)
    }

    /// A product of a theme, and of a category where one is given, that suits the visitor.
    pub fn product(
        &self,
        theme: Theme,
        goods: Option<u16>,
        visitor: &DemoVisitor,
        days_ago: u32,
        rng: &mut ChaCha8Rng,
    ) -> Option<u32> {
        let sampler = match goods {
            Some(goods) if goods != NO_GOODS => {
                let cell = &self.cells[theme as usize * self.with.len() + goods as usize];
                if cell.rows.is_empty() { &self.goods[goods as usize] } else { cell }
            }
            _ => &self.themes[theme as usize],
        };
        let loyal = rng.random_range(0..100u32) < u32::from(visitor.loyalty);
        let mut best: Option<(f32, u32)> = None;
        for _ in 0..4 {
            let row = sampler.draw(rng)?;
            if !self.open(row, visitor, days_ago) {
                continue;
            }
            let latent = &self.latents[row as usize];
            let mut score = rng.random::<f32>() - 0.5 * f32::from(latent.level.abs_diff(visitor.level));
            if loyal && latent.brand == favourite_brand(visitor, latent.goods) {
                score += 1.3;
            }
            if best.is_none_or(|(highest, _)| score > highest) {
                best = Some((score, row));
            }
        }
        best.map(|(_, row)| row)
    }

    /// What the visitor has in mind: mostly a favourite category.
    pub fn wish(&self, visitor: &DemoVisitor, days_ago: u32, rng: &mut ChaCha8Rng) -> Option<u32> {
        let theme = theme_at(&visitor.themes, rng.random_range(0..100));
        let goods = (rng.random_range(0..100u32) < 50).then(|| visitor.favourites[rng.random_range(0..3u32) as usize]);
        self.product(theme, goods, visitor, days_ago, rng)
    }

    /// An article or offer of the visitor's theme.
    pub fn editorial(&self, kind: ItemKind, visitor: &DemoVisitor, days_ago: u32, rng: &mut ChaCha8Rng) -> Option<u32> {
        let theme = theme_at(&visitor.themes, rng.random_range(0..100)) as usize;
        let sampler = if kind == ItemKind::Content { &self.articles[theme] } else { &self.offers[theme] };
        (0..3).filter_map(|_| sampler.draw(rng)).find(|&row| self.open(row, visitor, days_ago))
    }
}

/// The brand a loyal visitor keeps to in a category.
fn favourite_brand(visitor: &DemoVisitor, goods: u16) -> u16 {
    let brands = categories().get(goods as usize).map_or(1, |g| g.brands.len()) as u32;
    (visitor.salt.wrapping_add(u32::from(goods).wrapping_mul(0x9e37_79b9)) >> 7).rem_euclid(brands) as u16
}
