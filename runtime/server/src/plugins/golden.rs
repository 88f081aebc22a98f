//! Golden cases: pages, or a visitor's tags, that an author has looked at and wants again. They travel inside the component, in a custom
//! section, and are composed over the invented shop.

use super::Plugin;
use super::invented::Invented;
use anyhow::{Context, ensure};
use qianmian_core::{Columns, Page, Request, RequestContext, Visitor};
use qianmian_host::{Limits, Outcome, Program, Tagged, section, with_section};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The section's name.
const SECTION: &str = "qianmian:golden";
/// The invented shop's clock.
const NOW: i64 = 1_000_000_000_000;
/// Cases of one component.
const MOST: usize = 50;

/// One case. Only `page`, or of a tagger `tags`, is needed, and that is written by `plugin build --accept`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The file's name without its end.
    #[serde(default)]
    pub name: String,
    /// Items of the invented shop, at most 5,000.
    #[serde(default = "thousand")]
    pub shop: u32,
    /// True for the visitor with a history, false for one that nobody knows.
    #[serde(default)]
    pub known: bool,
    /// The scenario's parameters.
    #[serde(default = "nothing")]
    pub parameters: Value,
    /// Ids of items that are looked at, or in the cart: `i0`, `i1`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// Slots wanted.
    #[serde(default = "dozen")]
    pub limit: u32,
    /// The page that is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Vec<GoldenShelf>>,
    /// The tags that are expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
}

/// A shelf of an expected page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenShelf {
    /// Its id.
    pub id: String,
    /// Ids of its items, in order.
    pub items: Vec<String>,
}

fn thousand() -> u32 {
    1_000
}

fn dozen() -> u32 {
    12
}

fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Golden {
    /// The cases a component brings.
    ///
    /// # Errors
    /// A section that is not what it should be.
    pub fn of(component: &[u8]) -> anyhow::Result<Vec<Self>> {
        let Some(text) = section(component, SECTION) else { return Ok(Vec::new()) };
        let cases: Vec<Self> = serde_json::from_slice(text).context("the golden cases are not what they should be")?;
        ensure!(cases.len() <= MOST, "{} golden cases: at most {MOST}", cases.len());
        Ok(cases)
    }

    /// The page as it is now.
    ///
    /// # Errors
    /// What is wrong with the case, or why there is no page.
    pub fn compose(&self, plugin: &Plugin) -> anyhow::Result<Vec<GoldenShelf>> {
        plugin.check_parameters(&self.parameters)?;
        let outcome = compose(plugin, self.shop, self.known, &self.parameters.to_string(), &self.items, self.limit)?;
        let page = outcome.page?;
        Ok(shelves(self.shop, &page))
    }

    /// The tags as they are now.
    ///
    /// # Errors
    /// What is wrong with the case, or why there are no tags.
    pub fn tag(&self, plugin: &Plugin) -> anyhow::Result<Vec<String>> {
        plugin.check_parameters(&self.parameters)?;
        let given = tag(plugin, self.shop, 1, self.known, &self.parameters.to_string())?.tags?;
        let names = plugin.program.description().tags.iter().zip(given);
        Ok(names.filter(|(_, visitors)| !visitors.is_empty()).map(|(name, _)| name.clone()).collect())
    }

    /// Writes down what comes out now as what is expected.
    fn accept(&mut self, plugin: &Plugin) -> anyhow::Result<()> {
        match plugin.program {
            Program::Strategy(_) => self.page = Some(self.compose(plugin)?),
            Program::Tagger(_) => self.tags = Some(self.tag(plugin)?),
        }
        Ok(())
    }

    /// Holds what comes out now against what is expected.
    ///
    /// # Errors
    /// As [`Golden::compose`] and [`Golden::tag`], and where they differ.
    pub fn check(&self, plugin: &Plugin) -> anyhow::Result<()> {
        match plugin.program {
            Program::Strategy(_) => self.check_page(plugin),
            Program::Tagger(_) => {
                let expected = self.tags.as_ref().context("it has no tags: `plugin build --accept` writes them")?;
                let got = self.tag(plugin)?;
                ensure!(got == *expected, "the tags are {got:?}, expected {expected:?}");
                Ok(())
            }
        }
    }

    fn check_page(&self, plugin: &Plugin) -> anyhow::Result<()> {
        let expected = self.page.as_ref().context("it has no page: `plugin build --accept` writes it")?;
        let got = self.compose(plugin)?;
        for (at, shelf) in expected.iter().enumerate() {
            let Some(now) = got.get(at) else { anyhow::bail!("shelf {} is not there any more", shelf.id) };
            ensure!(now.id == shelf.id, "shelf {} is {}, expected {}", at + 1, now.id, shelf.id);
            let differs =
                (0..shelf.items.len().max(now.items.len())).find(|i| now.items.get(*i) != shelf.items.get(*i));
            if let Some(slot) = differs {
                let said = |item: Option<&String>| item.map_or("nothing", String::as_str).to_owned();
                anyhow::bail!(
                    "shelf {}, slot {} is {}, expected {}",
                    shelf.id,
                    slot + 1,
                    said(now.items.get(slot)),
                    said(shelf.items.get(slot))
                );
            }
        }
        ensure!(got.len() == expected.len(), "{} shelves, expected {}", got.len(), expected.len());
        Ok(())
    }
}

