//! The storefront page in a real browser: two visitors see different pages, a click changes the next one, and every
//! page is looked at, on a phone and on a desktop, by day and by night.
//!
//! Without Chromium the test says so and passes, except where `CI=true`. The pictures are kept in `target/browser/`.

use flate2::read::ZlibDecoder;
use headless_chrome::protocol::cdp::types::Event;
use headless_chrome::protocol::cdp::{Emulation, Page};
use headless_chrome::{Browser, LaunchOptions, Tab};
use qianmian::demo::{PERSONAS, Scale, fill, install_models};
use qianmian_state::State;
use qianmian_tests::{Server, root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A window and what stands in the names of its pictures.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) name: &'static str,
    width: u32,
    height: u32,
    mobile: bool,
}

pub(super) const PHONE: Window = Window { name: "phone", width: 390, height: 844, mobile: true };
pub(super) const DESKTOP: Window = Window { name: "desktop", width: 1280, height: 900, mobile: false };

#[test]
fn a_thousand_faces_in_a_browser() {
    let Some(browser) = chromium() else { return };
    // `cargo xtask demo --check` brings its own: the demo as everybody starts it.
    let (url, _server) = match std::env::var("QIANMIAN_DEMO_URL") {
        Ok(url) => (url, None),
        Err(_) => {
            let server = demo();
            (server.url.clone(), Some(server))
        }
    };
    for window in [PHONE, DESKTOP] {
        let page = Visit::new(&browser, &url, window);
        two_visitors_see_different_pages(&page);
        a_click_changes_the_next_page(&page);
        every_page_looks_right(&page);
        assert_eq!(*page.errors.lock().expect("errors"), Vec::<String>::new(), "nothing went wrong on {}", window.name);
    }
}

/// Chromium, where it is installed.
pub(super) fn chromium() -> Option<Browser> {
    let Ok(path) = headless_chrome::browser::default_executable() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no Chromium: install it, this test must run in CI");
        eprintln!("skipped: no Chromium found");
        return None;
    };
    let quiet = ["--disable-quic", "--disable-component-update", "--hide-scrollbars", "--lang=zh-CN"];
    let options = LaunchOptions {
        path: Some(path),
        // Containers run tests as root, where Chromium's own sandbox cannot start.
        sandbox: false,
        args: quiet.iter().map(OsStr::new).collect(),
        idle_browser_timeout: Duration::from_secs(120),
        ..LaunchOptions::default()
    };
    Some(Browser::new(options).expect("Chromium starts"))
}

/// A server with the demo's small shop in it.
fn demo() -> Server {
    let server = Server::over(State::in_memory().expect("a state in memory"));
    fill(&server.app, 7, Scale::SMALL).expect("items and events are taken");
    install_models(&server.app, Scale::SMALL).expect("scenarios");
    server
}

fn two_visitors_see_different_pages(page: &Visit) {
    let [left, right] = [0, 1].map(|at| {
        page.open(&format!("/?visitor={}&lang=zh", PERSONAS[at].id));
        assert_eq!(page.text("h1"), PERSONAS[at].name.0);
        page.picture(&format!("home-{}", PERSONAS[at].id));
        page.items("main .shelf.first")
    });
    assert!(left.len() >= 4 && right.len() >= 4, "{left:?} {right:?}");
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (left.iter().collect(), right.iter().collect());
    let shared = a.intersection(&b).count();
    assert!(shared * 4 <= a.len().min(b.len()), "{shared} shared of {left:?} and {right:?}");
}

fn a_click_changes_the_next_page(page: &Visit) {
    let visitor = format!("browser-{}", page.window.name);
    let home = format!("/?visitor={visitor}&lang=en");
    page.open(&home);
    assert!(page.text(".me").contains("do not know this visitor yet"), "a new visitor is unknown");
    let before = page.items("main .shelf");
    let clicked = before.first().expect("a page for nobody in particular").clone();
    page.picture("stranger");
    page.tab.find_element(&format!("main a[data-item='{clicked}']")).expect("the card").click().expect("a click");
    page.wait(|p| p.number("Number(location.pathname.startsWith('/item/'))") == 1.0, "the click opens the item's page");
    page.tab.wait_for_element("article.product h1").expect("the item's page");
    let title = page.text("article.product h1");

    // Acknowledged, folded, and on the page at the next reload.
    page.wait(
        |p| {
            p.open(&home);
            p.number("document.querySelectorAll('.recent li').length") >= 1.0
        },
        "the click was learned",
    );
    assert!(page.text(".recent").contains(&title), "{title} is what was opened");
    page.picture("learned");
    let after = page.items("main .shelf");
    assert_ne!(before, after, "the page changed");
    let because =
        page.number("[...document.querySelectorAll('.badge')].filter(b => b.textContent.startsWith('Because')).length");
    assert!(because >= 1.0, "some slot is there because of the click: {}", page.text("main"));

    // Without personalisation nobody's history is used.
    page.open(&format!("{home}&personalised=0"));
    assert!(!page.text("main").contains("Because you viewed"));
}

