//! One error for a type that a serializer does not take, though generated code names the type more than once.
//!
//! The row of a remote and the method of its stub need the same type, one to read and one to write it. A type that is no
//! message would be an error in both. So the stub asks first whether the row can be compiled. If not, it works with a set
//! of codecs that takes every type: the row has the error, and nothing of this is ever run.

use super::{Answers, Codecs, Reads, Writes};
use crate::error::{Error, Result};
use crate::remote::Outcome;
use std::marker::PhantomData;

/// Asks whether the payload `P` of a row can be read: if so, its constant hides that of [`Unknown`].
#[derive(Debug)]
pub struct Payload<Cs, P>(PhantomData<(Cs, P)>);

impl<Cs: Reads<P>, P> Payload<Cs, P> {
    /// It can.
    pub const KNOWN: bool = true;
}

/// Asks the same of the answer to a method that returns `R`.
#[derive(Debug)]
pub struct Reply<Cs, R, Form>(PhantomData<(Cs, R, Form)>);

impl<Cs: Answers<R::Reply, Form>, R: Outcome, Form> Reply<Cs, R, Form> {
    /// It can be written.
    pub const KNOWN: bool = true;
}

/// The constant of what the row cannot deal with.
pub trait Unknown {
    /// The error belongs to the row.
    const KNOWN: bool = false;
}

impl<Cs, P> Unknown for Payload<Cs, P> {}
impl<Cs, R, Form> Unknown for Reply<Cs, R, Form> {}

/// `KNOWN` of a [`Payload`], or of a [`Reply`] in either form. A macro, for the trait has to be in scope where it is asked.
#[doc(hidden)]
#[macro_export]
macro_rules! __known {
    ($($asked:ty),+) => {{
        #[allow(unused_imports)]
        use $crate::__private::Unknown as _;
        false $(|| <$asked>::KNOWN)+
    }};
}

/// Sends the argument of a stub's method: `send!(callee, stub, payload, route, argument)`.
#[doc(hidden)]
#[macro_export]
macro_rules! __send {
    ($callee:expr, $stub:ty, $payload:ty, $route:expr, $argument:expr) => {
        $callee.send_as::<{ $crate::__known!($crate::__private::Payload<<$stub as $crate::__private::Stub>::Codecs, $payload>) }, $payload>($route, $argument)
    };
}

/// The answer to a call of a stub's method that returns `returned`.
#[doc(hidden)]
#[macro_export]
macro_rules! __answer {
    ($sent:expr, $stub:ty, $returned:ty) => {
        $sent.request_as::<
            {
                $crate::__known!(
                    $crate::__private::Reply<<$stub as $crate::__private::Stub>::Codecs, $returned, $crate::__private::Whole>,
                    $crate::__private::Reply<<$stub as $crate::__private::Stub>::Codecs, $returned, $crate::__private::Nullable>
                )
            },
            _,
            _,
        >()
        .await
    };
}

/// What a stub speaks.
pub trait Stub {
    /// The codecs.
    type Codecs;
}

/// The set `Cs` where the row is right, [`Anything`] where it is not.
pub type Blaming<Cs, const KNOWN: bool> = <Row<KNOWN> as Set>::Of<Cs>;

#[doc(hidden)]
#[derive(Debug)]
pub struct Row<const KNOWN: bool>;

#[doc(hidden)]
pub trait Set {
    type Of<Cs>;
}

impl Set for Row<true> {
    type Of<Cs> = Cs;
}

impl Set for Row<false> {
    type Of<Cs> = Anything;
}

/// Takes every type, in code that does not compile.
#[derive(Debug)]
pub enum Anything {}

impl Codecs for Anything {
    const NAMES: &'static [&'static str] = &[];
}

impl<P> Reads<P> for Anything {
    fn read(_: usize, _: &[u8]) -> Result<P> {
        Err(never())
    }
    fn read_answer(_: &[u8]) -> Result<P> {
        Err(never())
    }
}

impl<T: ?Sized> Writes<T> for Anything {
    const VERBATIM: bool = false;

    fn write(_: usize, _: &T, _: &mut Vec<u8>) -> Result<()> {
        Err(never())
    }
    fn answer(_: usize, _: &T, _: &mut Vec<u8>) -> Result<()> {
        Err(never())
    }
}

fn never() -> Error {
    Error::internal("a stub of a remote that does not compile")
}
