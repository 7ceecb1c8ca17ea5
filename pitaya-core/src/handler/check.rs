//! Checks in const evaluation: they run after `#[cfg]`, which a macro cannot see.

use super::{Route, Service};

const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// A const panic prints one `&str`: the text is put together in a buffer, so that the error names the route.
#[track_caller]
const fn say(parts: [&str; 3]) -> ! {
    const ROOM: usize = 512;
    let (mut text, mut length, mut part) = ([b' '; ROOM], 0, 0);
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut i = 0;
        while i < bytes.len() && length < ROOM {
            text[length] = bytes[i];
            length += 1;
            i += 1;
        }
        part += 1;
    }
    match std::str::from_utf8(text.split_at(length).0) {
        Ok(text) => panic!("{}", text),
        Err(_) => panic!("a route or a service is declared twice"),
    }
}

/// Fails the build when two routes of one block share a name or a pinned code.
///
/// # Panics
/// In const evaluation: that is its purpose.
#[track_caller] // the error is about the block, not about this function
pub const fn check(routes: &[Route]) {
    let mut i = 0;
    while i < routes.len() {
        let mut j = i + 1;
        while j < routes.len() {
            if equal(routes[i].name, routes[j].name) {
                say([
                    "route `",
                    routes[i].name,
                    "` is declared twice in this impl; rename one with `#[route(\"..\")]`",
                ]);
            }
            if routes[i].code != 0 && routes[i].code == routes[j].code {
                say(["the code of route `", routes[j].name, "` is already taken in this impl"]);
            }
            j += 1;
        }
        i += 1;
    }
}

/// Fails the build when two services share a name, for those who want to know before the program starts.
///
/// ```
/// # use pitaya_core::handler::{Service, Side, assert_unique};
/// # const fn service(name: &'static str) -> Service {
/// #     Service { side: Side::Handler, name, type_name: "", codecs: &[], routes: &[], location: "", contract: None }
/// # }
/// const ROOM: Service = service("room");
/// const LOBBY: Service = service("lobby");
/// const _: () = assert_unique(&[&ROOM, &LOBBY]);
/// ```
///
/// # Panics
/// In const evaluation: that is its purpose.
#[track_caller]
pub const fn assert_unique(services: &[&Service]) {
    let mut i = 0;
    while i < services.len() {
        let mut j = i + 1;
        while j < services.len() {
            if equal(services[i].name, services[j].name) {
                say(["two components expose the service `", services[i].name, "`"]);
            }
            j += 1;
        }
        i += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "route `join` is declared twice in this impl")]
    fn the_text_names_the_route() {
        check(&[Route::request("join", 0), Route::request("leave", 0), Route::notify("join", 0)]);
    }

    #[test]
    #[should_panic(expected = "the code of route `leave` is already taken")]
    fn pinned_codes_are_covered() {
        check(&[Route::request("join", 0).code(7), Route::request("leave", 0).code(7)]);
    }
}
