//! A strategy that passes the checks of an upload and then traps.

use qianmian_sdk::prelude::*;

struct Trap;

impl Strategy for Trap {
    type Parameters = serde_json::Value;
    const ABOUT: About =
        About { name: "trap", version: "1.0.0", summary: "Traps.", parameters_schema: "{}", needs: Needs::NOTHING };

    fn compose(request: &Request, _: Self::Parameters) -> Result<Page> {
        assert!(request.scenario == "smoke", "on purpose");
        Ok(Page::new())
    }
}

qianmian_sdk::export!(Trap);
