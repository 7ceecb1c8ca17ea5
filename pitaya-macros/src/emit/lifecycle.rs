//! One hook: `#[on(init)]` becomes the path `on::init`, whose type says what the method may borrow.

use super::{answer, at, body, context, ours};
use crate::model::Hook;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

pub(super) fn hook(hook: &Hook) -> TokenStream {
    let Hook { method, event } = hook;
    let (cfg, event) = (&method.cfg, ours(event));
    let silent = quote_spanned!(answer(method)=> silent());
    let (body, cx) = (body(&quote!(Self), method, quote!(&__this), &silent), context(method));
    let run = quote_spanned!(at(method.ident.span())=> |__this, #cx| __pitaya::boxed(async move { #body }));
    quote!(#(#cfg)* __pitaya::on::#event(#run))
}
