//! Growth of an HTTP head that arrives in pieces.

/// Decides when a growing head is worth parsing: at the first byte, whenever it has doubled, and when an empty line has
/// arrived. The work stays linear in the length of the head, however small the pieces are.
#[derive(Debug, Default)]
pub(crate) struct HeadProgress {
    /// Bytes in which no empty line ends.
    scanned: usize,
    /// Length from which the head is parsed again.
    due: usize,
}

impl HeadProgress {
    /// Whether the head, which begins with what it was before, is to be parsed now.
    pub(crate) fn is_due(&mut self, head: &[u8]) -> bool {
        // The line ends before an empty line may have come with the piece before.
        let fresh = &head[self.scanned.saturating_sub(2).min(head.len())..];
        self.scanned = head.len();
        let ended = fresh.windows(2).any(|pair| pair == b"\n\n") || fresh.windows(3).any(|three| three == b"\n\r\n");
        if ended || head.len() >= self.due {
            self.due = head.len() * 2;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_at_the_first_byte_at_the_end_and_seldom_between() {
        for end in ["\r\n\r\n", "\n\n", "\n\r\n"] {
            let head = format!("GET / HTTP/1.1\r\nA: {}{end}", "x".repeat(10_000));
            let mut progress = HeadProgress::default();
            let due: Vec<usize> = (1..=head.len()).filter(|&to| progress.is_due(&head.as_bytes()[..to])).collect();
            assert_eq!((due[0], *due.last().unwrap()), (1, head.len()));
            assert!(due.len() <= 16, "{due:?}");
            assert!(HeadProgress::default().is_due(head.as_bytes()));
        }
    }
}
