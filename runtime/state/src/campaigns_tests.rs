//! Tests of quotas: exactly their number, however many want one.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

fn sale(quota: u64) -> Campaign {
    Campaign { from: 100, to: 200, quotas: vec![("tea".into(), quota), ("cup".into(), 5)], per_visitor: None }
}

fn wish(item: &str, quantity: u64, time: TimeMs) -> Reservation {
    Reservation { item: item.into(), quantity, visitor: Some("ann".into()), time }
}

#[test]
fn a_quota_stops_exactly_at_its_number_in_a_crowd() {
    let dir = tempfile::tempdir().unwrap();
    let campaigns = Campaigns::open(Some(dir.path())).unwrap();
    campaigns.put("flash", sale(1_000)).unwrap();
    let (taken, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for client in 0..64 {
            let (campaigns, taken, refused) = (&campaigns, &taken, &refused);
            scope.spawn(move || {
                for n in 0..20 {
                    let id = format!("{client}-{n}");
                    match campaigns.reserve("flash", &id, wish("tea", 1, 150), &[]).unwrap().unwrap() {
                        Outcome::Reserved { .. } => taken.fetch_add(1, Ordering::Relaxed),
                        Outcome::SoldOut { left: 0 } => refused.fetch_add(1, Ordering::Relaxed),
                        other => panic!("{other:?}"),
                    };
                }
            });
        }
    });
    assert_eq!((taken.into_inner(), refused.into_inner()), (1_000, 280));
    assert!(!campaigns.items().load()["tea"][0].2, "none is left to show");
    drop(campaigns);
    let campaigns = Campaigns::open(Some(dir.path())).unwrap();
    assert_eq!(campaigns.get("flash").unwrap().1, [1_000, 0], "as many after reopening");
    let late = campaigns.reserve("flash", "late", wish("tea", 1, 150), &[]).unwrap();
    assert_eq!(late, Some(Outcome::SoldOut { left: 0 }));
}

#[test]
fn ids_windows_limits_and_giving_back() {
    let campaigns = Campaigns::open(None).unwrap();
    campaigns.put("flash", Campaign { per_visitor: Some(3), ..sale(10) }).unwrap();
    let ann = ["ann".into()];
    let reserve = |id: &str, wanted| campaigns.reserve("flash", id, wanted, &ann).unwrap().unwrap();
    assert_eq!(reserve("a", wish("tea", 2, 150)), Outcome::Reserved { left: 8 });
    assert_eq!(reserve("a", wish("tea", 2, 150)), Outcome::Known { left: 8 }, "a retry takes nothing");
    assert_eq!(reserve("a", wish("tea", 1, 150)), Outcome::OtherUse);
    assert_eq!(reserve("b", wish("tea", 2, 150)), Outcome::OneMayNot { left: 1 });
    assert_eq!(reserve("b", wish("pot", 1, 150)), Outcome::NotInIt);
    assert_eq!(
        (reserve("b", wish("tea", 1, 99)), reserve("b", wish("tea", 1, 200))),
        (Outcome::Closed, Outcome::Closed)
    );
    assert_eq!(campaigns.release("flash", "a").unwrap().unwrap().quantity, 2);
    assert_eq!(campaigns.release("flash", "a").unwrap(), None);
    assert_eq!(reserve("b", wish("tea", 3, 150)), Outcome::Reserved { left: 7 });
    assert_eq!(campaigns.reserve("none", "a", wish("tea", 1, 150), &ann).unwrap(), None);
    campaigns.put("flash", sale(2)).unwrap();
    assert_eq!(campaigns.get("flash").unwrap().1, [3, 0], "what is reserved stays");
    assert_eq!(reserve("c", wish("tea", 1, 150)), Outcome::SoldOut { left: 0 });
    assert_eq!((campaigns.names(), campaigns.delete("flash").unwrap()), (vec!["flash".to_owned()], true));
    assert!(!campaigns.delete("flash").unwrap() && campaigns.items().load().is_empty());
}
