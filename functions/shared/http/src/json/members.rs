//! The members of a body as a type takes them, and every fault of them at once.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};
use serde_path_to_error::Error as PathError;
use utoipa::PartialSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::FieldError;
use crate::explain::{escape, explain};

/// Returns the value that the members stand for; fails with what is wrong with each of them.
///
/// serde stops at the first fault. So a refused body is read once more for each member by itself; which members have to
/// be there is what the schema says that clients are given.
pub(super) fn read<T: DeserializeOwned + PartialSchema>(
    members: Map<String, Value>,
) -> Result<T, Vec<FieldError>> {
    let body = Value::Object(members);
    deserialize(&body).map_err(|first| {
        let first = explain(&first);
        let mut faults = faults_of::<T>(&body);
        // What no member is to blame for by itself.
        if !faults.iter().any(|fault| fault.pointer == first.pointer) {
            faults.push(first);
        }
        faults
    })
}

fn deserialize<T: DeserializeOwned>(body: &Value) -> Result<T, PathError<serde_json::Error>> {
    serde_path_to_error::deserialize(Member(body))
}

fn faults_of<T: DeserializeOwned + PartialSchema>(body: &Value) -> Vec<FieldError> {
    let RefOr::T(Schema::Object(schema)) = T::schema() else { return Vec::new() };
    let fault = |name: &String| match body.get(name) {
        Some(value) => fault_of_member::<T>(name, value),
        None if schema.required.contains(name) => Some(FieldError::new(pointer_to(name), "is required")),
        None => None,
    };
    schema.properties.keys().filter_map(fault).collect()
}

/// Returns what is wrong with this member, whatever else is missing beside it.
fn fault_of_member<T: DeserializeOwned>(name: &str, value: &Value) -> Option<FieldError> {
    let alone = Value::Object(Map::from_iter([(name.to_owned(), value.clone())]));
    let error = explain(&deserialize::<T>(&alone).err()?);
    let own = pointer_to(name);
    let is_own =
        error.pointer.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_own.then_some(error)
}

fn pointer_to(name: &str) -> String {
    format!("/{}", escape(name))
}

/// A value of a body. An empty text is what a form sends for a field that was left empty, so where a value may be left
/// out it counts as `null`.
#[derive(Clone, Copy)]
struct Member<'de>(&'de Value);

impl<'de> Deserializer<'de> for Member<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.as_str(), Self(value)));
                visitor.visit_map(MapDeserializer::new(members))
            }
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(Self))),
            simple => simple.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let is_absent = self.0.is_null() || self.0.as_str() == Some("");
        if is_absent { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for Member<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use portcullis_identity::{Email, PhoneNumber};
    use serde::Deserialize;
    use serde_json::json;
    use serde_with::rust::double_option;
    use utoipa::ToSchema;

    use super::*;

    #[derive(Debug, Deserialize, ToSchema)]
    #[expect(clippy::option_option, reason = "null and absent mean different things")]
    struct Person {
        #[schema(value_type = String)]
        email: Email,
        #[schema(value_type = Option<String>)]
        phone: Option<PhoneNumber>,
        #[serde(default, deserialize_with = "double_option::deserialize")]
        #[schema(value_type = Option<String>)]
        nickname: Option<Option<String>>,
        #[serde(default)]
        #[expect(dead_code, reason = "only its faults matter")]
        admin: bool,
        #[serde(rename = "a/b")]
        #[expect(dead_code, reason = "only its faults matter")]
        odd: u8,
    }

    fn faults(body: &Value) -> Vec<(String, String)> {
        let members = body.as_object().unwrap().clone();
        let faults = read::<Person>(members).unwrap_err();
        faults.into_iter().map(|fault| (fault.pointer, fault.detail.into_owned())).collect()
    }

    #[test]
    fn every_fault_is_told_in_the_order_of_the_members() {
        let all = faults(&json!({"admin": "hunter2", "phone": "call me", "a/b": 256, "nickname": 7}));
        let told: Vec<(&str, &str)> = all.iter().map(|(at, what)| (at.as_str(), what.as_str())).collect();
        assert_eq!(
            told,
            [
                ("/email", "is required"),
                ("/phone", "a telephone number has digits, spaces and + - ( ) . only"),
                ("/nickname", "must be a string"),
                ("/admin", "must be true or false"),
                ("/a~1b", "must be a whole number in range"),
            ]
        );
    }

    #[test]
    fn what_is_right_is_not_complained_about() {
        let told = faults(&json!({"email": "asha@example.com", "phone": "1", "a/b": -1, "more": []}));
        assert_eq!(told, [("/a~1b".to_owned(), "must be a whole number in range".to_owned())]);
    }

    #[test]
    fn an_empty_text_is_none_where_none_may_be() {
        let members = json!({"email": "asha@example.com", "phone": "", "nickname": "", "a/b": 1});
        let person = read::<Person>(members.as_object().unwrap().clone()).unwrap();
        assert!(person.phone.is_none());
        assert_eq!(person.nickname, Some(None), "it was sent, to take the name away");
        assert_eq!(person.email.as_str(), "asha@example.com");
        assert_eq!(faults(&json!({"email": "", "a/b": 1})).len(), 1);
    }
}
