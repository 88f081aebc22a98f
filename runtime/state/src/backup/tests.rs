//! Tests of backups over whole data folders.

use super::*;
use crate::audit::AuditFilter;
use crate::campaigns::{Campaign, Reservation};
use crate::captures::{CaptureFilter, CaptureHead};
use crate::fold::tests::event as fold_event;
use crate::vectors::VectorChange;
use crate::{Item, State};
use qianmian_core::{Event, EventKind};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

fn event(id: &str, visitor: Option<&str>, item: &str) -> Event {
    let traits = vec![("city".into(), format!("town-of-{}", visitor.unwrap_or("nobody")))];
    let like = fold_event(EventKind::Purchase, 1_700_000_000_000, visitor.unwrap_or_default(), &[item]);
    Event { id: id.into(), values: vec![2.0], traits, ..like }
}

fn capture(id: &str, visitor: Option<&str>, content: &str) -> (CaptureHead, Vec<u8>) {
    let visitor = visitor.map(str::to_owned);
    let head = CaptureHead { id: id.into(), time: 5, scenario: "home".into(), visitor, fault: None };
    (head, content.as_bytes().to_vec())
}

/// A folder with something of every kind: ann by two ids, bob, nobody.
struct Shop {
    dir: tempfile::TempDir,
    state: State,
}

fn shop() -> Shop {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(&dir.path().join("data")).unwrap();
    let item = |id: &str| Item { id: id.into(), price: Some(2.0), ..Item::default() };
    state.catalogue.upsert(["a", "b", "c"].map(item).to_vec()).unwrap();
    let ids = [("ann", "login"), ("phone-7", "device")].map(|(id, kind)| (id.to_owned(), kind.to_owned()));
    state.link_visitors(&ids).unwrap();
    for (n, (visitor, item)) in [(Some("ann"), "a"), (Some("bob"), "b"), (None, "c"), (Some("phone-7"), "b")]
        .into_iter()
        .cycle()
        .take(40)
        .enumerate()
    {
        state.append(vec![event(&n.to_string(), visitor, item)]).unwrap();
    }
    let (ann, bob) = (state.people.key("ann"), state.people.key("bob"));
    let captures = [
        capture("r1", Some(&ann), "page-of-ann"),
        capture("r2", Some(&bob), "page-of-bob"),
        capture("r3", None, "page-of-nobody"),
    ];
    state.captures.put(&captures).unwrap();
    let campaign = Campaign { from: 0, to: i64::MAX, quotas: vec![("a".into(), 9)], per_visitor: Some(2) };
    state.campaigns.put("flash", campaign).unwrap();
    for (id, visitor) in [("o1", Some(&ann)), ("o2", Some(&bob)), ("o3", None)] {
        let wish = Reservation { item: "a".into(), quantity: 2, visitor: visitor.cloned(), time: 5 };
        state.campaigns.reserve("flash", id, wish, &[]).unwrap();
    }
    let mut keys = [&ann, &bob].map(|key| hex::decode(key).unwrap());
    keys.sort();
    let list = state.blobs.put(&keys.concat()).unwrap();
    state.registry.put("segment", "invited", &json!({ "list": list, "count": 2, "about": "" })).unwrap();
    let component = state.blobs.put(b"component").unwrap();
    state.registry.put("plugin", "home", &json!({ "digest": component })).unwrap();
    state.blobs.put(b"named by nothing").unwrap();
    for n in 0..3 {
        let change = VectorChange { id: format!("v{n}"), vector: Some(vec![1.0, n as f32]) };
        state.vectors.append("als", &[change]).unwrap();
    }
    state.vectors.forget("als", 2).unwrap();
    Shop { dir, state }
}

impl Shop {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn backup(&self, name: &str) -> Created {
        let created = create(&self.path("data"), &self.path(name)).unwrap();
        write_keys(&self.path("data"), &self.path("keys")).unwrap();
        created
    }

    fn restore(&self, name: &str, keys: &str, to: &str) -> Result<Restored> {
        restore(&self.path(name), &self.path(keys), &self.path(to))
    }

