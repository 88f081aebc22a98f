//! Drafts of products: every category is a grid of choices from which as many cells as needed are drawn.

use super::super::goods::Goods;
use super::super::places::{ABROAD, City, DOMESTIC, HUBS, ZONES};
use super::super::themes::{Bi, THEMES, Theme};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A product before it has an id.
pub(super) struct Draft {
    pub title: (String, String),
    pub text: (String, String),
    pub brand: Bi,
    pub brand_at: u16,
    pub price: f32,
    pub themes: [u8; THEMES],
    pub mark: String,
    /// The only region it is sold in.
    pub region: Option<&'static str>,
}

/// Up to `count` different drafts of a category.
pub(super) fn draw(goods: &'static Goods, count: usize, rng: &mut ChaCha8Rng) -> Vec<Draft> {
    let grid: Vec<usize> = match goods.slug {
        "flights.domestic" => vec![goods.brands.len(), HUBS, DOMESTIC.len(), goods.variants.len()],
        "flights.international" => vec![goods.brands.len(), HUBS, ABROAD.len(), goods.variants.len()],
        "hotels" => vec![goods.brands.len(), 2, DOMESTIC.len() + ABROAD.len(), goods.variants.len()],
        "roaming.packs" | "roaming.esim" => vec![goods.brands.len(), 4, ZONES.len(), goods.variants.len()],
        _ => vec![goods.brands.len(), goods.series.len(), goods.nouns.len(), goods.variants.len()],
    };
    let cells = grid.iter().product::<usize>();
    let mut order: Vec<u32> = (0..cells as u32).collect();
    let mut drafts = Vec::with_capacity(count.min(cells));
    for at in 0..cells {
        if drafts.len() == count {
            break;
        }
        let other = rng.random_range(at as u32..cells as u32) as usize;
        order.swap(at, other);
        let mut cell = order[at] as usize;
        let mut pick = |of: usize| {
            let chosen = cell % of;
            cell /= of;
            chosen
        };
        let [brand, second, third, variant] = [pick(grid[0]), pick(grid[1]), pick(grid[2]), pick(grid[3])];
        let draft = match goods.slug {
            "flights.domestic" => flight(goods, brand, &DOMESTIC[second], &DOMESTIC[third], variant, rng),
            "flights.international" => flight(goods, brand, &DOMESTIC[second], &ABROAD[third], variant, rng),
            "hotels" => hotel(goods, brand, second, third, variant, rng),
            "roaming.packs" | "roaming.esim" => Some(roaming(goods, brand, second, third, variant, rng)),
            _ => table(goods, brand, second, third, variant, rng),
        };
        drafts.extend(draft);
    }
    drafts
}

/// 100, 60 and 40 for the themes in order; what two lists name is added and capped.
fn strengths(lists: &[&[Theme]]) -> [u8; THEMES] {
    let mut themes = [0u8; THEMES];
    for list in lists {
        for (theme, strength) in list.iter().zip([100u8, 60, 40]) {
            let at = *theme as usize;
            themes[at] = themes[at].saturating_add(strength).min(100);
        }
    }
    themes
}

/// The theme a variant's words speak to.
fn variant_theme(name: &str) -> &'static [Theme] {
    match name {
        "公务舱" | "行政房" => &[Theme::Business],
        "亲子套票" | "亲子家庭房" => &[Theme::Family],
        "学生特惠" | "青旅四人间" => &[Theme::Student],
        "海景露台房" => &[Theme::Island],
        "观星木屋" => &[Theme::Outdoors],
        _ => &[],
    }
}

/// A price as shops write it: 39.9, 129, 1,299, 12,990.
fn price(raw: f32) -> f32 {
    if raw < 20.0 {
        (raw.max(4.0) as i32) as f32 + 0.9
    } else if raw < 1000.0 {
        ((raw / 10.0) as i32 * 10 + 9) as f32
    } else if raw < 10_000.0 {
        ((raw / 100.0) as i32 * 100 + 99) as f32
    } else {
        ((raw / 1000.0) as i32 * 1000 + 990) as f32
    }
}

/// Dearer and cheaper brands and series, the same for every product of theirs.
fn standing(place: usize, of: usize) -> f32 {
    0.78 + 0.5 * (place as f32 + 0.5) / of as f32
}

fn noise(rng: &mut ChaCha8Rng) -> f32 {
    rng.random_range(92..=108u32) as f32 / 100.0
}

fn blurb(goods: &Goods, more: (&str, &str)) -> (String, String) {
    (format!("{}{}", more.0, goods.blurb.0), format!("{} {}", more.1, goods.blurb.1))
}

