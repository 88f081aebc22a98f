//! Naming where candidates come from.

use crate::bindings::qianmian::strategy::retrieval::{self, Origin};
use crate::{Attribute, Basis, ItemKind, Scope};

/// A source with a name and a size. The name stands in the columns `source.NAME.score` and `source.NAME.rank`, so a
/// model trained with one name needs that name.
#[derive(Clone, Debug)]
pub struct Source(retrieval::Source);

impl Source {
    fn new(name: &str, origin: Origin, limit: u32) -> Self {
        Self(retrieval::Source { name: name.to_owned(), origin, limit, kinds: Vec::new(), filter: String::new() })
    }

    /// Nearest to the visitor in an embedding space.
    #[must_use]
    pub fn near_visitor(name: &str, space: &str, limit: u32) -> Self {
        Self::new(name, Origin::NearVisitor(space.to_owned()), limit)
    }

    /// Nearest to the request's items in an embedding space.
    #[must_use]
    pub fn near_items(name: &str, space: &str, limit: u32) -> Self {
        Self::new(name, Origin::NearItems(space.to_owned()), limit)
    }

    /// Bought in the same orders.
    #[must_use]
    pub fn bought_together(name: &str, basis: Basis, limit: u32) -> Self {
        Self::new(name, Origin::BoughtTogether(basis), limit)
    }

    /// Viewed in the same sessions.
    #[must_use]
    pub fn viewed_together(name: &str, basis: Basis, limit: u32) -> Self {
        Self::new(name, Origin::ViewedTogether(basis), limit)
    }

    /// What followed in visitors' sequences.
    #[must_use]
    pub fn next_after(name: &str, basis: Basis, limit: u32) -> Self {
        Self::new(name, Origin::NextAfter(basis), limit)
    }

    /// What the visitor bought before.
    #[must_use]
    pub fn buy_again(name: &str, limit: u32) -> Self {
        Self::new(name, Origin::BuyAgain, limit)
    }

    /// What is popular with everybody.
    #[must_use]
    pub fn trending(name: &str, limit: u32) -> Self {
        Self::trending_in(name, Scope::All, limit)
    }

    /// What is popular over the request's channel, in its region, or with visitors alike.
    #[must_use]
    pub fn trending_in(name: &str, scope: Scope, limit: u32) -> Self {
        Self::new(name, Origin::Trending(scope), limit)
    }

    /// What came last.
    #[must_use]
    pub fn newest(name: &str, limit: u32) -> Self {
        Self::new(name, Origin::Newest, limit)
    }

    /// The same category, brand or tag as the request's items, or as the visitor prefers.
    #[must_use]
    pub fn same(name: &str, attribute: Attribute, limit: u32) -> Self {
        Self::new(name, Origin::Same(attribute), limit)
    }

    /// These, in this order.
    #[must_use]
    pub fn listed(name: &str, ids: Vec<String>, limit: u32) -> Self {
        Self::new(name, Origin::Listed(ids), limit)
    }

    /// Random ones that were seldom shown.
    #[must_use]
    pub fn exploration(name: &str, limit: u32) -> Self {
        Self::new(name, Origin::Exploration, limit)
    }

    /// Only items of these kinds; none named means every kind.
    #[must_use]
    pub fn kinds(mut self, kinds: &[ItemKind]) -> Self {
        self.0.kinds = kinds.to_vec();
        self
    }

    /// Only items that a CEL condition over columns of the catalogue is true for, such as `item.price < 50.0`: the
    /// source finds its limit of those, where `Set::keep` only takes away afterwards.
    #[must_use]
    pub fn only(mut self, condition: &str) -> Self {
        condition.clone_into(&mut self.0.filter);
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How many at most.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.0.limit
    }

    /// The same with another size.
    #[must_use]
    pub fn sized(mut self, limit: u32) -> Self {
        self.0.limit = limit;
        self
    }

    pub(crate) fn into_inner(self) -> retrieval::Source {
        self.0
    }
}
