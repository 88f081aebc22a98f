//! The trait a strategy implements, and its way to the generated bindings.

use crate::{Needs, Page, Request, Result, bindings};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// What a strategy says of itself.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// 1 to 64 letters, digits, `-`, `_` or `.`.
    pub name: &'static str,
    /// A semantic version.
    pub version: &'static str,
    /// A sentence.
    pub summary: &'static str,
    /// JSON Schema (2020-12) of the parameters.
    pub parameters_schema: &'static str,
    /// What it may reach; the host refuses everything else.
    pub needs: Needs,
}

/// A strategy composes a page for one request. Each call starts from nothing: no state is kept.
pub trait Strategy {
    /// The scenario's parameters; make every field optional.
    type Parameters: DeserializeOwned;
    /// What it says of itself.
    const ABOUT: About;

    /// Composes a page.
    ///
    /// # Errors
    /// Any error refuses the request: the scenario's fallback answers and the reason is reported.
    fn compose(request: &Request, parameters: Self::Parameters) -> Result<Page>;
}

/// What [`crate::export!`] exports for a strategy.
#[doc(hidden)]
pub struct Adapter<S>(PhantomData<S>);

impl<S: Strategy> bindings::Guest for Adapter<S> {
    fn describe() -> bindings::Description {
        let about = S::ABOUT;
        bindings::Description {
            name: about.name.to_owned(),
            version: about.version.to_owned(),
            summary: about.summary.to_owned(),
            parameters_schema: about.parameters_schema.to_owned(),
            needs: crate::needs::to_contract!(about.needs, crate::bindings::qianmian::strategy::types),
        }
    }

    fn compose(request: Request) -> std::result::Result<bindings::Page, bindings::Reject> {
        // The last line of the log tells the author why it trapped.
        std::panic::set_hook(Box::new(|info| crate::log(&info.to_string())));
        serde_json::from_str(&request.parameters)
            .map_err(|error| crate::Error::Invalid(format!("the parameters: {error}")))
            .and_then(|parameters| S::compose(&request, parameters))
            .map(Page::into_inner)
            .map_err(|error| bindings::Reject { reason: error.to_string() })
    }
}

/// Makes a component of a [`Strategy`]: once, in the crate's root.
#[macro_export]
macro_rules! export {
    ($strategy:ident) => {
        #[allow(unsafe_code, missing_docs, reason = "generated: the functions that the host calls")]
        mod exported {
            type Exported = $crate::Adapter<super::$strategy>;
            $crate::bindings::export!(Exported with_types_in $crate::bindings);
        }
    };
}
