//! What is not sold: articles, offers, words and channels.

use super::super::goods::Goods;
use super::super::places::{ABROAD, CHANNELS, DOMESTIC, REGIONS};
use super::super::themes::{Bi, THEMES, Theme};
use super::super::words;
use super::{Latent, Made, NO_GOODS, base, categories, fill, mark, popularity, put, slugs, tags};
use qianmian_core::{DAY_MS, ItemKind, TimeMs};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

/// Something to write about.
struct Piece {
    title: (String, String),
    about: Bi,
    themes: [u8; THEMES],
    /// The category it is about, if any.
    goods: u16,
    mark: &'static str,
}

fn one_theme(theme: Theme) -> [u8; THEMES] {
    let mut themes = [0; THEMES];
    themes[theme as usize] = 100;
    themes
}

/// The themes of a category: how often its nouns name each, the strongest at 100.
fn category_themes(goods: u16) -> [u8; THEMES] {
    let mut counts = [0u32; THEMES];
    for noun in categories()[goods as usize].nouns {
        for (theme, points) in noun.themes.iter().zip([3, 2, 1]) {
            counts[*theme as usize] += points;
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    counts.map(|c| (c * 100 / most) as u8)
}

/// Fills `{}` with a category's name; in English it starts small inside a sentence and large in front.
fn fill_category(template: Bi, goods: &Goods) -> (String, String) {
    let mut letters = goods.name.1.chars();
    let small: String = letters.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(letters).collect();
    let name = if template.1.starts_with("{}") { goods.name.1 } else { &small };
    (template.0.replacen("{}", goods.name.0, 1), template.1.replacen("{}", name, 1))
}

/// Random order of `0..count`.
fn shuffled(count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        order.swap(at, rng.random_range(0..=at as u32) as usize);
    }
    order
}

fn latent(kind: ItemKind, goods: u16, themes: [u8; THEMES], weight: f32, age: u32) -> Latent {
    Latent { kind, goods, brand: 0, level: 2, price: 0.0, themes, weight, region: "", from: age, to: 0 }
}

pub(super) fn articles(made: &mut Made, count: usize, now: TimeMs, rng: &mut ChaCha8Rng) {
    let mut pieces = Vec::new();
    for theme in Theme::ALL {
        for (template, mark) in words::guides(theme).into_iter().zip(["攻略", "指南", "手记"]) {
            for city in DOMESTIC.iter().chain(ABROAD) {
                let about = (city.zh, city.en);
                let mut themes = one_theme(theme);
                for (own, strength) in city.themes.iter().zip([40u8, 25]) {
                    let at = *own as usize;
                    themes[at] = themes[at].max(strength);
                }
                pieces.push(Piece { title: fill(template, about), about, themes, goods: NO_GOODS, mark });
            }
        }
    }
    // Buying guides are kept whole; of the guides to places a share is drawn.
    let order = shuffled(pieces.len(), rng);
    let mut chosen: Vec<usize> = Vec::new();
    let guides = categories().len() * words::BUYING.len();
    chosen.extend(order.iter().copied().take(count.saturating_sub(guides.min(count / 3))));
    let mut pieces: Vec<Option<Piece>> = pieces.into_iter().map(Some).collect();
    let mut kept: Vec<Piece> = chosen.iter().filter_map(|&at| pieces[at].take()).collect();
    for at in shuffled(guides, rng) {
        if kept.len() == count {
            break;
        }
        let goods = categories()[at % categories().len()];
        let template = words::BUYING[at / categories().len()];
        let themes = category_themes((at % categories().len()) as u16);
        kept.push(Piece {
            title: fill_category(template, goods),
            about: goods.name,
            themes,
            goods: (at % categories().len()) as u16,
            mark: "选购",
        });
    }
    let weights = popularity(kept.len(), rng);
    for (number, (piece, weight)) in kept.into_iter().zip(weights).enumerate() {
        let age = rng.random_range(0..300u32);
        let mut item = base(format!("A{:05}", number + 1), ItemKind::Content, &piece.title, now, age, rng);
        let body = if piece.goods == NO_GOODS { &words::PLACE_BODY } else { &words::GOODS_BODY };
        let first = rng.random_range(0..body.len() as u32) as usize;
        let sentences: Vec<(String, String)> =
            (0..3).map(|n| fill(body[(first + n) % body.len()], piece.about)).collect();
        item.text = sentences.iter().map(|s| s.0.as_str()).collect();
        let english: Vec<&str> = sentences.iter().map(|s| s.1.as_str()).collect();
        put(&mut item, "text_en", english.join(" "));
        mark(&mut item, piece.mark);
        put(&mut item, "category_zh", "专栏");
        put(&mut item, "category_en", "Stories");
        item.attributes.insert("minutes".to_owned(), json!(rng.random_range(2..12u32)));
        item.categories = vec!["stories".to_owned()];
        if piece.goods != NO_GOODS {
            item.categories.push(format!("stories.{}", categories()[piece.goods as usize].slug));
        }
        item.tags = tags(&piece.themes);
        item.brand = "千面编辑部".to_owned();
        put(&mut item, "brand_en", "Qianmian editors");
        item.url = format!("/item/{}", item.id);
        made.latents.push(latent(ItemKind::Content, piece.goods, piece.themes, weight, age));
        made.items.push(item);
    }
}

pub(super) fn offers(made: &mut Made, count: usize, now: TimeMs, rng: &mut ChaCha8Rng) {
    const LADDER: [(u32, u32); 6] = [(99, 10), (199, 25), (499, 60), (999, 150), (1999, 320), (4999, 900)];
    let weights = popularity(count, rng);
    for (number, weight) in weights.into_iter().enumerate() {
        let goods_at = (number % categories().len()) as u16;
        let goods = categories()[goods_at as usize];
        let (threshold, off) = LADDER[rng.random_range(0..LADDER.len() as u32) as usize];
        // Every fourth is a campaign of a theme, the others are coupons of a category.
        let theme = Theme::ALL[rng.random_range(0..THEMES as u32) as usize];
        let campaign = number % 4 == 3;
        let (title, themes) = if campaign {
            let percent = [95, 9, 85, 8][rng.random_range(0..4u32) as usize];
            let off = if percent < 10 { 100 - percent * 10 } else { 100 - percent };
            let name = theme.name();
            ((format!("{}专场 {percent}折", name.0), format!("{}: {off}% off", name.1)), one_theme(theme))
        } else {
            (
                (
                    format!("{}券 满{threshold}减{off}", goods.name.0),
                    format!("{}: ¥{off} off ¥{threshold}", goods.name.1),
                ),
                category_themes(goods_at),
            )
        };
        let age = rng.random_range(1..40u32);
        let mut item = base(format!("O{:05}", number + 1), ItemKind::Offer, &title, now, age, rng);
        let left = match rng.random_range(0..100u32) {
            0..12 => -rng.random_range(1..20i64),
            _ => rng.random_range(2..45),
        };
        let starts = if rng.random_range(0..100u32) < 6 { rng.random_range(1..9i64) } else { -i64::from(age) };
        item.valid_from = Some(now + starts * DAY_MS);
        item.valid_to = Some(now + left.max(starts + 1).min(60) * DAY_MS);
        if left < 0 {
            item.valid_to = Some(now + left.max(starts + 1).min(-1) * DAY_MS);
            item.valid_from = Some(now - i64::from(age + 21) * DAY_MS);
        }
        item.text = "下单自动抵扣,可与会员价同享。".to_owned();
        put(&mut item, "text_en", "Taken off at checkout, on top of member prices.");
        mark(&mut item, if campaign { "SALE".to_owned() } else { format!("-{off}") });
        put(&mut item, "category_zh", if campaign { "活动" } else { "优惠券" });
        put(&mut item, "category_en", if campaign { "Campaigns" } else { "Coupons" });
        item.attributes.insert("threshold".to_owned(), json!(threshold));
        item.attributes.insert("off".to_owned(), json!(off));
        item.categories = vec!["offers".to_owned()];
        if !campaign {
            item.categories.extend(slugs(goods.slug));
        }
        item.tags = tags(&themes);
        item.url = format!("/item/{}", item.id);
        if rng.random_range(0..100u32) < 10 {
            item.channels = vec![["app", "mini-program", "store"][rng.random_range(0..3u32) as usize].to_owned()];
        }
        if rng.random_range(0..100u32) < 12 {
            item.regions = vec![REGIONS[rng.random_range(0..REGIONS.len() as u32) as usize].0.to_owned()];
        }
        let mut latent = latent(ItemKind::Offer, if campaign { NO_GOODS } else { goods_at }, themes, weight, age);
        if starts > 0 || !item.regions.is_empty() {
            latent.weight = 0.0;
        }
        if left < 0 {
            latent.from = age + 21;
            latent.to = left.unsigned_abs() as u32;
        }
        made.latents.push(latent);
        made.items.push(item);
    }
}

pub(super) fn copy(made: &mut Made, count: usize, now: TimeMs, rng: &mut ChaCha8Rng) {
    let mut lines: Vec<(String, String, [u8; THEMES], u16)> = Vec::new();
    for theme in Theme::ALL {
        for line in theme.lines() {
            lines.push((line.0.to_owned(), line.1.to_owned(), one_theme(theme), NO_GOODS));
        }
    }
    for template in words::LINES {
        for (at, goods) in categories().iter().enumerate() {
            let (zh, en) = fill_category(template, goods);
            lines.push((zh, en, category_themes(at as u16), at as u16));
        }
    }
    lines.truncate(count.max(Theme::ALL.len() * 3));
    for (number, (zh, en, themes, goods)) in lines.into_iter().enumerate() {
        let mut item = base(format!("W{:05}", number + 1), ItemKind::Copy, &(zh, en), now, 30, rng);
        item.categories = vec!["copy".to_owned()];
        if goods != NO_GOODS {
            item.categories.push(format!("copy.{}", categories()[goods as usize].slug));
        }
        item.tags = tags(&themes);
        made.latents.push(latent(ItemKind::Copy, goods, themes, 0.0, 30));
        made.items.push(item);
    }
}

pub(super) fn channels(made: &mut Made, now: TimeMs) {
    for &(id, zh, en, _) in CHANNELS {
        let mut item = qianmian_state::Item {
            id: format!("channel-{id}"),
            kind: ItemKind::Channel,
            title: zh.to_owned(),
            created: Some(now - 400 * DAY_MS),
            categories: vec!["channels".to_owned()],
            ..Default::default()
        };
        put(&mut item, "title_en", en);
        made.latents.push(latent(ItemKind::Channel, NO_GOODS, [0; THEMES], 0.0, 400));
        made.items.push(item);
    }
}