/// One composition over the invented shop, with time enough for a busy machine.
///
/// # Errors
/// An item the shop does not have, or a shop that is too large.
pub(super) fn compose(
    plugin: &Plugin,
    shop: u32,
    known: bool,
    parameters: &str,
    items: &[String],
    limit: u32,
) -> anyhow::Result<Outcome> {
    ensure!(shop <= 5_000, "the shop has {shop} items: at most 5000");
    let invented = Invented { items: shop };
    let rows = invented.rows(items).into_iter().zip(items);
    let items = rows.map(|(row, id)| {
        row.with_context(|| format!("the shop has no item {id:?}: they are i0 to i{}", shop.max(1) - 1))
    });
    let request = Request {
        id: "golden".to_owned(),
        scenario: "smoke".to_owned(),
        visitor: known.then(|| "known".to_owned()),
        items: items.collect::<anyhow::Result<_>>()?,
        limit,
        personalised: true,
        ..Request::default()
    };
    let visitor = if known { invented.known() } else { Visitor::default() };
    let ctx = Arc::new(RequestContext::new(request, Arc::new(visitor), NOW, 1));
    Ok(plugin.strategy()?.compose(ctx, &invented.reach(), parameters, &patient()))
}

/// Asks a tagger about so many visitors of the invented shop, all alike, with time enough for a busy machine.
///
/// # Errors
/// A shop that is too large, or no tagger.
pub(super) fn tag(
    plugin: &Plugin,
    shop: u32,
    visitors: usize,
    known: bool,
    parameters: &str,
) -> anyhow::Result<Tagged> {
    ensure!(shop <= 5_000, "the shop has {shop} items: at most 5000");
    let invented = Invented { items: shop };
    let visitor = if known { invented.known() } else { Visitor::default() };
    let visitors = vec![&visitor; visitors];
    Ok(plugin.tagger()?.tag(&visitors, NOW, &invented.reach().columns, parameters, &patient()))
}

fn patient() -> Limits {
    Limits { wall: Duration::from_secs(1), ..Limits::default() }
}

pub(super) fn shelves(shop: u32, page: &Page) -> Vec<GoldenShelf> {
    let ids = |rows: &[qianmian_core::ItemRow]| {
        Invented { items: shop }.ids(rows).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    page.shelves.iter().map(|shelf| GoldenShelf { id: shelf.id.clone(), items: ids(shelf.slots.rows()) }).collect()
}

/// Puts the cases of a folder (`*.json`) into a component; with `accept` each page is written as it is now, into its
/// file too. Returns the component and how many cases it has.
///
/// # Errors
/// A case that cannot be read, or whose page is another one.
pub fn bundle(folder: &Path, component: &[u8], plugin: &Plugin, accept: bool) -> anyhow::Result<(Vec<u8>, usize)> {
    if !folder.is_dir() {
        return Ok((component.to_vec(), 0));
    }
    let mut files: Vec<_> = std::fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "json"));
    files.sort();
    let mut cases = Vec::with_capacity(files.len());
    for file in &files {
        let place = || format!("the golden case {}", file.display());
        let mut case: Golden = serde_json::from_slice(&std::fs::read(file)?).with_context(place)?;
        case.name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if accept {
            case.accept(plugin).with_context(place)?;
            std::fs::write(file, serde_json::to_string_pretty(&case)? + "\n").with_context(place)?;
        } else {
            case.check(plugin).with_context(|| format!("{}; if it is right now, build with --accept", place()))?;
        }
        cases.push(case);
    }
    ensure!(cases.len() <= MOST, "{} golden cases: at most {MOST}", cases.len());
    let text = serde_json::to_vec(&cases)?;
    Ok(if cases.is_empty() { (component.to_vec(), 0) } else { (with_section(component, SECTION, &text), cases.len()) })
}
