-- The record that begins a log stays in the database, and so does the partition that it is in: every proof of that log shows it, and whoever verifies or signs
-- looks for it. Of all records these alone have a number below zero for the transaction that wrote them.
create or replace function audit.partitions_to_archive() returns table (partition_name text, first_key text, before_key text, due_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select p.partition_name, bounds.first_key, bounds.before_key, p.before_time + t.archived_after
  from housekeeping.partition p join housekeeping.partitioned_table t using (schema_name, table_name)
    cross join lateral (select
      case p.from_time when '-infinity' then '' else housekeeping.bound(t.id_prefix, p.from_time) end as first_key,
      housekeeping.bound(t.id_prefix, p.before_time) as before_key) bounds
  where (t.schema_name, t.table_name) = ('audit', 'record') and t.archived_after is not null
    and not exists (
      select from audit.record r
      where r.written_in < 0 and r.record_id collate "C" >= bounds.first_key and r.record_id collate "C" < bounds.before_key)
  order by p.before_time
$$;
