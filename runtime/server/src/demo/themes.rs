//! The themes that tie products, articles, offers and words together, and that visitors have a taste for.

/// A text in Chinese and in English.
pub type Bi = (&'static str, &'static str);

/// What a trip, or a person, is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Theme {
    /// Travelling with children.
    Family,
    /// Travelling for work.
    Business,
    /// Young and on a budget.
    Student,
    /// Games on every screen.
    Gamer,
    /// Hiking and camping.
    Outdoors,
    /// Cosmetics and duty-free.
    Beauty,
    /// Being online abroad.
    Roaming,
    /// Beaches and islands.
    Island,
    /// Photography.
    Photo,
    /// Eating well.
    Foodie,
    /// Music, films and gadgets.
    Audio,
    /// The connected home.
    Home,
}

/// Number of themes.
pub const THEMES: usize = 12;

impl Theme {
    /// Every theme, in the order of its number.
    pub const ALL: [Self; THEMES] = [
        Self::Family,
        Self::Business,
        Self::Student,
        Self::Gamer,
        Self::Outdoors,
        Self::Beauty,
        Self::Roaming,
        Self::Island,
        Self::Photo,
        Self::Foodie,
        Self::Audio,
        Self::Home,
    ];

    /// The tag items and articles carry.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Family => "family",
            Self::Business => "business",
            Self::Student => "student",
            Self::Gamer => "gamer",
            Self::Outdoors => "outdoors",
            Self::Beauty => "beauty",
            Self::Roaming => "roaming",
            Self::Island => "island",
            Self::Photo => "photo",
            Self::Foodie => "foodie",
            Self::Audio => "audio",
            Self::Home => "home",
        }
    }

    /// Its name for visitors.
    #[must_use]
    pub const fn name(self) -> Bi {
        match self {
            Self::Family => ("亲子出游", "Family trips"),
            Self::Business => ("商务出行", "Business travel"),
            Self::Student => ("学生优选", "Student picks"),
            Self::Gamer => ("电竞玩家", "Gaming"),
            Self::Outdoors => ("户外徒步", "Outdoors"),
            Self::Beauty => ("美妆免税", "Beauty duty-free"),
            Self::Roaming => ("出境漫游", "Roaming abroad"),
            Self::Island => ("海岛度假", "Island holidays"),
            Self::Photo => ("旅拍摄影", "Travel photography"),
            Self::Foodie => ("寻味美食", "Food journeys"),
            Self::Audio => ("影音数码", "Sound and gadgets"),
            Self::Home => ("智慧家庭", "Smart home"),
        }
    }

    /// Three short lines a page can put beside an item of this theme.
    #[must_use]
    pub const fn lines(self) -> [Bi; 3] {
        match self {
            Self::Family => [
                ("带娃出门,也可以很从容", "Out with the kids, and still calm"),
                ("把假期还给全家人", "Give the holiday back to everyone"),
                ("小朋友的第一本登机牌", "Somebody's very first boarding pass"),
            ],
            Self::Business => [
                ("落地就能开会", "Land ready for the meeting"),
                ("少等一小时,多睡一小时", "An hour less queueing, an hour more sleep"),
                ("常飞的人,值得更好的座位", "Those who fly often deserve the better seat"),
            ],
            Self::Student => [
                ("预算不多,世界很大", "A small budget, a large world"),
                ("开学季,一站备齐", "Term starts, everything in one place"),
                ("用奶茶钱换一张车票", "Trade two milk teas for a ticket"),
            ],
            Self::Gamer => [
                ("延迟低一点,胜率高一点", "Lower ping, higher odds"),
                ("候机也能来一局", "One more round before boarding"),
                ("手感对了,操作就对了", "When it feels right, it plays right"),
            ],
            Self::Outdoors => [
                ("去风吹得到的地方", "Go where the wind goes"),
                ("轻一点,走远一点", "Carry less, walk further"),
                ("今晚的房间有一万颗星", "Tonight's room has ten thousand stars"),
            ],
            Self::Beauty => [
                ("免税价,把喜欢带回家", "Duty-free, and home with you"),
                ("飞行八小时,气色不打折", "Eight hours in the air, still glowing"),
                ("随身装得下的仪式感", "A ritual that fits your carry-on"),
            ],
            Self::Roaming => [
                ("落地就有网", "Online as you land"),
                ("不换卡,全球通", "No card to swap, the world connected"),
                ("地图、翻译、报平安,一个包搞定", "Maps, translation, calling home: one pack"),
            ],
            Self::Island => [
                ("海风已经替你请好假了", "The sea breeze has signed your leave"),
                ("把闹钟留在岸上", "Leave the alarm clock ashore"),
                ("从舷窗看见的那片蓝", "That blue you saw from the window seat"),
            ],
            Self::Photo => [
                ("等一束光,值得飞一趟", "Some light is worth a flight"),
                ("把远方装进取景框", "Put far away into the frame"),
                ("好照片从轻装备开始", "Good pictures start with light gear"),
            ],
            Self::Foodie => [
                ("为了一口鲜,飞一座城", "A city worth flying to for one bite"),
                ("舌尖上的登机口", "The gate where dinner begins"),
                ("把当地味道寄回家", "Send the local taste home"),
            ],
            Self::Audio => [
                ("戴上它,机舱就安静了", "Put it on and the cabin goes quiet"),
                ("好声音,陪你走完长路", "Good sound for a long road"),
                ("一部电影的航程", "A flight exactly one film long"),
            ],
            Self::Home => [
                ("人在外,家在手心", "Away, with home in your palm"),
                ("千兆到每个房间", "Gigabit in every room"),
                ("回家前,灯先亮", "Lights on before you are home"),
            ],
        }
    }
}
