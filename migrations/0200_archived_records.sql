-- Audit records that have had the law's years go to a file, a partition at a time; their leaves stay in the tree, and what the tree says of them with
-- it. Which file holds which of them stands here, and in a record of its own, which is sealed.
create table audit.archive (
  partition_name  text primary key,
  -- The keys from one up to another; of logs up to this one, of transactions before this one.
  first_key       text not null,
  before_key      text not null,
  log             integer not null,
  before_xact     bigint not null,
  row_count       bigint not null,
  file_name       text not null,
  sha256          text not null,
  archived_at     timestamptz not null,
  constraint archive_has_a_length check (first_key < before_key and row_count >= 0),
  constraint archive_sha_256_is_hexadecimal check (sha256 ~ '^[0-9a-f]{64}$'),
  constraint archive_file_has_a_short_name check (file_name ~ '^[a-z0-9._-]{1,100}$')
);
create trigger tree_is_append_only before update or delete or truncate on audit.archive execute function audit.tree_is_append_only();
grant select on audit.archive to bankside_sealer;

-- How long records stay in the database after their partition's last moment. Null: for ever.
alter table housekeeping.partitioned_table add column archived_after interval;
update housekeeping.partitioned_table set archived_after = '7 years' where (schema_name, table_name) = ('audit', 'record');

create function audit.partitions_to_archive() returns table (partition_name text, first_key text, before_key text, due_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select p.partition_name, case p.from_time when '-infinity' then '' else housekeeping.bound(t.id_prefix, p.from_time) end,
    housekeeping.bound(t.id_prefix, p.before_time), p.before_time + t.archived_after
  from housekeeping.partition p join housekeeping.partitioned_table t using (schema_name, table_name)
  where (t.schema_name, t.table_name) = ('audit', 'record') and t.archived_after is not null order by p.before_time
$$;
revoke execute on function audit.partitions_to_archive from public;
grant execute on function audit.partitions_to_archive to bankside_worker;

-- For a person, as the owner, who has the rows in a file that was compared with the tree. Nobody may have added any since. Whoever says that it is
-- later than the database knows is not believed.
create function audit.drop_archived(
  p_partition text, p_log integer, p_before_xact bigint, p_row_count bigint, p_file_name text, p_sha256 text, p_record_id text, p_actor text, p_now timestamptz
) returns void language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  old record;
  is_whole boolean;
begin
  select * into old from audit.partitions_to_archive() where partition_name = p_partition;
  if (old.due_at <= least(p_now, statement_timestamp())) is not true then
    raise exception '% is not to be archived before %', p_partition, old.due_at
      using errcode = '23514', constraint = 'archive_is_due', schema = 'audit', table = 'archive';
  end if;
  -- Others read it, and write to other partitions, while it is counted.
  execute format('lock table audit.%I in share row exclusive mode', p_partition);
  execute format('select count(*) = $1 and coalesce(max(written_in) < $2, true) from audit.%I', p_partition) into is_whole using p_row_count, p_before_xact;
  if not is_whole then
    raise exception '% has other rows than were archived', p_partition
      using errcode = '23514', constraint = 'archive_is_whole', schema = 'audit', table = 'archive';
  end if;
  insert into audit.archive values (
    p_partition, old.first_key, old.before_key, p_log, p_before_xact, p_row_count, p_file_name, p_sha256, p_now);
  execute format('alter table audit.record detach partition audit.%I', p_partition);
  execute format('drop table audit.%I', p_partition);
  delete from housekeeping.partition where (schema_name, partition_name) = ('audit', p_partition);
  -- Where it stays, whenever that is.
  insert into audit.record (record_id, occurred_at, actor, action, subject, details)
    select p_record_id, p_now, p_actor, 'records.archived', a.partition_name, to_jsonb(a) - 'archived_at' from audit.archive a where a.partition_name = p_partition;
end $$;
revoke execute on function audit.drop_archived from public;
