-- A transaction that has a number holds back whoever seals or follows what was written: so nothing is written until a table was read. Two that
-- take the same one: the second finds it locked, and leaves it.
create or replace function housekeeping.analyse_next() returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  due record;
begin
  select n.nspname as schema_name, c.relname as table_name into due
  from pg_partitioned_table p join pg_class c on c.oid = p.partrelid join pg_namespace n on n.oid = c.relnamespace
    left join housekeeping.analysed_table a on (a.schema_name, a.table_name) = (n.nspname, c.relname)
  where coalesce(a.analysed_at, '-infinity') < statement_timestamp() - interval '1 day' order by a.analysed_at nulls first, c.relname limit 1;
  if not found then
    return null;
  end if;
  execute format('analyze %I.%I', due.schema_name, due.table_name);
  insert into housekeeping.analysed_table values (due.schema_name, due.table_name, statement_timestamp())
    on conflict on constraint analysed_table_is_named_once do update set analysed_at = excluded.analysed_at;
  return format('%s.%s', due.schema_name, due.table_name);
end $$;
