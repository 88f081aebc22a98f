//! Tests of the catalogue store.

use super::*;
use qianmian_core::ItemKind;
use serde_json::json;

fn item(id: &str) -> Item {
    Item { id: id.into(), created: Some(100), ..Item::default() }
}

fn tea() -> Item {
    Item {
        title: "茶 tea".into(),
        price: Some(2.55),
        brand: "Lin".into(),
        categories: vec!["kitchen".into(), "tea".into()],
        tags: vec!["gift".into()],
        embeddings: [("base".to_string(), vec![0.1f32, -7.25e-9, 3.0])].into(),
        attributes: [("organic".to_string(), json!(true))].into(),
        ..item("tea")
    }
}

#[test]
fn items_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let store = CatalogueStore::open(Some(dir.path())).unwrap();
    let report = store.upsert(vec![tea(), Item { price: Some(-1.0), ..item("bad") }, item("cup")]).unwrap();
    assert_eq!((report.upserted, report.rejected.len()), (2, 1));
    assert_eq!((report.rejected[0].index, report.rejected[0].code), (1, "bad_price"));
    store.delete("cup").unwrap();
    drop(store);

    let catalogue = CatalogueStore::open(Some(dir.path())).unwrap().current();
    assert_eq!(**catalogue.item("tea").unwrap(), tea());
    assert_eq!(catalogue.row("bad"), None);
    let cup = catalogue.row("cup").expect("a deleted item keeps a row");
    assert!(!catalogue.is_live(cup) && catalogue.item("cup").is_none());
    assert_eq!((catalogue.len(), catalogue.live_count()), (2, 1));

    let tea = catalogue.live_row("tea").unwrap();
    let kitchen = catalogue.symbols.get("kitchen").unwrap();
    assert_eq!(catalogue.by_category[&kitchen], [tea]);
    assert_eq!(catalogue.by_brand[&catalogue.symbols.get("Lin").unwrap()], [tea]);
    assert_eq!(catalogue.categories[tea.index()][0], kitchen);
    assert!((catalogue.price[tea.index()] - 2.55).abs() < 1e-6);
    assert_eq!((catalogue.valid_from[0], catalogue.valid_to[0]), (TimeMs::MIN, TimeMs::MAX));
}

#[test]
fn a_reserved_row_is_kept_and_filled() {
    let store = CatalogueStore::open(None).unwrap();
    store.upsert(vec![item("a")]).unwrap();
    let rows = store.reserve(&["x", "a", "y", "x"]);
    assert_eq!(rows, [ItemRow(1), ItemRow(0), ItemRow(2), ItemRow(1)]);
    let before = store.current();
    assert!(!before.is_live(rows[0]) && before.price[1].is_nan());
    assert_eq!(before.by_kind[0], [ItemRow(0)]);
    store.upsert(vec![item("x")]).unwrap();
    let after = store.current();
    assert_eq!(after.live_row("x"), Some(rows[0]));
    assert_eq!(after.live_row("y"), None);
    assert!(!before.is_live(rows[0]), "an older snapshot does not change");
    let version = after.version;
    assert_eq!(store.reserve(&["x", "y"]), [ItemRow(1), ItemRow(2)]);
    assert_eq!(store.current().version, version, "nothing new, no new snapshot");
}

