//! Random modules in our world: every one is refused, or composes a page or a fault, and the next page is right.
//! `QIANMIAN_FUZZ=100`, set for the build, makes a hundred times as many, with another seed.

use crate::neighbour;
use crate::shop::{HOST, context, known, reach, request};
use qianmian_components::random;
use qianmian_host::Limits;
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn any_module_of_our_world_is_survived() {
    let usual = neighbour::page();
    let limits = Limits { wall: Duration::from_secs(20), fuel: 500_000, ..Limits::default() };
    let mut codes: BTreeMap<&str, u32> = BTreeMap::new();
    for (number, component) in random().enumerate() {
        let code = match HOST.load(&component) {
            Err(error) => error.code(),
            Ok(strategy) => {
                let run = || strategy.compose(context(request(10), known()), &reach(), "{}", &limits);
                let (first, again) = (run(), run());
                assert_eq!(format!("{:?}", first.page), format!("{:?}", again.page), "module {number}");
                assert_eq!(first.usage.fuel, again.usage.fuel, "module {number}");
                first.page.map_or_else(|fault| fault.code(), |_| "page")
            }
        };
        *codes.entry(code).or_default() += 1;
        assert_eq!(neighbour::page(), usual, "after module {number}");
    }
    // All of the ways it can go were gone.
    for code in ["page", "strategy_trap", "out_of_fuel", "invalid_component"] {
        assert!(codes.contains_key(code), "{codes:?}");
    }
}
