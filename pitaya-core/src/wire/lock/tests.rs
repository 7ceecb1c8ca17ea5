use super::*;
use proptest::collection::btree_set;
use proptest::prelude::*;

fn coded(route: &str, pinned: Option<u16>) -> Coded {
    Coded { route: route.to_owned(), pinned, place: format!("{route}.rs:1") }
}

fn free<'a>(routes: impl IntoIterator<Item = &'a str>) -> Vec<Coded> {
    routes.into_iter().map(|route| coded(route, None)).collect()
}

fn parse(text: &str) -> RoutesLock {
    RoutesLock::parse("routes.lock", text).unwrap()
}

fn texts(problems: Vec<CodeError>) -> Vec<String> {
    problems.into_iter().map(|problem| problem.to_string()).collect()
}

#[test]
fn the_text_survives_with_its_comments() {
    let text = "\
# Ours.

3 chat.room.join  # since 1.0
# The old ones.
7 chat.room.#1 removed
65535 onMessage
# The end.
";
    let lock = parse(text);
    assert_eq!(lock.to_string(), text.replace("  #", " #"));
    assert_eq!(lock.lines[&7].route, "chat.room.#1");
    // A new first line comes below the header.
    let lock = lock.update("chat", &free(["chat.a.a", "chat.room.join"])).unwrap();
    assert!(lock.to_string().starts_with("# Ours.\n\n1 chat.a.a\n3 chat.room.join"), "{lock}");
    assert_eq!(parse("\r\n1 a.b\r\n").to_string(), "\n1 a.b\n");
}

#[test]
fn a_new_file_says_what_it_is() {
    let lock = RoutesLock::empty("routes.lock").update("chat", &free(["chat.b.b", "chat.a.a"])).unwrap();
    let text = lock.to_string();
    assert!(text.starts_with("# The codes of routes") && text.contains(UPDATE_VARIABLE), "{text}");
    assert!(text.ends_with("\n1 chat.a.a\n2 chat.b.b\n"), "{text}");
    assert_eq!(parse(&text).to_string(), text);
}

#[test]
fn every_bad_line_is_told_with_its_place() {
    let text = "0 a.a\n65536 a.b\nx a.c\n7\n7 a.d gone\n8 a.e\n8 a.f\n9 a.e\n-1 a.g\n";
    assert_eq!(
        texts(RoutesLock::parse("routes.lock", text).unwrap_err()),
        [
            "routes.lock:1: `0` cannot be the code of `a.a`: codes are numbers from 1 to 65535",
            "routes.lock:2: `65536` cannot be the code of `a.b`: codes are numbers from 1 to 65535",
            "routes.lock:3: `x` cannot be the code of `a.c`: codes are numbers from 1 to 65535",
            "routes.lock:4: `7` is not `code route`, such as `7 chat.room.join`, or `7 chat.room.join removed`",
            "routes.lock:5: `7 a.d gone` is not `code route`, such as `7 chat.room.join`, or `7 chat.room.join removed`",
            "the code 8 belongs to `a.e` (routes.lock:6) and to `a.f` (routes.lock:7); give one of them another",
            "`a.e` is listed twice, at routes.lock:6 and at routes.lock:8; keep the line that clients know",
            "routes.lock:9: `-1` cannot be the code of `a.g`: codes are numbers from 1 to 65535",
        ]
    );
}

#[test]
fn what_differs_is_named_at_once() {
    let lock = parse("1 chat.a.a\n2 chat.b.b removed\n3 onPush\n4 other.c.c\n");
    assert_eq!(
        texts(lock.dictionary("chat", &free(["chat.d.d", "chat.b.b"])).unwrap_err()),
        ["routes.lock is not up to date: `chat.b.b` (chat.b.b.rs:1) is back (routes.lock:2); \
          `chat.d.d` (chat.d.d.rs:1) is new; `chat.a.a` (routes.lock:1) is gone. \
          Run the server once with PITAYA_UPDATE_ROUTES_LOCK=1 and commit the file"]
    );
    let routes = free(["chat.d.d", "chat.b.b"]);
    let lock = lock.update("chat", &routes).unwrap();
    assert_eq!(lock.to_string(), "1 chat.a.a removed\n2 chat.b.b\n3 onPush\n4 other.c.c\n5 chat.d.d\n");
    // What is removed is not announced; what the author wrote is.
    let dictionary = lock.dictionary("chat", &routes).unwrap();
    let entries: Vec<_> = dictionary.iter().collect();
    assert_eq!(entries, [("chat.b.b", 2), ("chat.d.d", 5), ("onPush", 3), ("other.c.c", 4)]);
}

