//! What differs between two snapshots: both trees first, then one run of restic, then pages of it.

use super::{Page, Ready, bad_cursor, read, ready};
use crate::app::Agent;
use crate::tree::Tree;
use crate::tree::cache::Key;
use crate::tree::changes::{Changes, Wanted};
use crate::tree::glob::Pattern;
use restic_manager_shared::wire::cause::Cause;
use restic_manager_shared::wire::changes::{ChangesAsk, ChangesPage};
use restic_manager_shared::wire::query::{Indexing, Query, QueryAnswer};
use std::sync::Arc;

/// A page, or how far the reading is.
pub(super) async fn answer(agent: &Arc<Agent>, query: &Query, ask: &ChangesAsk) -> Result<QueryAnswer, Cause> {
    for (left, snapshot) in [(3, &ask.from), (2, &ask.to)] {
        if let Ready::Not(far) = ready::<Tree>(agent, query, &Key::tree(query.repository_id, snapshot)).await? {
            return Ok(QueryAnswer::Indexing(Indexing { snapshots_left: left, ..far }));
        }
    }
    let key = Key::changes(query.repository_id, &ask.from, &ask.to);
    let changes: Changes = match ready(agent, query, &key).await? {
        Ready::There(changes) => changes,
        Ready::Not(far) => return Ok(QueryAnswer::Indexing(far)),
    };
    let (ask, after) = (ask.clone(), place(ask.after.as_deref()).ok_or_else(bad_cursor)?);
    Ok(QueryAnswer::Changes(read(agent, &key, move || page(&changes, &ask, after)).await?))
}

fn page(changes: &Changes, ask: &ChangesAsk, after: (u64, u64)) -> Result<ChangesPage, crate::tree::TreeError> {
    let pattern = Some(ask.pattern.trim()).filter(|p| !p.is_empty()).map(|p| Pattern::new(p, false));
    let wanted = Wanted { under: ask.under.trim_end_matches('/').to_owned(), pattern, kinds: ask.kinds.clone() };
    let mut room = Page::new(ask.limit);
    // On the later pages whoever asks has them.
    let sums = if ask.after.is_none() { changes.sums(&wanted.under)? } else { Default::default() };
    if ask.flat {
        let (items, next) = changes.flat(&wanted, after, |path| room.take(path))?;
        return Ok(ChangesPage { items, sums, next: next.map(|(block, record)| format!("{block}.{record}")) });
    }
    let all = changes.folder(&wanted)?;
    let (total, from) = (all.len(), usize::try_from(after.1).unwrap_or(usize::MAX));
    let items: Vec<_> = all.into_iter().skip(from).take_while(|item| room.take(&item.path)).collect();
    let told = from.saturating_add(items.len());
    let next = (told < total && !items.is_empty()).then(|| format!("0.{told}"));
    Ok(ChangesPage { items, sums, next })
}

/// Where a list goes on.
fn place(text: Option<&str>) -> Option<(u64, u64)> {
    let Some(text) = text else { return Some((0, 0)) };
    let (block, record) = text.split_once('.')?;
    Some((block.parse().ok()?, record.parse().ok()?))
}
