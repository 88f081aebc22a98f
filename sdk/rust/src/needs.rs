//! What a component says it reaches.

/// What a strategy or a tagger reaches: names, or the beginnings of names before a `*`; `*` alone is everything of that sort.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// Kinds of sources: `near-visitor`, `near-items`, `bought-together`, `viewed-together`, `next-after`, `buy-again`,
    /// `trending`, `newest`, `same`, `listed`, `exploration`.
    pub sources: &'static [&'static str],
    /// Embedding spaces.
    pub spaces: &'static [&'static str],
    /// Models.
    pub models: &'static [&'static str],
    /// Columns, but for those the set has of its own.
    pub columns: &'static [&'static str],
    /// Visitor attributes.
    pub attributes: &'static [&'static str],
    /// Visitor tags.
    pub tags: &'static [&'static str],
    /// The visitor's recent interactions and number of orders.
    pub history: bool,
}

impl Needs {
    /// Nothing; what is needed is added with `..Needs::NOTHING`.
    pub const NOTHING: Self =
        Self { sources: &[], spaces: &[], models: &[], columns: &[], attributes: &[], tags: &[], history: false };
    /// Everything: for a strategy whose parameters say what it does.
    pub const EVERYTHING: Self = Self {
        sources: &["*"],
        spaces: &["*"],
        models: &["*"],
        columns: &["*"],
        attributes: &["*"],
        tags: &["*"],
        history: true,
    };
}

/// The same as the record of one world's bindings.
macro_rules! to_contract {
    ($needs:expr, $types:path) => {{
        use $types as types;
        let needs: $crate::Needs = $needs;
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        types::Needs {
            sources: owned(needs.sources),
            spaces: owned(needs.spaces),
            models: owned(needs.models),
            columns: owned(needs.columns),
            attributes: owned(needs.attributes),
            tags: owned(needs.tags),
            history: needs.history,
        }
    }};
}
pub(crate) use to_contract;
