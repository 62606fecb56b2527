//! How a database does what a store function asks of it, among very many rows.

use control::store::Conn;
use diesel::connection::{Connection as _, InstrumentationEvent};
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl as _};
use std::sync::{Arc, Mutex};

/// The statements that an act makes.
pub fn statements<T>(conn: &mut Conn, act: impl FnOnce(&mut Conn) -> T) -> Vec<String> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    let watch = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            hearing.lock().unwrap().push(query.to_string());
        }
    };
    match conn {
        Conn::Sqlite(c) => c.set_instrumentation(watch),
        Conn::Pg(c) => c.set_instrumentation(watch),
    }
    act(conn);
    let heard = heard.lock().unwrap();
    heard.iter().map(|text| text.split(" -- binds:").next().unwrap().to_owned()).collect()
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    plan: String,
}

/// How it would be done, without knowing what stands in the places of the parameters: what is prepared once is done so for all.
pub fn plan(conn: &mut Conn, statement: &str) -> String {
    match conn {
        Conn::Sqlite(c) => {
            let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(c).unwrap();
            steps.into_iter().map(|s| s.detail).collect::<Vec<_>>().join("; ")
        }
        Conn::Pg(c) => {
            let parameters = (1..).take_while(|n| statement.contains(&format!("${n}"))).count();
            let nothing = vec!["NULL"; parameters].join(", ");
            let arguments = if parameters > 0 { format!("({nothing})") } else { String::new() };
            for sql in ["SET LOCAL plan_cache_mode = force_generic_plan", &format!("PREPARE looked AS {statement}")] {
                diesel::sql_query(sql).execute(c).unwrap();
            }
            let explain = format!("EXPLAIN (COSTS OFF) EXECUTE looked{arguments}");
            let lines: Vec<Line> = diesel::sql_query(explain).load(c).unwrap();
            diesel::sql_query("DEALLOCATE looked").execute(c).unwrap();
            lines.into_iter().map(|l| l.plan).collect::<Vec<_>>().join("; ")
        }
    }
}

/// Puts in as many rows as a large fleet has, without going through the store one by one. `row` is given the row's number, from 1 on, and the
/// same as text of so many digits.
pub fn insert_many(conn: &mut Conn, into: &str, rows: i64, digits: u32, row: impl Fn(&str, &str) -> String) {
    let (numbers, padded) = match conn {
        Conn::Sqlite(_) => (
            format!(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n)"
            ),
            format!("printf('%0{digits}d', i)"),
        ),
        Conn::Pg(_) => (format!("generate_series(1::bigint, {rows}) AS n(i)"), format!("lpad(i::text, {digits}, '0')")),
    };
    diesel::sql_query(format!("INSERT INTO {into} SELECT {} FROM {numbers}", row("i", &padded))).execute(conn).unwrap();
}
