//! A well-behaved strategy: what it answers right after a hostile one must be what it always answers.

use crate::shop::{HOST, context, known, reach, request};
use qianmian_components::{Parts, component};
use qianmian_host::{Limits, Strategy};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

static NEIGHBOUR: LazyLock<Arc<Strategy>> = LazyLock::new(|| {
    let extra = r#"
      (data (i32.const 2000) "item.price > 20.0")
      (data (i32.const 2020) "item.price * 2.0 - source.trending.rank")
      (data (i32.const 2060) "vectors")
      (data (i32.const 2070) "score")
      (func $compose (result i32) (local $set i32)
        (local.set $set (call $trending (i32.const 60)))
        (call $keep (local.get $set) (i32.const 2000) (i32.const 17) (i32.const 700)) (call $must)
        (call $compute (local.get $set) (i32.const 2070) (i32.const 5) (i32.const 2020) (i32.const 39) (i32.const 700))
        (call $must)
        (call $order-by (local.get $set) (i32.const 2070) (i32.const 5) (i32.const 700)) (call $must)
        (call $spread (local.get $set) (i32.const 2060) (i32.const 7) (f32.const 0.5) (i32.const 20) (i32.const 700))
        (call $must)
        (call $page (local.get $set)))"#;
    HOST.load(&component(&Parts { extra, body: "(call $compose)", ..Parts::default() })).unwrap()
});

/// Its page, byte for byte.
pub fn page() -> String {
    let limits = Limits { wall: Duration::from_secs(20), ..Limits::default() };
    let outcome = NEIGHBOUR.compose(context(request(20), known()), &reach(), "{}", &limits);
    let page = outcome.page.unwrap_or_else(|fault| panic!("the neighbour: {fault}"));
    assert_eq!((page.slots(), outcome.degraded.len()), (20, 0));
    format!("{page:?}")
}
