//! `rename_all = ".."`: how the name of a method becomes the name of its route.

/// One way to write a name of several words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Lower,
    Upper,
    Snake,
    ScreamingSnake,
    Camel,
    Pascal,
    Kebab,
}

impl Rule {
    /// Each rule under the name a user writes, which is itself written by that rule.
    pub(crate) const ALL: [(&'static str, Self); 7] = [
        ("lowercase", Self::Lower),
        ("UPPERCASE", Self::Upper),
        ("snake_case", Self::Snake),
        ("SCREAMING_SNAKE_CASE", Self::ScreamingSnake),
        ("camelCase", Self::Camel),
        ("PascalCase", Self::Pascal),
        ("kebab-case", Self::Kebab),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, rule)| rule)
    }

    pub(crate) fn apply(self, name: &str) -> String {
        let words = words(name);
        match self {
            Self::Lower => words.concat(),
            Self::Upper => words.concat().to_uppercase(),
            Self::Snake => words.join("_"),
            Self::ScreamingSnake => words.join("_").to_uppercase(),
            Self::Kebab => words.join("-"),
            Self::Pascal => words.iter().map(|word| capital(word)).collect(),
            Self::Camel => {
                let rest = words.iter().skip(1).map(|word| capital(word));
                words.first().cloned().into_iter().chain(rest).collect()
            }
        }
    }
}

/// The words of `join_room`, `joinRoom` or `HTTPRoom`, in lower case.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (i, c) in chars.iter().enumerate() {
        let after_small = i > 0 && !chars[i - 1].is_uppercase();
        let before_small = chars.get(i + 1).is_some_and(|next| next.is_lowercase());
        if *c == '_' || (c.is_uppercase() && (after_small || before_small)) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| *c != '_') {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_writes_a_method_name() {
        let expected = ["joinroom2", "JOINROOM2", "join_room2", "JOIN_ROOM2", "joinRoom2", "JoinRoom2", "join-room2"];
        for ((name, rule), expected) in Rule::ALL.into_iter().zip(expected) {
            assert_eq!(rule.apply("join_room2"), expected, "{name}");
            assert_eq!(rule.apply("_join__room2_"), expected, "{name}");
            assert_eq!(Rule::named(name), Some(rule));
        }
        assert_eq!(Rule::named("Lowercase"), None);
    }

    #[test]
    fn types_become_services() {
        for (ty, service) in [
            ("Room", "room"),
            ("ChatRoom", "chat_room"),
            ("HTTPRoom", "http_room"),
            ("Room2D", "room2_d"),
            ("RPC", "rpc"),
            ("X", "x"),
            ("room", "room"),
        ] {
            assert_eq!(Rule::Snake.apply(ty), service);
        }
    }
}
