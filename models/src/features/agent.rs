//! User agents and referers: a few words are looked for, in an order in which the particular comes before the general.
//!
//! It is no register of all agents: what matters to a ranker is a handful of classes that do not change with every version,
//! and that the browsers inside WeChat and Alipay are told apart.

use super::definition::AgentPart;

/// The media of referers.
pub(super) const MEDIA: &[&str] = &["direct", "internal", "search", "social", "email", "other"];

const BROWSERS: &[&str] =
    &["chrome", "safari", "firefox", "edge", "opera", "samsung", "wechat", "alipay", "ie", "other"];
const PLATFORMS: &[&str] = &["android", "ios", "harmony", "windows", "macos", "linux", "other"];
const DEVICES: &[&str] = &["mobile", "tablet", "desktop", "tv", "bot", "other"];

/// What a part can be, in the order in which it is encoded.
pub(super) const fn values(part: AgentPart) -> &'static [&'static str] {
    match part {
        AgentPart::Browser => BROWSERS,
        AgentPart::Platform => PLATFORMS,
        AgentPart::Device => DEVICES,
    }
}

/// A part of a `User-Agent` header; empty for an empty one.
pub(super) fn agent(part: AgentPart, text: &str) -> &'static str {
    let text = text.get(..text.len().min(1_024)).unwrap_or(text).to_ascii_lowercase();
    if text.trim().is_empty() {
        return "";
    }
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let first = |rules: &[(&[&str], &'static str)]| {
        rules.iter().find(|(words, _)| has(words)).map_or("other", |(_, class)| *class)
    };
    match part {
        AgentPart::Browser => first(&[
            (&["micromessenger"], "wechat"),
            (&["alipayclient"], "alipay"),
            (&["edg/", "edge/", "edga/", "edgios/"], "edge"),
            (&["opr/", "opera"], "opera"),
            (&["samsungbrowser"], "samsung"),
            (&["firefox/", "fxios/"], "firefox"),
            (&["msie ", "trident/"], "ie"),
            (&["chrome/", "crios/", "chromium/"], "chrome"),
            (&["safari/"], "safari"),
        ]),
        AgentPart::Platform => first(&[
            (&["harmonyos", "openharmony"], "harmony"),
            (&["android"], "android"),
            (&["iphone", "ipad", "ipod"], "ios"),
            (&["windows"], "windows"),
            (&["mac os x", "macintosh"], "macos"),
            (&["linux", "cros", "x11"], "linux"),
        ]),
        AgentPart::Device => {
            if has(&["bot", "crawl", "spider", "slurp", "headless", "curl/", "python-requests"]) {
                "bot"
            } else if has(&["smart-tv", "smarttv", "appletv", "googletv", "hbbtv", "android tv", "bravia"]) {
                "tv"
            } else if has(&["ipad", "tablet", "kindle"]) || (has(&["android"]) && !has(&["mobile"])) {
                "tablet"
            } else if has(&["iphone", "ipod", "mobile", "harmonyos", "openharmony"]) {
                "mobile"
            } else if has(&["windows", "macintosh", "linux", "x11", "cros"]) {
                "desktop"
            } else {
                "other"
            }
        }
    }
}

const SEARCH: &[&str] = &[
    "google",
    "bing",
    "baidu",
    "yahoo",
    "duckduckgo",
    "yandex",
    "sogou",
    "so",
    "sm",
    "ecosia",
    "naver",
    "qwant",
    "startpage",
    "seznam",
    "ask",
    "brave",
    "toutiao",
];
const SOCIAL: &[&str] = &[
    "facebook",
    "fb",
    "instagram",
    "twitter",
    "x",
    "t",
    "linkedin",
    "lnkd",
    "pinterest",
    "reddit",
    "tiktok",
    "youtube",
    "youtu",
    "weibo",
    "wechat",
    "weixin",
    "xiaohongshu",
    "xhslink",
    "douyin",
    "zhihu",
    "douban",
    "bilibili",
    "vk",
    "telegram",
    "whatsapp",
    "snapchat",
    "threads",
    "tumblr",
    "line",
];
/// Hosts whose whole name says it: their owners' other hosts are of another medium.
const HOSTS: &[(&str, &str)] = &[
    ("mail.google.com", "email"),
    ("mail.yahoo.com", "email"),
    ("outlook.live.com", "email"),
    ("outlook.office.com", "email"),
    ("mail.qq.com", "email"),
    ("mail.163.com", "email"),
    ("mail.126.com", "email"),
    ("plus.google.com", "social"),
    ("mp.weixin.qq.com", "social"),
    ("weixin.qq.com", "social"),
    ("qzone.qq.com", "social"),
    ("tieba.baidu.com", "social"),
];

