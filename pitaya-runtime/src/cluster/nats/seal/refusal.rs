//! Why a message is not taken as a server's, and what its sender is told.

use super::SECTION;
use pitaya_core::cluster::lane::{self, LaneAnswer, Part};
use pitaya_core::{Error, codes};

/// The key in an error's metadata that says which refusal it is.
const REFUSED: &str = "refused";

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Refused {
    /// It has no seal, and does not come from a server that need not sign.
    Unsigned,
    /// It is signed with a key that is not known here.
    UnknownKey,
    /// It is not what was signed: other bytes, or another way.
    Forged,
    /// It has come before.
    Replayed,
    /// It was signed too long ago, or in the future.
    Untimely,
}

impl Refused {
    /// How many there are.
    pub(in super::super) const ALL: usize = 5;

    fn name(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::UnknownKey => "key",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::Untimely => "time",
        }
    }

    /// The text for people.
    pub(in super::super) fn text(self) -> String {
        match self {
            Self::Unsigned => format!(
                "it is not signed; set {SECTION}.file or .keys at its sender, or name the sender's type in \
                 {SECTION}.unsigned at the receiver"
            ),
            Self::UnknownKey => format!(
                "it is signed with a key that is not known to the receiver; every server must know a key \
                 ({SECTION}.file or .keys) before one signs with it"
            ),
            Self::Forged => "its bytes or its way are not those that were signed".to_owned(),
            Self::Replayed => "it has come before".to_owned(),
            Self::Untimely => format!(
                "it was signed at another time than now, or before its receiver started; set the clocks of both machines, or \
                 raise {SECTION}.tolerance"
            ),
        }
    }

    /// The error that its sender gets. Nothing was run.
    pub(in super::super) fn error(self) -> Error {
        let text = format!("the message was refused and not run: {}", self.text());
        Error::new(codes::UNAUTHENTICATED, text).with(REFUSED, self.name())
    }

    /// The error of a message whose refusal is told by an unsigned answer, which anybody on the broker can send.
    pub(in super::super) fn hearsay(self) -> Error {
        let text =
            format!("the message was refused, by an answer that is not signed, and may have run: {}", self.text());
        Error::new(codes::UNAUTHENTICATED, text).with(REFUSED, self.name())
    }

    /// The refusal that an unsigned answer tells of. Nothing of it is believed but which one it is: whoever can publish to
    /// a reply subject can make a call fail, with the broker's own 503 too.
    pub(in super::super) fn told(answer: &LaneAnswer<'_>) -> Option<Self> {
        let error = answer.outcome().err().filter(|error| error.code() == codes::UNAUTHENTICATED)?;
        let name = error.metadata()?.get(REFUSED)?;
        let all = [Self::Unsigned, Self::UnknownKey, Self::Forged, Self::Replayed, Self::Untimely];
        all.into_iter().find(|refused| refused.name() == name)
    }

    /// The refusals in an unsigned bundle of answers, and nothing else of it.
    pub(in super::super) fn told_in(bundle: &[u8]) -> Vec<u8> {
        let mut refusals = Vec::new();
        for part in lane::parts(bundle) {
            let Ok(Part::Envelope(envelope)) = part else { continue };
            let Ok(answer) = LaneAnswer::read(envelope) else { continue };
            if let Some(refused) = Self::told(&answer) {
                lane::answer(answer.number, Err(&refused.hearsay()), &mut refusals);
            }
        }
        refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pitaya_core::cluster::lane::Number;

    #[test]
    fn of_an_unsigned_bundle_only_refusals_are_heard() {
        let mut bundle = Vec::new();
        lane::push(Number(7), "onX", b"forged", &mut bundle);
        lane::answer(Number(8), Ok(b"forged"), &mut bundle);
        lane::answer(Number(9), Err(&Error::new("PIT-000", "forged")), &mut bundle);
        lane::kick(Number(7), b"", &mut bundle);
        assert_eq!(Refused::told_in(&bundle), b"");
        let forged = Error::new(codes::UNAUTHENTICATED, "forged").with(REFUSED, "key");
        lane::answer(Number(10), Err(&forged), &mut bundle);
        let mut wanted = Vec::new();
        lane::answer(Number(10), Err(&Refused::UnknownKey.hearsay()), &mut wanted);
        assert_eq!(Refused::told_in(&bundle), wanted, "in our own words");
    }
}
