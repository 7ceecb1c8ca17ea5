//! What somebody probably meant by a name that does not exist.

/// A longer name is no slip of the keyboard, and comparing it would cost for nothing.
const LONGEST: usize = 200;

/// The candidate with the fewest slips, when they are few enough for a guess that helps more than it misleads.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    // All names begin with `pitaya.`.
    let own = name.split_once('.').map_or(name, |(_, own)| own);
    let allowed = (own.len() / 5).max(1);
    candidates
        .map(|candidate| (slips(name.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|(slips, _)| *slips <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Characters put in, left out, replaced, or swapped with their neighbour (optimal string alignment).
fn slips(a: &[u8], b: &[u8]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (a, b, count) in
            [("", "", 0), ("", "ab", 2), ("interval", "intreval", 1), ("hartbeat", "heartbeat", 1), ("a", "b", 1)]
        {
            assert_eq!(slips(a.as_bytes(), b.as_bytes()), count, "{a} {b}");
            assert_eq!(slips(b.as_bytes(), a.as_bytes()), count, "{b} {a}");
        }
    }

    #[test]
    fn only_a_near_name_is_guessed() {
        let keys = ["pitaya.heartbeat.interval", "pitaya.session.unique"];
        assert_eq!(nearest("pitaya.hartbeat.intreval", keys.into_iter()), Some(keys[0]));
        assert_eq!(nearest("pitaya.something.else", keys.into_iter()), None);
        assert_eq!(nearest("pitaya.home", ["pitaya.game"].into_iter()), None);
        assert_eq!(nearest(&"x".repeat(100_000), keys.into_iter()), None);
    }
}
