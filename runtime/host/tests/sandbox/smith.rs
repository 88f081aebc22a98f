//! Random modules in our world: every one is refused, or composes a page or a fault, and the next page is right.
//! `QIANMIAN_FUZZ=100` makes a hundred times as many, with another seed.

use crate::shop::{HOST, context, known, reach, request};
use crate::{fuzz, neighbour};
use qianmian_components::random;
use qianmian_host::Limits;
use std::collections::BTreeMap;
use std::time::Duration;

const MODULES: u32 = 300;

#[test]
fn any_module_of_our_world_is_survived() {
    let usual = neighbour::page();
    let limits = Limits { wall: Duration::from_secs(20), fuel: 500_000, ..Limits::default() };
    let mut codes: BTreeMap<&str, u32> = BTreeMap::new();
    for number in 0..MODULES * fuzz::times() {
        let bytes = fuzz::bytes((u64::from(fuzz::times()) << 32) | u64::from(number), 4_096);
        // Of every eight, one may use whatever WebAssembly there is, to be refused.
        let code = match HOST.load(&random(&bytes, number % 8 == 0)) {
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
    for code in ["strategy_trap", "out_of_fuel", "describe_failed", "invalid_component"] {
        assert!(codes.contains_key(code), "{codes:?}");
    }
}
