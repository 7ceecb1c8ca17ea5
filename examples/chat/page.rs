//! The page, in the binary.

use pitaya_runtime::prelude::*;

pub fn pages() -> Vec<Page> {
    vec![
        Page::new("/", include_str!("web/index.html")),
        Page::new("/style.css", include_str!("web/style.css")),
        Page::new("/js/app.js", include_str!("web/js/app.js")),
        Page::new("/js/log.js", include_str!("web/js/log.js")),
        Page::new("/js/client.js", include_str!("web/js/client.js")),
        Page::new("/js/wire.js", include_str!("web/js/wire.js")),
    ]
}
