//! A visit: who looks at the page, over which channel, in which language, with what in the cart; and links that keep it.

use crate::demo::Persona;
use serde::Deserialize;

/// The page's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Lang {
    /// 简体中文.
    #[default]
    Zh,
    /// English.
    En,
}

impl Lang {
    /// For the `lang` attribute.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }

    /// For the address.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }

    /// One of the two.
    pub(super) fn of<T>(self, zh: T, en: T) -> T {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

/// A visitor the page offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Face {
    /// Visitor id.
    pub id: String,
    /// Name in Chinese and in English.
    pub name: (String, String),
    /// Who this is, in both languages.
    pub about: (String, String),
    /// Usual channel.
    pub channel: String,
    /// Home region.
    pub region: String,
}

impl From<&Persona> for Face {
    fn from(p: &Persona) -> Self {
        Self {
            id: p.id.to_owned(),
            name: (p.name.0.to_owned(), p.name.1.to_owned()),
            about: (p.about.0.to_owned(), p.about.1.to_owned()),
            channel: p.channel.to_owned(),
            region: p.region.to_owned(),
        }
    }
}

/// The query string of every page. All fields are optional; unknown ones are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Query {
    /// Visitor id.
    pub visitor: Option<String>,
    /// Channel; the visitor's usual one without it.
    pub channel: Option<String>,
    /// `zh` or `en`.
    pub lang: Option<String>,
    /// `0` asks for a page without profile.
    pub personalised: Option<String>,
    /// Item ids in the cart, separated by full stops.
    pub cart: Option<String>,
    /// `/compare`: the visitor on the left.
    pub left: Option<String>,
    /// `/compare`: the visitor on the right.
    pub right: Option<String>,
}

/// A cart in the address holds at most this many items.
const MOST_IN_CART: usize = 24;

/// A resolved query.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// Visitor id; what was typed, cut to 128 characters.
    pub id: String,
    /// Channel to ask for; may be empty.
    pub channel: String,
    /// Region to ask for; empty when unknown.
    pub region: String,
    /// Language.
    pub lang: Lang,
    /// False: ask for a page without profile.
    pub personalised: bool,
    /// Ids in the cart.
    pub cart: Vec<String>,
    /// The query named a channel (links keep it then).
    pub(super) chosen_channel: bool,
}

impl Visit {
    pub(super) fn new(query: &Query, accept_language: Option<&str>, faces: &[Face]) -> Self {
        let cut = |text: &str| text.trim().chars().take(128).collect::<String>();
        let id = query.visitor.as_deref().map(cut).filter(|id| !id.is_empty());
        let id = id.or_else(|| faces.first().map(|f| f.id.clone())).unwrap_or_else(|| "guest".to_owned());
        let face = faces.iter().find(|f| f.id == id);
        let chosen = query.channel.as_deref().map(cut).filter(|c| !c.is_empty());
        let lang = match query.lang.as_deref() {
            Some(code) if code.starts_with("en") => Lang::En,
            Some(code) if code.starts_with("zh") => Lang::Zh,
            _ => preferred(accept_language.unwrap_or_default()),
        };
        let mut cart: Vec<String> = Vec::new();
        for id in query.cart.as_deref().unwrap_or_default().split('.').map(cut).filter(|id| !id.is_empty()) {
            if cart.len() < MOST_IN_CART && !cart.contains(&id) {
                cart.push(id);
            }
        }
        Self {
            chosen_channel: chosen.is_some(),
            channel: chosen.or_else(|| face.map(|f| f.channel.clone())).unwrap_or_else(|| "web".to_owned()),
            region: face.map(|f| f.region.clone()).unwrap_or_default(),
            lang,
            personalised: query.personalised.as_deref() != Some("0"),
            cart,
            id,
        }
    }

    /// Home.
    #[must_use]
    pub fn home(&self) -> String {
        self.link("/")
    }

    /// An item's page.
    #[must_use]
    pub fn item_link(&self, item: &str) -> String {
        self.link(&format!("/item/{}", escape(item)))
    }

    pub(super) fn cart_link(&self) -> String {
        self.link("/cart")
    }

    /// The cart with one more in it; the same when it is there already or the cart is full.
    pub(super) fn add_to_cart(&self, item: &str) -> String {
        let mut more = self.clone();
        // The address separates ids by full stops; an item whose id has one cannot be carried in it.
        if !item.contains('.') && !more.cart.iter().any(|id| id == item) && more.cart.len() < MOST_IN_CART {
            more.cart.push(item.to_owned());
        }
        more.cart_link()
    }

