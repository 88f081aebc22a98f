//! The page's files, embedded.

/// A file the page needs.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Path on the server.
    pub path: &'static str,
    /// Content type.
    pub content_type: &'static str,
    /// Content.
    pub bytes: &'static [u8],
}

/// The policy every page holds to: nothing inline, nothing from elsewhere.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// All of them, to be served under their paths.
#[must_use]
pub fn assets() -> &'static [Asset] {
    const ASSETS: &[Asset] = &[
        Asset {
            path: "/assets/storefront.css",
            content_type: "text/css; charset=utf-8",
            bytes: include_bytes!("../../assets/storefront.css"),
        },
        Asset {
            path: "/assets/theme.js",
            content_type: "text/javascript; charset=utf-8",
            bytes: include_bytes!("../../assets/theme.js"),
        },
        Asset {
            path: "/assets/storefront.js",
            content_type: "text/javascript; charset=utf-8",
            bytes: include_bytes!("../../assets/storefront.js"),
        },
        Asset {
            path: "/assets/icons.svg",
            content_type: "image/svg+xml",
            bytes: include_bytes!("../../assets/icons.svg"),
        },
        Asset {
            path: "/assets/mark.svg",
            content_type: "image/svg+xml",
            bytes: include_bytes!("../../assets/mark.svg"),
        },
    ];
    ASSETS
}
