//! Blocks and error types that a macro wrote, generic components, `#[cfg]`, and blocks of two hundred routes.

#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "routes are `pub`, and these are nobody's API"
)]

use pitaya_runtime::Handlers;
use pitaya_runtime::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

pub type Answered<T> = std::result::Result<T, Error>;

/// What a generic component is generic over.
pub trait Store: Send + Sync + 'static {
    type Item: Serialize + Send + 'static;
    type Key: DeserializeOwned + Send + 'static;
    fn get(&self, key: Self::Key) -> Self::Item;
}

#[derive(Clone)]
pub struct Mem;

impl Store for Mem {
    type Item = u32;
    type Key = u32;
    fn get(&self, key: u32) -> u32 {
        key * 2
    }
}

pub struct Shelf<S>(pub S);

// Every place of the block comes from outside.
macro_rules! shelf {
    (
        $(#[$attr:meta])* $name:literal, $doc:expr, $codec:ty, $t:ty, $s:ident: $bound:path,
        $session:ty, $arg:ty, $ret:ty, $m:ident, $route:literal, $code:literal, $event:ident
    ) => {
        #[handler(name = $name, codec($codec))]
        $(#[$attr])*
        impl<$s: $bound> $t {
            #[doc = $doc]
            #[route($route, code = $code)]
            pub async fn $m(&self, session: $session, key: $arg) -> $ret {
                let _ = session;
                Ok(self.0.get(key))
            }
            pub fn now(&self, key: $arg) -> $s::Item {
                self.0.get(key)
            }
            #[on($event)]
            fn hook(&self) {}
        }
    };
}
shelf!(
    #[allow(clippy::unused_async, reason = "only its form matters")]
    "shelf", "Fetches.", Json, Shelf<S>, S: Store,
    &Session, S::Key, Answered<S::Item>, get, "fetch", 9, init
);

/// With a `where`, a const parameter, a default and a type of another module.
pub struct Ring<T, const N: usize = 4>([T; N]);

mod elsewhere {
    use super::{Ring, Serialize, handler};

    #[handler]
    impl<T, const N: usize> super::Ring<T, N>
    where
        T: Serialize + Clone + Send + Sync + 'static,
    {
        pub(super) fn all(&self) -> Vec<T> {
            Self::list(self)
        }
        pub(crate) async fn size(&self) -> usize {
            N
        }
    }
    impl<T: Clone, const N: usize> Ring<T, N> {
        fn list(&self) -> Vec<T> {
            self.0.to_vec()
        }
    }
}

pub struct Conditional;

#[handler]
#[cfg(not(target_os = "none"))]
impl Conditional {
    #[cfg(any())]
    pub fn never(&self, gone: NoSuchType) -> NoSuchType {
        gone
    }
    #[cfg(any())]
    #[on(init)]
    fn never_open(&self, gone: &NoSuchType) {}
    #[cfg(not(windows))]
    pub fn os(&self) -> &'static str {
        "unix"
    }
    #[cfg(windows)]
    pub fn os(&self) -> &'static str {
        "windows"
    }
    #[cfg(not(target_os = "none"))]
    #[on(init)]
    async fn open(&self) {}
    #[cfg_attr(all(), doc = "Kept on the method.")]
    pub fn always(&self) {}
}

#[handler]
#[cfg(any())]
impl NoSuchType {
    pub fn never(&self) {}
}

pub struct Many;