    /// The cart without one.
    pub(super) fn take_from_cart(&self, item: &str) -> String {
        let mut less = self.clone();
        less.cart.retain(|id| id != item);
        less.cart_link()
    }

    pub(super) fn emptied(&self) -> Self {
        Self { cart: Vec::new(), ..self.clone() }
    }

    /// Home as somebody else, on their own channel, with an empty cart.
    pub(super) fn seen_by(&self, visitor: &str) -> String {
        let other = Self { id: visitor.to_owned(), chosen_channel: false, ..self.emptied() };
        other.link("/")
    }

    pub(super) fn over(&self, channel: &str) -> String {
        let other = Self { channel: channel.to_owned(), chosen_channel: true, ..self.clone() };
        other.link("/")
    }

    pub(super) fn in_lang(&self, lang: Lang) -> String {
        Self { lang, ..self.clone() }.link("")
    }

    pub(super) fn with_personalised(&self, personalised: bool) -> String {
        Self { personalised, ..self.clone() }.link("/")
    }

    pub(super) fn compare(&self, left: &str, right: &str) -> String {
        let lang = self.lang.code();
        let mut link = format!("/compare?left={}&right={}&lang={lang}", escape(left), escape(right));
        if self.chosen_channel {
            link.push_str(&format!("&channel={}", escape(&self.channel)));
        }
        link
    }

    /// The fields a form must carry besides the visitor: name and value.
    pub(super) fn carried(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("lang", self.lang.code().to_owned())];
        if self.chosen_channel {
            fields.push(("channel", self.channel.clone()));
        }
        fields
    }

    fn link(&self, path: &str) -> String {
        let mut link = format!("{path}?visitor={}&lang={}", escape(&self.id), self.lang.code());
        if self.chosen_channel {
            link.push_str(&format!("&channel={}", escape(&self.channel)));
        }
        if !self.personalised {
            link.push_str("&personalised=0");
        }
        if !self.cart.is_empty() {
            let ids: Vec<String> = self.cart.iter().map(|id| escape(id)).collect();
            link.push_str(&format!("&cart={}", ids.join(".")));
        }
        link
    }
}

/// The first of `zh` and `en` the header names with the highest weight; Chinese without either.
fn preferred(header: &str) -> Lang {
    let mut best = (0.0f32, Lang::Zh);
    for entry in header.split(',') {
        let mut parts = entry.trim().split(';');
        let tag = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let weight = parts.find_map(|p| p.trim().strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        let lang = match tag.get(..2) {
            Some("zh") => Lang::Zh,
            Some("en") => Lang::En,
            _ => continue,
        };
        if weight > best.0 {
            best = (weight, lang);
        }
    }
    best.1
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Lang, Query, Visit, escape, preferred};

    #[test]
    fn the_header_chooses_the_language_by_weight() {
        assert_eq!(preferred("fr, en-GB;q=0.7, zh-CN;q=0.9"), Lang::Zh);
        assert_eq!(preferred("en-US,en;q=0.9"), Lang::En);
        assert_eq!(preferred("de"), Lang::Zh);
        assert_eq!(preferred("en;q=x, é"), Lang::En);
    }

    #[test]
    fn links_keep_the_visit_and_escape_it() {
        let query = Query {
            visitor: Some("a b&c".into()),
            channel: Some("app".into()),
            lang: Some("en".into()),
            cart: Some("P1..P2.P1".into()),
            ..Query::default()
        };
        let visit = Visit::new(&query, None, &[]);
        assert_eq!(visit.cart, ["P1", "P2"]);
        assert_eq!(visit.item_link("x/y"), "/item/x%2Fy?visitor=a%20b%26c&lang=en&channel=app&cart=P1.P2");
        assert_eq!(visit.take_from_cart("P1"), "/cart?visitor=a%20b%26c&lang=en&channel=app&cart=P2");
        assert!(visit.add_to_cart("P3").ends_with("cart=P1.P2.P3"));
        assert_eq!(escape("千"), "%E5%8D%83");
    }

    #[test]
    fn nothing_given_is_the_first_face_or_a_guest() {
        let visit = Visit::new(&Query::default(), None, &[]);
        assert_eq!((visit.id.as_str(), visit.channel.as_str(), visit.personalised), ("guest", "web", true));
    }
}
