//! Tags and segments as documents: kept in the registry, turned into rules, handed to the state as one set.

use crate::app::App;
use crate::code_tags::CodeTags;
use crate::error::ApiError;
use parking_lot::Mutex;
use qianmian_core::expr::Expression;
use qianmian_core::{Affinity, Layer, Members, Segment, SegmentRule, Tag, TagRule};
use qianmian_state::{Document, State};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::borrow::Cow;
use std::sync::Arc;
use utoipa::ToSchema;

/// Kinds of documents in the registry.
pub const TAG: &str = "tag";
/// Segments.
pub const SEGMENT: &str = "segment";
/// Most tags, and most segments.
const MOST: usize = 500;
/// Bytes of a key in a list.
const KEY: usize = 16;
/// Names that tags the host makes itself begin with.
const RESERVED: [&str; 3] = ["stage", "prefers", "segment"];

/// A layer: what the value is from a number on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerSpec {
    /// The tag's value.
    name: String,
    /// The smallest number of the layer.
    from: f32,
}

/// What a preference is learned over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AffinitySpec {
    /// Categories.
    Category,
    /// Brands.
    Brand,
    /// Bands of price by powers of two, such as 16-32.
    Price,
    /// Channels.
    Channel,
    /// Hours of the day, UTC.
    Hour,
}

/// How a tag comes about. A visitor carries `NAME:VALUE`, or `NAME` for a combined tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TagSpec {
    /// The value of a text: an attribute, the last channel or region, the stage.
    Base {
        /// A column of texts: `visitor.attributes.city`, `visitor.channel` ...
        of: String,
        /// For people.
        #[serde(default)]
        about: String,
    },
    /// Thresholds on a number.
    Layered {
        /// A column of numbers: `visitor.orders`, `visitor.spend_90d`, `visitor.numbers.age` ...
        of: String,
        /// Rising; below the lowest there is no tag.
        layers: Vec<LayerSpec>,
        /// For people.
        #[serde(default)]
        about: String,
    },
    /// A CEL condition over the visitor's columns, tags among them.
    Combined {
        /// `'city:Basel' in visitor.tags && visitor.orders > 3.0`
        when: String,
        /// For people.
        #[serde(default)]
        about: String,
    },
    /// What the visitor prefers.
    Preference {
        /// Over what.
        of: AffinitySpec,
        /// At most so many values, 1 to 20; 1 without it.
        #[serde(default = "one")]
        most: usize,
        /// Each with at least this share of the interest, 0 to 1; 0.2 without it.
        #[serde(default = "fifth")]
        share: f32,
        /// For people.
        #[serde(default)]
        about: String,
    },
    /// What a tagger says, a plugin of the world `tagger`.
    Code {
        /// The plugin.
        plugin: String,
        /// Its version; the newest without it. The tag is pinned to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// What fits its schema.
        #[serde(default = "nothing")]
        #[schema(value_type = Object)]
        parameters: serde_json::Value,
        /// For people.
        #[serde(default)]
        about: String,
    },
}

fn nothing() -> serde_json::Value {
    json!({})
}

fn one() -> usize {
    1
}

fn fifth() -> f32 {
    0.2
}

/// Who is in a segment: a condition, or a list that was brought in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum SegmentSpec {
    /// Those a CEL condition is true for.
    When {
        /// `'value:high' in visitor.tags && visitor.days_since_order < 30.0`
        when: String,
        /// For people.
        #[serde(default)]
        about: String,
    },
    /// Those on a list; made by bringing one in.
    Listed {
        /// SHA-256 of the list of keys.
        list: String,
        /// Ids on it.
        count: usize,
        /// For people.
        #[serde(default)]
        about: String,
    },
}

impl SegmentSpec {
    fn condition(self) -> Option<String> {
        match self {
            Self::When { when, .. } => Some(when),
            Self::Listed { .. } => None,
        }
    }
}

/// A list of keys, sorted.
#[derive(Debug)]
struct KeyList(Vec<u8>);

impl Members for KeyList {
    fn contains(&self, key: &str) -> bool {
        let mut wanted = [0; KEY];
        let (keys, _) = self.0.as_chunks::<KEY>();
        hex::decode_to_slice(key, &mut wanted).is_ok() && keys.binary_search(&wanted).is_ok()
    }
}

