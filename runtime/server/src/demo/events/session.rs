//! One visit: what is shown, opened, put into the cart and bought.

use super::super::catalogue::{NO_GOODS, categories};
use super::super::places::CHANNELS;
use super::super::themes::Theme;
use super::super::visitors::{DemoVisitor, theme_at};
use super::Memory;
use super::choice::World;
use qianmian_core::{Event, EventKind, ItemKind, TimeMs};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// How likely a slot is looked at, by position.
const SEEN: [f32; 8] = [1.0, 0.82, 0.68, 0.58, 0.50, 0.44, 0.39, 0.35];

pub(super) struct Session<'a> {
    pub world: &'a World,
    pub visitor: &'a DemoVisitor,
    pub memory: &'a mut Memory,
    pub rng: &'a mut ChaCha8Rng,
    pub events: &'a mut Vec<Event>,
    /// Counts sessions, for ids.
    pub number: u64,
    /// Counts this session's events, for ids.
    pub count: u32,
    pub days_ago: u32,
    pub time: TimeMs,
    /// No event is later.
    pub end: TimeMs,
    pub channel: &'static str,
}

impl Session<'_> {
    pub fn run(mut self) {
        self.channel =
            if self.chance(78) { self.visitor.channel } else { CHANNELS[self.rng.random_range(0..3u32) as usize].0 };
        let mut opened = Vec::new();
        match self.rng.random_range(0..100u32) {
            0..62 => self.home(&mut opened),
            62..80 => opened.extend(self.search()),
            80..92 => self.read(&mut opened),
            _ => self.return_to(&mut opened),
        }
        let first = opened.clone();
        for row in first {
            self.browse(row, &mut opened);
        }
        self.buy(&opened);
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100u32) < percent
    }

    fn emit(&mut self, kind: EventKind, rows: &[u32], scenario: &str, request: &str, position: u32) {
        self.time = (self.time + self.rng.random_range(2_000..45_000)).min(self.end);
        self.count += 1;
        let bought = kind == EventKind::Purchase;
        let priced = bought || kind == EventKind::Cart;
        let quantities = if bought { rows.iter().map(|&row| self.quantity(row)).collect() } else { Vec::new() };
        self.events.push(Event {
            id: format!("demo-{}-{}", self.number, self.count),
            kind,
            time: self.time,
            visitor: Some(self.visitor.id.clone()),
            items: rows.iter().map(|&row| self.world.ids[row as usize].to_string()).collect(),
            quantities,
            values: if priced {
                rows.iter().map(|&row| self.world.latents[row as usize].price).collect()
            } else {
                Vec::new()
            },
            channel: self.channel.to_owned(),
            region: self.visitor.region.to_owned(),
            scenario: scenario.to_owned(),
            request_id: request.to_owned(),
            position,
            attributes: Vec::new(),
            traits: Vec::new(),
        });
    }

    fn quantity(&mut self, row: u32) -> f32 {
        let repeat = categories().get(self.world.latents[row as usize].goods as usize).is_some_and(|g| g.repeat);
        if repeat && self.chance(30) { self.rng.random_range(2..4u32) as f32 } else { 1.0 }
    }

    /// Remembers that the visitor opened `row`.
    fn open(&mut self, row: u32, opened: &mut Vec<u32>) {
        if !opened.contains(&row) {
            opened.push(row);
        }
        let [first, second, _] = self.memory.opened;
        if first != row + 1 {
            self.memory.opened = [row + 1, first, second];
        }
    }

    /// Shows `slate` and lets the visitor click.
    fn show(&mut self, slate: &[u32], scenario: &str, most: usize, opened: &mut Vec<u32>) {
        if slate.is_empty() {
            return;
        }
        let request = format!("demo-{}-{scenario}-{}", self.number, self.count);
        self.emit(EventKind::Impression, slate, scenario, &request, 1);
        let mut clicks = 0;
        for (at, &row) in slate.iter().enumerate() {
            let likely = 0.012 + 0.26 * self.world.affinity(row, self.visitor);
            if clicks < most && self.rng.random::<f32>() < likely * SEEN[at.min(SEEN.len() - 1)] {
                clicks += 1;
                self.emit(EventKind::Click, &[row], scenario, &request, at as u32 + 1);
                self.open(row, opened);
            }
        }
    }

    /// The home page as a shop without recommendations would show it: some of it fits, some is merely popular.
    fn home(&mut self, opened: &mut Vec<u32>) {
        let mut slate: Vec<u32> = Vec::with_capacity(8);
        for _ in 0..8 {
            let row = match self.rng.random_range(0..100u32) {
                0..44 => self.world.wish(self.visitor, self.days_ago, self.rng),
                44..54 => self.similar(self.memory.opened[0]),
                54..60 => self.world.editorial(ItemKind::Content, self.visitor, self.days_ago, self.rng),
                60..64 => self.world.editorial(ItemKind::Offer, self.visitor, self.days_ago, self.rng),
                _ => {
                    let theme = Theme::ALL[self.rng.random_range(0..Theme::ALL.len() as u32) as usize];
                    self.world.product(theme, None, self.visitor, self.days_ago, self.rng)
                }
            };
            slate.extend(row.filter(|row| !slate.contains(row)));
        }
        self.show(&slate, "home", 3, opened);
    }

    /// Finds by searching what was in mind.
    fn search(&mut self) -> Option<u32> {
        let row = self.world.wish(self.visitor, self.days_ago, self.rng)?;
        self.emit(EventKind::View, &[row], "", "", 0);
        self.memory.opened = [row + 1, self.memory.opened[0], self.memory.opened[1]];
        Some(row)
    }

    /// Reads an article or opens an offer, then perhaps a product that goes with it.
    fn read(&mut self, opened: &mut Vec<u32>) {
        let kind = if self.chance(75) { ItemKind::Content } else { ItemKind::Offer };
        let Some(piece) = self.world.editorial(kind, self.visitor, self.days_ago, self.rng) else { return };
        self.emit(EventKind::View, &[piece], "", "", 0);
        let latent = &self.world.latents[piece as usize];
        let themes = latent.themes;
        let goods = (latent.goods != NO_GOODS).then_some(latent.goods);
        let mut slate = Vec::new();
        for _ in 0..4 {
            let theme = strongest(&themes);
            let row = self.world.product(theme, goods, self.visitor, self.days_ago, self.rng);
            slate.extend(row.filter(|row| !slate.contains(row)));
        }
        self.show(&slate, "content", 2, opened);
    }

    /// Comes back to something opened on an earlier visit, or buys again.
    fn return_to(&mut self, opened: &mut Vec<u32>) {
        let earlier =
            if self.memory.bought != 0 && self.chance(60) { self.memory.bought } else { self.memory.opened[1] };
        match earlier.checked_sub(1) {
            Some(row) => {
                self.emit(EventKind::View, &[row], "", "", 0);
                self.open(row, opened);
            }
            None => opened.extend(self.search()),
        }
    }

    /// Something like `one_above` minus one: the same category and, mostly, the same theme.
    fn similar(&mut self, one_above: u32) -> Option<u32> {
        let row = one_above.checked_sub(1)?;
        let latent = &self.world.latents[row as usize];
        let (goods, themes) = (latent.goods, latent.themes);
        let theme = if self.chance(75) {
            strongest(&themes)
        } else {
            theme_at(&self.visitor.themes, self.rng.random_range(0..100))
        };
        let found = self.world.product(theme, Some(goods), self.visitor, self.days_ago, self.rng);
        found.filter(|&other| other != row)
    }

    /// Something that goes with `row`.
    fn complement(&mut self, row: u32) -> Option<u32> {
        let latent = &self.world.latents[row as usize];
        let with = self.world.with.get(latent.goods as usize)?;
        // The first complements are the strongest.
        let draw =
            self.rng.random_range(0..with.len().max(1) as u32).min(self.rng.random_range(0..with.len().max(1) as u32));
        let goods = *with.get(draw as usize)?;
        let theme = strongest(&latent.themes);
        self.world.product(theme, Some(goods), self.visitor, self.days_ago, self.rng)
    }

    /// From a product's page to others.
    fn browse(&mut self, row: u32, opened: &mut Vec<u32>) {
        if self.world.latents[row as usize].kind != ItemKind::Product {
            return;
        }
        if self.chance(38) {
            let mut slate = Vec::with_capacity(6);
            for at in 0..6 {
                let found = if at < 4 { self.similar(row + 1) } else { self.complement(row) };
                slate.extend(found.filter(|f| !slate.contains(f) && *f != row));
            }
            self.show(&slate, "product", 2, opened);
        }
        for percent in [42, 26] {
            if self.chance(percent)
                && let Some(other) = self.similar(row + 1)
            {
                self.emit(EventKind::View, &[other], "", "", 0);
                self.open(other, opened);
            }
        }
        if self.chance(30)
            && let Some(other) = self.complement(row)
        {
            self.emit(EventKind::View, &[other], "", "", 0);
            self.open(other, opened);
        }
    }

    /// Fills the cart from what was opened and what goes with it, and perhaps orders.
    fn buy(&mut self, opened: &[u32]) {
        let mut cart: Vec<u32> = Vec::new();
        for &row in opened {
            let latent = &self.world.latents[row as usize];
            if latent.kind != ItemKind::Product {
                continue;
            }
            let likely = 0.09 + 0.20 * self.world.affinity(row, self.visitor);
            if self.rng.random::<f32>() < likely && !cart.contains(&row) {
                self.emit(EventKind::Cart, &[row], "", "", 0);
                cart.push(row);
            }
        }
        if cart.is_empty() {
            return;
        }
        for percent in [46, 22] {
            let from = cart[self.rng.random_range(0..cart.len() as u32) as usize];
            if self.chance(percent)
                && let Some(other) = self.complement(from)
                && !cart.contains(&other)
            {
                self.emit(EventKind::Cart, &[other], "cart", "", 0);
                cart.push(other);
            }
        }
        if self.chance(64) {
            self.emit(EventKind::Purchase, &cart, "", "", 0);
            let again = |row: &&u32| {
                categories().get(self.world.latents[**row as usize].goods as usize).is_some_and(|g| g.repeat)
            };
            if let Some(row) = cart.iter().find(again) {
                self.memory.bought = row + 1;
            }
        }
    }
}

/// The first of the strongest themes.
fn strongest(themes: &[u8]) -> Theme {
    Theme::ALL.into_iter().max_by_key(|&t| (themes[t as usize], std::cmp::Reverse(t))).unwrap_or(Theme::Family)
}
