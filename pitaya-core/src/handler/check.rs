//! Checks in const evaluation: they run after `#[cfg]`, which a macro cannot see.

use super::Service;
use std::cmp::Ordering;

/// Any order in which equal names are neighbours: the shorter one is less.
const fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return if a.len() < b.len() { Ordering::Less } else { Ordering::Greater };
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return if a[i] < b[i] { Ordering::Less } else { Ordering::Greater };
        }
        i += 1;
    }
    Ordering::Equal
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

/// Fails the build when two routes of one block share a name or a pinned code, where only `#[cfg]` decides whether both
/// are there. Equal ones are neighbours in both lists; a code is given with its route.
///
/// # Panics
/// In const evaluation: that is its purpose.
#[track_caller] // the error is about the block, not about this function
pub const fn check(names: &[&str], codes: &[(u16, &str)]) {
    let mut i = 1;
    while i < names.len() {
        if matches!(compare(names[i - 1], names[i]), Ordering::Equal) {
            say(["route `", names[i], "` is declared twice in this impl; rename one with `#[route(\"..\")]`"]);
        }
        i += 1;
    }
    let mut i = 1;
    while i < codes.len() {
        if codes[i - 1].0 == codes[i].0 {
            say(["the code of route `", codes[i].1, "` is already taken in this impl"]);
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
pub const fn assert_unique<const N: usize>(services: &[&Service; N]) {
    let mut names = [""; N];
    let mut i = 0;
    while i < N {
        names[i] = services[i].name;
        i += 1;
    }
    sort(&mut names);
    i = 1;
    while i < N {
        if matches!(compare(names[i - 1], names[i]), Ordering::Equal) {
            say(["two components expose the service `", names[i], "`"]);
        }
        i += 1;
    }
}

/// A shell sort: comparing all pairs of a thousand names takes const evaluation longer than the compiler's lint allows.
const fn sort(names: &mut [&str]) {
    let mut gap = names.len() / 2;
    while gap > 0 {
        let mut i = gap;
        while i < names.len() {
            let mut j = i;
            while j >= gap && matches!(compare(names[j], names[j - gap]), Ordering::Less) {
                names.swap(j, j - gap);
                j -= gap;
            }
            i += 1;
        }
        gap /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "route `join` is declared twice in this impl")]
    fn the_text_names_the_route() {
        check(&["enter", "join", "join", "leave"], &[]);
    }

    #[test]
    #[should_panic(expected = "the code of route `leave` is already taken")]
    fn pinned_codes_are_covered() {
        check(&[], &[(6, "enter"), (7, "join"), (7, "leave")]);
    }

    #[test]
    #[should_panic(expected = "two components expose the service `room`")]
    fn services_are_compared_wherever_they_stand() {
        const SERVICES: [Service; 3] = [service("room"), service("lobby"), service("room")];
        assert_unique(&[&SERVICES[0], &SERVICES[1], &SERVICES[2]]);
    }

    const fn service(name: &'static str) -> Service {
        Service {
            side: super::super::Side::Handler,
            name,
            type_name: "",
            codecs: &[],
            routes: &[],
            location: "",
            contract: None,
        }
    }
}
