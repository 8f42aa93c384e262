-- Tables that grow without end and are emptied again are kept in partitions by time: what has had its time goes with its
-- partition, in a moment, instead of row by row. The worker makes partitions ahead; should it not have run, rows go to the
-- partition that takes whatever has no other, and are moved when theirs is made.
create schema housekeeping;

create table housekeeping.partitioned_table (
  schema_name  text not null,
  table_name   text not null,
  -- Ids begin with the millisecond of the row: a range of ids is a range of times, and the primary key stays what it is. Null: the
  -- key is a time itself.
  id_prefix    text,
  -- hour, or month.
  width        text not null,
  made_ahead   interval not null,
  -- So long after its last moment a partition is kept.
  kept         interval not null,
  -- Rows that stay, whatever their age.
  stays        text,
  -- Nothing before this is there any more, but for what stays.
  dropped_to   timestamptz not null default '-infinity',
  constraint partitioned_table_is_named_once primary key (schema_name, table_name),
  constraint partitioned_table_width_is_known check (width in ('hour', 'month'))
);
create table housekeeping.partition (
  schema_name     text not null,
  table_name      text not null,
  partition_name  text not null,
  from_time       timestamptz not null,
  before_time     timestamptz not null,
  constraint partition_is_named_once primary key (schema_name, partition_name),
  constraint partition_is_of_a_partitioned_table foreign key (schema_name, table_name) references housekeeping.partitioned_table,
  constraint partition_has_a_length check (from_time < before_time)
);

-- The first key of a time.
create function housekeeping.bound(id_prefix text, at timestamptz) returns text
language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
  select case when id_prefix is null then at::text
    else id_prefix || lpad(to_hex(greatest((extract(epoch from at) * 1000)::bigint, 0)), 12, '0') end
$$;
create function housekeeping.bound_after(width text, at timestamptz) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case width when 'hour' then date_trunc('hour', at, 'UTC') + interval '1 hour'
    else date_trunc('month', date_trunc('month', at, 'UTC') + interval '32 days', 'UTC') end
$$;
create function housekeeping.key_of(p_schema text, p_table text) returns name
language sql stable set search_path = pg_catalog, pg_temp as $$
  select attname from pg_partitioned_table p join pg_attribute a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
  where p.partrelid = format('%I.%I', p_schema, p_table)::regclass
$$;

-- Makes one, and moves into it what waits for it elsewhere. Made apart and attached: that does not lock out whoever writes to
-- the table, unless it is for rows that come already; who is then on the way to where the others wait must not arrive there
-- when it is too late. Gives up soon rather than have others wait behind it.
create function housekeeping.make_partition(p_schema text, p_table text, p_from timestamptz, p_before timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  wanted housekeeping.partitioned_table := (
    select t from housekeeping.partitioned_table t where schema_name = p_schema and table_name = p_table);
  name text := p_table || '_' || to_char(p_from at time zone 'UTC', case wanted.width when 'hour' then 'YYYYMMDDHH24' else 'YYYYMM' end);
  first_key text := housekeeping.bound(wanted.id_prefix, p_from);
  next_key text := housekeeping.bound(wanted.id_prefix, p_before);
  is_late boolean;
begin
  execute format('select exists (select from %I.%I where %3$I >= %4$L and %3$I < %5$L)',
    p_schema, p_table || '_other', housekeeping.key_of(p_schema, p_table), first_key, next_key) into is_late;
  if is_late or p_from <= statement_timestamp() + interval '10 minutes' then
    execute format('lock table %I.%I in share row exclusive mode', p_schema, p_table);
  end if;
  execute format('create table %1$I.%2$I (like %1$I.%3$I including defaults including constraints including storage)', p_schema, name, p_table);
  execute format('lock table %I.%I in access exclusive mode', p_schema, p_table || '_other');
  execute format('with moved as (delete from %1$I.%2$I where %4$I >= %5$L and %4$I < %6$L returning *) insert into %1$I.%3$I select * from moved',
    p_schema, p_table || '_other', name, housekeeping.key_of(p_schema, p_table), first_key, next_key);
  execute format('alter table %1$I.%2$I attach partition %1$I.%3$I for values from (%4$L) to (%5$L)', p_schema, p_table, name, first_key, next_key);
  insert into housekeeping.partition values (p_schema, p_table, name, p_from, p_before);
end $$;

-- Makes the first that is missing from now on; null when there is none. One at a time, since its locks last as long as the
-- transaction. Whoever calls cannot have made what lies far beyond the database's own clock.
create function housekeeping.make_next_partition(p_now timestamptz) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wanted record;
  at timestamptz;
  covered_to timestamptz;
begin
  -- Others who come meanwhile find it done.
  perform from housekeeping.partitioned_table for update;
  for wanted in select * from housekeeping.partitioned_table order by width, schema_name, table_name loop
    at := date_trunc(wanted.width, p_now, 'UTC');
    while at < least(p_now, statement_timestamp() + interval '1 year') + wanted.made_ahead loop
      covered_to := (
        select before_time from housekeeping.partition p
        where (p.schema_name, p.table_name) = (wanted.schema_name, wanted.table_name) and p.from_time <= at and p.before_time > at);
      if covered_to is null then
        perform housekeeping.make_partition(wanted.schema_name, wanted.table_name, at, housekeeping.bound_after(wanted.width, at));
        return format('%s.%s from %s', wanted.schema_name, wanted.table_name, at);
      end if;
      at := covered_to;
    end loop;
  end loop;
  return null;
end $$;

-- Drops the oldest partition whose rows have all had their time, but for those that stay whatever their age: they are kept with
-- what has no partition. Whoever says that it is later than the database knows is not believed.
create function housekeeping.drop_partition(p_now timestamptz) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  old record;
begin
  select p.*, t.stays into old
  from housekeeping.partition p join housekeeping.partitioned_table t using (schema_name, table_name)
  where p.before_time + t.kept <= least(p_now, statement_timestamp())
  order by p.before_time limit 1 for update of p skip locked;
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

-- How far ahead there are partitions, and how many rows of lately, up to a thousand, found none.
create function housekeeping.partition_state(p_now timestamptz) returns table (name text, made_to timestamptz, misplaced integer)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wanted record;
begin
  for wanted in
    select t.*, max(p.before_time) as made_to
    from housekeeping.partitioned_table t left join housekeeping.partition p using (schema_name, table_name)
    group by t.schema_name, t.table_name order by t.schema_name, t.table_name
  loop
    name := format('%s.%s', wanted.schema_name, wanted.table_name);
    made_to := wanted.made_to;
    execute format('select count(*) from (select from %I.%I where %3$I >= %4$L and %3$I < %5$L limit 1000) recent',
      wanted.schema_name, wanted.table_name || '_other', housekeeping.key_of(wanted.schema_name, wanted.table_name),
      housekeeping.bound(wanted.id_prefix, p_now - wanted.made_ahead), housekeeping.bound(wanted.id_prefix, p_now + wanted.made_ahead))
      into misplaced;
    return next;
  end loop;
end $$;

revoke execute on all functions in schema housekeeping from public;
grant usage on schema housekeeping to bankside_worker;
grant execute on function housekeeping.make_next_partition, housekeeping.drop_partition, housekeeping.partition_state to bankside_worker;
grant select on housekeeping.partitioned_table to bankside_worker;