// Four forms, fifty of each, in one block.
macro_rules! many {
    ($($plain:ident)*; $($typed:ident)*; $($later:ident)*; $($notify:ident)*) => {
        #[handler]
        impl Many {
            $(pub fn $plain(&self) -> u32 {
                1
            })*
            $(pub fn $typed(&self, n: u32) -> Result<u32> {
                Ok(n)
            })*
            $(pub async fn $later(&self, session: &Session, n: u32) -> Result<u32> {
                session.bind("zoe").await?;
                Ok(n)
            })*
            $(pub async fn $notify(&self, raw: Raw) {
                drop(raw);
            })*
        }
    };
}
many! {
    a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 a12 a13 a14 a15 a16 a17 a18 a19 a20 a21 a22 a23 a24
    a25 a26 a27 a28 a29 a30 a31 a32 a33 a34 a35 a36 a37 a38 a39 a40 a41 a42 a43 a44 a45 a46 a47 a48 a49;
    b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 b10 b11 b12 b13 b14 b15 b16 b17 b18 b19 b20 b21 b22 b23 b24
    b25 b26 b27 b28 b29 b30 b31 b32 b33 b34 b35 b36 b37 b38 b39 b40 b41 b42 b43 b44 b45 b46 b47 b48 b49;
    c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 c10 c11 c12 c13 c14 c15 c16 c17 c18 c19 c20 c21 c22 c23 c24
    c25 c26 c27 c28 c29 c30 c31 c32 c33 c34 c35 c36 c37 c38 c39 c40 c41 c42 c43 c44 c45 c46 c47 c48 c49;
    d0 d1 d2 d3 d4 d5 d6 d7 d8 d9 d10 d11 d12 d13 d14 d15 d16 d17 d18 d19 d20 d21 d22 d23 d24
    d25 d26 d27 d28 d29 d30 d31 d32 d33 d34 d35 d36 d37 d38 d39 d40 d41 d42 d43 d44 d45 d46 d47 d48 d49
}

/// A long table is put together from pieces, whatever it is a table of: these have more rows than one piece takes.
macro_rules! long {
    ($($name:ident)*) => {
        pub struct Long<S>(pub S);

        #[handler]
        impl<S> Long<S>
        where
            S: Store,
        {
            $(pub fn $name(&self, key: S::Key) -> S::Item {
                self.0.get(key)
            })*
            #[cfg(any())]
            pub fn never(&self, gone: NoSuchType) {}
            #[cfg(not(windows))]
            pub fn last(&self) {}
        }

        #[remote(codec = Json)]
        pub trait LongApi: Clone {
            $(async fn $name(&self, n: u32) -> Result<u32>;)*
            #[cfg(any())]
            fn never(&self, gone: NoSuchType);
        }

        #[remote]
        impl LongApi for Mem {
            $(async fn $name(&self, n: u32) -> Result<u32> {
                Ok(n)
            })*
        }

        pub struct Gone;

        #[handler]
        impl Gone {
            $(#[cfg(any())]
            pub fn $name(&self, gone: NoSuchType) {})*
        }
    };
}
long! {
    r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 r16 r17 r18 r19 r20 r21 r22 r23 r24 r25 r26 r27 r28
    r29 r30 r31 r32 r33 r34 r35 r36 r37 r38 r39 r40 r41 r42 r43 r44 r45 r46 r47 r48 r49 r50 r51 r52 r53 r54 r55
    r56 r57 r58 r59 r60 r61 r62 r63 r64 r65 r66 r67 r68 r69
}

