//! The pieces of which the schemas of types with a decoder of their own are
//! made. Where serde's derived code decodes, the schema is derived too.

use utoipa::ToSchema;
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, Ref,
    SchemaFormat, Type,
};
use utoipa::openapi::{RefOr, Schema};

/// A schema, or the name of one.
pub(crate) type Shape = RefOr<Schema>;

/// The schemas that have names, as they are collected.
pub(crate) type Parts = Vec<(String, Shape)>;

/// Gives a type a schema by hand, under a name and with the types that the
/// schema names.
macro_rules! shaped {
    ($type:ty as $name:literal $(of $($part:ty),+)? => $shape:expr) => {
        impl utoipa::PartialSchema for $type {
            fn schema() -> $crate::rest::openapi::shape::Shape {
                $shape
            }
        }

        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            #[allow(unused_variables)] // there may be no parts
            fn schemas(parts: &mut $crate::rest::openapi::shape::Parts) {
                $($($crate::rest::openapi::shape::add::<$part>(parts);)+)?
            }
        }
    };
}
pub(crate) use shaped;

/// Adds the schema of a type and all that it names. One that is there already
/// is not looked into again: filters and prefetches contain themselves.
pub(crate) fn add<T: ToSchema>(parts: &mut Parts) {
    let name = T::name().into_owned();
    if parts.iter().any(|(known, _)| *known == name) {
        return;
    }
    parts.push((name, T::schema()));
    T::schemas(parts);
}

/// A type by its name.
pub(crate) fn named<T: ToSchema>() -> Shape {
    Ref::from_schema_name(T::name()).into()
}

/// A text.
pub(crate) fn text() -> Shape {
    ObjectBuilder::new().schema_type(Type::String).into()
}

/// One of some texts.
pub(crate) fn word<'a>(words: impl IntoIterator<Item = &'a str>) -> Shape {
    let words = words.into_iter().map(serde_json::Value::from);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .into()
}

/// A text that a pattern matches.
pub(crate) fn like(pattern: &str) -> Shape {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
        .into()
}

/// A moment as RFC 3339 writes it, or in short.
pub(crate) fn moment() -> Shape {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("A moment: RFC 3339, or a short form of it"))
        .into()
}

/// True or false.
pub(crate) fn flag() -> Shape {
    ObjectBuilder::new().schema_type(Type::Boolean).into()
}

/// Any number.
pub(crate) fn number() -> Shape {
    ObjectBuilder::new().schema_type(Type::Number).into()
}

/// A whole number of 64 bits with a sign.
pub(crate) fn integer() -> Shape {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .into()
}

/// A whole number of 64 bits that is not less than this.
pub(crate) fn at_least(least: u32) -> Shape {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::UInt64)))
        .minimum(Some(least))
        .into()
}

/// Nothing.
pub(crate) fn null() -> Shape {
    ObjectBuilder::new().schema_type(Type::Null).into()
}

/// A list.
pub(crate) fn list(items: Shape) -> Shape {
    ArrayBuilder::new().items(items).into()
}

/// An object with such a value under each of any names.
pub(crate) fn map(values: Shape) -> Shape {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::RefOr(values)))
        .into()
}

/// Any object.
pub(crate) fn any_object() -> Shape {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(true)))
        .into()
}

/// One of several.
pub(crate) fn any_of(shapes: impl IntoIterator<Item = Shape>) -> Shape {
    let all = shapes.into_iter();
    all.fold(AnyOfBuilder::new(), AnyOfBuilder::item).into()
}

/// An object with these fields: what it needs, and what it may have.
pub(crate) fn object(needs: Fields, may_have: Fields) -> ObjectBuilder {
    let mut object = ObjectBuilder::new().schema_type(Type::Object);
    for (name, shape) in needs {
        object = object.property(*name, shape.clone()).required(*name);
    }
    for (name, shape) in may_have {
        object = object.property(*name, shape.clone());
    }
    object
}

/// Fields by their names.
type Fields<'a> = &'a [(&'a str, Shape)];

/// The same, and no other field.
pub(crate) fn only(needs: Fields, may_have: Fields) -> Shape {
    let none = AdditionalProperties::<Schema>::FreeForm(false);
    let object = object(needs, may_have).additional_properties(Some(none));
    object.into()
}
