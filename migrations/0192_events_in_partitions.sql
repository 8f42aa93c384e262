-- Names only: nothing is copied, and nothing read but the catalog. Events and notifications of a month go together.
lock table events.event, events.notification in access exclusive mode;
alter table events.notification drop constraint if exists notification_event_id_fkey, drop constraint if exists notification_customer_id_fkey;

-- A number for each event, wherever it goes. Whoever may write an event does not choose it.
create sequence events.event_number;
do $$
declare
  last bigint;
begin
  execute format('select last_value from %s', pg_get_serial_sequence('events.event', 'event_number')) into last;
  perform setval('events.event_number', last + 1000);
end $$;
alter table events.event alter column event_number drop identity;
grant usage on sequence events.event_number to public;

alter table events.event rename to event_first;
alter index events.event_pkey rename to event_first_pkey;
alter index events.event_waiting rename to event_first_waiting;
alter index events.event_waiting_of_subject rename to event_first_waiting_of_subject;
alter index events.event_dead rename to event_first_dead;
create table events.event (like events.event_first including constraints) partition by range (event_id);
alter table events.event
  drop constraint event_is_of_the_first_partition,
  alter column event_number set default nextval('events.event_number'),
  add constraint event_pkey primary key (event_id);
create index event_waiting on events.event (next_attempt_at, event_number) where next_attempt_at is not null;
create index event_waiting_of_subject on events.event (subject, event_number) where next_attempt_at is not null;
create index event_dead on events.event (dead_at) where dead_at is not null;
create table events.event_other partition of events.event default;

alter table events.notification rename to notification_first;
alter index events.notification_pkey rename to notification_first_pkey;
alter index events.notification_of_customer rename to notification_first_of_customer;
create table events.notification (like events.notification_first including constraints) partition by range (event_id);
alter table events.notification
  drop constraint notification_is_of_the_first_partition,
  add constraint notification_pkey primary key (event_id);
create index notification_of_customer on events.notification (customer_id, occurred_at desc);
create table events.notification_other partition of events.notification default;

-- Whoever could do something with the table can do it with what has taken its place, and with nothing else.
do $$
declare
  first record;
  given record;
begin
  for first in select table_name, partition_name, before_time from housekeeping.partition where partition_name in ('event_first', 'notification_first') loop
    for given in
      select grantee::regrole as role, privilege_type, null as column_name
      from pg_class c, aclexplode(c.relacl) where c.oid = format('events.%I', first.partition_name)::regclass and grantee <> c.relowner
      union all
      select grantee::regrole, privilege_type, attname
      from pg_attribute a, aclexplode(a.attacl) where a.attrelid = format('events.%I', first.partition_name)::regclass
    loop
      execute format('grant %s%s on events.%I to %s', given.privilege_type, ' (' || quote_ident(given.column_name) || ')', first.table_name, given.role);
      execute format('revoke %s%s on events.%I from %s', given.privilege_type, ' (' || quote_ident(given.column_name) || ')', first.partition_name, given.role);
    end loop;
    execute format('alter table events.%I attach partition events.%I for values from (minvalue) to (%L)',
      first.table_name, first.partition_name, housekeeping.bound('evt_', first.before_time));
  end loop;
end $$;

-- Proofs of possession that were used at the resource API. Each says itself when it was made, and so in which hour it ends: the
-- same proof is of the same hour whenever it comes again, and the primary key decides.
create table oidc.used_proof (
  hour     timestamptz not null,
  id_hash  bytea not null,
  constraint proof_is_used_once primary key (hour, id_hash)
) partition by range (hour);
create table oidc.used_proof_other partition of oidc.used_proof default;
grant select, insert on oidc.used_proof to bankside_resource_api;
insert into housekeeping.partitioned_table (schema_name, table_name, id_prefix, width, made_ahead, kept, stays)
  values ('oidc', 'used_proof', null, 'hour', '24 hours', '1 hour', null);
do $$
begin
  while housekeeping.make_next_partition(statement_timestamp()) is not null loop
  end loop;
end $$;
