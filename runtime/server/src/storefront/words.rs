//! The page's own words in both languages, and reason codes and shelf ids in words a visitor understands.

use super::visit::Lang;
use crate::demo::Theme;
use std::collections::BTreeMap;

/// Key, Chinese, English.
const WORDS: &[(&str, &str, &str)] = &[
    ("brand", "千面商城", "Qianmian Mall"),
    ("tagline", "一千个人,一千张面孔", "A thousand visitors, a thousand faces"),
    ("skip", "跳到内容", "Skip to content"),
    ("nav", "主导航", "Main"),
    ("home", "首页", "Home"),
    ("compare", "对比", "Compare"),
    ("cart", "购物车", "Cart"),
    ("theme", "切换深浅色", "Switch light and dark"),
    ("language", "English", "中文"),
    ("faces", "换一双眼睛看", "Look through other eyes"),
    ("any_visitor", "任意访客编号", "Any visitor id"),
    ("go", "切换", "Switch"),
    ("channels", "渠道", "Channel"),
    ("personalised", "个性化推荐", "Personalisation"),
    ("on", "已开启", "on"),
    ("off", "已关闭", "off"),
    ("off_note", "此页没有使用任何个人资料。", "This page was made without any profile."),
    ("interests", "我们学到的", "What we learned"),
    ("recent", "最近看过", "Recently opened"),
    ("unknown", "我们还不认识这位访客,点几下试试。", "We do not know this visitor yet. Click a few things."),
    ("details", "商品详情", "Details"),
    ("add", "加入购物车", "Add to cart"),
    ("in_cart", "已在购物车", "In the cart"),
    ("sold_out", "暂时售罄", "Sold out"),
    ("left", "仅剩", "Only"),
    ("left_end", "件", "left"),
    ("miles", "里程", "miles"),
    ("rating", "评分", "Rated"),
    ("minutes", "分钟读完", "min read"),
    ("use_offer", "去使用", "Use it"),
    ("over", "满", "over"),
    ("days_left", "天后结束", "days left"),
    ("collection", "本期专栏", "Stories"),
    ("empty_cart", "购物车还是空的。", "The cart is empty."),
    ("remove", "移除", "Remove"),
    ("total", "合计", "Total"),
    ("checkout", "提交订单", "Place order"),
    ("demo_order", "演示订单,不会扣款。", "A demo order; nobody is charged."),
    ("compare_title", "同一时刻,两张面孔", "One moment, two faces"),
    (
        "compare_note",
        "同一个商城、同一份商品,由各自的行为决定看到什么。",
        "One mall, one catalogue; what each did decides what each sees.",
    ),
    ("shared", "两边共有", "On both pages"),
    ("of", "/", "of"),
    ("open_page", "打开完整页面", "Open the whole page"),
    ("back_home", "返回首页", "Back to the home page"),
    ("request", "请求", "Request"),
    ("strategy", "策略", "Strategy"),
    ("release", "发布", "Release"),
    ("took", "耗时", "Took"),
    ("degraded", "降级", "Degraded"),
    ("none", "无", "none"),
    ("fallback", "回退", "Fallback"),
    (
        "footer_note",
        "由 Qianmian 实时生成 · 每一次点击都会改变下一页",
        "Composed live by Qianmian; every click changes the next page",
    ),
    ("nothing", "这里暂时没有可推荐的内容。", "There is nothing to show here right now."),
    ("more", "更多", "More"),
];

/// The table in one language.
pub(super) fn all(lang: Lang) -> BTreeMap<&'static str, &'static str> {
    WORDS.iter().map(|&(key, zh, en)| (key, lang.of(zh, en))).collect()
}

/// A reason code in words. Codes are the names strategies give their sources; unknown ones are shown as they are,
/// without the underscores.
pub(super) fn reason(code: &str, lang: Lang) -> String {
    let known = match code {
        c if c.starts_with("bought") || c == "complements" => ("常一起购买", "Often bought together"),
        c if c.starts_with("viewed") => ("看过的人也在看", "Others also viewed"),
        c if c.starts_with("next") => ("接下来常看", "Often viewed next"),
        c if c.starts_with("near_item") || c.starts_with("similar") => ("相似好物", "Similar"),
        c if c.starts_with("near") => ("合你的口味", "To your taste"),
        c if c.starts_with("buy_again") || c.starts_with("again") => ("再次购买", "Buy again"),
        c if c.starts_with("trending_region") => ("你所在地区热门", "Popular near you"),
        c if c.starts_with("trending_channel") => ("本渠道热门", "Popular on this channel"),
        c if c.starts_with("trending_segment") => ("同好都在看", "Popular with people like you"),
        c if c.starts_with("trending") || c.starts_with("popular") || c == "backfill" => ("正在热门", "Trending"),
        c if c.starts_with("new") => ("新品上架", "Just in"),
        c if c.starts_with("same_brand") || c == "brand" => ("同一品牌", "Same brand"),
        c if c.starts_with("same_tag") || c == "tag" => ("同一主题", "Same theme"),
        c if c.starts_with("same") || c == "category" => ("你常逛的品类", "A category you visit"),
        c if c.starts_with("listed") || c.starts_with("pinned") || c.starts_with("editor") => {
            ("编辑推荐", "Editor's choice")
        }
        c if c.starts_with("explor") => ("新鲜试试", "Something new for you"),
        _ => return code.replace('_', " "),
    };
    lang.of(known.0, known.1).to_owned()
}

/// True for reasons that come from what the visitor opened before, so that "because you viewed ..." may be said.
pub(super) fn from_history(code: &str) -> bool {
    ["viewed", "next", "near", "same", "similar", "category", "brand", "tag"].iter().any(|c| code.starts_with(c))
}

/// A shelf's title: known ids in the page's language, others as the strategy wrote them.
pub(super) fn shelf(id: &str, title: &str, lang: Lang) -> String {
    let known = match id {
        "for-you" | "for_you" | "home" => ("为你挑选", "Picked for you"),
        "again" | "buy-again" | "buy_again" => ("再次购买", "Buy again"),
        "trending" | "popular" => ("此刻热门", "Trending now"),
        "new" | "newest" => ("新品上架", "Just in"),
        "stories" | "content" | "articles" | "reads" => ("值得一读", "Worth reading"),
        "offers" | "offer" | "deals" => ("给你的优惠", "Offers for you"),
        "similar" => ("相似好物", "Similar things"),
        "complements" | "together" | "bought-together" | "bought_together" => ("搭配购买", "Goes well with it"),
        "cart" | "add-to-cart" | "before-you-go" => ("结算前看看", "Before you check out"),
        "products" => ("文中好物", "Beside this story"),
        "explore" | "discover" | "exploration" => ("换换口味", "Something different"),
        "recent" | "continue" => ("接着逛", "Carry on"),
        _ => {
            return if title.is_empty() { lang.of("推荐", "Recommended").to_owned() } else { title.to_owned() };
        }
    };
    lang.of(known.0, known.1).to_owned()
}

/// A tag: themes by their name, others as they are.
pub(super) fn tag(tag: &str, lang: Lang) -> String {
    Theme::ALL
        .into_iter()
        .find(|t| t.tag() == tag)
        .map_or_else(|| tag.to_owned(), |t| lang.of(t.name().0, t.name().1).to_owned())
}

/// A pause or stop in the page's language between two names.
pub(super) fn because(item: &str, lang: Lang) -> String {
    match lang {
        Lang::Zh => format!("因为你看过「{item}」"),
        Lang::En => format!("Because you viewed “{item}”"),
    }
}