/// Every place of an error type comes from outside.
macro_rules! fault {
    ($(#[$attr:meta])* $t:ident, $variant:ident, $code:expr, $text:literal, $field:ident: $ty:ty) => {
        #[derive(Debug, Fault)]
        $(#[$attr])*
        pub enum $t {
            #[fault(code = $code, message = $text)]
            $variant {
                #[fault(metadata)]
                $field: $ty,
            },
            #[cfg(any())]
            #[fault(code = NO_SUCH_CODE)]
            Never(NoSuchType),
            #[cfg_attr(all(), fault(code = "SHELF-3", message = "kept"))]
            Kept,
        }
    };
}
const CODE: &str = "SHELF-2";
fault!(#[derive(Clone)] Spilt, By, CODE, "spilt by {much}", much: u32);

#[cfg(any())]
#[derive(Debug, Fault)]
pub struct NeverAFault(NoSuchType);

// Every value of the derive comes from outside.
macro_rules! faults {
    ($name:ident, $first:literal, $second:expr, $third:path, $text:literal, $key:literal) => {
        #[derive(Debug, Fault)]
        pub enum $name {
            #[fault(code = $first, message = $text)]
            First {
                #[fault(metadata = $key)]
                max: u32,
            },
            #[fault(code = $second, message = $text)]
            Second { max: u32 },
            #[fault(code = $third, message = $text)]
            Third { max: u32 },
        }
    };
}
pub const THIRD: &str = "GAME-3";
faults!(Refusal, "GAME-1", "GAME-2", self::THIRD, "at most {max}", "most");

#[test]
fn a_fault_that_a_macro_wrote_is_what_was_meant() {
    let all = [Refusal::First { max: 4 }, Refusal::Second { max: 4 }, Refusal::Third { max: 4 }];
    let errors: Vec<pitaya_runtime::Error> = all.into_iter().map(Into::into).collect();
    let codes: Vec<_> = errors.iter().map(pitaya_runtime::Error::code).collect();
    assert_eq!(codes, ["GAME-1", "GAME-2", "GAME-3"]);
    assert!(errors.iter().all(|error| error.message() == "at most 4"));
    assert!(errors[0].metadata().is_some_and(|data| data.contains_key("most")));
}

#[test]
fn what_a_macro_wrote_is_what_was_meant() {
    let service = const { &Shelf::<Mem>::HANDLERS }.service;
    assert_eq!((service.name, service.type_name, service.codecs), ("shelf", "Shelf", &["json"][..]));
    let routes: Vec<_> = service.routes.iter().map(|r| (r.name, r.code, r.docs)).collect();
    assert_eq!(routes, [("fetch", 9, "Fetches."), ("now", 0, "")]);
    assert_eq!(Shelf::<Mem>::HANDLERS.hooks.len(), 1);
}

#[test]
fn one_description_serves_all_instances() {
    let (bytes, words) = (Ring::<u8>::HANDLERS.service, Ring::<u16, 2>::HANDLERS.service);
    assert!(std::ptr::eq(bytes, words));
    assert_eq!(bytes.type_name, "Ring");
}

#[test]
fn what_is_configured_away_has_no_row() {
    let table = Conditional::HANDLERS;
    let names: Vec<_> = table.service.routes.iter().map(|r| r.name).collect();
    assert_eq!((names, table.rows.len(), table.hooks.len()), (vec!["os", "always"], 2, 1));
}

#[test]
fn two_hundred_routes_keep_their_order() {
    let routes = Many::HANDLERS.service.routes;
    assert_eq!((routes.len(), Many::HANDLERS.rows.len()), (200, 200));
    assert_eq!((routes[0].name, routes[199].name), ("a0", "d49"));
}

#[test]
fn a_long_table_has_a_row_for_each_route_in_their_order() {
    use pitaya_runtime::Remotes;
    let table = Long::<Mem>::HANDLERS;
    assert_eq!((table.rows.len(), table.service.routes.len()), (71, 71));
    assert_eq!((table.service.routes[69].name, table.service.routes[70].name), ("r69", "last"));
    assert_eq!((Mem::REMOTES.rows.len(), Mem::REMOTES.service.routes.len()), (70, 70));
    assert_eq!((Gone::HANDLERS.rows.len(), Gone::HANDLERS.service.routes.len()), (0, 0));
}

#[test]
fn an_error_type_of_a_macro_is_what_was_meant() {
    let error = Error::from(Spilt::By { much: 3 });
    assert_eq!((error.code(), error.message()), ("SHELF-2", "spilt by 3"));
    assert_eq!(error.metadata().and_then(|metadata| metadata.get("much")).map(String::as_str), Some("3"));
    assert_eq!(Error::from(Spilt::Kept.clone()).code(), "SHELF-3");
}
