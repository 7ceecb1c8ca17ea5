//! Why routes cannot have the codes they are to have.

use super::UPDATE_VARIABLE;
use crate::wire::DictionaryError;

/// Why routes cannot have their codes. Places are `file:line`, of a method or of the lock file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// One code for two routes.
    #[error(
        "the code {code} belongs to `{first}` ({first_place}) and to `{second}` ({second_place}); give one of them another"
    )]
    Taken {
        /// The code.
        code: u16,
        /// The route that had it first.
        first: String,
        /// Where that was said.
        first_place: String,
        /// The other.
        second: String,
        /// Where that was said.
        second_place: String,
    },
    /// A pinned code is not the one in the lock file.
    #[error(
        "`{route}` is pinned to the code {pinned} ({place}), but clients know it by {locked} ({locked_place}); write `code = {locked}`, or change the line if no client knows it"
    )]
    PinnedOtherwise {
        /// The route.
        route: String,
        /// The code of `#[route(code = ..)]`.
        pinned: u16,
        /// The method.
        place: String,
        /// The code in the file.
        locked: u16,
        /// Its line.
        locked_place: String,
    },
    /// A route stands twice in the lock file.
    #[error("`{route}` is listed twice, at {first_place} and at {second_place}; keep the line that clients know")]
    ListedTwice {
        /// The route.
        route: String,
        /// The first line.
        first_place: String,
        /// The second.
        second_place: String,
    },
    /// A code of the lock file that cannot be one.
    #[error("{place}: `{code}` cannot be the code of `{route}`: codes are numbers from 1 to 65535")]
    OutOfRange {
        /// The line.
        place: String,
        /// What stands there.
        code: String,
        /// Its route.
        route: String,
    },
    /// A line of the lock file that cannot be read.
    #[error("{place}: `{text}` is not `code route`, such as `7 chat.room.join`, or `7 chat.room.join removed`")]
    Unreadable {
        /// The line.
        place: String,
        /// What stands there.
        text: String,
    },
    /// The routes are not those of the lock file.
    #[error("{name} is not up to date: {}. Run the server once with {UPDATE_VARIABLE}=1 and commit the file", differences.join("; "))]
    OutOfDate {
        /// The file.
        name: String,
        /// One text for each route.
        differences: Vec<String>,
    },
    /// The codes are no dictionary.
    #[error("{0}")]
    Dictionary(#[from] DictionaryError),
}
