//! JSON Schemas of payloads and answers: what `#[handler(schema)]` and `#[remote(schema)]` add to the description of a route.
//!
//! The types of a block with this option implement `schemars::JsonSchema`; no other block has such a bound. A
//! description carries the schemas as plain JSON values, so that its shape is the same without the feature.

use serde_json::Value;

/// How to make the schemas of one route. Nothing is made before somebody asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Schemas {
    pub(crate) payload: Option<fn() -> Value>,
    pub(crate) answer: Option<fn() -> Value>,
}

impl Schemas {
    /// No schemas.
    pub const NONE: Self = Self { payload: None, answer: None };

    /// With the schema of the payload.
    #[must_use]
    pub const fn payload(mut self, schema: fn() -> Value) -> Self {
        self.payload = Some(schema);
        self
    }

    /// With the schema of the answer.
    #[must_use]
    pub const fn answer(mut self, schema: fn() -> Value) -> Self {
        self.answer = Some(schema);
        self
    }
}

/// What a block that asks for schemas expands to beside them: nothing, or the one error.
#[cfg(feature = "schema")]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_schema {
    () => {};
}

/// What a block that asks for schemas expands to beside them: nothing, or the one error.
#[cfg(not(feature = "schema"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_schema {
    () => {
        ::core::compile_error!(
            "the option `schema` needs a feature that is off\nhelp: write `pitaya-runtime = { features = [\"schema\"], .. }`"
        );
    };
}

pub use made::{Unwrapped, payload};

/// So that a block which asks in vain has no other error than that.
#[cfg(not(feature = "schema"))]
mod made {
    use crate::handler::Returned;
    use serde_json::Value;

    /// No schema.
    #[must_use]
    pub fn payload<T>() -> Value {
        Value::Null
    }

    /// No schema either.
    pub trait Unwrapped {
        /// Nothing.
        fn schema() -> Value {
            Value::Null
        }
    }

    impl<T> Unwrapped for Returned<T> {}
}

#[cfg(feature = "schema")]
mod made {
    use crate::codec::Raw;
    use crate::handler::Returned;
    use schemars::generate::SchemaSettings;
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use serde_json::{Value, json};
    use std::borrow::Cow;

    /// The schema of what may be sent.
    #[must_use]
    pub fn payload<T: JsonSchema>() -> Value {
        SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>().into()
    }

    fn answer<T: JsonSchema>() -> Value {
        if T::schema_name() == <()>::schema_name() {
            // Nothing is `{}` on the wire: `Writes`.
            return json!({ "type": "object" });
        }
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>().into()
    }

    /// As with [`Plain`](crate::handler::Plain): this one wins where a `Result` was returned, behind any alias.
    impl<T, E> Returned<std::result::Result<T, E>> {
        /// The schema of what is answered.
        #[must_use]
        pub fn schema() -> Value
        where
            T: JsonSchema,
        {
            answer::<T>()
        }
    }

    /// What is returned without a `Result` around it.
    pub trait Unwrapped {
        /// The schema of what is answered.
        fn schema() -> Value;
    }

    impl<T: JsonSchema> Unwrapped for Returned<T> {
        fn schema() -> Value {
            answer::<T>()
        }
    }

    /// Any bytes.
    impl JsonSchema for Raw {
        fn schema_name() -> Cow<'static, str> {
            "Raw".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!(true)
        }
    }
}
