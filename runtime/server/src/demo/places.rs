//! Cities and countries of the demo: where flights go, hotels stand and roaming packs work.

use super::themes::Theme::{
    self, Audio, Beauty, Business, Family, Foodie, Gamer, Island, Outdoors, Photo, Roaming, Student,
};

/// A city with an airport.
pub(crate) struct City {
    /// Name in Chinese and English.
    pub zh: &'static str,
    pub en: &'static str,
    /// Airport or city code.
    pub code: &'static str,
    /// What people go there for, strongest first.
    pub themes: &'static [Theme],
    /// How far and how dear: the base of fares and room rates, in CNY.
    pub fare: f32,
}

const fn city(zh: &'static str, en: &'static str, code: &'static str, fare: f32, themes: &'static [Theme]) -> City {
    City { zh, en, code, themes, fare }
}

/// Cities in the mainland; the first [`HUBS`] are where flights start.
pub(crate) const DOMESTIC: &[City] = &[
    city("上海", "Shanghai", "SHA", 560.0, &[Business, Family, Foodie]),
    city("北京", "Beijing", "PEK", 590.0, &[Business, Family]),
    city("广州", "Guangzhou", "CAN", 540.0, &[Foodie, Business]),
    city("深圳", "Shenzhen", "SZX", 570.0, &[Business, Audio]),
    city("成都", "Chengdu", "CTU", 620.0, &[Foodie, Gamer, Family]),
    city("杭州", "Hangzhou", "HGH", 480.0, &[Business, Photo]),
    city("武汉", "Wuhan", "WUH", 430.0, &[Student, Foodie]),
    city("西安", "Xi'an", "XIY", 520.0, &[Foodie, Student, Family]),
    city("三亚", "Sanya", "SYX", 890.0, &[Island, Family, Beauty]),
    city("海口", "Haikou", "HAK", 760.0, &[Beauty, Island]),
    city("厦门", "Xiamen", "XMN", 610.0, &[Island, Student, Foodie]),
    city("青岛", "Qingdao", "TAO", 530.0, &[Island, Foodie]),
    city("丽江", "Lijiang", "LJG", 860.0, &[Photo, Outdoors]),
    city("大理", "Dali", "DLU", 820.0, &[Photo, Student]),
    city("张家界", "Zhangjiajie", "DYG", 690.0, &[Outdoors, Photo]),
    city("拉萨", "Lhasa", "LXA", 1480.0, &[Outdoors, Photo]),
    city("敦煌", "Dunhuang", "DNH", 990.0, &[Photo, Outdoors]),
    city("乌鲁木齐", "Ürümqi", "URC", 1180.0, &[Outdoors, Photo]),
    city("哈尔滨", "Harbin", "HRB", 780.0, &[Family, Photo]),
    city("重庆", "Chongqing", "CKG", 540.0, &[Foodie, Student, Gamer]),
    city("长沙", "Changsha", "CSX", 450.0, &[Foodie, Student]),
    city("昆明", "Kunming", "KMG", 640.0, &[Outdoors, Family]),
    city("珠海", "Zhuhai", "ZUH", 560.0, &[Family, Gamer]),
    city("桂林", "Guilin", "KWL", 590.0, &[Photo, Family]),
];

/// How many of [`DOMESTIC`] flights start from.
pub(crate) const HUBS: usize = 8;

