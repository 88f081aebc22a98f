//! The catalogue: drafts from tables and places become items, with what the event generator must know of each.

mod drafts;
mod editorial;

use super::Scale;
use super::goods::{self, Goods};
use super::themes::{Bi, THEMES, Theme};
use drafts::Draft;
use qianmian_core::{DAY_MS, ItemKind, TimeMs};
use qianmian_state::{Item, Stock};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::sync::OnceLock;

/// The category of what has none.
pub(crate) const NO_GOODS: u16 = u16::MAX;

/// What the event generator knows of an item.
#[derive(Clone, Debug)]
pub(crate) struct Latent {
    pub kind: ItemKind,
    /// Index into [`categories`], or [`NO_GOODS`].
    pub goods: u16,
    /// Index into the category's brands.
    pub brand: u16,
    /// Price level within the category, 0 to 4.
    pub level: u8,
    pub price: f32,
    /// Strength of each theme, 0 to 100.
    pub themes: [u8; THEMES],
    /// Popularity, independent of theme.
    pub weight: f32,
    /// Only visitors from here see it; empty means everybody.
    pub region: &'static str,
    /// The days before `now` between which it can be met: `from >= day >= to`.
    pub from: u32,
    pub to: u32,
}

/// Items with their latents, aligned.
pub(crate) struct Made {
    pub items: Vec<Item>,
    pub latents: Vec<Latent>,
}

/// Every category, in the order of product ids.
pub(crate) fn categories() -> &'static [&'static Goods] {
    static ALL: OnceLock<Vec<&'static Goods>> = OnceLock::new();
    ALL.get_or_init(|| {
        let places =
            [&goods::DOMESTIC_FLIGHTS, &goods::INTERNATIONAL_FLIGHTS, &goods::HOTELS, &goods::ROAMING, &goods::ESIM];
        places.into_iter().chain(goods::tables()).collect()
    })
}

pub(super) fn make(seed: u64, scale: Scale, now: TimeMs) -> Made {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6974_656d);
    let mut made = Made { items: Vec::new(), latents: Vec::new() };
    for (at, goods) in categories().iter().enumerate() {
        let count = scaled(goods.count, scale);
        let mut drafts = drafts::draw(goods, count, &mut rng);
        let levels = levels(&drafts);
        let popularity = popularity(drafts.len(), &mut rng);
        for ((draft, level), weight) in drafts.drain(..).zip(levels).zip(popularity) {
            product(&mut made, at as u16, draft, level, weight, now, &mut rng);
        }
    }
    editorial::articles(&mut made, scaled(1350, scale), now, &mut rng);
    editorial::offers(&mut made, scaled(600, scale), now, &mut rng);
    editorial::copy(&mut made, scaled(320, scale), now, &mut rng);
    editorial::channels(&mut made, now);
    made
}

/// A share of the full scale, at least a handful so that every category is there in tests.
fn scaled(of_full: u32, scale: Scale) -> usize {
    let share = u64::from(of_full) * u64::from(scale.items) / u64::from(Scale::FULL.items);
    (share as usize).max(4)
}

/// The fifth of the category's prices each draft lies in.
fn levels(drafts: &[Draft]) -> Vec<u8> {
    let mut order: Vec<usize> = (0..drafts.len()).collect();
    order.sort_by(|&a, &b| drafts[a].price.total_cmp(&drafts[b].price).then(a.cmp(&b)));
    let mut levels = vec![0; drafts.len()];
    for (rank, at) in order.into_iter().enumerate() {
        levels[at] = (rank * 5 / drafts.len()) as u8;
    }
    levels
}

/// Zipf-like weights in random order, sum about 1 whatever the count: categories are equally busy.
fn popularity(count: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut weights: Vec<f32> = (0..count).map(|rank| 1.0 / (1.6 + rank as f32)).collect();
    for at in (1..count).rev() {
        weights.swap(at, rng.random_range(0..=at as u32) as usize);
    }
    let total: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= total);
    weights
}

/// Fills `{}`.
pub(super) fn fill(template: Bi, with: Bi) -> (String, String) {
    (template.0.replacen("{}", with.0, 1), template.1.replacen("{}", with.1, 1))
}