    /// What the folds are that are made from nothing of a folder.
    fn digest(&self, name: &str) -> crate::fold::Digest {
        State::open_at(&self.path(name), u64::MAX).unwrap().folds.digest()
    }

    /// The files under a folder whose bytes hold a text.
    fn with(&self, name: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.path(name)];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
                    found.push(path.file_name().unwrap().to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    }

    /// What is in the folder beside its own things.
    fn left(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[test]
fn everything_comes_back() {
    let shop = shop();
    let created = shop.backup("backup");
    assert_eq!(created, Created { events: 40, visitors: 3, blobs: 1 });
    let back = shop.restore("backup", "keys", "again").unwrap();
    assert_eq!((back.events, back.visitors, back.erased), (40, 3, 0));
    assert_eq!(shop.digest("again"), shop.digest("data"));
    let (before, after) = (&shop.state, State::open(&shop.path("again")).unwrap());
    for id in ["ann", "phone-7", "bob"] {
        assert_eq!(after.people.of(id), before.people.of(id));
        assert_eq!(format!("{:?}", after.visitor(id).recent), format!("{:?}", before.visitor(id).recent), "{id}");
    }
    assert_eq!((after.visitor("ann").orders, after.log.len(), after.log.last_offset()), (20, 40, 40));
    for id in ["r1", "r2", "r3"] {
        assert_eq!(after.captures.get(id).unwrap(), before.captures.get(id).unwrap());
    }
    let all = CaptureFilter { limit: 9, ..CaptureFilter::default() };
    assert_eq!(after.captures.list(&all).unwrap(), before.captures.list(&all).unwrap());
    assert_eq!(after.campaigns.get("flash"), before.campaigns.get("flash"));
    let wish = Reservation { item: "a".into(), quantity: 1, visitor: Some(after.people.key("ann")), time: 5 };
    let outcome = after.campaigns.reserve("flash", "o4", wish, &[after.people.key("ann").into()]).unwrap();
    assert_eq!(outcome, Some(crate::Outcome::OneMayNot { left: 0 }), "it is known who reserved what");
    for (kind, name) in [("segment", "invited"), ("plugin", "home")] {
        assert_eq!(after.registry.history(kind, name).unwrap(), before.registry.history(kind, name).unwrap());
    }
    let list = after.registry.get("segment", "invited").unwrap().unwrap().value.unwrap()["list"].clone();
    assert_eq!(after.blobs.get(list.as_str().unwrap()).unwrap(), before.blobs.get(list.as_str().unwrap()).unwrap());
    assert_eq!(after.vectors.since("als", 0).unwrap(), before.vectors.since("als", 0).unwrap());
    assert_eq!(after.vectors.last().unwrap(), 3, "numbers are not given out again");
    let trail = |state: &State| state.audit.list(&AuditFilter { limit: 9, ..AuditFilter::default() }).unwrap();
    let (new, old) = (trail(&after), trail(before));
    assert_eq!((new[0].action.as_str(), &new[1..]), ("backup.restored", &old[..]), "the chain goes on");
    assert_eq!(after.catalogue.current().live_count(), 3);
    // and its own backups, and the older ones, open with its own secrets
    drop(after);
    create(&shop.path("again"), &shop.path("second")).unwrap();
    write_keys(&shop.path("again"), &shop.path("keys-again")).unwrap();
    assert_eq!(shop.restore("second", "keys-again", "third").unwrap().events, 40);
    assert_eq!(shop.restore("backup", "keys-again", "fourth").unwrap().events, 40);
}

#[test]
fn who_is_erased_is_in_no_backup_any_more() {
    let shop = shop();
    shop.backup("backup");
    let (ann, bob) = (shop.state.people.key("ann"), shop.state.people.key("bob"));
    for marker in ["town-of-ann", "town-of-bob", "page-of-ann", "page-of-bob", bob.as_str()] {
        assert_eq!(shop.with("backup", marker), Vec::<String>::new(), "{marker} is readable in a backup");
    }
    assert_eq!(shop.with("backup", &ann), ["audit.db"], "the trail names keys");
    assert_eq!(
        (shop.with("backup", "town-of-nobody"), shop.with("backup", "page-of-nobody")),
        (vec!["events.db".to_owned()], vec!["captures.db".to_owned()])
    );
    fs::copy(shop.path("keys"), shop.path("keys-before")).unwrap();
    let erased = shop.state.erase_visitor("phone-7").unwrap();
    assert_eq!((erased.ids, erased.secrets), (2, 2));
    let proof = AuditFilter { action: Some("visitor.erased".into()), limit: 9, ..AuditFilter::default() };
    let proof = shop.state.audit.list(&proof).unwrap();
    assert_eq!((proof.len(), &proof[0].detail["backup_secrets"]), (2, &json!(2)));
    write_keys(&shop.path("data"), &shop.path("keys")).unwrap();

    let back = shop.restore("backup", "keys", "again").unwrap();
    assert_eq!((back.events, back.visitors, back.erased), (20, 1, 2));
    for marker in ["town-of-ann", "town-of-phone-7", "page-of-ann"] {
        assert_eq!(shop.with("again", marker), Vec::<String>::new(), "{marker} came back");
    }
    assert_eq!(shop.with("again", &ann), ["audit.db"], "the proof, and what was linked");
    let after = State::open(&shop.path("again")).unwrap();
    assert!(after.visitor("ann").is_unknown() && after.visitor("phone-7").is_unknown());
    assert_eq!((after.visitor("bob").orders, after.people.linked()), (10, 0));
    assert!(after.captures.get("r1").unwrap().is_none() && after.captures.get("r2").unwrap().is_some());
    assert_eq!(after.campaigns.get("flash").unwrap().1, [6], "somebody has to deliver it");
    assert_eq!(after.append(vec![event("0", Some("ann"), "a")]).unwrap().accepted, [false], "a retry");
    let segment = after.registry.get("segment", "invited").unwrap().unwrap().value.unwrap();
    assert_eq!(segment["count"], 1);
    assert_eq!(after.blobs.get(segment["list"].as_str().unwrap()).unwrap(), hex::decode(&bob).unwrap());
    drop(after);
    // it was the secrets, and nothing else, that kept them shut
    assert_eq!(shop.restore("backup", "keys-before", "before").unwrap().erased, 0);
}

#[test]
fn an_erasure_that_was_cut_short_takes_the_secrets_too() {
    let shop = shop();
    shop.backup("backup");
    let bob = shop.state.people.key("bob");
    shop.state.audit.add(9, "visitor.erase", Some(&bob), json!({})).unwrap();
    let Shop { dir, state } = shop;
    drop(state);
    let shop = Shop { state: State::open(&dir.path().join("data")).unwrap(), dir };
    write_keys(&shop.path("data"), &shop.path("keys")).unwrap();
    let back = shop.restore("backup", "keys", "again").unwrap();
    assert_eq!((back.events, back.visitors, back.erased), (30, 2, 1));
    let wish = Reservation { item: "a".into(), quantity: 1, visitor: Some(bob.clone()), time: 5 };
    let outcome = shop.state.campaigns.reserve("flash", "o4", wish, &[bob.into()]).unwrap();
    assert_eq!(outcome, Some(crate::Outcome::Reserved { left: 2 }), "their name is off the reservations");
}

#[test]
fn the_wrong_secrets_are_refused_with_what_to_do() {
    let shop = shop();
    shop.backup("backup");
    fs::copy(shop.path("keys"), shop.path("keys-old")).unwrap();
    shop.backup("newer");
    let other = self::shop();
    other.backup("backup");
    fs::copy(other.path("keys"), shop.path("keys-other")).unwrap();
    fs::write(shop.path("keys-text"), "my keys").unwrap();
    let before = shop.left();
    let refused = |backup: &str, keys: &str, to: &str| shop.restore(backup, keys, to).unwrap_err().to_string();
    assert!(refused("backup", "keys-other", "again").contains("those of another data folder"));
    assert!(refused("newer", "keys-old", "again").contains("written before this backup"));
    assert!(refused("backup", "keys-text", "again").contains("no file of secrets"));
    assert!(refused("backup", "keys", "data").contains("not empty"));
    assert!(refused("data", "keys", "again").contains("it is no backup"));
    assert!(create(&shop.path("data"), &shop.path("newer")).unwrap_err().to_string().contains("not empty"));
    assert!(create(&shop.path("none"), &shop.path("of-none")).unwrap_err().to_string().contains("cannot open"));
    let good = fs::read(shop.path("keys")).unwrap();
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 16;
        fs::write(shop.path("keys"), bad).unwrap();
        assert!(matches!(shop.restore("backup", "keys", "again"), Err(StateError::Backup { .. })), "byte {at}");
        fs::write(shop.path("keys"), &good[..at]).unwrap();
        assert!(matches!(shop.restore("backup", "keys", "again"), Err(StateError::Backup { .. })), "cut at {at}");
    }
    assert_eq!(shop.left(), before, "nothing half applied");
}

#[test]
fn a_backup_that_is_damaged_or_not_whole_is_refused() {
    let shop = shop();
    shop.backup("backup");
    let before = shop.left();
    let mut files: Vec<PathBuf> =
        fs::read_dir(shop.path("backup")).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_file()).collect();
    let component = hex::encode(Sha256::digest(b"component"));
    files.push(shop.path("backup").join("blobs").join(&component[..2]).join(&component));
    assert_eq!(files.len(), 11);
    for path in files {
        let good = fs::read(&path).unwrap();
        for bit in [0, good.len() * 4, good.len() * 8 - 1] {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bad).unwrap();
            let error = shop.restore("backup", "keys", "again").unwrap_err();
            assert!(matches!(error, StateError::Backup { .. }), "{}, bit {bit}: {error}", path.display());
        }
        fs::remove_file(&path).unwrap();
        let error = shop.restore("backup", "keys", "again").unwrap_err().to_string();
        assert!(error.contains("missing") || error.contains("has no manifest"), "{}: {error}", path.display());
        fs::write(&path, good).unwrap();
    }
    assert_eq!(shop.left(), before, "nothing half applied");
    assert!(shop.restore("backup", "keys", "again").is_ok(), "whole again");
}

