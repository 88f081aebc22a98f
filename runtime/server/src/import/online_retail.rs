//! Preset `online-retail`: the UCI Online Retail order lines (InvoiceNo, StockCode, Description, Quantity, InvoiceDate,
//! UnitPrice, CustomerID, Country) become items and one purchase event an invoice.

use super::{Imported, Rejects, open};
use anyhow::Context;
use qianmian_core::{Event, EventKind, TimeMs};
use qianmian_state::Item;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::path::Path;

/// One order line that is a sale of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The order.
    pub invoice: String,
    /// The item.
    pub item: String,
    /// Its title on this line.
    pub title: String,
    /// Units.
    pub quantity: f32,
    /// When.
    pub time: TimeMs,
    /// Unit price in GBP.
    pub price: f32,
    /// The customer; empty for an anonymous order.
    pub customer: String,
    /// The customer's country.
    pub country: String,
}

/// Reads the sales before `until`; cancellations, fees and rows without quantity or price are listed as rejects.
///
/// # Errors
/// When the file cannot be read or lacks a column.
pub fn lines(path: &Path, until: Option<TimeMs>) -> anyhow::Result<(Vec<Line>, Rejects)> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(open(path)?);
    let headers = reader.byte_headers().with_context(|| format!("{} has no header", path.display()))?.clone();
    let column = |name: &str| {
        headers.iter().position(|h| h.trim_ascii() == name.as_bytes()).with_context(|| {
            format!("{}: no column {name}; expected the columns of the UCI Online Retail file", path.display())
        })
    };
    let at = [
        column("InvoiceNo")?,
        column("StockCode")?,
        column("Description")?,
        column("Quantity")?,
        column("InvoiceDate")?,
        column("UnitPrice")?,
        column("CustomerID")?,
        column("Country")?,
    ];
    let (mut sales, mut rejects) = (Vec::new(), Rejects::default());
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        let number = record.position().map_or(0, csv::Position::line);
        let text = |i: usize| String::from_utf8_lossy(record.get(at[i]).unwrap_or_default()).trim().to_owned();
        match line(text) {
            Ok(line) if until.is_some_and(|until| line.time >= until) => {}
            Ok(line) => sales.push(line),
            Err(reason) => {
                let row = record.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
                rejects.push(number, reason, row);
            }
        }
    }
    Ok((sales, rejects))
}

fn line(text: impl Fn(usize) -> String) -> Result<Line, &'static str> {
    let invoice = text(0);
    let item = text(1);
    if invoice.starts_with('C') {
        return Err("cancellation");
    }
    let digits = item.bytes().take_while(u8::is_ascii_digit).count();
    if digits != 5 || !item.bytes().skip(5).all(|b| b.is_ascii_alphabetic()) {
        return Err("fee_or_service");
    }
    let quantity: f32 = text(3).parse().map_err(|_| "bad_quantity")?;
    let price: f32 = text(5).parse().map_err(|_| "bad_price")?;
    let time = minute(&text(4)).ok_or("bad_time")?;
    if quantity <= 0.0 {
        return Err("quantity_not_positive");
    }
    if price <= 0.0 {
        return Err("price_not_positive");
    }
    // The file writes customers as decimals ("17850.0").
    let customer = text(6).trim_end_matches(".0").to_owned();
    Ok(Line { invoice, item, title: text(2), quantity, time, price, customer, country: text(7) })
}

