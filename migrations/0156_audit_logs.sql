-- outside a transaction
-- A database that was restored from a dump, or promoted without the last commits, cannot go on with a log of which more was signed
-- than it has: it begins another, in the same tables, and keeps what it has of the one before (bank/audit/begin-log.ts).
alter table audit.seal add column if not exists log integer not null default 1;
-- then
alter table audit.tree_node add column if not exists log integer not null default 1;
-- then
alter table audit.checkpoint add column if not exists log integer not null default 1;
-- then
drop index concurrently if exists audit.seal_of_log;
-- then
create unique index concurrently seal_of_log on audit.seal (log, first_leaf);
-- then
alter table audit.seal drop constraint if exists seal_is_placed_once,
  add constraint seal_is_placed_once primary key using index seal_of_log;
-- then
drop index concurrently if exists audit.tree_node_of_log;
-- then
create unique index concurrently tree_node_of_log on audit.tree_node (log, level, position);
-- then
alter table audit.tree_node drop constraint if exists tree_node_is_placed_once,
  add constraint tree_node_is_placed_once primary key using index tree_node_of_log;
-- then
drop index concurrently if exists audit.checkpoint_of_log;
-- then
create unique index concurrently checkpoint_of_log on audit.checkpoint (log, tree_size);
-- then
alter table audit.checkpoint drop constraint if exists checkpoint_of_a_size_is_signed_once,
  add constraint checkpoint_of_a_size_is_signed_once primary key using index checkpoint_of_log;
-- then
-- Whoever proves a row finds the round of its transaction by this, and the seal of a large round by its first leaf.
drop index concurrently if exists audit.seal_by_round;
-- then
create index concurrently seal_by_round on audit.seal (log, before_xact, first_leaf);
