//! What a strategy may reach: what its description names and the scenario allows.

use crate::LoadError;
use crate::call::cut;
use qianmian_core::ReachError;

/// Sorts of things with the names, or the beginnings of names before a `*`, that are meant; `*` alone is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Kinds of sources, as the contract names them.
    pub sources: Vec<String>,
    /// Embedding spaces.
    pub spaces: Vec<String>,
    /// Models.
    pub models: Vec<String>,
    /// Columns of the host.
    pub columns: Vec<String>,
    /// Visitor attributes.
    pub attributes: Vec<String>,
    /// Visitor tags.
    pub tags: Vec<String>,
    /// The visitor's recent interactions and number of orders.
    pub history: bool,
}

/// Entries of one list of [`Needs`] at most.
const MOST: usize = 200;

impl Needs {
    /// Everything there is.
    #[must_use]
    pub fn everything() -> Self {
        let all = || vec!["*".to_owned()];
        Self {
            sources: all(),
            spaces: all(),
            models: all(),
            columns: all(),
            attributes: all(),
            tags: all(),
            history: true,
        }
    }

    /// Checks what a component said.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let Self { sources, spaces, models, columns, attributes, tags, history: _ } = self;
        let lists = [
            ("needs.sources", sources),
            ("needs.spaces", spaces),
            ("needs.models", models),
            ("needs.columns", columns),
            ("needs.attributes", attributes),
            ("needs.tags", tags),
        ];
        for (field, list) in lists {
            let wrong = |got: &str, expected| LoadError::Description { field, got: cut(got, 100).to_owned(), expected };
            if list.len() > MOST {
                return Err(wrong(&format!("{} entries", list.len()), "at most 200 entries"));
            }
            let good = |entry: &&String| {
                let name = entry.strip_suffix('*').unwrap_or(entry);
                !entry.is_empty() && entry.len() <= 128 && !name.contains('*')
            };
            if let Some(entry) = list.iter().find(|entry| !good(entry)) {
                return Err(wrong(entry, "names of 1 to 128 bytes, a `*` only at the end"));
            }
        }
        Ok(())
    }
}

fn names(list: &[String], name: &str) -> bool {
    list.iter().any(|entry| match entry.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => entry == name,
    })
}

/// What a strategy needs and what it is allowed; it may reach what both name.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    pub needs: Needs,
    /// Without one, whatever it needs.
    pub allowed: Option<Needs>,
}

impl Grants {
    fn check(&self, of: fn(&Needs) -> &[String], what: &'static str, name: &str) -> Result<(), ReachError> {
        let denied = |why| Err(ReachError::Denied { what, name: cut(name, 128).to_owned(), why });
        if !names(of(&self.needs), name) {
            return denied("the description's needs do not name it");
        }
        match &self.allowed {
            Some(allowed) if !names(of(allowed), name) => denied("the scenario does not allow it"),
            _ => Ok(()),
        }
    }

    pub fn source(&self, kind: &str) -> Result<(), ReachError> {
        self.check(|needs| &needs.sources, "source", kind)
    }

    pub fn space(&self, name: &str) -> Result<(), ReachError> {
        self.check(|needs| &needs.spaces, "embedding space", name)
    }

    /// A version of a model, `next@2`, is reached by who reaches the model.
    pub fn model(&self, name: &str) -> Result<(), ReachError> {
        let model = name.split_once('@').map_or(name, |(model, _)| model);
        self.check(|needs| &needs.models, "model", model)
    }

    pub fn column(&self, name: &str) -> Result<(), ReachError> {
        self.check(|needs| &needs.columns, "column", name)
    }

    pub fn attribute(&self, name: &str) -> bool {
        self.check(|needs| &needs.attributes, "attribute", name).is_ok()
    }

    pub fn tag(&self, name: &str) -> bool {
        self.check(|needs| &needs.tags, "tag", name).is_ok()
    }

    pub fn history(&self) -> bool {
        self.needs.history && self.allowed.as_ref().is_none_or(|allowed| allowed.history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_name_is_granted() {
        let list = |entries: &[&str]| entries.iter().map(ToString::to_string).collect::<Vec<_>>();
        let needs = Needs { columns: list(&["item.*", "visitor.orders"]), history: true, ..Needs::default() };
        let mut grants = Grants { needs, allowed: None };
        assert!(grants.column("item.price").is_ok() && grants.column("visitor.orders").is_ok() && grants.history());
        let error = grants.column("visitor.spend").unwrap_err().to_string();
        assert_eq!(error, "column \"visitor.spend\" is denied: the description's needs do not name it");
        assert!(grants.model("ranker").is_err() && !grants.tag("vip"));

        grants.allowed = Some(Needs { columns: list(&["item.price"]), ..Needs::everything() });
        assert!(grants.column("item.price").is_ok());
        let error = grants.column("item.stock").unwrap_err().to_string();
        assert!(error.ends_with("the scenario does not allow it"), "{error}");
        grants.allowed = Some(Needs { history: false, ..Needs::everything() });
        assert!(!grants.history());
    }

    #[test]
    fn needs_that_are_wrong() {
        let of =
            |models: &[&str]| Needs { models: models.iter().map(ToString::to_string).collect(), ..Needs::default() };
        assert!(of(&["a*b"]).check().is_err() && of(&[""]).check().is_err() && of(&["x"; 201]).check().is_err());
        assert!(of(&["*", "ranker-*", "one"]).check().is_ok() && Needs::everything().check().is_ok());
    }
}
