//! Files come back as they were written; damaged ones never come back as anything.

use super::*;
use crate::{Change, Generation, Metric, Mode, SpaceSpec, Spaces};
use qianmian_core::ItemRow;

/// A space with a graph, a small build beside it, dead and recent rows.
fn spaces(metric: Metric) -> Spaces {
    let vector = |row: u32| (0..10u32).map(move |i| ((row * 31 + i * 17) as f32 * 0.37).sin() + 0.1);
    let spaces = Spaces::new();
    let values = (0..2_500).flat_map(vector).collect();
    spaces.put(SpaceSpec::new("my/space", metric), (0..2_500).map(ItemRow).collect(), values, 10).expect("good");
    let more: Vec<Change> = (2_500..2_520).map(|row| Change::Upsert(ItemRow(row), vector(row).collect())).collect();
    spaces.update("my/space", &more).expect("there");
    spaces.rebuild("my/space").expect("good");
    let last = [Change::Delete(ItemRow(2_501)), Change::Upsert(ItemRow(3), vector(9_999).collect())];
    spaces.update("my/space", &last).expect("there");
    spaces
}

fn same(a: &Generation, b: &Generation) {
    assert_eq!((a.len(), a.dim(), a.metric(), a.name()), (b.len(), b.dim(), b.metric(), b.name()));
    assert_eq!((a.has_graph(), a.has_codes()), (b.has_graph(), b.has_codes()));
    for row in (0..2_525).step_by(97).chain([3, 2_501]) {
        assert_eq!(a.vector(ItemRow(row)), b.vector(ItemRow(row)));
        let query: Vec<f32> = (0..10u32).map(|i| ((row * 7 + i) as f32).cos()).collect();
        for mode in [Mode::Graph, Mode::Auto, Mode::Exact] {
            assert_eq!(a.search(&query, 7, None, mode), b.search(&query, 7, None, mode));
        }
    }
}

#[test]
fn a_file_comes_back_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let live = spaces(metric).space("my/space").expect("there");
        let path = folder.path().join("one.index");
        let bytes = live.save(&path).expect("written");
        assert_eq!(std::fs::metadata(&path).map(|m| m.len()).ok(), Some(bytes));
        same(&live, &Generation::open(&path).expect("whole"));
    }
    assert!(matches!(Generation::open(&folder.path().join("none")), Err(FileError::Io { .. })));
}

#[test]
fn no_flipped_bit_and_no_truncation_goes_unseen() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.index");
    spaces(Metric::L2).space("my/space").expect("there").save(&path).expect("written");
    let good = std::fs::read(&path).expect("there");
    let mut state = 5u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for i in 0..1_000 {
        let mut bytes = good.clone();
        // Every bit of the header, then anywhere.
        let bit = if i < 320 { i } else { random(good.len() * 8) };
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bytes).expect("written");
        assert!(Generation::open(&path).is_err(), "bit {bit}");
    }
    for i in 0..200 {
        let length = if i < 50 { i } else { random(good.len()) };
        std::fs::write(&path, &good[..length]).expect("written");
        assert!(Generation::open(&path).is_err(), "cut at {length}");
    }
    let longer = [good.as_slice(), &[0]].concat();
    std::fs::write(&path, longer).expect("written");
    assert!(Generation::open(&path).is_err());
    std::fs::write(&path, good).expect("written");
    assert!(Generation::open(&path).is_ok());
}

#[test]
fn the_previous_generation_serves_when_the_newest_is_damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    let spaces = spaces(Metric::Cosine);
    let paths: Vec<_> = (0..4).map(|_| spaces.save("my/space", folder.path(), 3).expect("written")).collect();
    assert!(!paths[0].exists() && paths[1].exists());
    let mut bytes = std::fs::read(&paths[3]).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&paths[3], bytes).expect("written");
    let fresh = Spaces::new();
    let opened = fresh.open("my/space", folder.path()).expect("one is whole");
    assert_eq!((opened.file, opened.damaged.len()), (paths[2].clone(), 1));
    same(&spaces.space("my/space").expect("there"), &fresh.space("my/space").expect("there"));
    assert!(matches!(fresh.open("other", folder.path()), Err(FileError::None { damaged: 0, .. })));
    assert!(matches!(fresh.save("other", folder.path(), 1), Err(FileError::Index(_))));
}
