//! Templates of articles, offers and copy; `{}` takes a place or a category.

use super::themes::{Bi, Theme};

/// Titles of articles about a place, by theme.
pub(crate) const fn guides(theme: Theme) -> [Bi; 3] {
    match theme {
        Theme::Family => [
            ("带娃去{}:一家人的慢旅行", "With children to {}: a slow family trip"),
            ("{}亲子酒店怎么选", "Choosing a family hotel in {}"),
            ("{}雨天遛娃地图", "A rainy-day map of {} for children"),
        ],
        Theme::Business => [
            ("{}出差清单:只带一个登机箱", "{} on business with one carry-on"),
            ("在{}机场高效度过两小时", "Two useful hours at {} airport"),
            ("{}会后一小时:去哪走走", "One hour after the meeting in {}"),
        ],
        Theme::Student => [
            ("穷游{}:三天花了六百块", "{} on a budget: three days, 600 yuan"),
            ("{}青旅与夜市地图", "{}: hostels and night markets"),
            ("毕业旅行去{}", "A graduation trip to {}"),
        ],
        Theme::Gamer => [
            ("{}电竞馆巡礼", "The esports halls of {}"),
            ("去{}看比赛,装备怎么带", "Off to a tournament in {}: what to pack"),
            ("在{}候机,也能稳定上分", "Ranked games while waiting for {}"),
        ],
        Theme::Outdoors => [
            ("{}周边三条徒步线", "Three hikes near {}"),
            ("{}露营:一夜星空", "Camping near {}: a night of stars"),
            ("去{},背包里放什么", "What to carry in {}"),
        ],
        Theme::Beauty => [
            ("{}免税店必买清单", "What to buy duty-free in {}"),
            ("飞往{}前的机上护肤", "In-flight skincare on the way to {}"),
            ("{}的气候该用什么粉底", "Foundation for the climate of {}"),
        ],
        Theme::Roaming => [
            ("在{}怎么上网最划算", "The cheapest way to be online in {}"),
            ("{}:eSIM还是漫游包?", "{}: eSIM or roaming pack?"),
            ("落地{}前要设置的五件事", "Five settings before you land in {}"),
        ],
        Theme::Island => [
            ("{}看海的七个角度", "Seven views of the sea in {}"),
            ("把{}的海风装进行李箱", "Packing for the sea breeze of {}"),
            ("在{}学会什么都不做", "Learning to do nothing in {}"),
        ],
        Theme::Photo => [
            ("{}旅拍机位地图", "A photographer's map of {}"),
            ("{}的蓝调时刻", "Blue hour in {}"),
            ("一镜到底:只带定焦去{}", "{} with a single prime lens"),
        ],
        Theme::Foodie => [
            ("{}本地人常去的小馆", "Where locals eat in {}"),
            ("在{}从早吃到晚", "{} from breakfast to midnight"),
            ("{}伴手礼避坑指南", "Edible souvenirs from {}, and what to avoid"),
        ],
        Theme::Audio => [
            ("飞往{}的歌单", "A playlist for the flight to {}"),
            ("在{}逛唱片店", "Record shops of {}"),
            ("去{}的航班上看完这部剧", "The series for the flight to {}"),
        ],
        Theme::Home => [
            ("去{}度假,家里交给它们", "Away in {}, home looks after itself"),
            ("从{}的民宿学布置", "Home ideas from the guesthouses of {}"),
            ("在{}也能照看家里的猫", "Minding the cat from {}"),
        ],
    }
}

/// What an article about a place says, three sentences; `{}` takes the place.
pub(crate) const PLACE_BODY: [Bi; 6] = [
    (
        "出发前先把{}的天气和交通看一遍,能省下一半的行李。",
        "Look up weather and transport for {} first: it halves the luggage.",
    ),
    (
        "我们请教了三位常去{}的朋友,把他们的经验浓缩成一页。",
        "We asked three friends who know {} well and put what they said on one page.",
    ),
    (
        "最值得花钱的地方往往不在攻略里,而在你多留的那半天。",
        "The best money is spent on the half day no guide mentions.",
    ),
    ("如果只能带一件东西,就带那件让你安心的。", "If you can bring one thing, bring the one that lets you relax."),
    ("文末附上我们自己在用的清单,可以直接加入购物车。", "Our own list is at the end, ready for the cart."),
    ("旺季请提前两周预订,淡季可以临时起意。", "Book two weeks ahead in season; out of season just go."),
];

/// What a buying guide says; `{}` takes the category.
pub(crate) const GOODS_BODY: [Bi; 6] = [
    ("挑选{}之前,先想清楚它会跟你去哪里。", "Before choosing, think where it will go with you ({})."),
    (
        "我们把同价位的几款放在一起用了两周,差别比参数表上大。",
        "We used several at the same price for two weeks; they differ more than the data sheets say.",
    ),
    ("重量和售后,比多出来的功能更重要。", "Weight and service matter more than one more feature."),
    ("预算有限时,把钱花在每天都用的那一件上。", "On a small budget, spend it on what you use every day."),
    ("买之前量一量自己的箱子和口袋。", "Measure your case and your pockets before you buy."),
    ("常客的建议:旧的还能用,就先别换。", "From regulars: while the old one works, keep it."),
];

/// Buying guides; `{}` takes a category.
pub(crate) const BUYING: [Bi; 6] = [
    ("怎么挑{}:五个要点", "Choosing {}: five things that matter"),
    ("{}:新手常犯的三个错", "{}: three mistakes beginners make"),
    ("我们试了十款,聊聊{}", "We tried ten: {}"),
    ("一图看懂{}的参数", "{}: the figures explained"),
    ("{}的平价之选", "{}: the affordable picks"),
    ("{}:今年值得升级吗", "{}: worth upgrading this year?"),
];

/// Words for a category; `{}` takes its name.
pub(crate) const LINES: [Bi; 8] = [
    ("{}上新,先到先选", "New in {}: first come, first served"),
    ("{},常客都在回购", "{}: what regulars buy again"),
    ("出发前,看看{}", "Before you go: {}"),
    ("{}里的小确幸", "Small joys in {}"),
    ("今天适合逛{}", "A good day for {}"),
    ("{}价格刚刚好", "{}, at the right price"),
    ("会员都在看的{}", "{}: what members look at"),
    ("给你留了一份{}", "We kept some {} for you"),
];
