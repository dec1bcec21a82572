//! Conditions and updates as values, written out in DynamoDB's expression language.
//!
//! Names and values always travel beside the text, under placeholders: no attribute name can collide with a reserved
//! word, and two parts of one expression can never share a placeholder by accident.

use std::borrow::Cow;
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::{Attributes, number};
use crate::keys::PARTITION;

/// What must hold for the row as it stands when the write arrives. DynamoDB evaluates it together with the write, so
/// this is where races are decided.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// The attribute is there.
    Exists(&'static str),
    /// The attribute is not there.
    Missing(&'static str),
    /// The attribute is there and compares to the value as the operator says.
    Compare(&'static str, &'static str, AttributeValue),
    /// The attribute of this name, which is made at run time, is not there or is less than the value.
    HasRoom(String, AttributeValue),
    /// The set or list contains the value.
    Contains(&'static str, AttributeValue),
    /// The set or list does not contain the value.
    Lacks(&'static str, AttributeValue),
    /// The size of a set or list compares to the number as the operator says.
    Size(&'static str, &'static str, u64),
    /// Each of them.
    All(Vec<Self>),
    /// At least one of them.
    Any(Vec<Self>),
}

impl Condition {
    /// Some row stands at the key.
    pub(crate) fn row_exists() -> Self {
        Self::Exists(PARTITION)
    }

    /// No row stands at the key.
    pub(crate) fn row_missing() -> Self {
        Self::Missing(PARTITION)
    }

    /// The attribute has this value.
    pub(crate) fn equals(name: &'static str, value: AttributeValue) -> Self {
        Self::Compare(name, "=", value)
    }

    /// The attribute is there and less than the value.
    pub(crate) fn below(name: &'static str, value: AttributeValue) -> Self {
        Self::Compare(name, "<", value)
    }

    /// The attribute is there and not more than the value.
    pub(crate) fn at_most(name: &'static str, value: AttributeValue) -> Self {
        Self::Compare(name, "<=", value)
    }

    /// The attribute is there and not less than the value.
    pub(crate) fn at_least(name: &'static str, value: AttributeValue) -> Self {
        Self::Compare(name, ">=", value)
    }

    /// Returns the condition that holds when both do.
    pub(crate) fn and(self, other: Self) -> Self {
        Self::All(vec![self, other])
    }

    /// At least one of both.
    pub(crate) fn or(self, other: Self) -> Self {
        Self::Any(vec![self, other])
    }

    fn write(self, beside: &mut Placeholders) -> String {
        match self {
            Self::Exists(name) => format!("attribute_exists({})", beside.name(name)),
            Self::Missing(name) => format!("attribute_not_exists({})", beside.name(name)),
            Self::Compare(name, operator, value) => {
                format!("{} {operator} {}", beside.name(name), beside.value(value))
            }
            Self::HasRoom(name, value) => {
                let name = beside.name(&name);
                format!("attribute_not_exists({name}) OR {name} < {}", beside.value(value))
            }
            Self::Contains(name, value) => {
                format!("contains({}, {})", beside.name(name), beside.value(value))
            }
            Self::Lacks(name, value) => {
                format!("NOT contains({}, {})", beside.name(name), beside.value(value))
            }
            Self::Size(name, operator, size) => {
                format!("size({}) {operator} {}", beside.name(name), beside.value(number(size)))
            }
            Self::All(parts) => joined(parts, " AND ", beside),
            Self::Any(parts) => joined(parts, " OR ", beside),
        }
    }
}

fn joined(parts: Vec<Condition>, word: &str, beside: &mut Placeholders) -> String {
    let parts: Vec<String> = parts.into_iter().map(|part| format!("({})", part.write(beside))).collect();
    parts.join(word)
}

/// What is to become of a row's attributes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Update {
    set: Vec<(&'static str, Assigned)>,
    remove: Vec<&'static str>,
    add: Vec<(Cow<'static, str>, AttributeValue)>,
    delete: Vec<(&'static str, AttributeValue)>,
}

#[derive(Debug, Clone)]
enum Assigned {
    Value(AttributeValue),
    /// A list, longer by these.
    Appended(AttributeValue),
}

impl Update {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Gives the attribute this value.
    pub(crate) fn set(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.set.push((name, Assigned::Value(value)));
        self
    }

    /// Appends the elements of this list to the list, which begins empty.
    pub(crate) fn append(mut self, name: &'static str, values: AttributeValue) -> Self {
        self.set.push((name, Assigned::Appended(values)));
        self
    }

    /// Removes the attribute, there or not.
    pub(crate) fn remove(mut self, name: &'static str) -> Self {
        self.remove.push(name);
        self
    }

    /// Adds to a number, which begins at zero, or to a set, which begins empty.
    pub(crate) fn add(mut self, name: impl Into<Cow<'static, str>>, value: AttributeValue) -> Self {
        self.add.push((name.into(), value));
        self
    }

    /// Takes the members out of a set.
    pub(crate) fn delete(mut self, name: &'static str, members: AttributeValue) -> Self {
        self.delete.push((name, members));
        self
    }

    /// This update, and then the other one's parts.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.set.extend(other.set);
        self.remove.extend(other.remove);
        self.add.extend(other.add);
        self.delete.extend(other.delete);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty() && self.add.is_empty() && self.delete.is_empty()
    }

    fn write(self, beside: &mut Placeholders) -> String {
        let assign = |beside: &mut Placeholders, (name, assigned)| {
            let name = beside.name(name);
            match assigned {
                Assigned::Value(value) => format!("{name} = {}", beside.value(value)),
                Assigned::Appended(values) => {
                    let nothing = beside.value(AttributeValue::L(Vec::new()));
                    format!(
                        "{name} = list_append(if_not_exists({name}, {nothing}), {})",
                        beside.value(values)
                    )
                }
            }
        };
        let pair = |beside: &mut Placeholders, name: &str, value| {
            format!("{} {}", beside.name(name), beside.value(value))
        };
        let clauses = [
            ("SET", self.set.into_iter().map(|part| assign(beside, part)).collect::<Vec<_>>()),
            ("REMOVE", self.remove.into_iter().map(|name| beside.name(name)).collect()),
            ("ADD", self.add.into_iter().map(|(name, value)| pair(beside, &name, value)).collect()),
            ("DELETE", self.delete.into_iter().map(|(name, value)| pair(beside, name, value)).collect()),
        ];
        let written = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        written.map(|(word, parts)| format!("{word} {}", parts.join(", "))).collect::<Vec<_>>().join(" ")
    }
}

/// The names and values an expression refers to.
#[derive(Debug, Default)]
struct Placeholders {
    names: HashMap<String, String>,
    values: Attributes,
}

impl Placeholders {
    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }
}

/// An update and a condition as a request takes them; what is empty is left out.
#[derive(Debug)]
pub(crate) struct Expressions {
    pub(crate) update: Option<String>,
    pub(crate) condition: Option<String>,
    pub(crate) names: Option<HashMap<String, String>>,
    pub(crate) values: Option<Attributes>,
}

impl Expressions {
    pub(crate) fn of(update: Option<Update>, condition: Option<Condition>) -> Self {
        let mut beside = Placeholders::default();
        let update = update.map(|update| update.write(&mut beside));
        let condition = condition.map(|condition| condition.write(&mut beside));
        let Placeholders { names, values } = beside;
        Self {
            update,
            condition,
            names: (!names.is_empty()).then_some(names),
            values: (!values.is_empty()).then_some(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::text;

    #[test]
    fn an_expression_says_each_clause_once() {
        let update = Update::new()
            .set("roles", text("a"))
            .append("failed_at", AttributeValue::L(vec![number(1)]))
            .remove("phone")
            .add("times", number(2))
            .and(Update::new().set("status", text("b")));
        let condition = Condition::equals("roles", text("c"))
            .and(Condition::Missing("revoked_at").or(Condition::Size("members", ">", 1)));
        let written = Expressions::of(Some(update), Some(condition));
        assert_eq!(
            written.update.unwrap(),
            "SET #roles = :v0, #failed_at = list_append(if_not_exists(#failed_at, :v1), :v2), #status = :v3 \
             REMOVE #phone ADD #times :v4"
        );
        assert_eq!(
            written.condition.unwrap(),
            "(#roles = :v5) AND ((attribute_not_exists(#revoked_at)) OR (size(#members) > :v6))"
        );
        assert_eq!(written.names.unwrap().get("#roles").unwrap(), "roles");
        assert_eq!(written.values.unwrap().get(":v6"), Some(&number(1)));
    }

    #[test]
    fn a_request_without_values_has_no_empty_map() {
        let written = Expressions::of(None, Some(Condition::row_exists()));
        assert!(written.values.is_none() && written.update.is_none());
        assert_eq!(written.condition.unwrap(), "attribute_exists(#pk)");
    }
}
