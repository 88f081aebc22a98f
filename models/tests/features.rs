//! Features computed over an invented shop, by hand and by [`FeaturePlan`].

use qianmian_core::{
    Candidates, ColumnValues, Columns, DAY_MS, EventKind, Interaction, ItemRow, ReachError, Request, RequestContext,
    Visitor,
};
use qianmian_models::manifest::Rule;
use qianmian_models::{FeaturePlan, ItemIds, Kind, Manifest};
use serde_json::{Value, json};
use std::sync::Arc;

/// Six items, named by their numbers from 1 on.
struct Shop;

const NAN: f32 = f32::NAN;
const PRICES: [f32; 6] = [1.0, 2.0, 4.0, NAN, 8.0, 16.0];
const BRANDS: [&str; 6] = ["Acme", "Nord", "Acme", "", "Öko", "Acme"];
const TAGS: [&[&str]; 6] = [&["tea", "green"], &["tea"], &["cup"], &[], &["cup", "blue"], &["tea"]];
const TITLES: [&str; 6] = ["Green tea", "绿茶 250 g", "Blue cup", "", "A cup, blue", "Black tea"];
const DATES: [&str; 6] = ["1970-01-09", "1970-01-10T12:00:00Z", "1970-01-12", "", "soon", "1970-01-01"];

fn texts(all: impl Iterator<Item = &'static str>) -> ColumnValues {
    ColumnValues::Texts(all.map(Arc::from).collect())
}

impl Columns for Shop {
    fn column(&self, ctx: &RequestContext, rows: &[ItemRow], name: &str) -> Result<ColumnValues, ReachError> {
        let at = rows.iter().map(|row| row.index());
        Ok(match name {
            "item.price" => ColumnValues::Numbers(at.map(|at| PRICES[at]).collect()),
            "item.brand" => texts(at.map(|at| BRANDS[at])),
            "item.title" => texts(at.map(|at| TITLES[at])),
            "item.attributes.from" => texts(at.map(|at| DATES[at])),
            "item.attributes.size" => texts(at.map(|at| ["1, 2", "[3;4.5]", "1", "", "a,b", "1,2,3"][at])),
            "item.tags" => {
                ColumnValues::Lists(at.map(|at| TAGS[at].iter().map(|tag| Arc::from(*tag)).collect()).collect())
            }
            name if name.starts_with("context.") => {
                let said =
                    ctx.request.context.iter().find(|(key, _)| Some(key.as_str()) == name.strip_prefix("context."));
                ColumnValues::Texts(vec![Arc::from(said.map_or("", |(_, value)| value)); rows.len()])
            }
            _ => {
                let (name, known) = (name.to_owned(), "item.price".to_owned());
                return Err(ReachError::Unknown { what: "column", name, known });
            }
        })
    }

    fn ids(&self, rows: &[ItemRow]) -> Vec<Arc<str>> {
        rows.iter().map(|row| Arc::from((row.0 + 1).to_string())).collect()
    }

    fn rows(&self, _: &[String]) -> Vec<Option<ItemRow>> {
        Vec::new()
    }

    fn vectors(&self, rows: &[ItemRow], space: &str) -> Result<(Vec<f32>, usize), ReachError> {
        assert_eq!(space, "als");
        Ok((rows.iter().flat_map(|row| [row.0 as f32, 0.0]).collect(), 2))
    }
}

const NOW: i64 = 10 * DAY_MS + DAY_MS / 2;

fn context() -> RequestContext {
    let interaction = |item, kind, days: i64| Interaction { item: ItemRow(item), kind, time: NOW - days * DAY_MS };
    let visitor = Visitor {
        recent: vec![
            interaction(0, EventKind::View, 0),
            interaction(2, EventKind::Cart, 1),
            interaction(5, EventKind::Purchase, 3),
            interaction(4, EventKind::View, 9),
        ],
        ..Visitor::default()
    };
    let said = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let request = Request {
        context: vec![
            said("query", "green cup"),
            said("user_agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) Version/17.5 Mobile Safari/604.1"),
            said("referer", "https://www.baidu.com/s?wd=tea"),
        ],
        items: vec![ItemRow(1), ItemRow(2)],
        ..Request::default()
    };
    RequestContext::new(request, Arc::new(visitor), NOW, 1)
}

fn manifest(features: Value) -> Manifest {
    let features = serde_json::from_value(features).unwrap();
    let item_ids = Some(ItemIds::Rule(Rule::Numeric));
    Manifest { features, item_ids, vocabulary: Some(6), ..Manifest::new("m", Kind::Ranker) }
}