/// Cities flights go to across a border.
pub(crate) const ABROAD: &[City] = &[
    city("香港", "Hong Kong", "HKG", 1180.0, &[Beauty, Foodie, Business]),
    city("澳门", "Macao", "MFM", 1090.0, &[Foodie, Beauty]),
    city("新加坡", "Singapore", "SIN", 1980.0, &[Business, Foodie, Family]),
    city("东京", "Tokyo", "TYO", 2380.0, &[Gamer, Beauty, Foodie]),
    city("大阪", "Osaka", "OSA", 2160.0, &[Family, Foodie, Gamer]),
    city("首尔", "Seoul", "SEL", 1680.0, &[Beauty, Student]),
    city("济州", "Jeju", "CJU", 1320.0, &[Island, Beauty]),
    city("曼谷", "Bangkok", "BKK", 1760.0, &[Foodie, Student, Beauty]),
    city("普吉", "Phuket", "HKT", 2080.0, &[Island, Family]),
    city("巴厘岛", "Bali", "DPS", 2690.0, &[Island, Photo]),
    city("马尔代夫", "the Maldives", "MLE", 5280.0, &[Island, Photo]),
    city("吉隆坡", "Kuala Lumpur", "KUL", 1590.0, &[Foodie, Student]),
    city("迪拜", "Dubai", "DXB", 3680.0, &[Business, Beauty, Family]),
    city("悉尼", "Sydney", "SYD", 4380.0, &[Family, Outdoors, Island]),
    city("奥克兰", "Auckland", "AKL", 5160.0, &[Outdoors, Photo]),
    city("伦敦", "London", "LON", 5480.0, &[Business, Student]),
    city("巴黎", "Paris", "PAR", 5380.0, &[Beauty, Photo]),
    city("苏黎世", "Zurich", "ZRH", 5980.0, &[Outdoors, Photo]),
    city("雷克雅未克", "Reykjavik", "KEF", 6980.0, &[Photo, Outdoors]),
    city("纽约", "New York", "NYC", 6280.0, &[Business, Student]),
    city("洛杉矶", "Los Angeles", "LAX", 5880.0, &[Family, Gamer]),
    city("法兰克福", "Frankfurt", "FRA", 5280.0, &[Business]),
];

/// Where a roaming pack works.
pub(crate) const ZONES: &[(&str, &str, f32, &[Theme])] = &[
    ("中国香港", "Hong Kong", 1.0, &[Beauty, Foodie]),
    ("港澳", "Hong Kong and Macao", 1.1, &[Foodie, Beauty]),
    ("日本", "Japan", 1.4, &[Gamer, Foodie, Beauty]),
    ("韩国", "South Korea", 1.3, &[Beauty, Student]),
    ("新加坡", "Singapore", 1.3, &[Business, Foodie]),
    ("泰国", "Thailand", 1.1, &[Island, Foodie]),
    ("东南亚十国", "South-East Asia", 1.6, &[Student, Island]),
    ("马尔代夫", "the Maldives", 2.2, &[Island]),
    ("澳新", "Australia and New Zealand", 2.0, &[Outdoors, Family]),
    ("欧洲三十国", "Europe", 2.4, &[Photo, Student]),
    ("英国", "the United Kingdom", 2.0, &[Student, Business]),
    ("北美", "North America", 2.5, &[Business, Student]),
    ("中东", "the Middle East", 2.3, &[Business]),
    ("全球通用", "worldwide", 3.2, &[Business, Roaming]),
];

/// Region code, names, and how many of a hundred visitors live there.
pub(crate) const REGIONS: &[(&str, &str, &str, u32)] = &[
    ("CN-SH", "上海", "Shanghai", 16),
    ("CN-BJ", "北京", "Beijing", 14),
    ("CN-GD", "广东", "Guangdong", 18),
    ("CN-ZJ", "浙江", "Zhejiang", 9),
    ("CN-SC", "四川", "Sichuan", 9),
    ("CN-HB", "湖北", "Hubei", 6),
    ("CN-JS", "江苏", "Jiangsu", 7),
    ("CN-SN", "陕西", "Shaanxi", 5),
    ("CN-FJ", "福建", "Fujian", 4),
    ("HK", "香港", "Hong Kong", 5),
    ("SG", "新加坡", "Singapore", 3),
    ("JP", "日本", "Japan", 2),
    ("GB", "英国", "United Kingdom", 2),
];

/// Channels, their names, and how many of a hundred visitors prefer each.
pub(crate) const CHANNELS: &[(&str, &str, &str, u32)] = &[
    ("app", "手机应用", "App", 44),
    ("mini-program", "小程序", "Mini-program", 27),
    ("web", "网页", "Web", 18),
    ("store", "门店", "Store", 7),
    ("push", "推送", "Push", 4),
];
