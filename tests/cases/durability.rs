//! A server that is killed: what it acknowledged is there, once.

use qianmian_benches::kills::{audit, new_audit};
use qianmian_tests::binary;

#[test]
fn killed_again_and_again_it_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let found = audit(&new_audit(&binary(), folder.path(), 8, 42)).expect("an audit");
    assert!(found.acknowledged > 100, "{found:?}");
    assert_eq!((found.lost, found.doubled, found.forgotten), (0, 0, 0), "{found:?}");
}