/// `2010-12-01 08:26:00` as UTC.
fn minute(text: &str) -> Option<TimeMs> {
    let civil: jiff::civil::DateTime = text.replace(' ', "T").parse().ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// Reads a file into items and events.
///
/// # Errors
/// As [`lines`].
pub fn read(path: &Path, until: Option<TimeMs>) -> anyhow::Result<Imported> {
    let (sales, rejects) = lines(path, until)?;
    Ok(Imported { items: items(&sales), events: events(&sales), rejects })
}

/// One item a stock code: its most frequent title, its last price, created at its first sale.
fn items(sales: &[Line]) -> Vec<Item> {
    struct Seen {
        titles: FxHashMap<String, usize>,
        price: f32,
        created: TimeMs,
    }
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    for line in sales {
        let item = seen.entry(&line.item).or_insert_with(|| Seen {
            titles: FxHashMap::default(),
            price: line.price,
            created: line.time,
        });
        *item.titles.entry(line.title.clone()).or_default() += 1;
        item.price = line.price;
    }
    seen.into_iter()
        .map(|(id, item)| {
            let title = item.titles.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
            Item {
                id: id.to_owned(),
                title: title.map(|(title, _)| title).unwrap_or_default(),
                price: Some(item.price),
                currency: "GBP".to_owned(),
                created: Some(item.created),
                ..Item::default()
            }
        })
        .collect()
}

/// One purchase an invoice, its items in file order without doubles, quantities added up.
fn events(sales: &[Line]) -> Vec<Event> {
    let mut place: FxHashMap<&str, usize> = FxHashMap::default();
    let mut orders: Vec<Event> = Vec::new();
    let mut item_place: FxHashMap<(usize, &str), usize> = FxHashMap::default();
    for line in sales {
        let at = *place.entry(&line.invoice).or_insert_with(|| {
            orders.push(Event {
                id: format!("online-retail-{}", line.invoice),
                kind: EventKind::Purchase,
                time: line.time,
                visitor: (!line.customer.is_empty()).then(|| line.customer.clone()),
                items: Vec::new(),
                quantities: Vec::new(),
                values: Vec::new(),
                channel: "web".to_owned(),
                region: line.country.clone(),
                scenario: String::new(),
                request_id: String::new(),
                position: 0,
                attributes: Vec::new(),
                traits: Vec::new(),
            });
            orders.len() - 1
        });
        let order = &mut orders[at];
        match item_place.get(&(at, line.item.as_str())) {
            Some(&item) => order.quantities[item] += line.quantity,
            None => {
                item_place.insert((at, &line.item), order.items.len());
                order.items.push(line.item.clone());
                order.quantities.push(line.quantity);
                order.values.push(line.price);
            }
        }
    }
    orders.sort_by_key(|order| order.time);
    orders
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,\"HOLDER, WHITE\",6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
536365,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom
536365,85123A,\"HOLDER, WHITE\",2,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
C536379,71053,LANTERN,-1,2010-12-01 09:41:00,3.39,14527.0,United Kingdom
536370,POST,POSTAGE,3,2010-12-01 08:45:00,18,12583.0,France
536371,71053,,5,2010-12-01 08:46:00,0,,United Kingdom
536372,71053,LANTERN,many,2010-12-01 08:46:00,1,,United Kingdom
536380,71053,LANTERN,1,2011-11-02 10:00:00,3.39,,United Kingdom
";

    #[test]
    fn sales_become_orders_and_the_rest_is_reported() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("retail.csv");
        std::fs::write(&path, FILE).expect("written");
        let until = minute("2011-11-01 00:00:00");
        let imported = read(&path, until).expect("read");
        let counts = imported.rejects.counts();
        assert_eq!(counts["cancellation"], 1);
        assert_eq!(counts["fee_or_service"], 1);
        assert_eq!(counts["price_not_positive"], 1);
        assert_eq!(counts["bad_quantity"], 1);
        assert_eq!(imported.events.len(), 1, "the order after the cut is not there");
        let order = &imported.events[0];
        assert_eq!(order.visitor.as_deref(), Some("17850"));
        assert_eq!(order.items, ["85123A", "71053"]);
        assert_eq!(order.quantities, [8.0, 6.0]);
        assert_eq!(imported.items.len(), 2);
        assert_eq!(imported.items[1].title, "HOLDER, WHITE");
    }
}
