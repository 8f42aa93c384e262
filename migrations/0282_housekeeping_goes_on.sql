-- One that cannot be done does not stand in the way of the others: whoever failed with the first that is due asks for the one after it. Those who know
-- of nothing to skip ask as before.

drop function housekeeping.make_next_partition(timestamptz);
create function housekeeping.make_next_partition(p_now timestamptz, p_skip integer default 0) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wanted record;
  at timestamptz;
  covered_to timestamptz;
  skipped integer := 0;
  asked timestamptz := greatest(least(p_now, statement_timestamp() + interval '1 year'), statement_timestamp());
begin
  -- Others who come meanwhile find it done.
  perform from housekeeping.partitioned_table for update;
  for wanted in select * from housekeeping.partitioned_table order by width, schema_name, table_name loop
    at := date_trunc(wanted.width, asked, 'UTC');
    while at < asked + wanted.made_ahead loop
      covered_to := (
        select before_time from housekeeping.partition p
        where (p.schema_name, p.table_name) = (wanted.schema_name, wanted.table_name) and p.from_time <= at and p.before_time > at);
      if covered_to is null and skipped < p_skip then
        skipped := skipped + 1;
        exit;
      end if;
      if covered_to is null then
        perform housekeeping.make_partition(wanted.schema_name, wanted.table_name, at, housekeeping.bound_after(wanted.width, at));
        return format('%s.%s from %s', wanted.schema_name, wanted.table_name, at);
      end if;
      at := covered_to;
    end loop;
  end loop;
  return null;
end $$;

drop function housekeeping.begin_generation(timestamptz);
create function housekeeping.begin_generation(p_now timestamptz, p_skip integer default 0) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
declare
  last record;
  next_name text;
begin
  select g.* into last
  from housekeeping.generation g join housekeeping.remembering_table t using (schema_name, table_name)
  where g.ended_at is null and g.begun_at + t.begun_every <= least(p_now, statement_timestamp())
  order by g.begun_at offset p_skip limit 1 for update of g skip locked;
  if not found then
    return null;
  end if;
  next_name := last.table_name || '_' || last.generation + 1;
  perform housekeeping.make_table_like(last.schema_name, last.table_name, next_name, null);
  execute format('lock table %I.%I in access exclusive mode', last.schema_name, last.table_name);
  execute format('alter table %1$I.%2$I attach partition %1$I.%3$I for values in (%4$s)', last.schema_name, last.table_name, next_name, last.generation + 1);
  execute format('alter table only %I.%I alter column generation set default %s', last.schema_name, last.table_name, last.generation + 1);
  update housekeeping.generation set ended_at = clock_timestamp()
    where (schema_name, table_name, generation) = (last.schema_name, last.table_name, last.generation);
  insert into housekeeping.generation values (last.schema_name, last.table_name, last.generation + 1, clock_timestamp(), null);
  return format('%s.%s', last.schema_name, next_name);
end $$;

drop function housekeeping.drop_partition(timestamptz);
create function housekeeping.drop_partition(p_now timestamptz, p_skip integer default 0) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  old record;
begin
  select p.*, t.stays into old
  from housekeeping.partition p join housekeeping.partitioned_table t using (schema_name, table_name)
  where p.before_time + t.kept <= least(p_now, statement_timestamp())
  order by p.before_time offset p_skip limit 1 for update of p skip locked;
  if not found then
    return null;
  end if;
  execute format('alter table %1$I.%2$I detach partition %1$I.%3$I', old.schema_name, old.table_name, old.partition_name);
  if old.stays is not null then
    execute format('insert into %1$I.%2$I select * from %1$I.%3$I where %4$s', old.schema_name, old.table_name, old.partition_name, old.stays);
  end if;
  execute format('drop table %I.%I', old.schema_name, old.partition_name);
  delete from housekeeping.partition where schema_name = old.schema_name and partition_name = old.partition_name;
  update housekeeping.partitioned_table set dropped_to = greatest(dropped_to, old.before_time)
    where schema_name = old.schema_name and table_name = old.table_name;
  return format('%s.%s', old.schema_name, old.partition_name);
end $$;

drop function housekeeping.drop_generation(timestamptz);
create function housekeeping.drop_generation(p_now timestamptz, p_skip integer default 0) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
declare
  old record;
begin
  select g.* into old
  from housekeeping.generation g join housekeeping.remembering_table t using (schema_name, table_name)
  where g.ended_at + t.kept <= least(p_now, statement_timestamp())
  order by g.ended_at offset p_skip limit 1 for update of g skip locked;
  if not found then
    return null;
  end if;
  execute format('drop table %I.%I', old.schema_name, old.table_name || '_' || old.generation);
  delete from housekeeping.generation where (schema_name, table_name, generation) = (old.schema_name, old.table_name, old.generation);
  return format('%s.%s_%s', old.schema_name, old.table_name, old.generation);
end $$;

drop function housekeeping.analyse_next();
create function housekeeping.analyse_next(p_skip integer default 0) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  due record;
begin
  select n.nspname as schema_name, c.relname as table_name into due
  from pg_partitioned_table p join pg_class c on c.oid = p.partrelid join pg_namespace n on n.oid = c.relnamespace
    left join housekeeping.analysed_table a on (a.schema_name, a.table_name) = (n.nspname, c.relname)
  where coalesce(a.analysed_at, '-infinity') < statement_timestamp() - interval '1 day' order by a.analysed_at nulls first, c.relname offset p_skip limit 1;
  if not found then
    return null;
  end if;
  execute format('analyze %I.%I', due.schema_name, due.table_name);
  insert into housekeeping.analysed_table values (due.schema_name, due.table_name, statement_timestamp())
    on conflict on constraint analysed_table_is_named_once do update set analysed_at = excluded.analysed_at;
  return format('%s.%s', due.schema_name, due.table_name);
end $$;

revoke execute on function housekeeping.make_next_partition, housekeeping.begin_generation, housekeeping.drop_partition,
  housekeeping.drop_generation, housekeeping.analyse_next from public;
grant execute on function housekeeping.make_next_partition, housekeeping.begin_generation, housekeeping.drop_partition,
  housekeeping.drop_generation, housekeeping.analyse_next to bankside_worker;
