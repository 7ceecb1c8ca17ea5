//! The advice of the compiler's texts, followed: each file has the name of a mistake in `handler/`, `remote/` or `fault/`,
//! and is that file after what its message says to type. That they compile is the proof.

#![allow(
    dead_code,
    missing_debug_implementations,
    unreachable_pub,
    clippy::needless_pass_by_value,
    reason = "the cases only have to compile"
)]

macro_rules! followed {
    ($($folder:ident: $($name:ident)*;)*) => {
        $(mod $folder { $(mod $name;)* })*
        /// `folder/name` of each.
        const FOLLOWED: &[&str] = &[$($(concat!(stringify!($folder), "/", stringify!($name))),*),*];
    };
}

followed! {
    handler: answer_that_is_an_impl_trait error_in_a_box error_not_convertible error_of_anyhow error_that_is_a_text
        route_timeout_of_a_notify route_timeout_that_is_a_number route_timeout_without_a_unit too_many_conditions
        two_payloads_after_cfg;
    remote: types_that_are_no_protobuf;
    fault: boxed_that_is_a_text code_empty code_with_a_wrong_value crate_with_a_wrong_value generic message_of_an_enum
        message_that_names_no_field message_with_a_wrong_value message_with_an_unknown_field message_without_fields
        metadata_that_is_no_text metadata_twice metadata_with_a_wrong_value metadata_without_a_key no_message on_a_union
        option_twice struct_without_a_code unknown_option variant_without_a_code with_a_lifetime without_parentheses;
}

#[test]
fn every_mistake_of_a_fault_is_mended() {
    let ui = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    for case in FOLLOWED {
        assert!(ui.join(format!("{case}.rs")).exists(), "{case} is no mistake");
    }
    for file in ui.join("fault").read_dir().expect("the folder") {
        let path = file.expect("an entry").path();
        let name = path.file_stem().map(|name| format!("fault/{}", name.to_string_lossy())).expect("a name");
        assert!(FOLLOWED.contains(&name.as_str()), "nobody followed the advice of {name}");
    }
}
