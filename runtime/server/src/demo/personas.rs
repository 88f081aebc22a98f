//! The named visitors a page offers to look through the eyes of.

use super::themes::Bi;
use super::themes::Theme::{
    self, Audio, Beauty, Business, Family, Foodie, Gamer, Home, Island, Outdoors, Photo, Roaming, Student,
};

/// A visitor with a name and a clear taste.
#[derive(Debug)]
pub struct Persona {
    /// Visitor id.
    pub id: &'static str,
    /// Name.
    pub name: Bi,
    /// Who this is, in a few words.
    pub about: Bi,
    /// Tastes with weights that sum to 100.
    pub themes: &'static [(Theme, u8)],
    /// 0 thrifty to 4 lavish.
    pub level: u8,
    /// Usual channel.
    pub channel: &'static str,
    /// Home region.
    pub region: &'static str,
    /// Favourite categories.
    pub(crate) favourites: [&'static str; 3],
}

/// All of them; their ids are those of the first visitors of every scale.
pub static PERSONAS: [Persona; 8] = [
    Persona {
        id: "u00001",
        name: ("林悦", "Lin Yue"),
        about: ("商务常客 · 每周飞三次", "Frequent flyer, three flights a week"),
        themes: &[(Business, 70), (Roaming, 20), (Audio, 10)],
        level: 4,
        channel: "app",
        region: "CN-SH",
        favourites: ["service.lounge", "luggage.carry-on", "flights.domestic"],
    },
    Persona {
        id: "u00002",
        name: ("陈航", "Chen Hang"),
        about: ("大二学生 · 电竞社长", "Second-year student, runs the esports club"),
        themes: &[(Gamer, 60), (Student, 40)],
        level: 0,
        channel: "mini-program",
        region: "CN-HB",
        favourites: ["gaming", "plans.student", "audio.headphones"],
    },
    Persona {
        id: "u00003",
        name: ("王珊", "Wang Shan"),
        about: ("二宝妈妈 · 寒暑假必出游", "Mother of two, away every school holiday"),
        themes: &[(Family, 75), (Island, 15), (Home, 10)],
        level: 2,
        channel: "app",
        region: "CN-GD",
        favourites: ["kids", "hotels", "tours"],
    },
    Persona {
        id: "u00004",
        name: ("赵野", "Zhao Ye"),
        about: ("徒步的摄影师 · 常在高原", "Photographer on foot, mostly above 3,000 m"),
        themes: &[(Outdoors, 55), (Photo, 45)],
        level: 3,
        channel: "web",
        region: "CN-SC",
        favourites: ["outdoor.gear", "photo.cameras", "luggage.backpacks"],
    },
    Persona {
        id: "u00005",
        name: ("苏眉", "Su Mei"),
        about: ("美妆编辑 · 免税店活地图", "Beauty editor, knows every duty-free"),
        themes: &[(Beauty, 80), (Foodie, 20)],
        level: 4,
        channel: "app",
        region: "HK",
        favourites: ["beauty.makeup", "beauty.care", "gear.organisers"],
    },
    Persona {
        id: "u00006",
        name: ("陈嘉文", "Kevin Tan"),
        about: ("新加坡食客 · 为一碗面飞", "Singaporean who flies for noodles"),
        themes: &[(Foodie, 65), (Roaming, 35)],
        level: 3,
        channel: "web",
        region: "SG",
        favourites: ["food.treats", "roaming.esim", "tours"],
    },
    Persona {
        id: "u00007",
        name: ("周启", "Zhou Qi"),
        about: ("影音发烧友 · 全屋智能", "Hi-fi and a home full of sensors"),
        themes: &[(Audio, 50), (Home, 50)],
        level: 3,
        channel: "web",
        region: "CN-BJ",
        favourites: ["audio.headphones", "home.smart", "home.network"],
    },
    Persona {
        id: "u00008",
        name: ("叶澜", "Ye Lan"),
        about: ("海岛收集者 · 潜水教练", "Collects islands, teaches diving"),
        themes: &[(Island, 80), (Photo, 20)],
        level: 2,
        channel: "mini-program",
        region: "CN-ZJ",
        favourites: ["beach", "flights.international", "wearables"],
    },
];

/// The persona with this visitor id.
#[must_use]
pub fn persona(id: &str) -> Option<&'static Persona> {
    PERSONAS.iter().find(|p| p.id == id)
}
