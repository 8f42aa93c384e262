-- What a partition has beside its columns and checks: its keys, named after those of its table so that a violation tells which it is; what
-- stands for whole statements, which a table does not hand down to its partitions; and how it is stored.
create function housekeeping.make_table_like(p_schema text, p_table text, p_name text, p_stored_with text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  suffix text := substr(p_name, length(p_table) + 2);
  held record;
begin
  execute format('create table %1$I.%2$I (like %1$I.%3$I including defaults including constraints including storage)%4$s',
    p_schema, p_name, p_table, ' with (' || p_stored_with || ')');
  for held in
    select c.conname, pg_get_constraintdef(c.oid) as definition from pg_constraint c
    where c.conrelid = format('%I.%I', p_schema, p_table)::regclass and c.contype in ('p', 'u')
  loop
    execute format('alter table %I.%I add constraint %I %s', p_schema, p_name, held.conname || '__' || suffix, held.definition);
  end loop;
  for held in
    select pg_get_triggerdef(t.oid) as definition from pg_trigger t
    where t.tgrelid = format('%I.%I', p_schema, p_table)::regclass and not t.tgisinternal and t.tgtype & 1 = 0
  loop
    execute replace(held.definition, format(' ON %I.%I ', p_schema, p_table), format(' ON %I.%I ', p_schema, p_name));
  end loop;
end $$;

-- Whoever could do something with a table can do it with what has taken its place, and with nothing else.
create function housekeeping.hand_over_privileges(p_from regclass, p_to regclass) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  given record;
begin
  for given in
    select grantee::regrole as role, privilege_type, null as column_name from pg_class c, aclexplode(c.relacl) where c.oid = p_from and grantee <> c.relowner
    union all
    select grantee::regrole, privilege_type, attname from pg_attribute a, aclexplode(a.attacl) where a.attrelid = p_from
  loop
    execute format('grant %s%s on %s to %s', given.privilege_type, ' (' || quote_ident(given.column_name) || ')', p_to, given.role);
    execute format('revoke %s%s on %s from %s', given.privilege_type, ' (' || quote_ident(given.column_name) || ')', p_from, given.role);
  end loop;
end $$;

create table housekeeping.remembering_table (
  schema_name  text not null,
  table_name   text not null,
  -- The next generation begins so long after the last.
  begun_every  interval not null,
  -- So long after its end a generation is kept.
  kept         interval not null,
  constraint remembering_table_is_named_once primary key (schema_name, table_name)
);
create table housekeeping.generation (
  schema_name  text not null,
  table_name   text not null,
  generation   integer not null,
  begun_at     timestamptz not null,
  ended_at     timestamptz,
  constraint generation_is_numbered_once primary key (schema_name, table_name, generation),
  constraint generation_is_of_a_remembering_table foreign key (schema_name, table_name) references housekeeping.remembering_table,
  constraint generation_ends_after_it_began check (ended_at >= begun_at)
);
create unique index generation_is_the_only_one on housekeeping.generation (schema_name, table_name) where ended_at is null;
-- An hour more than keys are remembered: clocks of machines differ.
insert into housekeeping.remembering_table values ('ledger', 'movement', '1 day', '25 hours'), ('payments', 'idempotent_request', '1 day', '25 hours');
insert into housekeeping.generation select schema_name, table_name, 1, statement_timestamp(), null from housekeeping.remembering_table;

-- Begins the next generation of a table whose last one is old enough, or returns null. The lock waits for whoever has looked or written, and
-- gives up soon: a generation that lasts longer than it should costs nothing. Whoever says that it is later than the database knows is not
-- believed.
create function housekeeping.begin_generation(p_now timestamptz) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
declare
  last record;
  next_name text;
begin
  select g.* into last
  from housekeeping.generation g join housekeeping.remembering_table t using (schema_name, table_name)
  where g.ended_at is null and g.begun_at + t.begun_every <= least(p_now, statement_timestamp())
  order by g.begun_at limit 1 for update of g skip locked;
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

-- Drops the oldest generation of which all has been forgotten, or returns null.
create function housekeeping.drop_generation(p_now timestamptz) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
declare
  old record;
begin
  select g.* into old
  from housekeeping.generation g join housekeeping.remembering_table t using (schema_name, table_name)
  where g.ended_at + t.kept <= least(p_now, statement_timestamp())
  order by g.ended_at limit 1 for update of g skip locked;
  if not found then
    return null;
  end if;
  execute format('drop table %I.%I', old.schema_name, old.table_name || '_' || old.generation);
  delete from housekeeping.generation where (schema_name, table_name, generation) = (old.schema_name, old.table_name, old.generation);
  return format('%s.%s_%s', old.schema_name, old.table_name, old.generation);
end $$;

-- How old the generation is into which is written.
create function housekeeping.generation_state() returns table (name text, begun_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select format('%s.%s', schema_name, table_name), max(begun_at) from housekeeping.generation group by schema_name, table_name order by 1
$$;

revoke execute on function housekeeping.make_table_like, housekeeping.hand_over_privileges, housekeeping.begin_generation, housekeeping.drop_generation,
  housekeeping.generation_state from public;
grant execute on function housekeeping.begin_generation, housekeeping.drop_generation, housekeeping.generation_state to bankside_worker;

-- Names only: nothing is copied, and nothing read but the catalog.
lock table ledger.movement, payments.idempotent_request in access exclusive mode;
alter table ledger.movement rename to movement_1;
alter table ledger.movement_1 drop constraint movement_is_made_once;
alter table ledger.movement_1 add constraint movement_is_made_once__1 primary key using index movement_is_made_once__1;
alter index ledger.movement_by_transaction rename to movement_1_by_transaction;
create table ledger.movement (like ledger.movement_1 including defaults including constraints including storage) partition by list (generation);
alter table ledger.movement
  drop constraint movement_is_of_the_first_generation,
  add constraint movement_is_made_once primary key (movement_key, generation);
create index movement_by_transaction on ledger.movement (written_in, movement_key);
alter table ledger.movement attach partition ledger.movement_1 for values in (1);
alter table ledger.movement_1 drop constraint movement_is_of_the_first_generation;

alter table payments.idempotent_request rename to idempotent_request_1;
alter table payments.idempotent_request_1 drop constraint idempotent_request_is_claimed_once;
alter table payments.idempotent_request_1 add constraint idempotent_request_is_claimed_once__1
  primary key using index idempotent_request_is_claimed_once__1;
create table payments.idempotent_request (like payments.idempotent_request_1 including defaults including constraints including storage)
  partition by list (generation);
alter table payments.idempotent_request
  drop constraint idempotent_request_is_of_the_first_generation,
  add constraint idempotent_request_is_claimed_once primary key (client_id, method, endpoint, key, generation);
alter table payments.idempotent_request attach partition payments.idempotent_request_1 for values in (1);
alter table payments.idempotent_request_1 drop constraint idempotent_request_is_of_the_first_generation;

select housekeeping.hand_over_privileges('ledger.movement_1', 'ledger.movement');
select housekeeping.hand_over_privileges('payments.idempotent_request_1', 'payments.idempotent_request');
-- Nobody drops a row any more, and whoever claims a key does not say in which generation.
revoke delete on ledger.movement, payments.idempotent_request from bankside_worker;
revoke insert on payments.idempotent_request from bankside_resource_api;
grant insert (client_id, method, endpoint, key, request_hash, resource_id, created_at) on payments.idempotent_request to bankside_resource_api;

-- What is forgotten may stand beside what was made since under the same key: the newest counts.
create or replace function payments.claim_idempotency_key(
  p_client_id text, p_method text, p_endpoint text, p_key text, p_request_hash bytea, p_resource_id text, p_now timestamptz, p_forget_before timestamptz,
  out outcome text, out resource_id text
) language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '250ms' as $$
declare
  first payments.idempotent_request;
begin
  loop
    -- Looked for before it is claimed: from here on no generation begins, and what was written to those before is seen.
    select * into first from payments.idempotent_request r
    where r.client_id = p_client_id and r.method = p_method and r.endpoint = p_endpoint and r.key = p_key order by r.created_at desc limit 1;
    if first.created_at > p_forget_before then
      outcome := case when first.request_hash = p_request_hash then 'replayed' else 'reused' end;
      resource_id := case when first.request_hash = p_request_hash then first.resource_id end;
      return;
    end if;
    insert into payments.idempotent_request as r (client_id, method, endpoint, key, request_hash, resource_id, created_at)
    values (p_client_id, p_method, p_endpoint, p_key, p_request_hash, p_resource_id, p_now)
    on conflict on constraint idempotent_request_is_claimed_once
      do update set request_hash = excluded.request_hash, resource_id = excluded.resource_id, created_at = excluded.created_at
      where r.created_at <= p_forget_before;
    if found then outcome := 'claimed'; return; end if;
  end loop;
end $$;

-- The same of the functions that write many, and of the one that does not look, because the key alone decided. Each is changed in one place, as it
-- stands.
do $$
declare
  change record;
  definition text;
begin
  for change in
    select * from (values
      ('ledger.write',
       'left join ledger.movement m on m.movement_key = asked.movement_key and m.made_at > p_forget_before;',
       'left join lateral (select * from ledger.movement m where m.movement_key = asked.movement_key and m.made_at > p_forget_before'
         || ' order by m.made_at desc limit 1) m on true;'),
      ('payments.submit',
       '(asked.client_id, asked.method, asked.endpoint, asked.key)
      offset 0) used',
       '(asked.client_id, asked.method, asked.endpoint, asked.key)
      order by claimed.created_at desc limit 1) used'),
      ('ledger.write_transfer',
       '  debtor_party := ledger.party_of(debtor);',
       '  -- Within this generation of keys the primary key decides; what was written to those before is seen.
  if exists (select from ledger.movement where movement_key = p_key) then
    raise exception ''the key was used before'' using errcode = ''23505'', constraint = ''movement_is_made_once'', schema = ''ledger'', table = ''movement'';
  end if;
  debtor_party := ledger.party_of(debtor);')
    ) changes (name, before, after)
  loop
    definition := pg_get_functiondef(change.name::regproc);
    if strpos(definition, change.before) = 0 then
      raise exception '% does not look for keys as it did: see how it is changed here', change.name;
    end if;
    execute replace(definition, change.before, change.after);
  end loop;
end $$;
