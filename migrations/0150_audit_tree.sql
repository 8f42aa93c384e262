-- The audit tree: what was booked and what was recorded, sealed behind the payments (RFC 9162 hashing, signed checkpoints).

-- The transaction that wrote a row. Of all below pg_snapshot_xmin none is still running: whoever seals up to there misses no
-- row, however late it was committed. Not volatile, so rows that are there are not rewritten: they all get that of the
-- migration. As bigint, because BRIN has no operators for xid8: it costs a write next to nothing, and rows lie in its order.
alter table ledger.entry add column written_in bigint not null default (pg_current_xact_id()::text::bigint);
alter table audit.record add column written_in bigint not null default (pg_current_xact_id()::text::bigint);
create index entry_written_in on ledger.entry using brin (written_in) with (pages_per_range = 32, autosummarize = on);
create index record_written_in on audit.record using brin (written_in) with (pages_per_range = 32, autosummarize = on);

-- So many leaves of the tree, of the rows of transactions from_xact up to before (a round). A round that is larger is several seals, in the
-- order of table and key.
create table audit.seal (
  first_leaf   bigint not null,
  leaf_count   integer not null,
  from_xact    bigint not null,
  before_xact  bigint not null,
  ends_round   boolean not null,
  sealed_at    timestamptz not null,
  -- What hides the closed part of a row in its leaf follows from it.
  salt         bytea not null,
  leaf_hashes  bytea not null,
  -- Which rows these are, and a short check of each column, so that what was changed later can be named. Deflated JSON.
  row_index    bytea not null,
  constraint seal_is_placed_once primary key (first_leaf),
  constraint seal_has_leaves check (first_leaf >= 0 and leaf_count between 1 and 4096),
  constraint seal_has_a_hash_for_each_leaf check (length(leaf_hashes) = 32 * leaf_count),
  constraint seal_salt_is_long check (length(salt) = 32),
  constraint seal_round_goes_forward check (from_xact < before_xact)
);
alter table audit.seal alter column leaf_hashes set storage external, alter column row_index set storage external;

-- Roots of whole subtrees of 2^level leaves, so that a proof need not read all leaves. Levels below 8 follow from the leaves.
create table audit.tree_node (
  level     integer not null,
  position  bigint not null,
  hash      bytea not null,
  constraint tree_node_is_placed_once primary key (level, position),
  constraint tree_node_level_within_range check (level between 8 and 48),
  constraint tree_node_hash_is_sha_256 check (length(hash) = 32)
);

-- Signed notes (C2SP tlog-checkpoint), as they also stand in files outside the database.
create table audit.checkpoint (
  tree_size  bigint not null,
  note       text not null,
  signed_at  timestamptz not null,
  constraint checkpoint_of_a_size_is_signed_once primary key (tree_size),
  constraint checkpoint_is_short check (length(note) <= 4096)
);

-- Whoever seals has this row locked. Nobody else waits for it.
create table audit.sealing (
  only_one boolean primary key,
  constraint sealing_is_one_row check (only_one)
);
insert into audit.sealing values (true);

create function audit.tree_is_append_only() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'the audit tree is append-only' using errcode = '42501', constraint = 'tree_is_append_only', table = tg_table_name, schema = 'audit';
end $$;
create trigger tree_is_append_only before update or delete or truncate on audit.seal execute function audit.tree_is_append_only();
create trigger tree_is_append_only before update or delete or truncate on audit.tree_node execute function audit.tree_is_append_only();
create trigger tree_is_append_only before update or delete or truncate on audit.checkpoint execute function audit.tree_is_append_only();
revoke execute on function audit.tree_is_append_only from public;

-- Whoever records does not say in which transaction: a row of an earlier one would never be sealed.
revoke insert on audit.record from bankside_auth_server, bankside_resource_api, bankside_worker;
grant insert (record_id, occurred_at, actor, action, subject, interaction_id, details) on audit.record
  to bankside_auth_server, bankside_resource_api, bankside_worker;

-- Nobody else writes the tree, and it writes nothing else.
do $$
begin
  create role bankside_sealer login;
exception when duplicate_object or unique_violation then null;
end $$;
grant usage on schema audit, ledger to bankside_sealer;
grant select on ledger.entry, ledger.posting, ledger.exchange, audit.record, audit.seal, audit.tree_node, audit.checkpoint to bankside_sealer;
grant insert on audit.seal, audit.tree_node, audit.checkpoint to bankside_sealer;
grant select, update on audit.sealing to bankside_sealer;
