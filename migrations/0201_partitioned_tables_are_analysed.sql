-- PostgreSQL counts what is in a partition by itself, and never what is in all of them together: whoever joins a table as a whole would be planned
-- for as if nobody knew anything about it. So the worker has each analysed once a day. Nobody waits for that.
create table housekeeping.analysed_table (
  schema_name  text not null,
  table_name   text not null,
  analysed_at  timestamptz not null,
  constraint analysed_table_is_named_once primary key (schema_name, table_name)
);

-- The one that was not for longest, or null. What is long ago is by the database's own clock; another worker takes another one.
create function housekeeping.analyse_next() returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  due record;
begin
  insert into housekeeping.analysed_table
    select n.nspname, c.relname, '-infinity'
    from pg_partitioned_table p join pg_class c on c.oid = p.partrelid join pg_namespace n on n.oid = c.relnamespace
    where not exists (select from housekeeping.analysed_table a where (a.schema_name, a.table_name) = (n.nspname, c.relname))
    on conflict do nothing;
  select * into due from housekeeping.analysed_table a
    where a.analysed_at < statement_timestamp() - interval '1 day' order by a.analysed_at, a.table_name limit 1 for update skip locked;
  if not found then
    return null;
  end if;
  execute format('analyze %I.%I', due.schema_name, due.table_name);
  update housekeeping.analysed_table set analysed_at = statement_timestamp() where (schema_name, table_name) = (due.schema_name, due.table_name);
  return format('%s.%s', due.schema_name, due.table_name);
end $$;
revoke execute on function housekeeping.analyse_next from public;
grant execute on function housekeeping.analyse_next to bankside_worker;