#[test]
fn pinned_codes_must_agree_with_the_file_and_each_other() {
    let lock = parse("1 chat.a.a\n2 chat.b.b removed\n");
    let routes = [
        coded("chat.a.a", Some(7)),
        coded("chat.c.c", Some(2)),
        coded("chat.d.d", Some(9)),
        coded("chat.e.e", Some(9)),
    ];
    let expected = [
        "the code 9 belongs to `chat.d.d` (chat.d.d.rs:1) and to `chat.e.e` (chat.e.e.rs:1); give one of them another",
        "`chat.a.a` is pinned to the code 7 (chat.a.a.rs:1), but clients know it by 1 (routes.lock:1); \
         write `code = 1`, or change the line if no client knows it",
        "the code 2 belongs to `chat.b.b` (routes.lock:2) and to `chat.c.c` (chat.c.c.rs:1); give one of them another",
    ];
    assert_eq!(texts(lock.dictionary("chat", &routes).unwrap_err()), expected);
    assert_eq!(texts(lock.clone().update("chat", &routes).unwrap_err()), expected);
    // A new route that is pinned gets its code, and nobody else does.
    let routes = [coded("chat.a.a", Some(1)), coded("chat.z.z", Some(3)), coded("chat.m.m", None)];
    let lock = lock.update("chat", &routes).unwrap();
    assert_eq!(lock.to_string(), "1 chat.a.a\n2 chat.b.b removed\n3 chat.z.z\n4 chat.m.m\n");
}

#[test]
fn there_is_an_end_to_codes() {
    let names: Vec<String> = (0..=65_535).map(|i| format!("chat.r.r{i:05}")).collect();
    let all = free(names.iter().map(String::as_str));
    let full = RoutesLock::empty("routes.lock").update("chat", &all[..65_535]).unwrap();
    assert_eq!(full.dictionary("chat", &all[..65_535]).unwrap().code("chat.r.r65534"), Some(65_535));
    let too_many = CodeError::Dictionary(DictionaryError::TooMany { routes: 65_536 });
    assert_eq!(full.update("chat", &all), Err(vec![too_many]));
}

/// A release: a subset of few names, so that routes come, go and come back. Some names are always pinned.
fn release() -> impl Strategy<Value = Vec<Coded>> {
    let names = btree_set((0..5u16, 0..4u16), 0..12);
    names.prop_map(|set| set.into_iter().collect::<Vec<_>>()).prop_shuffle().prop_map(|names| {
        let pin = |(service, method)| (method == 3).then_some(service * 3 + 2);
        names.into_iter().map(|name| coded(&format!("chat.s{}.m{}", name.0, name.1), pin(name))).collect()
    })
}

proptest! {
    /// Whatever comes, goes or changes its order: a code that has been given means the same route for ever.
    #[test]
    fn a_code_never_comes_to_mean_another_route(releases in proptest::collection::vec(release(), 1..8)) {
        let mut lock = RoutesLock::empty("routes.lock");
        let mut given = BTreeMap::new();
        for routes in releases {
            let next = match lock.clone().update("chat", &routes) {
                Ok(next) => next,
                // A pinned code was given to another route in an earlier release: refused, nothing changes.
                Err(problems) => {
                    let taken = problems.iter().all(|p| matches!(p, CodeError::Taken { .. }));
                    prop_assert!(taken, "{:?}", problems);
                    continue;
                }
            };
            lock = RoutesLock::parse("routes.lock", &next.to_string()).unwrap();
            prop_assert_eq!(lock.to_string(), next.to_string());
            let dictionary = lock.dictionary("chat", &routes).unwrap();
            prop_assert_eq!(dictionary.len(), routes.len());
            for (route, code) in dictionary.iter() {
                let first = given.entry(code).or_insert_with(|| route.to_owned());
                prop_assert_eq!(&*first, route);
            }
            let mut reversed = routes.clone();
            reversed.reverse();
            prop_assert_eq!(lock.clone().update("chat", &reversed).unwrap().to_string(), lock.to_string());
        }
    }

    #[test]
    fn no_text_panics_and_what_is_read_is_written(text in "[0-9a-c #.\nremoved\r]{0,80}") {
        if let Ok(lock) = RoutesLock::parse("routes.lock", &text) {
            let again = RoutesLock::parse("routes.lock", &lock.to_string()).unwrap();
            prop_assert_eq!(again.to_string(), lock.to_string());
        }
    }
}
