//! Flights and what belongs to them: upgrades, lounges, hotels, tours, miles, gift cards.

use super::super::themes::Theme::{
    Audio, Beauty, Business, Family, Foodie, Gamer, Home, Island, Outdoors, Photo, Roaming, Student,
};
use super::{Bi, Goods, Variant, noun, variant};

const AIRLINES: &[Bi] = &[
    ("千面航空", "Qianmian Air"),
    ("云雀航空", "Larkcloud Air"),
    ("海岚航空", "Hailan Airlines"),
    ("赤狐快线", "Redfox Express"),
    ("北辰国际", "Polestar International"),
    ("青鸾航空", "Azure Phoenix"),
];

const HOTEL_BRANDS: &[Bi] = &[
    ("栖云", "Cloudrest"),
    ("里弄小馆", "Lane House"),
    ("望海潮", "Tidewatch"),
    ("一宿", "One Night"),
    ("松间", "Amid Pines"),
    ("澄光", "Clearlight"),
    ("驿马", "Posthorse"),
    ("半山叶", "Hillside Leaf"),
];

/// Domestic fares; routes come from the places.
pub(crate) static DOMESTIC_FLIGHTS: Goods = Goods {
    slug: "flights.domestic",
    name: ("国内机票", "Domestic flights"),
    count: 1700,
    brands: AIRLINES,
    series: &[],
    nouns: &[],
    variants: &[
        variant("经济舱", "Economy", 1.0, "Y"),
        variant("往返经济舱", "Economy return", 1.8, "Y"),
        variant("亲子套票", "Family fare", 2.4, "2+1"),
        variant("学生特惠", "Student fare", 0.7, "学"),
        variant("公务舱", "Business", 3.1, "C"),
    ],
    blurb: ("含20公斤行李,起飞前可改期一次。", "20 kg of luggage and one free change before departure."),
    digital: true,
    repeat: true,
    with: &["hotels", "service.lounge", "service.upgrade", "luggage.carry-on", "tours"],
};

/// International fares.
pub(crate) static INTERNATIONAL_FLIGHTS: Goods = Goods {
    slug: "flights.international",
    name: ("国际机票", "International flights"),
    count: 1500,
    brands: AIRLINES,
    series: &[],
    nouns: &[],
    variants: &[
        variant("经济舱", "Economy", 1.0, "Y"),
        variant("超级经济舱", "Premium economy", 1.6, "W"),
        variant("亲子套票", "Family fare", 2.5, "2+1"),
        variant("学生特惠", "Student fare", 0.75, "学"),
        variant("公务舱", "Business", 3.4, "C"),
    ],
    blurb: ("含两件托运行李与机上网络。", "Two pieces of luggage and Wi-Fi on board."),
    digital: true,
    repeat: true,
    with: &["roaming.packs", "hotels", "service.lounge", "luggage.checked", "gear.comfort"],
};

/// Rooms; cities come from the places.
pub(crate) static HOTELS: Goods = Goods {
    slug: "hotels",
    name: ("酒店", "Hotels"),
    count: 1900,
    brands: HOTEL_BRANDS,
    series: &[],
    nouns: &[],
    variants: &[
        variant("大床房", "Double room", 0.8, "1晚"),
        variant("行政房", "Executive room", 1.4, "1晚"),
        variant("亲子家庭房", "Family room", 1.5, "2+1"),
        variant("青旅四人间", "Four-bed dorm", 0.25, "1床"),
        variant("海景露台房", "Sea-view terrace", 1.9, "1晚"),
        variant("观星木屋", "Stargazing cabin", 1.6, "1晚"),
    ],
    blurb: ("入住前一天可免费取消,含双早。", "Free to cancel until the day before, breakfast for two."),
    digital: true,
    repeat: false,
    with: &["tours", "flights.domestic", "gear.comfort", "roaming.packs"],
};

/// Data packs for abroad; zones come from the places.
pub(crate) static ROAMING: Goods = Goods {
    slug: "roaming.packs",
    name: ("漫游流量包", "Roaming packs"),
    count: 850,
    brands: &[("千面通信", "Qianmian Mobile"), ("远声", "Farvoice"), ("信风", "Tradewind")],
    series: &[],
    nouns: &[],
    variants: &[
        variant("1天 1GB", "1 day 1 GB", 0.6, "1GB"),
        variant("3天 3GB", "3 days 3 GB", 1.3, "3GB"),
        variant("7天 5GB", "7 days 5 GB", 2.2, "5GB"),
        variant("7天 10GB", "7 days 10 GB", 3.0, "10GB"),
        variant("15天 20GB", "15 days 20 GB", 4.6, "20GB"),
        variant("30天 畅享", "30 days unlimited", 7.5, "∞"),
    ],
    blurb: ("落地自动生效,用完降速不断网。", "Starts as you land; slows down, never cuts off."),
    digital: true,
    repeat: true,
    with: &["flights.international", "accessories.power", "roaming.esim", "gear.comfort"],
};

