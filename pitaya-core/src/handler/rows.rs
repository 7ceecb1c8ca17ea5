//! Puts a long table together: its rows stand in several constants, because the compiler checks the closures of one
//! constant together.

use super::{Call, Row, Step};

/// Joins the pieces of a table, in their order. `N` is how many rows there are, counted after `#[cfg]`.
///
/// # Panics
/// In const evaluation, when there are not `N` rows: every route has one.
#[must_use]
pub const fn joined<S, X, const N: usize>(pieces: &[&[Row<S, X>]]) -> [Row<S, X>; N] {
    let mut rows: [Row<S, X>; N] = [absent::<S, X>; N];
    let (mut length, mut piece) = (0, 0);
    while piece < pieces.len() {
        let mut i = 0;
        while i < pieces[piece].len() {
            assert!(length < N, "a table has more rows than routes");
            rows[length] = pieces[piece][i];
            length += 1;
            i += 1;
        }
        piece += 1;
    }
    assert!(length == N, "a table has fewer rows than routes");
    rows
}

/// Fills the array until the rows are there. None is left when [`joined`] returns.
fn absent<S, X>(_: Call<'_, S, X>) -> Step {
    unreachable!("every route has a row")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(_: Call<'_, u8, u8>) -> Step {
        Step::Done(Ok(()))
    }

    fn second(_: Call<'_, u8, u8>) -> Step {
        Step::Later
    }

    const FIRST: Row<u8, u8> = first;
    const SECOND: Row<u8, u8> = second;

    #[test]
    fn pieces_keep_their_order_and_may_be_empty() {
        const JOINED: [Row<u8, u8>; 3] = joined(&[&[], &[FIRST, SECOND], &[], &[FIRST]]);
        for (joined, row) in JOINED.into_iter().zip([FIRST, SECOND, FIRST]) {
            assert!(std::ptr::fn_addr_eq(joined, row));
        }
        const NONE: [Row<u8, u8>; 0] = joined(&[&[], &[]]);
        assert!(NONE.is_empty());
    }

    #[test]
    #[should_panic(expected = "fewer rows than routes")]
    fn a_row_that_is_missing_is_no_hole() {
        let _ = joined::<u8, u8, 3>(&[&[FIRST], &[SECOND]]);
    }
}
