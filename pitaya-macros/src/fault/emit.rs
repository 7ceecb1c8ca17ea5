//! Code that `#[derive(Fault)]` writes: the trait, the conversion that `?` finds, and the row of the type.

use super::{Case, Fault, Field, Message, Text};
use crate::emit::at;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

/// Whether the type implements `std::error::Error` only the compiler knows, and only for a type without parameters: the
/// constant `STD` says so. If it does, the blanket `From` converts it and finds the code by the row; a second `From` for
/// the framework's error would be refused, so the one written here makes a type that nobody sees.
///
/// The converted type stands there by its name and only the type it becomes is computed: where a second crate has error
/// types, the compiler compares its `From`s with these, and computes nothing for it that belongs to another crate.
pub(super) fn implementations(fault: &Fault) -> TokenStream {
    let Fault { krate, ident, cases, names_deprecated } = fault;
    let (codes, messages, metadata) = (codes(cases), messages(fault), metadata(cases));
    let is_std = quote!(__Is<{ <__pitaya::Probe<#ident>>::STD }>);
    let allowed = names_deprecated.then(|| quote!(#[allow(deprecated)]));
    quote! {
        #allowed
        const _: () = {
            use #krate::__private as __pitaya;
            #[allow(unused_imports)]
            use __pitaya::NotStd as _;
            impl __pitaya::Fault for #ident {
                fn code(&self) -> __pitaya::Cow<'static, str> {
                    #codes
                }
                fn message(&self) -> __pitaya::Cow<'static, str> {
                    #messages
                }
                #metadata
            }
            struct __Is<const STD: bool>;
            impl __pitaya::Converts for __Is<false> {
                type Made = __pitaya::Error;
                fn convert(error: __pitaya::Error) -> __pitaya::Error {
                    error
                }
            }
            impl __pitaya::Converts for __Is<true> {
                type Made = Self;
                fn convert(_: __pitaya::Error) -> Self {
                    Self
                }
            }
            #[allow(private_bounds, private_interfaces)]
            impl ::core::convert::From<#ident> for <#is_std as __pitaya::Converts>::Made {
                fn from(from: #ident) -> Self {
                    <#is_std as __pitaya::Converts>::convert(__pitaya::Error::from_fault(&from))
                }
            }
            __pitaya::submit! { __pitaya::FaultRow(<__pitaya::Probe<#ident>>::FIND) }
        };
    }
}

fn codes(cases: &[Case]) -> TokenStream {
    let arms = cases.iter().map(|Case { path, code, .. }| {
        // Where there is none, that is an error already; its place is taken, so that it is the only one.
        let code = code.as_ref().map_or_else(|| quote!(""), |code| quote!(#code));
        quote!(#path { .. } => #code)
    });
    if cases.is_empty() { quote!(match *self {}) } else { quote!(__pitaya::Cow::Borrowed(match *self { #(#arms),* })) }
}

fn messages(fault: &Fault) -> TokenStream {
    let displayed = quote_spanned!(at(fault.ident.span())=> __pitaya::Text::text(self));
    if fault.cases.is_empty() {
        return quote!(match *self {});
    }
    if fault.cases.iter().all(|case| matches!(case.message, Text::Displayed)) {
        return displayed;
    }
    let others = others(fault.cases.iter().filter(|case| matches!(case.message, Text::Displayed)), &displayed);
    let arms = fault.cases.iter().filter_map(|Case { path, message, .. }| match message {
        Text::Own(Message { text, fields }) => {
            let bindings = bindings(fields);
            Some(quote!(#path { #bindings .. } => __pitaya::Cow::Owned(__pitaya::format!(#text)),))
        }
        Text::Lost => Some(quote!(#path { .. } => __pitaya::Cow::Borrowed(""),)),
        Text::Displayed => None,
    });
    quote!(match *self { #(#arms)* #others })
}

/// Nothing where no field is metadata: the trait's own is empty.
fn metadata(cases: &[Case]) -> Option<TokenStream> {
    let (some, none): (Vec<_>, Vec<_>) = cases.iter().partition(|case| !case.metadata.is_empty());
    let others = others(none.into_iter(), &quote!(__pitaya::BTreeMap::new()));
    let arms = some.iter().map(|Case { path, metadata, .. }| {
        let fields: Vec<Field> = metadata.iter().map(|entry| entry.field.clone()).collect();
        let bindings = bindings(&fields);
        let entries = metadata.iter().map(|entry| {
            let (key, binding) = (&entry.key, &entry.field.binding);
            let value = quote_spanned!(binding.span()=> __pitaya::MetadataValue::metadata_text(#binding));
            quote!((#key, #value))
        });
        quote!(#path { #bindings .. } => __pitaya::metadata([#(#entries),*]),)
    });
    (!some.is_empty()).then(|| {
        quote! {
            fn metadata(&self) -> __pitaya::BTreeMap<__pitaya::String, __pitaya::String> {
                match *self { #(#arms)* #others }
            }
        }
    })
}

/// One arm for all other cases.
fn others<'a>(cases: impl Iterator<Item = &'a Case>, value: &TokenStream) -> Option<TokenStream> {
    let paths: Vec<_> = cases.map(|case| &case.path).collect();
    (!paths.is_empty()).then(|| quote!(#(#paths { .. })|* => #value,))
}

/// `max: ref __field0,`, in the order of the fields.
fn bindings(fields: &[Field]) -> TokenStream {
    fields.iter().map(|Field { member, binding, .. }| quote!(#member: ref #binding,)).collect()
}