/// The columns of one feature for the six items.
fn columns(feature: Value) -> Vec<Vec<f32>> {
    let plan = FeaturePlan::of(&manifest(json!([feature]))).unwrap();
    plan.check(&Shop, &[ItemRow(0)]).unwrap();
    let found = (0..6).map(|row| (ItemRow(row), 10.0 - row as f32)).collect();
    let set = Candidates::union(&[(Arc::from("near"), found)]).unwrap();
    let matrix = plan.matrix(&Shop, &context(), &set).unwrap();
    let width = plan.names().len();
    assert_eq!(matrix.len(), 6 * width);
    (0..width).map(|at| matrix.iter().skip(at).step_by(width).copied().collect()).collect()
}

fn assert_is(feature: Value, want: &[[f32; 6]]) {
    let got = columns(feature.clone());
    let same = |g: f32, w: f32| (g.is_nan() && w.is_nan()) || (g - w).abs() < 1e-5;
    let all = got.len() == want.len()
        && got.iter().zip(want).all(|(g, w)| g.len() == 6 && g.iter().zip(w).all(|(g, w)| same(*g, *w)));
    assert!(all, "{feature}: got {got:?}, want {want:?}");
}

#[test]
fn numbers_and_what_is_done_with_them() {
    assert_is(json!("item.price"), &[PRICES]);
    assert_is(json!("source.near.score"), &[[10.0, 9.0, 8.0, 7.0, 6.0, 5.0]]);
    assert_is(json!("source.absent.score"), &[[NAN; 6]]);
    let price = |more: Value| {
        let mut all = json!({"type": "number", "column": "item.price"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    assert_is(price(json!({"missing": -1.0})), &[[1.0, 2.0, 4.0, -1.0, 8.0, 16.0]]);
    assert_is(price(json!({"missing": "mean"})), &[[1.0, 2.0, 4.0, 6.2, 8.0, 16.0]]);
    assert_is(price(json!({"clip": [2, 8]})), &[[2.0, 2.0, 4.0, NAN, 8.0, 8.0]]);
    let log = |x: f32| x.ln_1p();
    assert_is(
        price(json!({"clip": [0, 8], "scale": "log1p", "missing": 0})),
        &[[log(1.0), log(2.0), log(4.0), 0.0, log(8.0), log(8.0)]],
    );
    assert_is(json!({"type": "number", "column": "source.absent.rank", "missing": 99}), &[[99.0; 6]]);
    assert_is(
        json!({"type": "expr", "expr": "item.price > 3.0 ? source.near.rank : 0.0 - 1.0"}),
        &[[-1.0, -1.0, 3.0, -1.0, 5.0, 6.0]],
    );
    assert_is(json!({"type": "expr", "expr": "size(item.tags)"}), &[[2.0, 1.0, 1.0, 0.0, 2.0, 1.0]]);
    assert_is(json!({"type": "position"}), &[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]);
    assert_is(json!({"type": "diversity", "column": "item.price"}), &[[3.0, 2.0, 0.0, NAN, 4.0, 12.0]]);
}

#[test]
fn texts_and_lists() {
    assert_is(
        json!({"type": "string", "column": "item.brand", "values": ["Acme", "Nord"], "missing": 0}),
        &[[1.0, 0.0, 1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]],
    );
    assert_is(
        json!({"type": "string", "column": "item.brand", "values": ["Acme", "Nord"], "encode": "index"}),
        &[[1.0, 2.0, 1.0, NAN, 0.0, 1.0]],
    );
    assert_is(
        json!({"type": "string", "column": "item.tags", "values": ["tea", "blue"]}),
        &[[1.0, 1.0, 0.0, NAN, 0.0, 1.0], [0.0, 0.0, 0.0, NAN, 1.0, 0.0]],
    );
    assert_is(json!({"type": "string", "column": "item.price", "values": ["16"]}), &[[0.0, 0.0, 0.0, NAN, 0.0, 1.0]]);
    assert_is(json!({"type": "word_count", "column": "item.title"}), &[[2.0, 4.0, 2.0, NAN, 3.0, 2.0]]);
    assert_is(json!({"type": "diversity", "column": "item.brand"}), &[[0.6, 1.0, 0.6, NAN, 1.0, 0.6]]);
    assert_is(json!({"type": "diversity", "column": "item.tags"}), &[[0.8, 0.6, 0.8, NAN, 0.9, 0.6]]);
    assert_is(
        json!({"type": "vector", "space": "als", "dimension": 2, "missing": 0}),
        &[[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0.0; 6]],
    );
    assert_is(
        json!({"type": "vector", "column": "item.attributes.size", "dimension": 2}),
        &[[1.0, 3.0, NAN, NAN, NAN, NAN], [2.0, 4.5, NAN, NAN, NAN, NAN]],
    );
}

#[test]
fn matches_of_the_request() {
    let with = |with: &str, method: &str| json!({"type": "field_match", "with": with, "column": "item.title", "method": method});
    let third = 1.0 / 3.0;
    assert_is(with("context.query", "term"), &[[third, 0.0, third, NAN, 0.25, 0.0]]);
    assert_is(with("context.nothing", "term"), &[[NAN; 6]]);
    assert_is(with("anchor.item.title", "exact"), &[[0.0, 1.0, 1.0, NAN, 0.0, 0.0]]);
    assert_is(
        json!({"type": "field_match", "with": "anchor.item.tags", "column": "item.tags", "method": "exact"}),
        &[[1.0, 1.0, 1.0, NAN, 1.0, 1.0]],
    );
    assert_is(json!({"type": "user_agent", "part": "platform", "encode": "index"}), &[[2.0; 6]]);
    assert_is(
        json!({"type": "user_agent", "part": "device", "column": "context.absent", "missing": 0}),
        &[[0.0; 6]; 6],
    );
    let mut media = [[0.0; 6]; 6];
    media[2] = [1.0; 6];
    assert_is(json!({"type": "referer"}), &media);
    assert_is(json!({"type": "referer", "column": "context.absent", "encode": "index"}), &[[1.0; 6]]);
    assert_is(json!({"type": "time_diff", "column": "item.attributes.from"}), &[[2.5, 1.0, -0.5, NAN, NAN, 10.5]]);
    assert_is(json!({"type": "local_time", "part": "hour", "offset": "+08:00"}), &[[20.0; 6]]);
    assert_is(json!({"type": "local_time", "part": "hour", "cyclic": true}), &[[0.0; 6], [-1.0; 6]]);
}

#[test]
fn what_the_visitor_did() {
    let with = |more: Value| {
        let mut all = json!({"type": "interacted_with", "column": "item.brand"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    assert_is(with(json!({})), &[[3.0, 0.0, 3.0, 0.0, 1.0, 3.0]]);
    assert_is(with(json!({"days": [1, 30]})), &[[2.0, 0.0, 2.0, 0.0, 0.0, 2.0], [3.0, 0.0, 3.0, 0.0, 1.0, 3.0]]);
    assert_is(with(json!({"events": ["purchase"], "measure": "any"})), &[[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]]);
    assert_is(with(json!({"measure": "share"})), &[[0.75, 0.0, 0.75, 0.0, 0.25, 0.75]]);
    assert_is(with(json!({"events": ["rating"], "measure": "share"})), &[[NAN; 6]]);
    // tea, green, cup (twice), blue: an interaction that shares two tags counts once.
    assert_is(json!({"type": "interacted_with", "column": "item.tags"}), &[[2.0, 2.0, 2.0, 0.0, 2.0, 2.0]]);
    assert_is(json!({"type": "window_count", "days": [0.5, 1, 5]}), &[[1.0; 6], [2.0; 6], [3.0; 6]]);
    assert_is(json!({"type": "window_count", "days": [30], "events": ["view"]}), &[[2.0; 6]]);
    // Item 6 is outside the vocabulary.
    assert_is(json!({"type": "item_id", "missing": 0}), &[[1.0, 2.0, 3.0, 4.0, 5.0, 0.0]]);
    let rows = |all: &[f32]| all.iter().map(|x| [*x; 6]).collect::<Vec<_>>();
    assert_is(json!({"type": "history", "length": 4}), &rows(&[0.0, 5.0, 3.0, 1.0]));
    assert_is(json!({"type": "history", "length": 4, "pad": "right"}), &rows(&[5.0, 3.0, 1.0, 0.0]));
    assert_is(json!({"type": "history", "length": 2}), &rows(&[3.0, 1.0]));
    assert_is(json!({"type": "history", "length": 3, "events": ["view"]}), &rows(&[0.0, 5.0, 1.0]));
    assert_is(json!({"type": "history_mask", "length": 4}), &rows(&[0.0, 1.0, 1.0, 1.0]));
    assert_is(json!({"type": "history", "length": 4, "column": "item.price"}), &rows(&[0.0, 8.0, 4.0, 1.0]));
    assert_is(
        json!({"type": "history", "length": 4, "column": "item.brand", "values": ["Nord", "Acme"]}),
        &rows(&[0.0, 0.0, 2.0, 2.0]),
    );
}

#[test]
fn names_of_numbers() {
    let plan = FeaturePlan::of(&manifest(json!([
        "item.price",
        {"type": "number", "column": "item.price", "scale": "log1p"},
        {"type": "string", "column": "item.brand", "values": ["Acme"], "name": "maker"},
        {"type": "interacted_with", "column": "item.brand", "days": [1, 7.5]},
        {"type": "history", "length": 2},
        {"type": "local_time", "part": "year_day", "cyclic": true},
    ])))
    .unwrap();
    let want = [
        "item.price",
        "log1p(item.price)",
        "maker=Acme",
        "interacted_with(item.brand)/1d",
        "interacted_with(item.brand)/7.5d",
        "history[0]",
        "history[1]",
        "local_time.year_day.sin",
        "local_time.year_day.cos",
    ];
    assert_eq!(plan.names(), want);
    assert_eq!(plan.watched().iter().filter(|watched| !**watched).count(), 2, "a history has no distribution");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let many: Vec<String> = (0..100_001).map(|i| i.to_string()).collect();
    for (feature, want) in [
        (json!(""), "features[1]: is empty"),
        (json!("item.price"), "features[1]: feature \"item.price\" is listed twice, as features[0] too"),
        (json!({"type": "number", "column": "item.price"}), "features[0] is called \"item.price\" too: give one"),
        (json!({"type": "expr", "expr": "1 +"}), "features[1].expr: character"),
        (json!({"type": "string", "column": "c", "values": []}), "features[1].values: is empty"),
        (
            json!({"type": "string", "column": "c", "values": ["a", "a"]}),
            "features[1].values[1]: \"a\" is listed twice",
        ),
        (
            json!({"type": "string", "column": "c", "values": many}),
            "features[1].values: lists 100001 texts, at most 100000",
        ),
        (json!({"type": "string", "column": "c", "values": many[..5_000]}), "at most 1000 of 4096"),
        (json!({"type": "vector", "dimension": 3}), "features[1]: give one of space and column"),
        (json!({"type": "vector", "space": "s", "dimension": 0}), "features[1].dimension: is 0, expected 1 to 2048"),
        (json!({"type": "window_count", "days": []}), "features[1].days: is empty"),
        (json!({"type": "window_count", "days": [-1]}), "features[1].days[0]: is -1, expected more than 0"),
        (json!({"type": "local_time", "part": "hour", "offset": "CST"}), "features[1].offset: is \"CST\""),
        (json!({"type": "history", "length": 257}), "features[1].length: is 257, expected 1 to 256"),
        (json!({"type": "item_id", "clip": [0, 1]}), "takes neither clip nor scale"),
        (json!({"type": "position", "clip": [1, 0]}), "features[1].clip: is [1, 0], expected two"),
        (json!({"type": "field_match", "with": "a", "column": "b", "n": 9}), "features[1].n: is 9, expected 1 to 8"),
        (json!({"type": "position", "name": "x".repeat(513)}), "features[1].name: has 513 bytes"),
    ] {
        let error = manifest(json!(["item.price", feature])).validate().unwrap_err().to_string();
        assert!(error.contains(want), "{error}\nwant {want}");
    }
    let bare = Manifest { item_ids: None, vocabulary: None, ..manifest(json!([{"type": "item_id"}])) };
    assert!(bare.validate().unwrap_err().to_string().contains("features[0]: ids of items need item_ids"));
    let error = Manifest { vocabulary: None, ..manifest(json!([{"type": "item_id"}])) }.validate().unwrap_err();
    assert!(error.to_string().contains("need vocabulary"), "{error}");

    let check =
        |feature: Value| FeaturePlan::of(&manifest(json!([feature]))).unwrap().check(&Shop, &[ItemRow(0)]).unwrap_err();
    assert!(check(json!("item.prise")).starts_with("features[0] \"item.prise\": no column named"));
    assert!(check(json!("item.title")).contains("features[0]: \"item.title\" is text"));
    assert!(check(json!({"type": "expr", "expr": "item.title + 1"})).contains("features[0]: character"));
    assert!(check(json!({"type": "vector", "space": "als", "dimension": 3})).contains("have 2 numbers"));
    let text = r#"{"name":"m","kind":"ranker","features":["a.b",{"type":"string","column":"c","vales":[]}]}"#;
    let error = Manifest::from_json(text).unwrap_err().to_string();
    assert!(error.contains("unknown field `vales`, expected one of `column`, `values`, `encode`"), "{error}");
    let toml = "name = 'm'\nkind = 'ranker'\nfeatures = ['a.b', { type = 'string', column = 'c', values = ['x'], missing = nan }]";
    assert_eq!(Manifest::from_toml(toml).unwrap().features[1].names(), ["c=x"]);
}
