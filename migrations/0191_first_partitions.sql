-- outside a transaction
-- Ids that were made before ids began with their time would lie in a time still to come: they get that at which it happened.
do $$
declare
  tomorrow text := housekeeping.bound('evt_', statement_timestamp() + interval '1 day');
begin
  if exists (select from events.event where event_id >= tomorrow) then
    alter table events.notification drop constraint if exists notification_event_id_fkey;
    update events.notification n set event_id = housekeeping.bound('evt_', e.occurred_at) || substr(e.event_id, 17)
      from events.event e where e.event_id = n.event_id and e.event_id >= tomorrow;
    update events.event set event_id = housekeeping.bound('evt_', occurred_at) || substr(event_id, 17) where event_id >= tomorrow;
  end if;
end $$;
-- then
-- What there is of events and notifications becomes their first partition, as it is. That all of it lies before a time still to
-- come is said first, which locks nobody out for longer than a moment, and then proven while payments go on.
do $$
declare
  before timestamptz := housekeeping.bound_after('month', housekeeping.bound_after('month', statement_timestamp()));
begin
  if exists (select from housekeeping.partitioned_table where schema_name = 'events') then
    return;
  end if;
  insert into housekeeping.partitioned_table (schema_name, table_name, id_prefix, width, made_ahead, kept, stays) values
    ('events', 'event', 'evt_', 'month', '62 days', '92 days', 'next_attempt_at is not null or dead_at is not null'),
    ('events', 'notification', 'evt_', 'month', '62 days', '396 days', null);
  insert into housekeeping.partition values
    ('events', 'event', 'event_first', '-infinity', before), ('events', 'notification', 'notification_first', '-infinity', before);
  execute format('alter table events.event add constraint event_is_of_the_first_partition check (event_id < %L) not valid',
    housekeeping.bound('evt_', before));
  execute format('alter table events.notification add constraint notification_is_of_the_first_partition check (event_id < %L) not valid',
    housekeeping.bound('evt_', before));
end $$;
-- then
alter table events.event validate constraint event_is_of_the_first_partition;
-- then
alter table events.notification validate constraint notification_is_of_the_first_partition;