fn every_page_looks_right(page: &Visit) {
    let item = page.items("main .shelf").first().expect("an item").clone();
    let (left, right) = (PERSONAS[1].id, PERSONAS[4].id);
    for theme in ["light", "dark"] {
        page.theme(theme);
        for (name, address) in [
            ("home", format!("/?visitor={left}&lang=en")),
            ("item", format!("/item/{item}?visitor={left}&lang=zh")),
            ("article", format!("/item/A00001?visitor={left}&lang=en")),
            ("cart", format!("/cart?visitor={left}&lang=zh&cart={item}")),
            ("compare", format!("/compare?left={left}&right={right}&lang=zh")),
        ] {
            page.open(&address);
            page.picture(&format!("{name}-{theme}"));
        }
    }
    page.theme("light");
}

/// A tab of one size on the server.
pub(super) struct Visit<'a> {
    pub(super) tab: Arc<Tab>,
    pub(super) url: &'a str,
    pub(super) window: Window,
    pub(super) errors: Arc<Mutex<Vec<String>>>,
}

impl<'a> Visit<'a> {
    pub(super) fn new(browser: &Browser, url: &'a str, window: Window) -> Self {
        let tab = browser.new_tab().expect("a tab");
        tab.set_default_timeout(Duration::from_secs(30));
        tab.call_method(Emulation::SetDeviceMetricsOverride {
            width: window.width,
            height: window.height,
            device_scale_factor: 1.0,
            mobile: window.mobile,
            scale: None,
            screen_width: None,
            screen_height: None,
            position_x: None,
            position_y: None,
            dont_set_visible_size: None,
            screen_orientation: None,
            viewport: None,
            display_feature: None,
            device_posture: None,
        })
        .expect("a window's size");
        let errors = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&errors);
        tab.enable_log().expect("the log");
        tab.enable_runtime().expect("the runtime");
        tab.add_event_listener(Arc::new(move |event: &Event| {
            // Policy violations, missing files and uncaught exceptions all come this way.
            let said = match event {
                Event::LogEntryAdded(e) => serde_json::to_value(&e.params.entry).unwrap_or_default(),
                Event::RuntimeExceptionThrown(e) => serde_json::json!({ "level": "error", "text": format!("{e:?}") }),
                _ => return,
            };
            if said["level"] == "error" {
                heard.lock().expect("errors").push(said.to_string());
            }
        }))
        .expect("a listener");
        Self { tab, url, window, errors }
    }

    pub(super) fn open(&self, address: &str) {
        self.tab.navigate_to(&format!("{}{address}", self.url)).expect("an address");
        // Navigating returns once the new document is there; the network's silence need not be awaited.
        let ready = "Number(document.readyState === 'complete' && document.querySelector('main') !== null)";
        self.wait(|p| p.number(ready) == 1.0, "the page is complete");
    }

    pub(super) fn theme(&self, theme: &str) {
        let feature = Emulation::MediaFeature { name: "prefers-color-scheme".to_owned(), value: theme.to_owned() };
        let media = Emulation::SetEmulatedMedia { media: None, features: Some(vec![feature]) };
        self.tab.call_method(media).expect("a colour scheme");
    }

    fn value(&self, script: &str) -> Value {
        self.tab.evaluate(script, false).expect("a script").value.unwrap_or_default()
    }

    pub(super) fn number(&self, script: &str) -> f64 {
        self.value(script).as_f64().unwrap_or(f64::NAN)
    }

    pub(super) fn text(&self, selector: &str) -> String {
        let script = format!("document.querySelector({})?.innerText ?? ''", Value::from(selector));
        self.value(&script).as_str().unwrap_or_default().trim().to_owned()
    }

    /// The ids of the slots inside `selector`, in reading order.
    fn items(&self, selector: &str) -> Vec<String> {
        let all = Value::from(format!("{selector} a[data-position]"));
        let script = format!("[...document.querySelectorAll({all})].map(a => a.dataset.item).join(' ')");
        self.value(&script).as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }

    #[allow(clippy::disallowed_methods, reason = "a test that waits for a browser")]
    pub(super) fn wait(&self, until: impl Fn(&Self) -> bool, what: &str) {
        let begun = Instant::now();
        while !until(self) {
            assert!(begun.elapsed() < Duration::from_secs(20), "in vain waited until {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Looks at the page: nothing sticks out sideways, pictures and words are there, and it is not one flat colour.
    pub(super) fn picture(&self, name: &str) {
        let name = format!("{name}-{}.png", self.window.name);
        let (wide, inner) = (self.number("document.documentElement.scrollWidth"), self.number("innerWidth"));
        assert_eq!((wide, inner), (f64::from(self.window.width), f64::from(self.window.width)), "{name}: no overflow");
        assert!(self.text("main").len() > 40, "{name} has words");
        let png =
            self.tab.capture_screenshot(Page::CaptureScreenshotFormatOption::Png, None, None, true).expect("a picture");
        let folder = root().join("target/browser");
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        std::fs::write(folder.join(&name), &png).expect("a file");
        let picture = Picture::decode(&png);
        assert_eq!((picture.width, picture.height), (self.window.width, self.window.height), "{name}");
        let deviation = picture.deviation();
        assert!(deviation > 8.0, "{name} is blank: its pixels deviate by {deviation}");
    }
}

/// A decoded PNG: 8 bits a channel, not interlaced, as Chromium writes them.
struct Picture {
    width: u32,
    height: u32,
    channels: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn decode(png: &[u8]) -> Self {
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n", "a PNG");
        let word = |at: usize| u32::from_be_bytes([png[at], png[at + 1], png[at + 2], png[at + 3]]);
        let (width, height) = (word(16), word(20));
        assert_eq!((png[24], png[28]), (8, 0), "8 bits, not interlaced");
        let channels = if png[25] == 6 { 4 } else { 3 };
        let (mut packed, mut at) = (Vec::new(), 8);
        while at + 12 <= png.len() {
            let length = word(at) as usize;
            if &png[at + 4..at + 8] == b"IDAT" {
                packed.extend_from_slice(&png[at + 8..at + 8 + length]);
            }
            at += length + 12;
        }
        let mut raw = Vec::new();
        ZlibDecoder::new(packed.as_slice()).read_to_end(&mut raw).expect("deflated rows");
        let stride = width as usize * channels;
        let mut pixels: Vec<u8> = Vec::with_capacity(stride * height as usize);
        for row in raw.chunks_exact(stride + 1) {
            let begun = pixels.len();
            for (x, &byte) in row[1..].iter().enumerate() {
                let left = if x < channels { 0 } else { pixels[begun + x - channels] };
                let up = if begun == 0 { 0 } else { pixels[begun - stride + x] };
                let corner = if begun == 0 || x < channels { 0 } else { pixels[begun - stride + x - channels] };
                let guess = match row[0] {
                    0 => 0,
                    1 => left,
                    2 => up,
                    3 => u16::midpoint(left.into(), up.into()) as u8,
                    _ => paeth(left, up, corner),
                };
                pixels.push(byte.wrapping_add(guess));
            }
        }
        assert_eq!(pixels.len(), stride * height as usize, "every row is there");
        Self { width, height, channels, pixels }
    }

    /// Standard deviation of the green channel, 0 to 127.
    fn deviation(&self) -> f64 {
        let green: Vec<f64> = self.pixels.chunks_exact(self.channels).map(|p| f64::from(p[1])).collect();
        let mean = green.iter().sum::<f64>() / green.len() as f64;
        (green.iter().map(|g| (g - mean) * (g - mean)).sum::<f64>() / green.len() as f64).sqrt()
    }
}

/// PNG's predictor: whichever neighbour is closest to `left + up - corner`.
fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(up) - i16::from(corner);
    let away = |neighbour: u8| (estimate - i16::from(neighbour)).abs();
    if away(left) <= away(up) && away(left) <= away(corner) {
        left
    } else if away(up) <= away(corner) {
        up
    } else {
        corner
    }
}
