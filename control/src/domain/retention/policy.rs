//! The rules that a retention may hold, as they are kept and as a person gives them; and a policy: a retention of which it is known that
//! it keeps something.

use super::{Slot, Within};
use restic_manager_shared::wire::problem::FieldError;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// Which snapshots of a schedule to keep, in restic's terms. All empty keeps everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// The newest so many.
    pub keep_last: Option<Count>,
    /// One for each of so many hours.
    pub keep_hourly: Option<Count>,
    /// One for each of so many days.
    pub keep_daily: Option<Count>,
    /// One for each of so many weeks.
    pub keep_weekly: Option<Count>,
    /// One for each of so many months.
    pub keep_monthly: Option<Count>,
    /// One for each of so many years.
    pub keep_yearly: Option<Count>,
    /// All that are so young, measured from the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within: Option<Within>,
    /// One for each hour of so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within_hourly: Option<Within>,
    /// One for each day of so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within_daily: Option<Within>,
    /// One for each week of so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within_weekly: Option<Within>,
    /// One for each month of so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within_monthly: Option<Within>,
    /// One for each year of so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within_yearly: Option<Within>,
    /// All that have each tag of one of these lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub keep_tags: Vec<Vec<String>>,
}

/// How many a rule keeps: a number, or -1 for no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Count {
    /// All there are.
    Unlimited,
    /// So many.
    Of(u32),
}

/// The text is no count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a whole number, or unlimited")]
pub struct NotCount;

/// A retention with at least one rule, and no rule that is wrong. Nothing else can be applied.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a>(&'a Retention);

/// Why a retention cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPolicy {
    /// It has no rule: everything is kept, and nothing ever removed.
    #[error("there is no keep rule: everything is kept")]
    KeepsEverything,
    /// It has a rule that means nothing.
    #[error("a keep rule is wrong: {}", .0.iter().map(|e| format!("{} {}", e.pointer, e.detail)).collect::<Vec<_>>().join("; "))]
    Wrong(Vec<FieldError>),
}

/// The highest count.
const MOST: u32 = 100_000;
/// The most lists of tags, and the most tags in one.
const MOST_TAGS: usize = 100;

impl Retention {
    /// Its counted rules, in restic's order.
    #[must_use]
    pub const fn counts(&self) -> [(Slot, Option<Count>); 6] {
        [
            (Slot::Last, self.keep_last),
            (Slot::Hourly, self.keep_hourly),
            (Slot::Daily, self.keep_daily),
            (Slot::Weekly, self.keep_weekly),
            (Slot::Monthly, self.keep_monthly),
            (Slot::Yearly, self.keep_yearly),
        ]
    }

    /// Its rules for each hour, day and so on of a stretch, in restic's order.
    #[must_use]
    pub const fn withins(&self) -> [(Slot, Option<Within>); 5] {
        [
            (Slot::Hourly, self.keep_within_hourly),
            (Slot::Daily, self.keep_within_daily),
            (Slot::Weekly, self.keep_within_weekly),
            (Slot::Monthly, self.keep_within_monthly),
            (Slot::Yearly, self.keep_within_yearly),
        ]
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn keeps_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Everything that is wrong with its rules, below this JSON pointer. Empty means fine.
    #[must_use]
    pub fn check(&self, pointer: &str) -> Vec<FieldError> {
        let counts = self.counts().into_iter().filter(|(_, count)| match count {
            None | Some(Count::Unlimited) => false,
            Some(Count::Of(n)) => *n == 0 || *n > MOST,
        });
        let mut wrong: Vec<FieldError> = counts
            .map(|(slot, _)| at(format!("{pointer}/keep_{slot}"), "1 to 100000, -1 for no end, or left out"))
            .collect();
        if self.keep_tags.len() > MOST_TAGS {
            wrong.push(at(format!("{pointer}/keep_tags"), "at most 100 lists"));
        }
        let lists = self.keep_tags.iter().enumerate().filter(|(_, list)| !fine(list));
        wrong.extend(lists.map(|(n, _)| {
            at(
                format!("{pointer}/keep_tags/{n}"),
                "1 to 100 tags, none empty, no comma, no space at either end, at most 200 bytes each",
            )
        }));
        wrong
    }

    /// The same as something that can be applied.
    ///
    /// # Errors
    /// [`NoPolicy`] if it has no rule, or one that is wrong.
    pub fn policy(&self) -> Result<Policy<'_>, NoPolicy> {
        let wrong = self.check("");
        match (self.keeps_everything(), wrong.is_empty()) {
            (true, _) => Err(NoPolicy::KeepsEverything),
            (false, false) => Err(NoPolicy::Wrong(wrong)),
            (false, true) => Ok(Policy(self)),
        }
    }
}

