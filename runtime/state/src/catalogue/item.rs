//! One catalogue item as the storefront gave it.

use qianmian_core::{ItemKind, TimeMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Stock by kind. `None` means that the storefront does not count this kind: unlimited for `sellable`, none otherwise. An
/// item may be shown while `sellable` is not counted or above 0, or `presale` is above 0, or a campaign that is open now has
/// units of it left and `campaign` is not counted or above 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stock {
    /// Free to sell now; `locked` and `campaign` are not in it.
    pub sellable: Option<i64>,
    /// Held by unpaid orders.
    pub locked: Option<i64>,
    /// Set aside for campaigns.
    pub campaign: Option<i64>,
    /// May be ordered before it is there.
    pub presale: Option<i64>,
}

/// An item. Only `id` is required.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Item {
    /// Unique in the catalogue, 1 to 256 bytes.
    pub id: String,
    /// What it is.
    #[serde(with = "kind_name")]
    pub kind: ItemKind,
    /// Its name as a visitor reads it.
    pub title: String,
    /// Longer text.
    pub text: String,
    /// Where it is sold or read.
    pub url: String,
    /// A picture of it.
    pub image: String,
    /// Unit price in `currency`; never negative.
    pub price: Option<f32>,
    /// ISO 4217.
    pub currency: String,
    /// How many there are.
    pub stock: Stock,
    /// From general to particular.
    pub categories: Vec<String>,
    /// Free labels.
    pub tags: Vec<String>,
    /// Maker.
    pub brand: String,
    /// Seller.
    pub merchant: String,
    /// The channels it may be shown on; empty means all.
    pub channels: Vec<String>,
    /// The regions it may be shown in; empty means all.
    pub regions: Vec<String>,
    /// Shown from this moment on.
    pub valid_from: Option<TimeMs>,
    /// Shown until just before this moment.
    pub valid_to: Option<TimeMs>,
    /// When it came into the catalogue; set by the host where the storefront does not say.
    pub created: Option<TimeMs>,
    /// Anything else: numbers, texts, booleans.
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// Vectors by embedding space.
    pub embeddings: BTreeMap<String, Vec<f32>>,
}

mod kind_name {
    use qianmian_core::ItemKind;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub fn serialize<S: Serializer>(kind: &ItemKind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ItemKind, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