#[test]
fn backups_are_made_beside_events_links_and_erasures() {
    let shop = shop();
    let stop = AtomicBool::new(false);
    let erased = std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let mut erased = Vec::new();
            for n in 0.. {
                let (one, other) = (format!("x{n}"), format!("y{n}"));
                let of = |k: usize, who: &str| event(&format!("{who}-{k}"), Some(who), "a");
                let events = (0..40).flat_map(|k| [of(k, &one), of(k, &other)]);
                shop.state.append(events.collect()).unwrap();
                let (login, device) = (one.clone(), other.clone());
                shop.state.link_visitors(&[(login, "login".into()), (device, "device".into())]).unwrap();
                let document = json!({ "n": n });
                if n % 16 == 0 {
                    shop.state.registry.put("scenario", "home", &document).unwrap();
                }
                if n % 3 == 2 {
                    let gone = format!("x{}", n - 1);
                    shop.state.erase_visitor(&gone).unwrap();
                    erased.push(n - 1);
                }
                if n > 6 && stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            erased
        });
        for n in 0..4 {
            shop.backup(&format!("backup{n}"));
        }
        stop.store(true, Ordering::Relaxed);
        busy.join().unwrap()
    });
    write_keys(&shop.path("data"), &shop.path("keys")).unwrap();
    for n in 0..4 {
        let to = format!("again{n}");
        let back = shop.restore(&format!("backup{n}"), "keys", &to).unwrap();
        assert!(back.events >= 40, "{back:?}");
        let after = State::open(&shop.path(&to)).unwrap();
        assert_eq!((after.visitor("ann").orders, after.log.len()), (20, back.events));
        for gone in &erased {
            for id in [format!("x{gone}"), format!("y{gone}")] {
                let key: std::sync::Arc<str> = after.people.key(&id).into();
                let mut events = 0;
                after.log.of(&[key], &mut |chunk| events += chunk.events.len()).unwrap();
                assert_eq!(events, 0, "{id} of backup {n} came back");
            }
        }
    }
}