fn unusable(code: &'static str, detail: impl Into<String>) -> ApiError {
    ApiError::unprocessable(code, detail)
}

fn expression(text: &str) -> Result<Expression, ApiError> {
    Expression::parse(text).map_err(|error| unusable("bad_expression", format!("when: {error}, in: {text}")))
}

fn good_name(name: &str) -> Result<(), ApiError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        return Err(unusable("bad_name", format!("{name:?}: 1 to 64 letters, digits, - and _ expected")));
    }
    if RESERVED.contains(&name) {
        return Err(unusable("bad_name", format!("{name:?} is a name of the host's own tags; choose another")));
    }
    Ok(())
}

impl TagSpec {
    fn condition(self) -> Option<String> {
        match self {
            Self::Combined { when, .. } => Some(when),
            _ => None,
        }
    }

    /// The rule, and the tag as it is kept: code is pinned to a version.
    fn rule(&self, code: &CodeTags) -> Result<(TagRule, Self), ApiError> {
        let mut kept = self.clone();
        let rule = match self {
            Self::Code { plugin, version, parameters, .. } => {
                let (rule, pinned) = code.rule(plugin, version.as_deref(), parameters)?;
                if let Self::Code { version, .. } = &mut kept {
                    *version = Some(pinned);
                }
                rule
            }
            Self::Base { of, .. } => TagRule::Base { of: of.clone() },
            Self::Layered { of, layers, .. } => {
                let rising = layers.windows(2).all(|pair| pair[0].from < pair[1].from);
                let good =
                    |layer: &LayerSpec| layer.from.is_finite() && !layer.name.is_empty() && layer.name.len() <= 64;
                if layers.is_empty() || layers.len() > 100 || !rising || !layers.iter().all(good) {
                    let detail = "layers: 1 to 100 with names of 1 to 64 bytes and rising `from` expected";
                    return Err(unusable("bad_layers", detail));
                }
                let layer = |layer: &LayerSpec| Layer { name: layer.name.as_str().into(), from: layer.from };
                TagRule::Layered { of: of.clone(), layers: layers.iter().map(layer).collect() }
            }
            Self::Combined { when, .. } => TagRule::Combined { when: expression(when)? },
            Self::Preference { of, most, share, .. } => {
                if !(1..=20).contains(most) || !(0.0..=1.0).contains(share) {
                    let detail = format!("most is {most} and share {share}: 1 to 20 and 0 to 1 expected");
                    return Err(unusable("bad_preference", detail));
                }
                let of = match of {
                    AffinitySpec::Category => Affinity::Category,
                    AffinitySpec::Brand => Affinity::Brand,
                    AffinitySpec::Price => Affinity::Price,
                    AffinitySpec::Channel => Affinity::Channel,
                    AffinitySpec::Hour => Affinity::Hour,
                };
                TagRule::Preference { of, most: *most, share: *share }
            }
        };
        Ok((rule, kept))
    }
}

/// The definitions there are.
pub struct Audiences {
    state: Arc<State>,
    code: CodeTags,
    /// One change at a time: what was checked is what is defined.
    turn: Mutex<()>,
}

