-- outside a transaction
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
