//! A strategy that says who it is and then traps.

use qianmian_sdk::prelude::*;

struct Trap;

impl Strategy for Trap {
    type Parameters = serde_json::Value;
    const ABOUT: About =
        About { name: "trap", version: "1.0.0", summary: "Traps.", parameters_schema: "{}", attributes: &[] };

    fn compose(_: &Request, _: Self::Parameters) -> Result<Page> {
        panic!("on purpose")
    }
}

qianmian_sdk::export!(Trap);
