//! Tests of links between ids.

use super::*;

fn ids(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(key, kind)| ((*key).to_owned(), (*kind).to_owned())).collect()
}

fn keys(people: &People, person: &str) -> Vec<String> {
    let mut keys: Vec<String> = people.keys(person).iter().map(ToString::to_string).collect();
    keys.sort();
    keys
}

#[test]
fn links_group_regroup_and_last() {
    let dir = tempfile::tempdir().unwrap();
    let people = People::open(Some(dir.path()), true).unwrap();
    let made = people.link(&ids(&[("u1", LOGIN), ("d1", "device")]), 5).unwrap();
    assert_eq!((made.persons, made.gone), (vec!["u1".into()], vec!["d1".into()]));
    people.link(&ids(&[("d2", "device"), ("c2", "store-card")]), 6).unwrap();
    let made = people.link(&ids(&[("c2", "store-card"), ("d1", "device")]), 7).unwrap();
    assert_eq!((made.persons, made.gone), (vec!["d2".into()], vec!["u1".into()]), "the first key's person stays");
    assert_eq!(keys(&people, "d2"), ["c2", "d1", "d2", "u1"]);
    let again = people.link(&ids(&[("u1", LOGIN), ("d1", "device")]), 8).unwrap();
    assert_eq!((again.persons, again.gone), (vec!["d2".into()], vec![]), "linking what is linked changes nothing");
    drop(people);
    let people = People::open(Some(dir.path()), false).unwrap();
    assert_eq!(keys(&people, &people.person("u1")), ["c2", "d1", "d2", "u1"]);
    assert_eq!(people.linked(), 4);

    let gone = people.unlink("d2").unwrap().unwrap();
    let person = people.person("u1");
    assert!(gone.persons.contains(&person) && gone.persons.contains(&"d2".into()) && gone.gone.is_empty());
    assert_eq!(keys(&people, &person), ["c2", "d1", "u1"]);
    assert_eq!(people.unlink("d2").unwrap(), None);
    assert_eq!(people.unlink("u1").unwrap().unwrap().persons.len(), 2);
    people.unlink("c2").unwrap().unwrap();
    assert_eq!((people.linked(), &*people.person("d1")), (0, "d1"), "the last two part as two");
    drop(people);
    assert_eq!(People::open(Some(dir.path()), false).unwrap().linked(), 0);
}

#[test]
fn people_who_share_a_device_are_not_one() {
    let people = People::open(None, true).unwrap();
    people.link(&ids(&[("u1", LOGIN), ("d1", "device")]), 1).unwrap();
    let error = people.link(&ids(&[("u2", LOGIN), ("d1", "device")]), 2).unwrap_err();
    assert!(matches!(error, StateError::Rejected { code: "two_logins", .. }), "{error}");
    assert_eq!(&*people.person("u2"), "u2");
    people.unlink("d1").unwrap();
    people.link(&ids(&[("u2", LOGIN), ("d1", "device")]), 3).unwrap();
    assert_eq!(people.person("d1"), people.person("u2"));
    let many: Vec<_> = (0..MOST_IDS + 1).map(|n| (format!("k{n}"), "device".to_owned())).collect();
    assert!(matches!(people.link(&many, 4), Err(StateError::Rejected { code: "too_many_ids", .. })));
    assert_eq!(people.forget(&people.person("u2")).unwrap().len(), 2);
    assert_eq!(people.forget("stranger").unwrap(), ["stranger".into()]);
    assert_eq!(people.linked(), 0);
}

#[test]
fn damage_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let people = People::open(Some(dir.path()), true).unwrap();
    people.link(&ids(&[("u1", LOGIN), ("d1", "device")]), 5).unwrap();
    people.db.lock().as_ref().unwrap().execute("UPDATE links SET key = 'd2' WHERE key = 'd1'", []).unwrap();
    drop(people);
    assert!(matches!(People::open(Some(dir.path()), false), Err(StateError::Damaged { .. })));
}