/// An empty list would fit every snapshot, and an empty tag those without any, which none of a schedule's is.
fn fine(list: &[String]) -> bool {
    let tag = |tag: &String| {
        !tag.is_empty() && tag.trim() == tag && !tag.contains([',', '\0', '\n', '\r']) && tag.len() <= 200
    };
    (1..=MOST_TAGS).contains(&list.len()) && list.iter().all(tag)
}

fn at(pointer: String, detail: &str) -> FieldError {
    FieldError { pointer, detail: detail.into() }
}

impl Deref for Policy<'_> {
    type Target = Retention;
    fn deref(&self) -> &Retention {
        self.0
    }
}

/// As a person and restic's own option write it.
impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Of(n) => n.fmt(f),
        }
    }
}

impl FromStr for Count {
    type Err = NotCount;
    fn from_str(text: &str) -> Result<Self, NotCount> {
        match text {
            "unlimited" | "-1" => Ok(Self::Unlimited),
            number => number.parse().map(Self::Of).map_err(|_| NotCount),
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unlimited => s.serialize_i8(-1),
            Self::Of(n) => s.serialize_u32(*n),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match i64::deserialize(d)? {
            -1 => Ok(Self::Unlimited),
            n => u32::try_from(n).map(Self::Of).map_err(|_| de::Error::custom("1 to 100000, or -1 for no end")),
        }
    }
}

impl utoipa::PartialSchema for Count {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
        let integer = || ObjectBuilder::new().schema_type(Type::Integer);
        OneOfBuilder::new()
            .item(integer().minimum(Some(1)).maximum(Some(MOST)))
            .item(integer().enum_values(Some([-1])).description(Some("no end")))
            .into()
    }
}

impl utoipa::ToSchema for Count {
    fn name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("KeepCount")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_was_stored_before_is_read_and_written_as_it_was() {
        let old = json!({"keep_last": 3, "keep_hourly": null, "keep_daily": 7, "keep_weekly": null,
            "keep_monthly": null, "keep_yearly": 100_000});
        let read: Retention = serde_json::from_value(old.clone()).expect("old JSON");
        assert_eq!((read.keep_last, read.keep_daily), (Some(Count::Of(3)), Some(Count::Of(7))));
        assert_eq!(serde_json::to_value(&read).expect("json"), old);
        for refused in [json!({"keep_last": -2}), json!({"keep_last": "unlimited"}), json!({"keep_ever": 1})] {
            assert!(serde_json::from_value::<Retention>(refused.clone()).is_err(), "{refused}");
        }
    }

    #[test]
    fn only_rules_that_mean_something_are_applied() {
        let wrong = |text: serde_json::Value| {
            let retention: Retention = serde_json::from_value(text).expect("json");
            retention.policy().map(|_| ()).map_err(|no| match no {
                NoPolicy::KeepsEverything => vec!["everything".to_owned()],
                NoPolicy::Wrong(wrong) => wrong.into_iter().map(|e| e.pointer).collect(),
            })
        };
        for (rules, expected) in [
            (json!({}), Err(vec!["everything"])),
            (json!({"keep_tags": []}), Err(vec!["everything"])),
            (json!({"keep_daily": 7}), Ok(())),
            (json!({"keep_last": -1}), Ok(())),
            (json!({"keep_within_yearly": "2y"}), Ok(())),
            (json!({"keep_tags": [["a", "b"]]}), Ok(())),
            (json!({"keep_daily": 0}), Err(vec!["/keep_daily"])),
            (
                json!({"keep_daily": 100_001, "keep_tags": [["a"], [], [""], ["a,b"], [" a"]]}),
                Err(vec!["/keep_daily", "/keep_tags/1", "/keep_tags/2", "/keep_tags/3", "/keep_tags/4"]),
            ),
        ] {
            let expected = expected.map_err(|e| e.into_iter().map(ToOwned::to_owned).collect());
            assert_eq!(wrong(rules.clone()), expected, "{rules}");
        }
    }

    proptest! {
        #[test]
        fn counts_survive_text_and_json(n in 0..=MOST, unlimited: bool) {
            let count = if unlimited { Count::Unlimited } else { Count::Of(n) };
            prop_assert_eq!(count.to_string().parse(), Ok(count));
            let json = serde_json::to_string(&count).expect("json");
            prop_assert_eq!(serde_json::from_str::<Count>(&json).expect("json"), count);
        }
    }
}