impl Audiences {
    /// Reads every definition from the registry. One that cannot be used is left out and logged.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn load(state: Arc<State>, code: CodeTags) -> anyhow::Result<Self> {
        let audiences = Self { state, code, turn: Mutex::default() };
        let (tags, segments) = audiences.all().map_err(anyhow::Error::msg)?;
        if !(tags.is_empty() && segments.is_empty()) {
            match audiences.state.folds.audience.define(tags, segments) {
                Ok(()) => audiences.state.label_everybody(),
                Err(circle) => tracing::error!(circle, "tags and segments cannot be evaluated"),
            }
        }
        Ok(audiences)
    }

    fn all(&self) -> Result<(Vec<Tag>, Vec<Segment>), String> {
        let documents = |kind| self.state.registry.list(kind).map_err(|error| error.to_string());
        let (mut tags, mut segments) = (Vec::new(), Vec::new());
        for document in documents(TAG)? {
            let name = document.name.clone();
            match tag_of(document).and_then(|spec| spec.rule(&self.code)) {
                Ok((rule, _)) => tags.push(Tag { name: name.into(), rule }),
                Err(error) => tracing::error!(tag = name, %error, "a tag cannot be used"),
            }
        }
        for document in documents(SEGMENT)? {
            let name = document.name.clone();
            match segment_of(document).and_then(|spec| self.members(&spec)) {
                Ok(rule) => segments.push(Segment { name: name.into(), rule }),
                Err(error) => tracing::error!(segment = name, %error, "a segment cannot be used"),
            }
        }
        Ok((tags, segments))
    }

    fn members(&self, spec: &SegmentSpec) -> Result<SegmentRule, ApiError> {
        Ok(match spec {
            SegmentSpec::When { when, .. } => SegmentRule::When(expression(when)?),
            SegmentSpec::Listed { list, .. } => {
                SegmentRule::Listed(Arc::new(KeyList(self.state.blobs.get(list).map_err(ApiError::internal)?)))
            }
        })
    }

    /// Which tag a version of a tagger makes, where there is one.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn runs(&self, tagger: &str, of_version: &str) -> Result<Option<String>, ApiError> {
        let tags = self.state.registry.list(TAG).map_err(ApiError::internal)?.into_iter();
        let mut tags = tags.filter_map(|document| Some((document.name.clone(), tag_of(document).ok()?)));
        let found = tags.find(|(_, spec)| match spec {
            TagSpec::Code { plugin, version, .. } => plugin == tagger && version.as_deref() == Some(of_version),
            _ => false,
        });
        Ok(found.map(|(name, _)| format!("tag {name:?} is made by it")))
    }

    /// Creates or changes a tag; everybody is labelled anew in the background.
    ///
    /// # Errors
    /// 422 naming what cannot be used.
    pub fn put_tag(&self, name: &str, spec: &TagSpec) -> Result<u32, ApiError> {
        good_name(name)?;
        let (rule, spec) = spec.rule(&self.code)?;
        let refused = |error| unusable("bad_tag", format!("{error}"));
        self.state.folds.audience.check(&rule, &self.state.catalogue.current()).map_err(refused)?;
        let _turn = self.turn.lock();
        let (mut tags, segments) = self.all().map_err(ApiError::internal)?;
        tags.retain(|tag| *tag.name != *name);
        tags.push(Tag { name: name.into(), rule });
        self.define(tags, segments)?;
        self.keep(TAG, name, &json!(spec))
    }

    /// Creates or changes a segment; everybody is looked at anew in the background.
    ///
    /// # Errors
    /// As [`Self::put_tag`].
    pub fn put_segment(&self, name: &str, spec: &SegmentSpec) -> Result<u32, ApiError> {
        good_name(name)?;
        let rule = self.members(spec)?;
        if let SegmentRule::When(when) = &rule {
            self.state.folds.estimate(when, 1, 0).map_err(|error| unusable("bad_expression", error.to_string()))?;
        }
        let _turn = self.turn.lock();
        let (tags, mut segments) = self.all().map_err(ApiError::internal)?;
        segments.retain(|segment| *segment.name != *name);
        segments.push(Segment { name: name.into(), rule });
        self.define(tags, segments)?;
        let before = self.list(name)?;
        let version = self.keep(SEGMENT, name, &json!(spec))?;
        self.drop_list(before)?;
        Ok(version)
    }

    /// The list that a segment is made of now.
    fn list(&self, name: &str) -> Result<Option<String>, ApiError> {
        let document = self.state.registry.get(SEGMENT, name).map_err(ApiError::internal)?;
        Ok(document.and_then(list_of))
    }

    /// Deletes a list that no segment is made of any more: nobody would be taken off it.
    fn drop_list(&self, list: Option<String>) -> Result<(), ApiError> {
        let Some(list) = list else { return Ok(()) };
        let segments = self.state.registry.list(SEGMENT).map_err(ApiError::internal)?;
        if !segments.into_iter().filter_map(list_of).any(|used| used == list) {
            self.state.blobs.delete(&list).map_err(ApiError::internal)?;
        }
        Ok(())
    }

    fn define(&self, tags: Vec<Tag>, segments: Vec<Segment>) -> Result<(), ApiError> {
        if tags.len() > MOST || segments.len() > MOST {
            return Err(unusable("too_many", format!("at most {MOST} tags and {MOST} segments")));
        }
        let circle = |detail| unusable("circle", format!("{detail}: break the circle"));
        self.state.folds.audience.define(tags, segments).map_err(circle)
    }

    fn keep(&self, kind: &str, name: &str, spec: &serde_json::Value) -> Result<u32, ApiError> {
        let version = self.state.registry.put(kind, name, spec).map_err(ApiError::internal)?;
        self.note(kind, "put", name, json!({ "version": version }))?;
        Ok(version)
    }

    fn note(&self, kind: &str, what: &str, name: &str, detail: serde_json::Value) -> Result<(), ApiError> {
        let action = format!("{kind}.{what}");
        let added = self.state.audit.add(crate::recommend::now_ms(), &action, Some(name), detail);
        added.map(drop).map_err(ApiError::internal)
    }

    /// The tags and segments whose conditions name a tag or a segment.
    fn users(&self, kind: &str, name: &str) -> Result<Vec<String>, ApiError> {
        let column = if kind == TAG { "visitor.tags" } else { "visitor.segments" };
        let names = |when: &str| {
            let Ok(when) = expression(when) else { return false };
            let is_it = |text: &Arc<str>| text.split(':').next() == Some(name);
            when.columns().iter().any(|read| read == column) && when.texts().iter().any(is_it)
        };
        let mut users = Vec::new();
        for of in [TAG, SEGMENT] {
            for document in self.state.registry.list(of).map_err(ApiError::internal)? {
                let user = document.name.clone();
                let when = match of {
                    TAG => tag_of(document).ok().and_then(TagSpec::condition),
                    _ => segment_of(document).ok().and_then(SegmentSpec::condition),
                };
                if (of, user.as_str()) != (kind, name) && when.is_some_and(|when| names(&when)) {
                    users.push(format!("{of} {user:?}"));
                }
            }
        }
        Ok(users)
    }

    /// Brings back a definition as it was in a version, as the next one; returns its number.
    ///
    /// # Errors
    /// 404 `unknown_version`; 409 `deleted_version`, `list_gone`; as [`Self::put_tag`] and [`Self::put_segment`].
    pub fn restore(&self, kind: &'static str, name: &str, version: u32) -> Result<u32, ApiError> {
        let found = self.state.registry.version(kind, name, version).map_err(ApiError::internal)?;
        let Some(document) = found else {
            let detail = format!("no version {version} of {kind} {name:?}; GET /v1/{kind}s/{name}/versions lists them");
            return Err(ApiError::not_found("unknown_version", detail));
        };
        if document.value.is_none() {
            let detail = format!("{kind} {name:?} was taken away with version {version}: choose the one before");
            return Err(ApiError::conflict("deleted_version", detail));
        }
        let new = if kind == TAG {
            self.put_tag(name, &tag_of(document)?)?
        } else {
            let spec = segment_of(document)?;
            if let SegmentSpec::Listed { list, .. } = &spec
                && !self.state.blobs.contains(list)
            {
                let detail = format!("the list of version {version} is not kept any more: bring it in again");
                return Err(ApiError::conflict("list_gone", detail));
            }
            self.put_segment(name, &spec)?
        };
        self.note(kind, "restore", name, json!({ "version": new, "of": version }))?;
        Ok(new)
    }

    /// Takes a definition away; false when there is none.
    ///
    /// # Errors
    /// 409 `in_use` with the conditions that name it; when the registry cannot be written.
    pub fn delete(&self, kind: &str, name: &str) -> Result<bool, ApiError> {
        let _turn = self.turn.lock();
        let users = self.users(kind, name)?;
        if !users.is_empty() {
            let detail = format!("{kind} {name:?} stands in the conditions of {}: change them first", users.join(", "));
            return Err(ApiError::conflict("in_use", detail));
        }
        let list = if kind == SEGMENT { self.list(name)? } else { None };
        if !self.state.registry.delete(kind, name).map_err(ApiError::internal)? {
            return Ok(false);
        }
        self.drop_list(list)?;
        let (tags, segments) = self.all().map_err(ApiError::internal)?;
        self.define(tags, segments)?;
        self.note(kind, "delete", name, json!({})).map(|()| true)
    }

    /// Makes a segment of a list of ids, or of keys as a segment gives them out; only keys are kept.
    ///
    /// # Errors
    /// As [`Self::put_segment`], and 422 `bad_list` naming the line that is no key.
    pub fn import(&self, name: &str, lines: &[String], are_keys: bool, about: String) -> Result<u32, ApiError> {
        good_name(name)?;
        let mut keys: Vec<[u8; KEY]> = Vec::with_capacity(lines.len());
        for (at, line) in lines.iter().enumerate() {
            let text = if are_keys { Cow::Borrowed(line) } else { Cow::Owned(self.state.people.key(line)) };
            let mut key = [0; KEY];
            hex::decode_to_slice(text.as_ref(), &mut key).map_err(|_| {
                let digits = 2 * KEY;
                unusable("bad_list", format!("id {at} is no key: {digits} hexadecimal digits expected with keys=true"))
            })?;
            keys.push(key);
        }
        keys.sort_unstable();
        keys.dedup();
        let list = self.state.blobs.put(keys.as_flattened()).map_err(ApiError::internal)?;
        self.put_segment(name, &SegmentSpec::Listed { list, count: keys.len(), about })
    }

    /// Takes keys off every list: their person was erased. Returns off how many.
    ///
    /// # Errors
    /// When a list cannot be read or written.
    pub fn strike(&self, gone: &[Arc<str>]) -> Result<usize, ApiError> {
        let mut lists = 0;
        for document in self.state.registry.list(SEGMENT).map_err(ApiError::internal)? {
            let name = document.name.clone();
            let Ok(SegmentSpec::Listed { list, about, .. }) = segment_of(document) else { continue };
            let before = KeyList(self.state.blobs.get(&list).map_err(ApiError::internal)?);
            if !gone.iter().any(|key| before.contains(key)) {
                continue;
            }
            let struck = KeyList(gone.iter().filter_map(|key| hex::decode(&**key).ok()).collect::<Vec<_>>().concat());
            let (keys, _) = before.0.as_chunks::<KEY>();
            let on = |key: &[u8; KEY]| struck.0.as_chunks::<KEY>().0.contains(key);
            let left: Vec<[u8; KEY]> = keys.iter().filter(|key| !on(key)).copied().collect();
            let new = self.state.blobs.put(left.as_flattened()).map_err(ApiError::internal)?;
            self.put_segment(&name, &SegmentSpec::Listed { list: new, count: left.len(), about })?;
            lists += 1;
        }
        Ok(lists)
    }
}