#[test]
fn a_patch_changes_only_what_it_names() {
    let store = CatalogueStore::open(None).unwrap();
    store.upsert(vec![tea()]).unwrap();
    let before = store.current();
    let patch = json!({"price": 3.5, "stock": {"sellable": 4}, "brand": null, "attributes": {"origin": "Fujian"}});
    let patched = store.patch("tea", &patch).unwrap();
    assert_eq!((patched.price, patched.stock.sellable, patched.brand.as_str()), (Some(3.5), Some(4), ""));
    assert_eq!(patched.attributes.len(), 2);
    assert_eq!((&patched.title, &patched.embeddings, patched.created), (&tea().title, &tea().embeddings, Some(100)));
    let now = store.current();
    assert_eq!((now.price[0], now.sellable[0], now.brand[0]), (3.5, Some(4), 0));
    assert!(now.by_brand.is_empty());
    assert!(Arc::ptr_eq(&now.tags, &before.tags), "an untouched column is shared");

    let code = |patch: Value| match store.patch("tea", &patch).unwrap_err() {
        StateError::Rejected { code, .. } => code,
        other => panic!("{other}"),
    };
    assert_eq!(code(json!({"price": -1})), "bad_price");
    assert_eq!(code(json!({"price": "much"})), "bad_patch");
    assert_eq!(code(json!({"id": "other"})), "bad_patch");
    assert_eq!(code(json!({"colour": "red"})), "bad_patch");
    assert_eq!(code(json!([])), "bad_patch");
    assert!(matches!(store.patch("none", &json!({})), Err(StateError::Unknown { .. })));
    assert_eq!(store.current().version, now.version, "a refused patch changes nothing");
}

#[test]
fn deleting_and_putting_back() {
    let store = CatalogueStore::open(None).unwrap();
    store.upsert(vec![tea(), item("cup")]).unwrap();
    store.delete("tea").unwrap();
    let gone = store.current();
    assert!(gone.item("tea").is_none() && gone.by_tag.is_empty() && gone.newest[0] == [ItemRow(1)]);
    assert!(matches!(store.delete("tea"), Err(StateError::Unknown { .. })));
    store.upsert(vec![tea()]).unwrap();
    assert_eq!(store.current().live_row("tea"), Some(ItemRow(0)));
    assert_eq!(store.current().by_tag.len(), 1);
}

#[test]
fn newest_first_by_kind() {
    let store = CatalogueStore::open(None).unwrap();
    let at = |id: &str, created| Item { created: Some(created), ..item(id) };
    let article = Item { kind: ItemKind::Content, ..at("n", 9) };
    store.upsert(vec![at("b", 5), at("a", 5), at("c", 7), article]).unwrap();
    let catalogue = store.current();
    let ids: Vec<_> = catalogue.newest[0].iter().map(|r| &*catalogue.ids[r.index()]).collect();
    assert_eq!(ids, ["c", "a", "b"]);
    assert_eq!(catalogue.newest[ItemKind::Content as usize], [ItemRow(3)]);

    let undated = Item { created: None, title: "again".into(), ..item("b") };
    store.upsert(vec![undated, Item { created: None, ..item("new") }]).unwrap();
    let catalogue = store.current();
    assert_eq!(catalogue.item("b").unwrap().created, Some(5), "kept from the first appearance");
    assert!(catalogue.item("new").unwrap().created.unwrap() > 1_600_000_000_000);
}

#[test]
fn a_damaged_item_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    CatalogueStore::open(Some(dir.path())).unwrap().upsert(vec![tea()]).unwrap();
    let db = Connection::open(dir.path().join(NAME)).unwrap();
    let mut sealed: Vec<u8> = db.query_row("SELECT sealed FROM items", [], |r| r.get(0)).unwrap();
    sealed[20] ^= 1;
    db.execute("UPDATE items SET sealed = ?1", [sealed]).unwrap();
    let error = CatalogueStore::open(Some(dir.path())).err().expect("damage is noticed");
    assert!(matches!(&error, StateError::Damaged { what, .. } if what == "item tea"), "{error}");
}

#[test]
fn a_read_only_view_refuses_changes() {
    let dir = tempfile::tempdir().unwrap();
    assert!(CatalogueStore::open_read_only(dir.path()).is_err(), "nothing there yet");
    CatalogueStore::open(Some(dir.path())).unwrap().upsert(vec![tea()]).unwrap();
    let view = CatalogueStore::open_read_only(dir.path()).unwrap();
    assert!(matches!(view.upsert(vec![item("x")]), Err(StateError::ReadOnly)));
    assert!(matches!(view.delete("tea"), Err(StateError::ReadOnly)));
    assert_eq!(view.reserve(&["x"]), [ItemRow(1)]);
}
