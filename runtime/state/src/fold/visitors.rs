//! One visitor, a fold over their own events; and what an event follows in its visitor's sequence.

use super::interest;
use super::trends;
use crate::Catalogue;
use qianmian_core::{DAY_MS, Event, EventKind, Interaction, ItemHistory, ItemRow, TimeMs, Visitor};

/// Interactions kept, newest first.
const RECENT: usize = 256;
/// Lines of one order kept among them: a wholesale order must not push out everything else.
const RECENT_LINES: usize = 64;
/// Items kept; a few more before the least recently touched go, so that this is not done at every event.
const ITEMS: usize = 2000;
const ITEMS_SLACK: usize = 200;
/// Order times kept, newest first.
const ORDER_TIMES: usize = 64;
/// Items looked at within this time of one another were looked at together.
const SESSION: TimeMs = 30 * 60 * 1000;
/// Most items an event is paired with as looked at together.
const SESSION_ITEMS: usize = 20;
/// How far back a sequence is followed: steps (an order is one step), and items over all of them.
const STEPS: usize = 10;
const STEP_ITEMS: usize = 40;
/// Preference below this share of all interest makes no tag.
const PREFERS: f32 = 0.4;

/// One line of an event, its item resolved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    pub row: u32,
    pub quantity: f32,
    /// Unit price paid, or the catalogue's; NaN when neither is known.
    pub price: f32,
}

/// What an event follows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// The event's item is new in this session, beside these.
    pub session: Option<Vec<u32>>,
    /// Items of earlier steps and 1 / (distance * items of that step).
    pub previous: Vec<(u32, f32)>,
    /// The newest step was this one item alone: seeing it again is no step.
    pub same: Option<u32>,
    /// Each line's orders of its item so far, this one included; for purchases.
    pub orders: Vec<u32>,
}

/// The moment an event is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    pub kind: EventKind,
    pub time: TimeMs,
    pub channel: &'a str,
    pub region: &'a str,
    pub attributes: &'a [(String, String)],
    pub traits: &'a [(String, String)],
}

impl<'a> Moment<'a> {
    /// Of an event; 0 means "never" in every fold.
    pub fn of(event: &'a Event) -> Self {
        Self {
            kind: event.kind,
            time: event.time.max(1),
            channel: &event.channel,
            region: &event.region,
            attributes: &event.attributes,
            traits: &event.traits,
        }
    }
}

/// The steps of an event: a list of items looked at is a sequence of single looks; an order and a list shown are one.
pub(crate) fn steps(kind: EventKind, lines: &[Line]) -> impl Iterator<Item = &[Line]> {
    let whole = matches!(kind, EventKind::Purchase | EventKind::Impression) || lines.is_empty();
    lines.chunks(if whole { lines.len().max(1) } else { 1 }).chain(lines.is_empty().then_some(&[][..]))
}

/// Folds one step of an event into its visitor. `lines` are distinct items: one, or those of an order or of a list shown.
pub(crate) fn fold(visitor: &mut Visitor, catalogue: &Catalogue, lines: &[Line], moment: Moment<'_>) -> Trace {
    let Moment { kind, time, .. } = moment;
    let mut trace = trace(visitor, lines, kind, time);
    visitor.version += 1;
    visitor.events = visitor.events.saturating_add(1);
    visitor.first_seen = if visitor.first_seen == 0 { time } else { visitor.first_seen.min(time) };
    // what is late does not say what is used now
    let newest = time >= visitor.last_seen;
    if newest && !moment.channel.is_empty() && *visitor.channel != *moment.channel {
        visitor.channel = moment.channel.into();
    }
    if newest && !moment.region.is_empty() && *visitor.region != *moment.region {
        visitor.region = moment.region.into();
    }
    if time.div_euclid(DAY_MS) > visitor.last_seen.div_euclid(DAY_MS) {
        visitor.active_days = visitor.active_days.saturating_add(1);
    }
    interest::add(visitor, catalogue, lines, &moment);
    interest::note(visitor, &moment);
    visitor.last_seen = visitor.last_seen.max(time);
    if kind == EventKind::Purchase && !lines.is_empty() {
        visitor.orders = visitor.orders.saturating_add(1);
        visitor.last_order = visitor.last_order.max(time);
        let at = visitor.order_times.partition_point(|t| *t > time);
        visitor.order_times.insert(at, time);
        visitor.order_times.truncate(ORDER_TIMES);
    }
    for line in lines {
        let orders = add_line(visitor, *line, kind, time);
        if kind == EventKind::Purchase {
            trace.orders.push(orders);
        }
    }
    if kind != EventKind::Impression && !lines.is_empty() {
        let at = visitor.recent.partition_point(|r| r.time > time);
        let new = lines.iter().take(RECENT_LINES).map(|l| Interaction { item: ItemRow(l.row), kind, time });
        visitor.recent.splice(at..at, new);
        visitor.recent.truncate(RECENT);
    }
    forget(visitor);
    tag(visitor, catalogue);
    trace
}