/// The medium of a referer. An empty one is direct.
pub(super) fn medium(address: &str, internal: &[String]) -> &'static str {
    let address = address.trim();
    if address.is_empty() {
        return "direct";
    }
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host).trim_end_matches('.').to_ascii_lowercase();
    let under = |of: &str| host == of || host.strip_suffix(of).is_some_and(|before| before.ends_with('.'));
    if internal.iter().any(|own| under(&own.to_ascii_lowercase())) {
        return "internal";
    }
    if let Some((_, medium)) = HOSTS.iter().find(|(name, _)| under(name)) {
        return medium;
    }
    // The owner's name: what stands before the ending, which may be of two parts (`google.co.uk`).
    let labels: Vec<&str> = host.split('.').collect();
    let ending = match labels[..] {
        [.., second, _] if labels.len() > 2 && matches!(second, "co" | "com" | "org" | "net" | "ac" | "gov") => 2,
        _ => 1,
    };
    let owner = labels.len().checked_sub(ending + 1).map_or("", |at| labels[at]);
    if SEARCH.contains(&owner) {
        "search"
    } else if SOCIAL.contains(&owner) {
        "social"
    } else if labels.iter().any(|label| matches!(*label, "mail" | "webmail" | "email")) {
        "email"
    } else {
        "other"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_told_apart() {
        let parts = |text: &str| [AgentPart::Browser, AgentPart::Platform, AgentPart::Device].map(|p| agent(p, text));
        for (text, want) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
                ["chrome", "windows", "desktop"],
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0",
                ["edge", "windows", "desktop"],
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 \
                 Safari/604.1",
                ["safari", "ios", "mobile"],
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; PJE110) AppleWebKit/537.36 Chrome/116.0 Mobile Safari/537.36 \
                 MicroMessenger/8.0.49 MiniProgramEnv/android",
                ["wechat", "android", "mobile"],
            ),
            ("Mozilla/5.0 (Linux; Android 14; SM-X910) Chrome/126.0 Safari/537.36", ["chrome", "android", "tablet"]),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.5; rv:127.0) Gecko/20100101 Firefox/127.0",
                ["firefox", "macos", "desktop"],
            ),
            ("Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 Chrome/114.0", ["chrome", "harmony", "mobile"]),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", ["other", "other", "bot"]),
            ("", ["", "", ""]),
            ("?", ["other", "other", "other"]),
        ] {
            assert_eq!(parts(text), want, "{text}");
            for (part, value) in [AgentPart::Browser, AgentPart::Platform, AgentPart::Device].into_iter().zip(want) {
                assert!(value.is_empty() || values(part).contains(&value));
            }
        }
    }

    #[test]
    fn referers_have_a_medium() {
        let own = ["shop.example".to_owned()];
        for (address, want) in [
            ("", "direct"),
            ("https://www.shop.example/tea", "internal"),
            ("https://notshop.example/", "other"),
            ("https://www.google.co.uk/search?q=tea", "search"),
            ("https://www.baidu.com/link?url=x", "search"),
            ("https://tieba.baidu.com/p/1", "social"),
            ("https://mail.google.com/mail/u/0/", "email"),
            ("https://l.facebook.com/l.php", "social"),
            ("https://t.co/abc", "social"),
            ("https://mp.weixin.qq.com/s/x", "social"),
            ("android-app://com.example.app/", "other"),
            ("https://webmail.somewhere.org:8443/in?x", "email"),
            ("nonsense", "other"),
            ("//", "other"),
        ] {
            assert_eq!(medium(address, &own), want, "{address}");
            assert!(MEDIA.contains(&want));
        }
    }
}
