//! Choices of a recipe: closed lists of named components with parameters.
//!
//! `range = "mse"` and `[range.mse] exponent = 2.0` both name the component `mse`; an unknown name,
//! an unknown parameter and two components at once are errors.

/// Declares the enum of a stage's components out of `"name" => Struct: "one line"` lines.
///
/// Each struct implements `Default`, `Serialize`, `Deserialize` with `deny_unknown_fields`, and the
/// stage's trait.
macro_rules! choices {
    ($(#[$doc:meta])* $choice:ident of $behaviour:ident, a $kind:literal {
        $($name:literal => $variant:ident: $summary:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $choice {
            $(#[doc = concat!("`", $name, "`, see [`", stringify!($variant), "`].")]
            $variant($variant),)*
        }

        impl $choice {
            /// The names that recipes use, in the order of the list.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// What each component does, in one line.
            pub const SUMMARIES: &'static [&'static str] = &[$($summary),*];

            /// Every component with its default parameters.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$variant($variant::default())),*]
            }

            /// The name that recipes use.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            /// The component.
            pub fn component(&self) -> &dyn $behaviour {
                match self { $(Self::$variant(component) => component,)* }
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $choice {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($choice).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let components = vec![$(
                    ($name, $summary, generator.subschema_for::<$variant>())
                ),*];
                $crate::recipe::choice::schema::choice($kind, components)
            }
        }

        impl serde::Serialize for $choice {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(Some(1))?;
                match self { $(Self::$variant(c) => map.serialize_entry($name, c)?,)* }
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $choice {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = $choice;

                    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                        write!(f, "a {}: {}", $kind, $choice::NAMES.join(", "))
                    }

                    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
                        match name {
                            $($name => Ok($choice::$variant($variant::default())),)*
                            _ => Err(E::custom($crate::recipe::choice::unknown(
                                $kind, name, $choice::NAMES,
                            ))),
                        }
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<Self::Value, A::Error> {
                        use serde::de::Error;
                        let Some(name) = map.next_key::<String>()? else {
                            return Err(A::Error::custom($crate::recipe::choice::missing(
                                $kind, $choice::NAMES,
                            )));
                        };
                        let choice = match name.as_str() {
                            $($name => $choice::$variant(map.next_value()?),)*
                            _ => return Err(A::Error::custom($crate::recipe::choice::unknown(
                                $kind, &name, $choice::NAMES,
                            ))),
                        };
                        if let Some(second) = map.next_key::<String>()? {
                            return Err(A::Error::custom(format!(
                                "two choices of a {} at once: '{name}' and '{second}'; keep one",
                                $kind,
                            )));
                        }
                        Ok(choice)
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }
    };
}

pub(crate) use choices;

/// The schemas of choices.
#[cfg(feature = "schema")]
pub(crate) mod schema {
    use schemars::{Schema, json_schema};
    use serde_json::Value;

    /// A component: the name that recipes use, what it does, and the schema of its parameters.
    pub(crate) type Component = (&'static str, &'static str, Schema);

    /// The schema of a choice: the name of a component, or a table of one component's parameters.
    pub(crate) fn choice(kind: &str, components: Vec<Component>) -> Schema {
        let name = |(name, summary, _): &Component| json_schema!({ "const": name, "description": summary });
        let table = |(name, summary, parameters): &Component| {
            json_schema!({
                "type": "object",
                "description": summary,
                "properties": { *name: parameters },
                "required": [name],
                "additionalProperties": false,
            })
        };
        let forms = components.iter().map(name).chain(components.iter().map(table));
        let forms: Vec<Value> = forms.map(Value::from).collect();
        json_schema!({ "description": format!("A {kind}."), "oneOf": forms })
    }
}

/// The message for a component that does not exist.
pub fn unknown(kind: &str, name: &str, names: &[&str]) -> String {
    let hint = nearest(name, names).map_or(String::new(), |n| format!("; did you mean '{n}'?"));
    format!("unknown {kind} '{name}': expected one of {}{hint}", names.join(", "))
}

/// The message for a table without a component.
pub(crate) fn missing(kind: &str, names: &[&str]) -> String {
    format!("no {kind} is named: expected one of {}", names.join(", "))
}

/// The name most like `wrong`, if any is close.
pub fn nearest<'a>(wrong: &str, names: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(wrong, name);
    let best = names.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.7).then_some(best)
}