fn product(made: &mut Made, goods_at: u16, draft: Draft, level: u8, weight: f32, now: TimeMs, rng: &mut ChaCha8Rng) {
    let goods = categories()[goods_at as usize];
    let age = if rng.random_range(0..100u32) < 3 { rng.random_range(0..6) } else { rng.random_range(6..400u32) };
    let mut item = base(format!("P{:05}", made.items.len() + 1), ItemKind::Product, &draft.title, now, age, rng);
    let mut from = age;
    let mut to = 0;
    item.text = draft.text.0;
    item.price = Some(draft.price);
    item.currency = "CNY".to_owned();
    item.categories = slugs(goods.slug);
    item.tags = tags(&draft.themes);
    item.brand = draft.brand.0.to_owned();
    item.merchant = "千面商城".to_owned();
    item.url = format!("/item/{}", item.id);
    item.regions = draft.region.iter().map(|&r| r.to_owned()).collect();
    item.stock = if goods.digital {
        Stock::default()
    } else {
        let sellable = match rng.random_range(0..100u32) {
            0..3 => 0,
            3..9 => rng.random_range(1..6),
            _ => rng.random_range(12..600),
        };
        Stock { sellable: Some(sellable), locked: Some(sellable / 20), ..Stock::default() }
    };
    match rng.random_range(0..200u32) {
        0..3 => {
            let ended = rng.random_range(1..15);
            item.valid_to = Some(now - i64::from(ended) * DAY_MS);
            to = ended;
        }
        3..5 => {
            item.valid_from = Some(now + rng.random_range(2..20) * DAY_MS);
            from = 0;
            to = 1;
        }
        5..9 => item.channels = vec!["app".to_owned(), "mini-program".to_owned()],
        _ => {}
    }
    let rating = 40 + rng.random_range(0..10u32).max(rng.random_range(0..10));
    put(&mut item, "text_en", draft.text.1);
    put(&mut item, "brand_en", draft.brand.1);
    put(&mut item, "category_zh", goods.name.0);
    put(&mut item, "category_en", goods.name.1);
    mark(&mut item, draft.mark);
    item.attributes.insert("rating".to_owned(), json!(f64::from(rating) / 10.0));
    item.attributes.insert("level".to_owned(), json!(level));
    if rng.random_range(0..100u32) < 22 {
        let list = f64::from(draft.price) * f64::from(rng.random_range(112..145u32)) / 100.0;
        item.attributes.insert("list_price".to_owned(), json!(list as i64));
    }
    if goods.slug.starts_with("flights") || goods.slug == "miles" {
        item.attributes.insert("miles".to_owned(), json!((draft.price * 0.6) as i64));
    }
    made.latents.push(Latent {
        kind: ItemKind::Product,
        goods: goods_at,
        brand: draft.brand_at,
        level,
        price: draft.price,
        themes: draft.themes,
        weight,
        region: draft.region.unwrap_or(""),
        from,
        to,
    });
    made.items.push(item);
}

/// An item with what every kind has.
fn base(
    id: String,
    kind: ItemKind,
    title: &(String, String),
    now: TimeMs,
    age_days: u32,
    rng: &mut ChaCha8Rng,
) -> Item {
    let mut item = Item { id, kind, title: title.0.clone(), ..Item::default() };
    item.created = Some(now - i64::from(age_days) * DAY_MS - rng.random_range(0..DAY_MS));
    put(&mut item, "title_en", title.1.clone());
    item
}

fn put(item: &mut Item, name: &str, value: impl Into<String>) {
    let value = value.into();
    if !value.is_empty() {
        item.attributes.insert(name.to_owned(), value.into());
    }
}

/// The large letters of the item's tile, with English ones where the Chinese would not be understood.
fn mark(item: &mut Item, mark: impl Into<String>) {
    let mark = mark.into();
    let english = match mark.as_str() {
        "1次" | "1人" => "×1",
        "2次" | "2人" => "×2",
        "5次" => "×5",
        "6次" => "×6",
        "年" => "1 YR",
        "1晚" => "1 NT",
        "1床" => "BED",
        "学" => "EDU",
        "限量" => "LTD",
        "礼盒" => "GIFT",
        "尝鲜" => "TRY",
        "学期" => "TERM",
        "学年" => "YEAR",
        "90天" => "90 D",
        "攻略" => "GUIDE",
        "指南" => "TIPS",
        "手记" => "NOTES",
        "选购" => "PICKS",
        _ => "",
    };
    put(item, "mark_en", english);
    put(item, "mark", mark);
}

/// `luggage.carry-on` is in `luggage` and in `luggage.carry-on`.
fn slugs(slug: &str) -> Vec<String> {
    match slug.split_once('.') {
        Some((general, _)) => vec![general.to_owned(), slug.to_owned()],
        None => vec![slug.to_owned()],
    }
}

fn tags(themes: &[u8; THEMES]) -> Vec<String> {
    let mut strong: Vec<Theme> = Theme::ALL.into_iter().filter(|&t| themes[t as usize] >= 35).collect();
    strong.sort_by_key(|&t| std::cmp::Reverse(themes[t as usize]));
    strong.into_iter().map(|t| t.tag().to_owned()).collect()
}
