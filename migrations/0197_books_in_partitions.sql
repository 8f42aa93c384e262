-- outside a transaction
-- The books, the audit records and what limits count become partitioned as events did: that what there is lies before a time still to come is said,
-- which locks nobody out for longer than a moment, then proven while payments go on, and then the table is given its new place, each by
-- itself.
do $$
declare
  before timestamptz := housekeeping.bound_after('year', statement_timestamp() + interval '62 days');
  next_month timestamptz := housekeeping.bound_after('month', housekeeping.bound_after('month', statement_timestamp()));
begin
  if exists (select from housekeeping.partitioned_table where (schema_name, table_name) = ('ledger', 'entry')) then
    return;
  end if;
  insert into housekeeping.partitioned_table (schema_name, table_name, id_prefix, width, made_ahead, kept, stored_with) values
    ('ledger', 'entry', 'ent_', 'year', '62 days', null, null),
    ('ledger', 'posting', null, 'year', '62 days', null, null),
    ('ledger', 'exchange', 'ent_', 'year', '62 days', null, null),
    ('ledger', 'hold', 'hld_', 'year', '62 days', null, null),
    ('audit', 'record', 'aud_', 'year', '62 days', null, null),
    ('payments', 'spent', null, 'month', '62 days', '62 days', 'fillfactor = 60');
  insert into housekeeping.partition
    select schema_name, table_name, table_name || '_first', '-infinity', case width when 'year' then before else next_month end
    from housekeeping.partitioned_table where schema_name in ('ledger', 'audit', 'payments');
end $$;
-- then
-- What is older than any limit counts goes with its partition, and needs no index to be found by.
drop index concurrently if exists payments.spent_age;
-- then
select housekeeping.say_first_partition('ledger', 'entry', 'entry_id');
-- then
select housekeeping.say_first_partition('ledger', 'posting', 'booked_at');
-- then
select housekeeping.say_first_partition('ledger', 'exchange', 'entry_id');
-- then
select housekeeping.say_first_partition('ledger', 'hold', 'hold_id');
-- then
select housekeeping.say_first_partition('audit', 'record', 'record_id');
-- then
select housekeeping.say_first_partition('payments', 'spent', 'hour');
-- then
select housekeeping.prove_first_partition('ledger', 'entry');
-- then
select housekeeping.prove_first_partition('ledger', 'posting');
-- then
select housekeeping.prove_first_partition('ledger', 'exchange');
-- then
select housekeeping.prove_first_partition('ledger', 'hold');
-- then
select housekeeping.prove_first_partition('audit', 'record');
-- then
select housekeeping.prove_first_partition('payments', 'spent');
-- then
-- An exchange is written with its entry, by the same function; that neither is without the other, reconciliation says. In the order in which they are
-- written, or those who write and this would wait for each other.
do $$
begin
  if exists (select from pg_constraint where conrelid = 'ledger.exchange'::regclass and conname = 'exchange_entry_id_fkey') then
    lock table ledger.entry, ledger.exchange in access exclusive mode;
    alter table ledger.exchange drop constraint exchange_entry_id_fkey;
  end if;
end $$;
-- then
do $$
begin
  if not housekeeping.is_in_partitions('ledger', 'entry') then
    lock table ledger.entry in access exclusive mode;
    drop index ledger.entry_posts_a_payment_once;
    perform housekeeping.become_partitioned('ledger', 'entry', 'entry_id');
    create constraint trigger entry_posts_a_payment_once after insert on ledger.entry deferrable initially deferred
      for each row when (new.payment_id is not null and new.kind <> 'reversal') execute function ledger.entry_posts_a_payment_once();
  end if;
end $$;
-- then
select housekeeping.become_partitioned('ledger', 'posting', 'booked_at');
-- then
select housekeeping.become_partitioned('ledger', 'exchange', 'entry_id');
-- then
select housekeeping.become_partitioned('ledger', 'hold', 'hold_id');
-- then
select housekeeping.become_partitioned('audit', 'record', 'record_id');
-- then
select housekeeping.become_partitioned('payments', 'spent', 'hour');
