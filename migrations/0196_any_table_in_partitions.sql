-- Tables that are not emptied by themselves are kept in partitions, too: a year of the books is small enough to be kept elsewhere, and new rows go
-- to indexes that are small. Partitions of a year besides those of a month and an hour; tables of which the worker drops nothing; and how a
-- partition is stored.
alter table housekeeping.partitioned_table
  drop constraint partitioned_table_width_is_known,
  add constraint partitioned_table_width_is_known check (width in ('hour', 'month', 'year')),
  alter column kept drop not null,
  add column stored_with text;

create or replace function housekeeping.bound_after(width text, at timestamptz) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case width when 'hour' then date_trunc('hour', at, 'UTC') + interval '1 hour'
    when 'month' then date_trunc('month', date_trunc('month', at, 'UTC') + interval '32 days', 'UTC')
    else date_trunc('year', date_trunc('year', at, 'UTC') + interval '370 days', 'UTC') end
$$;

-- As it was, and its keys and triggers come with it. What is moved is not looked at again, nor taken for removed.
create or replace function housekeeping.make_partition(p_schema text, p_table text, p_from timestamptz, p_before timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  wanted housekeeping.partitioned_table := (
    select t from housekeeping.partitioned_table t where schema_name = p_schema and table_name = p_table);
  name text := p_table || '_' || to_char(p_from at time zone 'UTC', case wanted.width when 'hour' then 'YYYYMMDDHH24' when 'month' then 'YYYYMM' else 'YYYY' end);
  other_name text := p_table || '_other';
  first_key text := housekeeping.bound(wanted.id_prefix, p_from);
  next_key text := housekeeping.bound(wanted.id_prefix, p_before);
  waiting text := format('select exists (select from %I.%I where %3$I >= %4$L and %3$I < %5$L)',
    p_schema, other_name, housekeeping.key_of(p_schema, p_table), first_key, next_key);
  is_late boolean;
  others_wait boolean;
begin
  execute waiting into is_late;
  others_wait := is_late or p_from <= statement_timestamp() + interval '10 minutes';
  if others_wait then
    execute format('lock table %I.%I in share row exclusive mode', p_schema, p_table);
  end if;
  perform housekeeping.make_table_like(p_schema, p_table, name, wanted.stored_with);
  execute format('lock table %I.%I in access exclusive mode', p_schema, other_name);
  execute waiting into is_late;
  if is_late and not others_wait then
    raise exception 'rows for % come already: another time', name using errcode = '55P03';
  end if;
  if is_late then
    execute format('alter table %I.%I disable trigger user', p_schema, other_name);
    execute format('alter table %I.%I disable trigger user', p_schema, name);
    execute format('with moved as (delete from %1$I.%2$I where %4$I >= %5$L and %4$I < %6$L returning *) insert into %1$I.%3$I select * from moved',
      p_schema, other_name, name, housekeeping.key_of(p_schema, p_table), first_key, next_key);
    execute format('alter table %I.%I enable trigger user', p_schema, other_name);
    execute format('alter table %I.%I enable trigger user', p_schema, name);
  end if;
  execute format('alter table %1$I.%2$I attach partition %1$I.%3$I for values from (%4$L) to (%5$L)', p_schema, p_table, name, first_key, next_key);
  insert into housekeeping.partition values (p_schema, p_table, name, p_from, p_before);
end $$;

-- Says that all there is of a table lies before the end of its first partition, to be proven later, while it is written to. Rows from before ids
-- began with their time lie wherever: where there are such, nothing is said, and they are set aside when the table is given its place.
create function housekeeping.say_first_partition(p_schema text, p_table text, p_key text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  bound text := housekeeping.first_bound(p_schema, p_table);
  is_beyond boolean;
begin
  execute format('select exists (select from %I.%I where %I >= %L)', p_schema, p_table, p_key, bound) into is_beyond;
  if not is_beyond and not housekeeping.is_in_partitions(p_schema, p_table) then
    execute format('alter table %1$I.%2$I drop constraint if exists %3$I, add constraint %3$I check (%4$I < %5$L) not valid',
      p_schema, p_table, p_table || '_is_of_the_first_partition', p_key, bound);
  end if;
end $$;
create function housekeeping.prove_first_partition(p_schema text, p_table text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from pg_constraint
      where conrelid = format('%I.%I', p_schema, p_table)::regclass and conname = p_table || '_is_of_the_first_partition') then
    execute format('alter table %I.%I validate constraint %I', p_schema, p_table, p_table || '_is_of_the_first_partition');
  end if;
end $$;
create function housekeeping.first_bound(p_schema text, p_table text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select housekeeping.bound(t.id_prefix, p.before_time)
  from housekeeping.partition p join housekeeping.partitioned_table t using (schema_name, table_name)
  where (p.schema_name, p.partition_name) = (p_schema, p_table || '_first')
$$;
create function housekeeping.is_in_partitions(p_schema text, p_table text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from pg_partitioned_table where partrelid = format('%I.%I', p_schema, p_table)::regclass)
$$;

-- What there is becomes the first partition of a table that takes its place, under the same name, with the same keys, indexes, triggers and
-- privileges. Names only: nothing is copied, and nothing read but the catalog.
create function housekeeping.become_partitioned(p_schema text, p_table text, p_key text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  whole text := format('%I.%I', p_schema, p_table);
  first text := format('%I.%I', p_schema, p_table || '_first');
  other text := format('%I.%I', p_schema, p_table || '_other');
  said text := p_table || '_is_of_the_first_partition';
  bound text := housekeeping.first_bound(p_schema, p_table);
  held record;
  parts text[] := '{}';
  part text;
begin
  if housekeeping.is_in_partitions(p_schema, p_table) then
    return;
  end if;
  execute format('lock table %s in access exclusive mode', whole);
  execute format('alter table %s rename to %I', whole, p_table || '_first');
  for held in
    select conname, pg_get_constraintdef(oid) as definition from pg_constraint where conrelid = first::regclass and contype in ('p', 'u', 'f')
  loop
    parts := parts || format('alter table %s add constraint %I %s', whole, held.conname, held.definition);
    execute format('alter table %s rename constraint %I to %I', first, held.conname, held.conname || '__first');
  end loop;
  for held in
    select c.relname, pg_get_indexdef(i.indexrelid) as definition from pg_index i join pg_class c on c.oid = i.indexrelid
    where i.indrelid = first::regclass and not exists (select from pg_constraint where conindid = i.indexrelid)
  loop
    parts := parts || replace(held.definition, format(' ON %s ', first), format(' ON %s ', whole));
    execute format('alter index %I.%I rename to %I', p_schema, held.relname, held.relname || '__first');
  end loop;
  for held in
    select tgname, tgtype & 1 = 1 as is_of_rows, pg_get_triggerdef(oid) as definition from pg_trigger where tgrelid = first::regclass and not tgisinternal
  loop
    parts := parts || replace(held.definition, format(' ON %s ', first), format(' ON %s ', whole));
    -- Such a one is handed down to partitions.
    if held.is_of_rows then execute format('drop trigger %I on %s', held.tgname, first); end if;
  end loop;
  execute format('create table %s (like %s including defaults including constraints including storage) partition by range (%I)', whole, first, p_key);
  execute format('alter table %s drop constraint if exists %I', whole, said);
  foreach part in array parts loop
    execute part;
  end loop;
  perform housekeeping.make_table_like(p_schema, p_table, p_table || '_other',
    (select stored_with from housekeeping.partitioned_table where (schema_name, table_name) = (p_schema, p_table)));
  if not exists (select from pg_constraint where conrelid = first::regclass and conname = said) then
    execute format('alter table %s disable trigger user', first);
    execute format('alter table %s disable trigger user', other);
    execute format('with moved as (delete from %s where %I >= %L returning *) insert into %s select * from moved', first, p_key, bound, other);
    execute format('alter table %s enable trigger user', first);
    execute format('alter table %s enable trigger user', other);
  end if;
  execute format('alter table %s attach partition %s default', whole, other);
  execute format('alter table %s attach partition %s for values from (minvalue) to (%L)', whole, first, bound);
  execute format('alter table %s drop constraint if exists %I', first, said);
  perform housekeeping.hand_over_privileges(first, whole);
end $$;

revoke execute on function housekeeping.say_first_partition, housekeeping.prove_first_partition, housekeeping.first_bound, housekeeping.is_in_partitions,
  housekeeping.become_partitioned from public;

-- An entry that posts a payment is the one that the payment names: so there is one, in whichever partition it stands, for a payment names one
-- and never another. Asked at the end of the transaction, when both are written.
create function ledger.entry_posts_a_payment_once() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from payments.payment p where p.payment_id = new.payment_id and p.entry_id = new.entry_id) then
    raise exception 'payment % names another entry than %, or none', new.payment_id, new.entry_id
      using errcode = '23514', constraint = 'entry_posts_a_payment_once', schema = 'ledger', table = 'entry';
  end if;
  return null;
end $$;
revoke execute on function ledger.entry_posts_a_payment_once from public;