/// Folds one line; returns the item's orders so far.
fn add_line(visitor: &mut Visitor, line: Line, kind: EventKind, time: TimeMs) -> u32 {
    let Line { row, quantity, price } = line;
    if matches!(kind, EventKind::Search | EventKind::Custom) {
        return 0;
    }
    let history = visitor.items.entry(ItemRow(row)).or_default();
    if kind == EventKind::Impression {
        history.impressions = history.impressions.saturating_add(1);
        history.last_impression = history.last_impression.max(time);
        return history.orders;
    }
    history.last = history.last.max(time);
    match kind {
        EventKind::View | EventKind::Click => history.views = history.views.saturating_add(1),
        EventKind::Cart => history.carts = history.carts.saturating_add(1),
        EventKind::Purchase => {
            history.orders = history.orders.saturating_add(1);
            history.quantity += quantity;
            history.last_order = history.last_order.max(time);
            history.first_order = if history.first_order == 0 { time } else { history.first_order.min(time) };
            let mean = if visitor.order_lines == 0 { 0.0 } else { visitor.price_sum / f64::from(visitor.order_lines) };
            visitor.order_lines = visitor.order_lines.saturating_add(1);
            if price.is_finite() {
                visitor.spend += f64::from(quantity) * f64::from(price);
                visitor.price_sum += f64::from(price);
            } else {
                // Without a price the line must not move the mean.
                visitor.price_sum += mean;
            }
        }
        _ => {}
    }
    history.orders
}

/// Keeps everything within its bounds.
fn forget(visitor: &mut Visitor) {
    if visitor.items.len() > ITEMS + ITEMS_SLACK {
        let touched = |h: &ItemHistory| h.last.max(h.last_impression);
        let mut all: Vec<(TimeMs, ItemRow)> = visitor.items.iter().map(|(row, h)| (touched(h), *row)).collect();
        let excess = all.len() - ITEMS;
        let (oldest, ..) = all.select_nth_unstable(excess);
        for (_, row) in oldest {
            visitor.items.remove(row);
        }
    }
    interest::forget(visitor);
}

/// The base tags: what the visitor prefers, and how far they have come. Tags of other origin stay as they are.
fn tag(visitor: &mut Visitor, catalogue: &Catalogue) {
    let stage = match visitor.stage() {
        "referral" => "stage:referral",
        "revenue" => "stage:revenue",
        "retention" => "stage:retention",
        "activation" => "stage:activation",
        _ => "stage:acquisition",
    };
    // wide enough that the order of the map does not show
    let total = visitor.categories.values().map(|weight| f64::from(*weight)).sum::<f64>() as f32;
    let first = visitor.categories.iter().max_by(|a, b| {
        // by name, because a symbol's number is the process's own
        let name = |symbol: &u32| catalogue.symbols.text(*symbol);
        a.1.total_cmp(b.1).then_with(|| name(b.0).cmp(&name(a.0)))
    });
    let prefers = first.filter(|(_, weight)| **weight >= PREFERS * total && visitor.events >= 3);
    let name = prefers.map(|(symbol, _)| catalogue.symbols.text(*symbol));
    let known = visitor.tags.first().is_some_and(|tag| match (&name, tag.strip_prefix("prefers:")) {
        (Some(name), Some(tag)) => **name == *tag,
        (None, None) => **tag == *stage,
        _ => false,
    });
    if known && visitor.tags.iter().any(|tag| **tag == *stage) {
        return;
    }
    visitor.tags.retain(|tag| !tag.starts_with("prefers:") && !tag.starts_with("stage:"));
    visitor.tags.insert(0, stage.into());
    if let Some(name) = name {
        visitor.tags.insert(0, format!("prefers:{name}").into());
    }
}

fn is_step(kind: EventKind) -> bool {
    trends::interest(kind) > 0.0
}

fn is_look(kind: EventKind) -> bool {
    matches!(kind, EventKind::View | EventKind::Click | EventKind::Cart)
}

/// What stands before an event in the visitor's sequence, by the events' own times.
fn trace(visitor: &Visitor, lines: &[Line], kind: EventKind, time: TimeMs) -> Trace {
    let mut trace = Trace::default();
    let (true, Some(first)) = (is_step(kind), lines.first()) else { return trace };
    let before = &visitor.recent[visitor.recent.partition_point(|r| r.time > time)..];

    if is_look(kind) {
        let mut session = Vec::new();
        for seen in before.iter().take_while(|r| time - r.time <= SESSION).filter(|r| is_look(r.kind)) {
            if session.len() == SESSION_ITEMS {
                break;
            }
            if !session.contains(&seen.item.0) {
                session.push(seen.item.0);
            }
        }
        trace.session = (!session.contains(&first.row)).then_some(session);
    }

    let mut steps = 0;
    let mut at = 0;
    while at < before.len() && steps < STEPS && trace.previous.len() < STEP_ITEMS {
        let start = trace.previous.len();
        let head = before[at];
        let whole_order = |r: &Interaction| r.kind == EventKind::Purchase && head.kind == r.kind && r.time == head.time;
        let len = before[at..].iter().take_while(|r| whole_order(r)).count().max(1);
        for seen in before[at..at + len].iter().filter(|r| is_step(r.kind)) {
            let known = trace.previous.iter().any(|(row, _)| *row == seen.item.0);
            if !known && trace.previous.len() < STEP_ITEMS {
                trace.previous.push((seen.item.0, 0.0));
            }
        }
        at += len;
        let found = trace.previous.len() - start;
        if found > 0 {
            steps += 1;
            let weight = 1.0 / (steps * found) as f32;
            trace.previous[start..].iter_mut().for_each(|(_, w)| *w = weight);
            if steps == 1 && found == 1 {
                trace.same = trace.previous.first().map(|(row, _)| *row);
            }
        }
    }
    trace
}