fn table(
    goods: &'static Goods,
    brand: usize,
    series: usize,
    noun: usize,
    variant: usize,
    rng: &mut ChaCha8Rng,
) -> Option<Draft> {
    let (maker, line, noun, variant) =
        (goods.brands[brand], goods.series[series], &goods.nouns[noun], &goods.variants[variant]);
    // Nobody snorkels in Xi'an.
    let seaside = ["三亚", "香港", "新加坡", "曼谷"];
    if goods.slug == "tours" && noun.themes[0] == Theme::Island && !seaside.contains(&line.0) {
        return None;
    }
    let face_value = goods.slug == "giftcards";
    let raw = noun.price * variant.factor * standing(brand, goods.brands.len()) * standing(series, goods.series.len());
    let region = if goods.slug.starts_with("plans") && rng.random_range(0..100u32) < 30 {
        // Carriers sell some plans in one province only.
        Some(["CN-SH", "CN-BJ", "CN-GD", "CN-ZJ", "CN-SC", "CN-HB", "HK"][rng.random_range(0..7u32) as usize])
    } else {
        None
    };
    Some(Draft {
        title: (
            format!("{} {}{} {}", maker.0, spaced(line.0), noun.name.0, variant.name.0),
            format!("{} {} {}, {}", maker.1, line.1, noun.name.1, variant.name.1),
        ),
        text: blurb(goods, (&format!("{}。", noun.name.0), &format!("{}.", capital(noun.name.1)))),
        brand: maker,
        brand_at: brand as u16,
        price: if face_value { noun.price * variant.factor } else { price(raw * noise(rng)) },
        themes: strengths(&[noun.themes]),
        mark: variant.mark.to_owned(),
        region,
    })
}

/// Latin series names stand apart from the Chinese noun.
fn spaced(series: &str) -> String {
    if series.ends_with(|c: char| c.is_ascii_alphanumeric()) { format!("{series} ") } else { series.to_owned() }
}

fn flight(
    goods: &'static Goods,
    brand: usize,
    from: &City,
    to: &'static City,
    variant: usize,
    rng: &mut ChaCha8Rng,
) -> Option<Draft> {
    if from.code == to.code {
        return None;
    }
    let (maker, variant) = (goods.brands[brand], &goods.variants[variant]);
    let raw = (to.fare + from.fare * 0.25) * variant.factor * standing(brand, goods.brands.len());
    let number = rng.random_range(1001..9899u32);
    Some(Draft {
        title: (
            format!("{}—{} {} {}", from.zh, to.zh, variant.name.0, maker.0),
            format!("{} to {}, {}, {}", from.en, capital(to.en), variant.name.1, maker.1),
        ),
        text: blurb(goods, (&format!("{}{number}次航班。", maker.0), &format!("Flight {number} of {}.", maker.1))),
        brand: maker,
        brand_at: brand as u16,
        price: price(raw * noise(rng)),
        themes: strengths(&[to.themes, variant_theme(variant.name.0)]),
        mark: format!("{}→{}", from.code, to.code),
        region: None,
    })
}

fn hotel(
    goods: &'static Goods,
    brand: usize,
    wing: usize,
    place: usize,
    variant: usize,
    rng: &mut ChaCha8Rng,
) -> Option<Draft> {
    let to = if place < DOMESTIC.len() { &DOMESTIC[place] } else { &ABROAD[place - DOMESTIC.len()] };
    let (maker, variant) = (goods.brands[brand], &goods.variants[variant]);
    let needs = match variant.name.0 {
        "海景露台房" => Some(Theme::Island),
        "观星木屋" => Some(Theme::Outdoors),
        _ => None,
    };
    if needs.is_some_and(|theme| !to.themes.contains(&theme)) {
        return None;
    }
    // Rooms cost less than the flight there, and do not grow as steeply.
    let raw = (260.0 + to.fare * 0.22) * variant.factor * standing(brand, goods.brands.len());
    let quarter = [("老城", "Old Town"), ("新城", "New Quarter")][wing];
    Some(Draft {
        title: (
            format!("{}酒店·{}{} {}", maker.0, to.zh, quarter.0, variant.name.0),
            format!("{} {} {}, {}", maker.1, capital(to.en), quarter.1, variant.name.1.to_lowercase()),
        ),
        text: blurb(goods, (&format!("{}步行可达。", quarter.0), &format!("In the {}.", quarter.1))),
        brand: maker,
        brand_at: brand as u16,
        price: price(raw * noise(rng)),
        themes: strengths(&[to.themes, variant_theme(variant.name.0)]),
        mark: variant.mark.to_owned(),
        region: None,
    })
}

fn roaming(
    goods: &'static Goods,
    brand: usize,
    tier: usize,
    place: usize,
    variant: usize,
    rng: &mut ChaCha8Rng,
) -> Draft {
    let (zh, en, factor, themes) = ZONES[place];
    let (maker, variant) = (goods.brands[brand], &goods.variants[variant]);
    let tier_name = [("标准", "Standard"), ("高速", "Fast"), ("商务", "Business"), ("多人", "Shared")][tier];
    let raw = 16.0 * factor * variant.factor * standing(brand, goods.brands.len()) * [0.9, 1.1, 1.35, 1.5][tier];
    let own: &[Theme] = match tier {
        2 => &[Theme::Roaming, Theme::Business],
        3 => &[Theme::Roaming, Theme::Family],
        _ => &[Theme::Roaming],
    };
    Draft {
        title: (
            format!("{} {}{}漫游 {}", maker.0, zh, tier_name.0, variant.name.0),
            format!("{} {} roaming, {}, {}", maker.1, capital(en), tier_name.1.to_lowercase(), variant.name.1),
        ),
        text: blurb(goods, (&format!("覆盖{zh}。"), &format!("Covers {en}."))),
        brand: maker,
        brand_at: brand as u16,
        price: price(raw * noise(rng)),
        themes: strengths(&[own, &themes[..themes.len().min(1)]]),
        mark: variant.mark.to_owned(),
        region: None,
    }
}

/// "the Maldives" at the start of a phrase.
fn capital(name: &str) -> String {
    let name = name.strip_prefix("the ").unwrap_or(name);
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
