//! The storefront page: "a thousand faces", rendered on the server from a recommendation's answer.
//!
//! [`Visit`] is who looks, how, and every link the page needs (all state is in the address, so the page works without
//! scripts); `view` turns an answer into plain structs; the templates print them. Everything is escaped by minijinja,
//! nothing is inline, so a strict `Content-Security-Policy` holds (see [`CONTENT_SECURITY_POLICY`]).

mod assets;
mod view;
mod visit;
mod words;

pub use assets::{Asset, CONTENT_SECURITY_POLICY, assets};
pub use view::{Learned, Lookup};
pub use visit::{Face, Lang, Query, Visit};

use crate::recommend::Answer;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, UndefinedBehavior, Value, context};
use qianmian_state::Item;
use serde::Serialize;

/// Everything the pages need that stays the same between requests.
pub struct Storefront {
    env: Environment<'static>,
    faces: Vec<Face>,
    channels: Vec<(String, String, String)>,
}

impl Storefront {
    /// The demo's storefront: its personas and channels.
    ///
    /// # Errors
    /// When a template does not parse, which a test rules out.
    pub fn demo() -> Result<Self, Error> {
        let faces = crate::demo::PERSONAS.iter().map(Face::from).collect();
        let channels = crate::demo::channels().map(|(id, (zh, en))| (id.into(), zh.into(), en.into())).collect();
        Self::new(faces, channels)
    }

    /// A storefront that offers these visitors and these channels (id, Chinese name, English name).
    ///
    /// # Errors
    /// When a template does not parse, which a test rules out.
    pub fn new(faces: Vec<Face>, channels: Vec<(String, String, String)>) -> Result<Self, Error> {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        env.add_template("base.html", include_str!("../../templates/base.html"))?;
        env.add_template("parts.html", include_str!("../../templates/parts.html"))?;
        env.add_template("home.html", include_str!("../../templates/home.html"))?;
        env.add_template("item.html", include_str!("../../templates/item.html"))?;
        env.add_template("cart.html", include_str!("../../templates/cart.html"))?;
        env.add_template("compare.html", include_str!("../../templates/compare.html"))?;
        env.add_template("message.html", include_str!("../../templates/message.html"))?;
        Ok(Self { env, faces, channels })
    }

    /// Who looks, how, and in which language. `accept_language` is that header.
    #[must_use]
    pub fn visit(&self, query: &Query, accept_language: Option<&str>) -> Visit {
        Visit::new(query, accept_language, &self.faces)
    }

    /// The two visits of `/compare`: the same channel and language, seen by `left` and by `right` (by the first two
    /// faces where the query names none).
    #[must_use]
    pub fn visits(&self, query: &Query, accept_language: Option<&str>) -> (Visit, Visit) {
        let side = |id: &Option<String>, at: usize| {
            let id = id.clone().or_else(|| self.faces.get(at).map(|f| f.id.clone()));
            // Each face on its own channel, unless the query says otherwise.
            Visit::new(&Query { visitor: id, ..query.clone() }, accept_language, &self.faces)
        };
        (side(&query.left, 0), side(&query.right, 1))
    }

    /// `/`: the home page from the answer of scenario `home`.
    ///
    /// # Errors
    /// When the template fails.
    pub fn home(&self, visit: &Visit, answer: &Answer, learned: &Learned, items: Lookup<'_>) -> Result<String, Error> {
        self.env.get_template("home.html")?.render(context! {
            page => self.page(visit, "home"),
            profile => value(&view::profile(visit, learned, items)),
            shelves => value(&view::shelves(answer, visit, learned, items)),
            footer => value(&view::footer(answer)),
        })
    }

    /// `/item/{id}`: a product, an offer or an article, with the shelves of scenario `product` or `content`.
    ///
    /// # Errors
    /// When the template fails.
    pub fn item(
        &self,
        visit: &Visit,
        item: &Item,
        answer: &Answer,
        learned: &Learned,
        items: Lookup<'_>,
    ) -> Result<String, Error> {
        self.env.get_template("item.html")?.render(context! {
            page => self.page(visit, if answer.scenario.is_empty() { "product" } else { &answer.scenario }),
            item => value(&view::item(item, visit, &visit.item_link(&item.id))),
            add => visit.add_to_cart(&item.id),
            shelves => value(&view::shelves(answer, visit, learned, items)),
            footer => value(&view::footer(answer)),
        })
    }

    /// `/cart`: what is in the visit's cart, with the shelves of scenario `cart`. `answer` is `None` for an empty cart.
    ///
    /// # Errors
    /// When the template fails.
    pub fn cart(
        &self,
        visit: &Visit,
        answer: Option<&Answer>,
        learned: &Learned,
        items: Lookup<'_>,
    ) -> Result<String, Error> {
        self.env.get_template("cart.html")?.render(context! {
            page => self.page(visit, "cart"),
            lines => value(&view::cart(visit, items)),
            shelves => value(&answer.map(|a| view::shelves(a, visit, learned, items)).unwrap_or_default()),
            footer => value(&answer.map(view::footer)),
        })
    }

    /// `/compare`: two visitors' home pages beside one another.
    ///
    /// # Errors
    /// When the template fails.
    pub fn compare(
        &self,
        left: (&Visit, &Answer, &Learned),
        right: (&Visit, &Answer, &Learned),
        items: Lookup<'_>,
    ) -> Result<String, Error> {
        let mut page = view::page(left.0, "home", &self.faces, &self.channels);
        let other = Visit { lang: left.0.lang.of(Lang::En, Lang::Zh), ..left.0.clone() };
        page.lang_href = other.compare(&left.0.id, &right.0.id);
        let side = |(visit, answer, learned): (&Visit, &Answer, &Learned), is_left: bool| {
            let (this, other) = (visit, if is_left { right.0 } else { left.0 });
            let choices: Vec<_> = self
                .faces
                .iter()
                .map(|face| {
                    let link =
                        if is_left { this.compare(&face.id, &other.id) } else { this.compare(&other.id, &face.id) };
                    view::face(face, visit, link)
                })
                .collect();
            context! {
                me => value(&view::me(visit, &self.faces)),
                choices => value(&choices),
                shelves => value(&view::shelves(answer, visit, learned, items)),
                footer => value(&view::footer(answer)),
                own => visit.home(),
                channel => visit.channel.as_str(),
                region => visit.region.as_str(),
            }
        };
        self.env.get_template("compare.html")?.render(context! {
            page => value(&page),
            sides => vec![side(left, true), side(right, false)],
            shared => value(&view::shared_items(left.1, right.1)),
        })
    }

    /// A page that says that something is not there or did not work, with the way home.
    ///
    /// # Errors
    /// When the template fails.
    pub fn message(&self, visit: &Visit, status: u16, detail: &str) -> Result<String, Error> {
        let page = self.page(visit, "home");
        self.env.get_template("message.html")?.render(context! { page, status, detail })
    }

    fn page(&self, visit: &Visit, scenario: &str) -> Value {
        value(&view::page(visit, scenario, &self.faces, &self.channels))
    }
}

fn value(view: &impl Serialize) -> Value {
    Value::from(Serde(view))
}

#[cfg(test)]
mod tests;