/// eSIMs for abroad.
pub(crate) static ESIM: Goods = Goods {
    slug: "roaming.esim",
    name: ("境外eSIM", "Travel eSIM"),
    count: 550,
    brands: &[("信风", "Tradewind"), ("蜂鸟", "Hummingbird"), ("千面通信", "Qianmian Mobile")],
    series: &[],
    nouns: &[],
    variants: &[
        variant("eSIM 5GB", "eSIM 5 GB", 2.4, "5GB"),
        variant("eSIM 10GB", "eSIM 10 GB", 3.2, "10GB"),
        variant("eSIM 20GB", "eSIM 20 GB", 5.0, "20GB"),
        variant("eSIM 长期版", "eSIM long stay", 8.0, "90天"),
    ],
    blurb: ("扫码即装,不用换卡。", "Scan, install, keep your own card."),
    digital: true,
    repeat: true,
    with: &["roaming.packs", "flights.international", "accessories.power"],
};

const CITIES_EDITION: &[Bi] = &[
    ("上海", "Shanghai"),
    ("北京", "Beijing"),
    ("广州", "Guangzhou"),
    ("成都", "Chengdu"),
    ("三亚", "Sanya"),
    ("香港", "Hong Kong"),
    ("东京", "Tokyo"),
    ("新加坡", "Singapore"),
    ("曼谷", "Bangkok"),
    ("伦敦", "London"),
    ("西安", "Xi'an"),
    ("武汉", "Wuhan"),
];

const ADMISSION: &[Variant] = &[
    variant("成人票", "adult", 1.0, "1人"),
    variant("双人票", "for two", 1.9, "2人"),
    variant("家庭票", "family ticket", 2.5, "2+1"),
    variant("学生票", "student", 0.6, "学"),
];

