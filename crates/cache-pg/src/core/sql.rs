//! The SQL of one view. Names were checked (`a-z`, digits, `_`), the schema comes quoted; what anybody asks for is a parameter.

use std::fmt::Write;

use crate::view::{VALUE, View};

/// Taken by whoever creates or drops versions, until the transaction ends.
pub(crate) const LOCK_VERSIONS: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";

/// The materialized view's query. It stands for the whole definition: two definitions are the same where this is.
pub(crate) fn definition(view: &View) -> String {
    let mut select = String::from("SELECT ");
    for key in &view.keys {
        // Compared byte by byte: as keys in this process are, and faster than by a language's rules.
        let _ = write!(select, "(q.\"{key}\")::text COLLATE \"C\" AS \"{key}\", ");
    }
    let _ = write!(select, "({})::text AS \"{VALUE}\"", view.value);
    for column in &view.columns {
        let _ = write!(select, ", q.\"{column}\" AS \"{column}\"");
    }
    let _ = write!(select, " FROM (\n{}\n) q", view.query);
    select
}

/// The name of a version's relation.
pub(crate) fn relation(view: &View, version: i32) -> String {
    format!("{}_v{version}", view.name)
}

/// Creates a version without content: its first refresh fills it, and readers leave it alone until then. REFRESH CONCURRENTLY needs a unique
/// index of plain columns over all rows.
pub(crate) fn create(view: &View, schema: &str, relation: &str) -> String {
    let keys: Vec<String> = view.keys.iter().map(|key| format!("\"{key}\"")).collect();
    format!(
        "CREATE MATERIALIZED VIEW {schema}.\"{relation}\" AS {} WITH NO DATA;
         CREATE UNIQUE INDEX \"{relation}_key\" ON {schema}.\"{relation}\" ({})",
        definition(view),
        keys.join(", ")
    )
}

/// One key, by itself: its value. No row where there is none.
pub(crate) fn value(view: &View, schema: &str, relation: &str) -> String {
    format!("SELECT v.\"{VALUE}\" FROM {schema}.\"{relation}\" v WHERE {}", is_asked(view))
}

/// One key: `as_of`, identity, whether there is a row, its value. One row where the version exists, otherwise none.
pub(crate) fn one(view: &View, schema: &str, relation: &str, id: i32) -> String {
    let (first, on) = (&view.keys[0], is_asked(view));
    format!(
        "SELECT s.as_of, s.identity, v.\"{first}\" IS NOT NULL, v.\"{VALUE}\" \
         FROM {schema}.views s LEFT JOIN {schema}.\"{relation}\" v ON {on} WHERE s.id = {id}"
    )
}

/// The row `v` has the key that the parameters are.
fn is_asked(view: &View) -> String {
    let mut on = String::new();
    for (at, key) in view.keys.iter().enumerate() {
        let _ = write!(on, "{}v.\"{key}\" = ${}", if at == 0 { "" } else { " AND " }, at + 1);
    }
    on
}

/// Many keys, one array for each column: the same, and the key's place from 1.
pub(crate) fn many(view: &View, schema: &str, relation: &str, id: i32) -> String {
    let (mut arrays, mut names, mut on) = (String::new(), String::new(), String::new());
    for (at, key) in view.keys.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let _ = write!(arrays, "{comma}${}::text[]", at + 1);
        let _ = write!(names, "k{at}, ");
        let _ = write!(on, "{}v.\"{key}\" = k.k{at}", if at == 0 { "" } else { " AND " });
    }
    let first = &view.keys[0];
    format!(
        "SELECT s.as_of, s.identity, v.\"{first}\" IS NOT NULL, v.\"{VALUE}\", k.at \
         FROM {schema}.views s CROSS JOIN ROWS FROM (unnest({arrays})) WITH ORDINALITY AS k({names}at) \
         LEFT JOIN {schema}.\"{relation}\" v ON {on} WHERE s.id = {id}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_made_of_text_columns_that_compare_byte_by_byte() {
        let view = View::new("teams", "SELECT a, b FROM app.t").key("a").key("b").value("q.c").column("d");
        assert_eq!(
            definition(&view),
            "SELECT (q.\"a\")::text COLLATE \"C\" AS \"a\", (q.\"b\")::text COLLATE \"C\" AS \"b\", (q.c)::text AS \"value\", \
             q.\"d\" AS \"d\" FROM (\nSELECT a, b FROM app.t\n) q"
        );
        assert_eq!(relation(&view, 3), "teams_v3");
        assert!(one(&view, "\"s\"", "teams_v3", 7).ends_with("ON v.\"a\" = $1 AND v.\"b\" = $2 WHERE s.id = 7"));
        assert!(
            value(&view, "\"s\"", "teams_v3")
                .ends_with("FROM \"s\".\"teams_v3\" v WHERE v.\"a\" = $1 AND v.\"b\" = $2")
        );
        let many = many(&view, "\"s\"", "teams_v3", 7);
        assert!(many.contains("unnest($1::text[], $2::text[])) WITH ORDINALITY AS k(k0, k1, at)"), "{many}");
    }
}
