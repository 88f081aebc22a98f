//! A server that is killed: what it acknowledged is there, once.

use qianmian_benches::bitflips::damage;
use qianmian_benches::kills::{audit, new_audit};
use qianmian_tests::binary;

#[test]
fn killed_again_and_again_it_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let found = audit(&new_audit(&binary(), folder.path(), 8, 42)).expect("an audit");
    assert!(found.acknowledged > 100, "{found:?}");
    assert_eq!((found.lost, found.doubled, found.forgotten), (0, 0, 0), "{found:?}");
}

#[test]
fn a_damaged_folder_is_refused_or_mended_and_never_read_as_something_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let found = damage(folder.path(), 60, 7).expect("damaged copies");
    assert_eq!((found.tried, found.silent, found.panicked), (60, 0, 0), "{found:?}");
    assert!(found.refused > 20, "{found:?}");
}