/// What flights bring with them.
pub(super) static GOODS: &[Goods] = &[
    Goods {
        slug: "service.upgrade",
        name: ("升舱选座", "Upgrades and seats"),
        count: 420,
        brands: AIRLINES,
        series: &[("国内", "Domestic"), ("中短程", "Medium haul"), ("远程", "Long haul")],
        nouns: &[
            noun("升舱券", "upgrade voucher", 680.0, &[Business]),
            noun("前排宽座", "front-row seat", 90.0, &[Business, Family]),
            noun("靠窗座位", "window seat", 40.0, &[Photo, Island]),
            noun("三人连座", "three seats together", 120.0, &[Family]),
            noun("额外行李额", "extra luggage", 160.0, &[Student, Beauty]),
            noun("运动装备托运", "sports equipment", 260.0, &[Outdoors]),
            noun("机上Wi-Fi", "Wi-Fi on board", 60.0, &[Business, Gamer, Roaming]),
        ],
        variants: &[
            variant("单次", "single", 1.0, "1次"),
            variant("往返", "return", 1.8, "2次"),
            variant("五次卡", "five times", 4.2, "5次"),
            variant("年卡", "year pass", 12.0, "年"),
        ],
        blurb: ("下单后自动挂到你的航班上。", "Attached to your flight as you order."),
        digital: true,
        repeat: true,
        with: &["service.lounge", "flights.domestic", "gear.comfort"],
    },
    Goods {
        slug: "service.lounge",
        name: ("贵宾出行", "Lounges and transfers"),
        count: 420,
        brands: &[("云庭", "Cloud Court"), ("候鸟", "Migrant"), ("首航会", "First Flight Club")],
        series: CITIES_EDITION,
        nouns: &[
            noun("贵宾休息室", "airport lounge", 168.0, &[Business, Foodie]),
            noun("快速安检通道", "fast track", 88.0, &[Business, Family]),
            noun("专车接机", "car from the airport", 198.0, &[Business, Family]),
            noun("亲子候机室", "family lounge", 138.0, &[Family]),
            noun("睡眠舱", "sleeping pod", 98.0, &[Student, Roaming]),
            noun("机场行李寄存", "luggage storage", 30.0, &[Student, Island]),
        ],
        variants: &[
            variant("单次", "single", 1.0, "1次"),
            variant("同行两人", "for two", 1.8, "2人"),
            variant("六次卡", "six visits", 4.8, "6次"),
        ],
        blurb: ("凭订单码直接入内,当日有效。", "Walk in with the order code, valid all day."),
        digital: true,
        repeat: true,
        with: &["service.upgrade", "flights.domestic", "gear.comfort"],
    },
    Goods {
        slug: "tours",
        name: ("当地玩乐", "Things to do"),
        count: 950,
        brands: &[
            ("拾光旅行", "Gather Light"),
            ("野路子", "Offbeat"),
            ("城里人", "Towner"),
            ("小橘灯", "Little Lantern"),
        ],
        series: CITIES_EDITION,
        nouns: &[
            noun("主题乐园一日票", "theme park day", 420.0, &[Family, Student]),
            noun("亲子博物馆导览", "museum tour for children", 160.0, &[Family]),
            noun("城市夜骑", "night ride", 120.0, &[Student, Photo]),
            noun("老饕美食徒步", "food walk", 260.0, &[Foodie]),
            noun("私厨晚宴", "private kitchen dinner", 580.0, &[Foodie, Business]),
            noun("日出徒步", "sunrise hike", 220.0, &[Outdoors, Photo]),
            noun("峡谷露营两日", "two days' camping", 680.0, &[Outdoors]),
            noun("旅拍跟拍", "photo session", 880.0, &[Photo, Beauty]),
            noun("浮潜出海", "snorkelling trip", 460.0, &[Island, Family]),
            noun("落日帆船", "sunset sailing", 520.0, &[Island, Photo]),
            noun("电竞馆包间", "esports room", 180.0, &[Gamer, Student]),
            noun("现场音乐夜", "live music night", 240.0, &[Audio, Student]),
            noun("温泉美肤半日", "hot spring half day", 360.0, &[Beauty]),
        ],
        variants: ADMISSION,
        blurb: ("小团成行,雨天可退。", "Small groups, refunded when it rains."),
        digital: true,
        repeat: false,
        with: &["hotels", "photo.cameras", "outdoor.gear", "beach"],
    },
    Goods {
        slug: "giftcards",
        name: ("礼品卡", "Gift cards"),
        count: 280,
        brands: &[("千面商城", "Qianmian Mall"), ("千面航空", "Qianmian Air"), ("千面通信", "Qianmian Mobile")],
        series: &[
            ("新年", "New Year"),
            ("毕业季", "Graduation"),
            ("生日", "Birthday"),
            ("母亲节", "Mother's Day"),
            ("蜜月", "Honeymoon"),
            ("开学", "Back to School"),
        ],
        nouns: &[
            noun("旅行卡", "travel card", 100.0, &[Family, Island]),
            noun("话费卡", "top-up card", 100.0, &[Student, Roaming]),
            noun("游戏点卡", "game card", 100.0, &[Gamer]),
            noun("美妆卡", "beauty card", 100.0, &[Beauty]),
            noun("美食卡", "food card", 100.0, &[Foodie, Home]),
        ],
        variants: &[
            variant("50元", "¥50", 0.5, "50"),
            variant("100元", "¥100", 1.0, "100"),
            variant("300元", "¥300", 3.0, "300"),
            variant("500元", "¥500", 5.0, "500"),
            variant("1000元", "¥1000", 10.0, "1000"),
        ],
        blurb: ("电子卡即时到账,三年有效。", "Delivered at once, valid for three years."),
        digital: true,
        repeat: true,
        with: &["miles", "food.treats"],
    },
    Goods {
        slug: "miles",
        name: ("里程商品", "Mileage goods"),
        count: 480,
        brands: &[("千面里程", "Qianmian Miles"), ("云雀俱乐部", "Larkcloud Club")],
        series: &[("典藏", "Collector's"), ("飞行员", "Pilot's"), ("环球", "Round-the-World"), ("晨曦", "Daybreak")],
        nouns: &[
            noun("飞机模型", "model aircraft", 298.0, &[Family, Photo]),
            noun("飞行员夹克", "pilot jacket", 699.0, &[Outdoors, Student]),
            noun("登机牌夹", "boarding pass holder", 89.0, &[Business, Roaming]),
            noun("里程直充", "miles top-up", 200.0, &[Business]),
            noun("保温杯", "thermos", 129.0, &[Outdoors, Home]),
            noun("小熊机长玩偶", "Captain Bear", 119.0, &[Family]),
            noun("机上餐具套装", "in-flight tableware", 259.0, &[Foodie, Home]),
            noun("复古海报", "vintage poster", 69.0, &[Photo, Home]),
        ],
        variants: &[
            variant("标准版", "standard", 1.0, ""),
            variant("限量版", "limited", 1.8, "限量"),
            variant("礼盒装", "gift box", 1.5, "礼盒"),
        ],
        blurb: ("里程加现金均可兑换。", "For miles, money, or some of both."),
        digital: false,
        repeat: false,
        with: &["giftcards", "service.upgrade", "luggage.carry-on"],
    },
];