fn tag_of(document: Document) -> Result<TagSpec, ApiError> {
    serde_json::from_value(document.value.unwrap_or_default()).map_err(ApiError::internal)
}

fn list_of(document: Document) -> Option<String> {
    match segment_of(document) {
        Ok(SegmentSpec::Listed { list, .. }) => Some(list),
        _ => None,
    }
}

fn segment_of(document: Document) -> Result<SegmentSpec, ApiError> {
    serde_json::from_value(document.value.unwrap_or_default()).map_err(ApiError::internal)
}

/// The latest version of a tag's document.
///
/// # Errors
/// 404.
pub fn tag(app: &App, name: &str) -> Result<(Document, TagSpec), ApiError> {
    let document = document(app, TAG, name)?;
    Ok((document.clone(), tag_of(document)?))
}

/// The latest version of a segment's document.
///
/// # Errors
/// 404.
pub fn segment(app: &App, name: &str) -> Result<(Document, SegmentSpec), ApiError> {
    let document = document(app, SEGMENT, name)?;
    Ok((document.clone(), segment_of(document)?))
}

/// Every version of a definition, the newest first, those it was taken away with among them.
///
/// # Errors
/// 404 when there never was one.
pub fn versions(app: &App, kind: &'static str, name: &str) -> Result<Vec<Document>, ApiError> {
    let mut all = app.state.registry.history(kind, name).map_err(ApiError::internal)?;
    all.reverse();
    if all.is_empty() { Err(unknown(kind, name)) } else { Ok(all) }
}

fn unknown(kind: &str, name: &str) -> ApiError {
    let code = if kind == TAG { "unknown_tag" } else { "unknown_segment" };
    ApiError::not_found(code, format!("no {kind} named {name:?}; GET /v1/{kind}s lists them"))
}

fn document(app: &App, kind: &'static str, name: &str) -> Result<Document, ApiError> {
    let found = app.state.registry.get(kind, name).map_err(ApiError::internal)?;
    found.ok_or_else(|| unknown(kind, name))
}
